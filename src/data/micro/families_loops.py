# Micro-Python: families of loops over numbers.

COUNTS = [(0,), (1,), (2,), (3,), (10,)]


def up_to(r):
    return lambda: (r.int(4, 12),)


@family("loops", "sum_to total add_up")
def sum_to(r):
    n, k, (words, code) = (
        r.number_arg(),
        r.int(1, 4),
        r.pick([("numbers", "i"), ("squares", "i * i"), ("cubes", "i ** 3")]),
    )
    head = f"range({k}, {n} + 1)"
    styles = [
        loop("total = 0", f"for i in {head}:", f"total += {code}", "return total"),
        lines(f"return sum({'' if code == 'i' else code + ' for i in '}{head})"),
        lines("total = 0", f"i = {k}", f"while i <= {n}:", f"    total += {code}", "    i += 1", "return total"),
    ]
    return case(
        n, f"Return the sum of the {words} from {k} to {n}.", styles, [(k,), (k - 1,), (k + 1,), (10,)], up_to(r)
    )


@family("loops", "product_to multiply times_all")
def product_to(r):
    n, k = r.number_arg(), r.int(1, 4)
    styles = [
        loop("total = 1", f"for i in range({k}, {n} + 1):", "total *= i", "return total"),
        lines("total = 1", f"while {n} >= {k}:", f"    total *= {n}", f"    {n} -= 1", "return total"),
    ]
    return case(
        n,
        f"Return the product of the numbers from {k} to {n}.",
        styles,
        [(k,), (k - 1,), (k + 1,), (k + 2,)],
        lambda: (r.int(k + 1, 7),),
    )


@family("loops", "sum_to total add_up")
def sum_to_where(r):
    n = r.number_arg()
    words, code, k = number_test(r, "i")
    head = f"range(1, {n} + 1)"
    styles = [
        loop("total = 0", f"for i in {head}:", "total += i", "return total", code),
        lines(f"return sum(i for i in {head} if {code})"),
        lines(
            "total = 0",
            "i = 1",
            f"while i <= {n}:",
            f"    if {code}:",
            "        total += i",
            "    i += 1",
            "return total",
        ),
    ]
    return case(
        n,
        f"Return the sum of the {numbers(words)} from 1 to {n}.",
        styles,
        [(0,), (1,), (k,), (k + 1,), (2 * k,)],
        up_to(r),
    )


@family("loops", "count_to how_many tally", heldout=True)
def count_to_where(r):
    n = r.number_arg()
    words, code, k = number_test(r, "i")
    head = f"range(1, {n} + 1)"
    styles = [
        loop("count = 0", f"for i in {head}:", "count += 1", "return count", code),
        lines(f"return sum(1 for i in {head} if {code})"),
        lines(
            "count = 0",
            "i = 1",
            f"while i <= {n}:",
            f"    if {code}:",
            "        count += 1",
            "    i += 1",
            "return count",
        ),
    ]
    return case(
        n,
        f"Return the count of the {numbers(words)} from 1 to {n}.",
        styles,
        [(0,), (1,), (k,), (k + 1,), (2 * k,)],
        up_to(r),
    )


@family("loops", "list_to numbers_to collect")
def list_to_where(r):
    n = r.number_arg()
    words, code, k = number_test(r, "i")
    head = f"range(1, {n} + 1)"
    styles = [
        loop("out = []", f"for i in {head}:", "out.append(i)", "return out", code),
        lines(f"return [i for i in {head} if {code}]"),
        lines(
            "out = []",
            "i = 1",
            f"while i <= {n}:",
            f"    if {code}:",
            "        out.append(i)",
            "    i += 1",
            "return out",
        ),
    ]
    return case(
        n,
        f"Return the list of the {numbers(words)} from 1 to {n}.",
        styles,
        [(0,), (1,), (k,), (k + 1,), (2 * k,)],
        up_to(r),
    )


@family("loops", "list_to numbers_to collect")
def list_to_change(r):
    n, k, (words, code) = r.number_arg(), r.int(1, 4), change(r, "i")
    head = f"range({k}, {n} + 1)"
    styles = [
        loop("out = []", f"for i in {head}:", f"out.append({code})", "return out"),
        lines(f"return [{code} for i in {head}]"),
        lines("out = []", f"i = {k}", f"while i <= {n}:", f"    out.append({code})", "    i += 1", "return out"),
    ]
    return case(
        n,
        f"Return the list of each number {words} from {k} to {n}.",
        styles,
        [(k,), (k - 1,), (k + 1,), (k + 3,)],
        lambda: (r.int(k + 1, k + 3),),
    )


@family("loops", "digit_sum digits add_digits")
def digit_sum(r):
    n = r.number_arg()
    styles = [
        lines("total = 0", f"while {n} > 0:", f"    total += {n} % 10", f"    {n} //= 10", "return total"),
        lines(f"return sum(int(c) for c in str({n}))"),
    ]
    return case(
        n,
        f"Return the sum of the digits of {n}.",
        styles,
        [(0,), (7,), (10,), (99,), (305,)],
        lambda: (r.int(10, 999),),
    )


@family("loops", "digit_count digits count_digits", heldout=True)
def digit_count(r):
    n = r.number_arg()
    words, code, k = number_test(r, f"{n} % 10")
    if "%" in code[6:]:
        words, code, k = r.pick([("even", f"{n} % 2 == 0", 2), ("odd", f"{n} % 2 == 1", 1)])
    styles = [
        lines(
            "count = 0", f"while {n} > 0:", f"    if {code}:", "        count += 1", f"    {n} //= 10", "return count"
        ),
        lines(
            "count = 0",
            f"for c in str({n}):",
            f"    if {code.replace(f'{n} % 10', 'int(c)').replace(f'{n} % 2', 'int(c) % 2')}:",
            "        count += 1",
            "return count",
        ),
    ]
    words = words if " " in words else words + " "
    doc = (
        f"Return the count of the digits {words} in {n}."
        if not words.endswith(" ")
        else f"Return the count of the {words}digits in {n}."
    )
    return case(n, doc, styles, [(k + 1 + 10 * k,), (7,), (12,), (99,), (3456,), (11,)], lambda: (r.int(111, 9999),))


@family("loops", "power raise_to pow_of")
def power(r):
    a, b = r.pick([("a", "b"), ("x", "n")])
    styles = [
        loop("total = 1", f"for i in range({b}):", f"total *= {a}", "return total"),
        lines("total = 1", f"while {b} > 0:", f"    total *= {a}", f"    {b} -= 1", "return total"),
    ]
    return case(
        f"{a}, {b}",
        f"Return {a} to the power of {b}, with a loop.",
        styles,
        [(2, 0), (3, 1), (2, 5), (0, 2), (-2, 3)],
        lambda: (r.int(2, 5), r.int(2, 5)),
    )


@family("loops", "gcd common divisor")
def gcd_loop(r):
    a, b = r.pick([("a", "b"), ("x", "y")])
    styles = [
        lines(f"while {b} > 0:", f"    {a}, {b} = {b}, {a} % {b}", f"return {a}"),
        lines(f"while {b} != 0:", f"    {a}, {b} = {b}, {a} % {b}", f"return {a}"),
    ]
    return case(
        f"{a}, {b}",
        f"Return the greatest common divisor of {a} and {b}, with a loop.",
        styles,
        [(4, 6), (6, 4), (7, 1), (5, 0), (9, 9)],
        lambda: (r.int(2, 30), r.int(2, 30)),
    )


@family("loops", "divisors count_divisors factors")
def divisors(r):
    n, (word, start, step, one) = r.number_arg(), r.pick(
        [
            ("count", "count = 0", "count += 1", "1"),
            ("sum", "total = 0", "total += i", "i"),
            ("list", "out = []", "out.append(i)", None),
        ]
    )
    name = start.split()[0]
    test = f"{n} % i == 0"
    short = (
        f"return sum({one} for i in range(1, {n} + 1) if {test})"
        if one
        else f"return [i for i in range(1, {n} + 1) if {test}]"
    )
    styles = [loop(start, f"for i in range(1, {n} + 1):", step, f"return {name}", test), lines(short)]
    return case(
        n, f"Return the {word} of the divisors of {n}.", styles, [(1,), (2,), (6,), (7,), (9,)], lambda: (r.int(4, 24),)
    )


@family("loops", "is_prime prime check", heldout=True)
def is_prime(r):
    n = r.number_arg()
    styles = [
        lines(
            f"if {n} < 2:",
            "    return False",
            f"for i in range(2, {n}):",
            f"    if {n} % i == 0:",
            "        return False",
            "return True",
        ),
        lines(f"return {n} > 1 and all({n} % i != 0 for i in range(2, {n}))"),
    ]
    return case(
        n,
        f"Return True if {n} is a prime number.",
        styles,
        [(0,), (1,), (2,), (3,), (4,), (9,)],
        lambda: (r.int(5, 40),),
    )


@family("loops", "halvings divide_out how_often")
def divide_out(r):
    n, k = r.number_arg(), r.int(2, 5)
    styles = [
        lines("count = 0", f"while {n} % {k} == 0:", f"    {n} //= {k}", "    count += 1", "return count"),
        lines("count = 0", f"while {n} % {k} < 1:", f"    count += 1", f"    {n} = {n} // {k}", "return count"),
    ]
    return case(
        n,
        f"Return how often {n} is divisible by {k}.",
        styles,
        [(1,), (k,), (k + 1,), (k * k,), (3 * k,)],
        lambda: (r.int(1, 8) * k,),
    )


@family("loops", "fibonacci fib sequence")
def fib_loop(r):
    n, k = r.number_arg(), r.int(0, 3)
    styles = [
        lines(f"a, b = {k}, 1", f"for i in range({n}):", "    a, b = b, a + b", "return a"),
        lines(f"a = {k}", "b = 1", f"for i in range({n}):", "    a, b = b, a + b", "return a"),
    ]
    return case(
        n,
        f"Return number {n} of the sequence {k}, 1 where each is the sum of the two before.",
        styles,
        [(0,), (1,), (2,), (3,), (5,)],
        lambda: (r.int(3, 9),),
    )


@family("loops", "next_multiple up_to_multiple find_next", heldout=True)
def next_multiple(r):
    n, k = r.number_arg(), r.int(3, 9)
    styles = [
        lines(f"while {n} % {k} != 0:", f"    {n} += 1", f"return {n}"),
        lines(f"return ({n} + {k - 1}) // {k} * {k}"),
    ]
    return case(
        n,
        f"Return the smallest number from {n} up that is divisible by {k}.",
        styles,
        number_inputs(k),
        lambda: (r.int(1, 40),),
    )


@family("loops", "reverse_number flip mirror")
def reverse_number(r):
    n = r.number_arg()
    styles = [
        lines("total = 0", f"while {n} > 0:", f"    total = total * 10 + {n} % 10", f"    {n} //= 10", "return total"),
        lines(f"return int(str({n})[::-1])"),
    ]
    return case(
        n,
        f"Return {n} with its digits reversed.",
        styles,
        [(0,), (7,), (10,), (123,), (305,)],
        lambda: (r.int(10, 999),),
    )
