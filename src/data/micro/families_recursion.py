# Micro-Python: families of recursive functions.


@family("recursion", "sum_to total add_up")
def sum_recursive(r):
    n, k = r.number_arg(), r.int(1, 5)
    styles = [
        lines(f"if {n} < {k}:", "    return 0", f"return {n} + NAME({n} - 1)"),
        lines(f"return 0 if {n} < {k} else {n} + NAME({n} - 1)"),
    ]
    return case(
        n,
        f"Return the sum of the numbers from {k} to {n}, with recursion.",
        styles,
        [(0,), (k,), (k + 1,), (8,)],
        up_to(r),
    )


@family("recursion", "product_to factorial times_all", heldout=True)
def product_recursive(r):
    n, k = r.number_arg(), r.int(1, 4)
    styles = [
        lines(f"if {n} < {k}:", "    return 1", f"return {n} * NAME({n} - 1)"),
        lines(f"return 1 if {n} < {k} else {n} * NAME({n} - 1)"),
    ]
    return case(
        n,
        f"Return the product of the numbers from {k} to {n}, with recursion.",
        styles,
        [(k - 1,), (k,), (k + 1,), (6,)],
        lambda: (r.int(k + 1, 7),),
    )


@family("recursion", "power raise_to pow_of")
def power_recursive(r):
    a, b = r.pick([("a", "b"), ("x", "n")])
    styles = [
        lines(f"if {b} == 0:", "    return 1", f"return {a} * NAME({a}, {b} - 1)"),
        lines(f"return 1 if {b} == 0 else {a} * NAME({a}, {b} - 1)"),
    ]
    return case(
        f"{a}, {b}",
        f"Return {a} to the power of {b}, with recursion.",
        styles,
        [(2, 0), (3, 1), (2, 5), (0, 2), (-2, 3)],
        lambda: (r.int(2, 5), r.int(2, 5)),
    )


@family("recursion", "fibonacci fib sequence")
def fib_recursive(r):
    n, k = r.number_arg(), r.int(1, 3)
    styles = [
        lines(f"if {n} < 2:", f"    return {k}", f"return NAME({n} - 1) + NAME({n} - 2)"),
        lines(f"return {k} if {n} < 2 else NAME({n} - 1) + NAME({n} - 2)"),
    ]
    return case(
        n,
        f"Return number {n} of the sequence {k}, {k} where each is the sum of the two before, with recursion.",
        styles,
        [(0,), (1,), (2,), (3,), (4,)],
        lambda: (r.int(3, 6),),
    )


@family("recursion", "add_list total sum_all")
def list_recursive(r):
    xs, (word, unit, op) = r.list_arg(), r.pick([("sum", "0", "+"), ("product", "1", "*")])
    styles = [
        lines(f"if not {xs}:", f"    return {unit}", f"return {xs}[0] {op} NAME({xs}[1:])"),
        lines(f"return {xs}[0] {op} NAME({xs}[1:]) if {xs} else {unit}"),
    ]
    return case(
        xs,
        f"Return the {word} of the numbers in {xs}, with recursion.",
        styles,
        [([],), ([3],), ([2, 5],), ([-1, 4, 2],)],
        lambda: (r.ints(1, 9),),
    )


@family("recursion", "count_list how_many tally", heldout=True)
def count_recursive(r):
    xs = r.list_arg()
    words, code, k = number_test(r, f"{xs}[0]")
    styles = [
        lines(
            f"if not {xs}:", "    return 0", f"if {code}:", f"    return 1 + NAME({xs}[1:])", f"return NAME({xs}[1:])"
        ),
        lines(f"if not {xs}:", "    return 0", f"return NAME({xs}[1:]) + (1 if {code} else 0)"),
    ]
    return case(
        xs,
        f"Return the count of the {numbers(words)} in {xs}, with recursion.",
        styles,
        list_edges(k),
        lambda: (r.ints(),),
    )


@family("recursion", "sum_list total add_up")
def sum_where_recursive(r):
    xs = r.list_arg()
    words, code, k = number_test(r, f"{xs}[0]")
    styles = [
        lines(
            f"if not {xs}:",
            "    return 0",
            f"if {code}:",
            f"    return {xs}[0] + NAME({xs}[1:])",
            f"return NAME({xs}[1:])",
        ),
        lines(f"if not {xs}:", "    return 0", f"return NAME({xs}[1:]) + ({xs}[0] if {code} else 0)"),
    ]
    return case(
        xs,
        f"Return the sum of the {numbers(words)} in {xs}, with recursion.",
        styles,
        list_edges(k),
        lambda: (r.ints(),),
    )


@family("recursion", "reverse backwards flip")
def reverse_recursive(r):
    s = r.text_arg()
    styles = [
        lines(f'if {s} == "":', f"    return {s}", f"return NAME({s}[1:]) + {s}[0]"),
        lines(f"if len({s}) < 2:", f"    return {s}", f"return {s}[-1] + NAME({s}[:-1])"),
    ]
    return case(
        s,
        f"Return {s} reversed, with recursion.",
        styles,
        [("",), ("a",), ("ab",), ("abc",), ("aab",)],
        lambda: (r.word(),),
    )


@family("recursion", "digit_sum digits add_digits")
def digits_recursive(r):
    n, (word, one) = r.number_arg(), r.pick([("sum", None), ("count", "1")])
    one = one or f"{n} % 10"
    base = n if word == "sum" else "1"
    styles = [
        lines(f"if {n} < 10:", f"    return {base}", f"return {one} + NAME({n} // 10)"),
        lines(f"return {base} if {n} < 10 else {one} + NAME({n} // 10)"),
    ]
    return case(
        n,
        f"Return the {word} of the digits of {n}, with recursion.",
        styles,
        [(0,), (7,), (10,), (99,), (305,)],
        lambda: (r.int(10, 999),),
    )


@family("recursion", "gcd common divisor")
def gcd_recursive(r):
    a, b = r.pick([("a", "b"), ("x", "y")])
    styles = [
        lines(f"if {b} == 0:", f"    return {a}", f"return NAME({b}, {a} % {b})"),
        lines(f"return {a} if {b} == 0 else NAME({b}, {a} % {b})"),
    ]
    return case(
        f"{a}, {b}",
        f"Return the greatest common divisor of {a} and {b}, with recursion.",
        styles,
        [(4, 6), (6, 4), (7, 1), (5, 0), (9, 9)],
        lambda: (r.int(2, 30), r.int(2, 30)),
    )


@family("recursion", "grow repeat_step sequence", heldout=True)
def recurrence(r):
    n, k, m, t = r.number_arg(), r.int(1, 5), r.int(2, 5), r.int(2, 3)
    styles = [
        lines(f"if {n} == 0:", f"    return {k}", f"return {t} * NAME({n} - 1) + {m}"),
        lines(f"return {k} if {n} == 0 else {t} * NAME({n} - 1) + {m}"),
    ]
    return case(
        n,
        f"Return {k} if {n} is 0, else {t} times the value for {n} minus 1 plus {m}, with recursion.",
        styles,
        [(0,), (1,), (2,), (3,), (4,)],
        lambda: (r.int(1, 4),),
    )
