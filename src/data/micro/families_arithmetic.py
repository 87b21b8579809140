# Micro-Python: families of arithmetic.


def number_inputs(k):
    return [(0,), (k,), (k - 1,), (k + 1,), (-k,), (2 * k,)]


@family("arithmetic", "linear scale convert")
def linear(r):
    n, k, m, (word, op) = r.number_arg(), r.int(2, 9), r.int(2, 9), r.pick([("plus", "+"), ("minus", "-")])
    styles = [lines(f"return {n} * {k} {op} {m}"), lines(f"total = {n} * {k}", f"return total {op} {m}")]
    return case(n, f"Return {n} times {k} {word} {m}.", styles, [(0,), (1,), (-2,), (m,)], lambda: (r.int(1, 9),))


@family("arithmetic", "combine mix join_up")
def combine(r):
    k, (word, op), (word2, op2) = r.int(2, 9), *r.two([("plus", "+"), ("minus", "-"), ("times", "*")])
    styles = [lines(f"return a {op} b {op2} {k}"), lines(f"total = a {op} b {op2} {k}", "return total")]
    if op2 == "*":
        return case(
            "a, b",
            f"Return a {word} b times {k}.",
            styles,
            [(0, 1), (1, 0), (2, 3), (-2, 5)],
            lambda: (r.int(1, 9), r.int(1, 9)),
        )
    return case(
        "a, b",
        f"Return a {word} b {word2} {k}.",
        styles,
        [(0, 1), (1, 0), (2, 3), (-2, 5)],
        lambda: (r.int(1, 9), r.int(1, 9)),
    )


@family("arithmetic", "squares powers sq")
def square_sum(r):
    (noun, p), (word, op) = r.pick([("square", 2), ("cube", 3)]), r.pick([("plus", "+"), ("minus", "-")])
    styles = [
        lines(f"return a ** {p} {op} b ** {p}"),
        lines(f"return {' * '.join('a' * p)} {op} {' * '.join('b' * p)}"),
    ]
    return case(
        "a, b",
        f"Return the {noun} of a {word} the {noun} of b.",
        styles,
        [(0, 2), (2, 0), (1, -3), (3, 2)],
        lambda: (r.int(1, 6), r.int(1, 6)),
    )


@family("arithmetic", "rest remainder left_over")
def remainder(r):
    n, k = r.number_arg(), r.int(2, 12)
    styles = [lines(f"return {n} % {k}"), lines(f"return {n} - {n} // {k} * {k}")]
    return case(n, f"Return the remainder of {n} divided by {k}.", styles, number_inputs(k), lambda: (r.int(k, 40),))


@family("arithmetic", "fits times_in whole")
def quotient(r):
    n, k = r.number_arg(), r.int(2, 12)
    styles = [
        lines(f"return {n} // {k}"),
        lines("count = 0", f"while {n} >= {k}:", f"    {n} -= {k}", "    count += 1", "return count"),
    ]
    return case(
        n,
        f"Return how often {k} fits in {n}.",
        styles,
        [(0,), (k,), (k - 1,), (k + 1,), (2 * k,)],
        lambda: (r.int(k, 40),),
    )


@family("arithmetic", "round_to floor_to down_to", heldout=True)
def round_down(r):
    n, k = r.number_arg(), r.int(3, 12)
    styles = [lines(f"return {n} // {k} * {k}"), lines(f"return {n} - {n} % {k}")]
    return case(n, f"Return {n} rounded down to a multiple of {k}.", styles, number_inputs(k), lambda: (r.int(k, 40),))


@family("arithmetic", "gap distance apart")
def distance(r):
    a, b = r.pick([("a", "b"), ("x", "y")])
    styles = [lines(f"return abs({a} - {b})"), lines(f"if {a} > {b}:", f"    return {a} - {b}", f"return {b} - {a}")]
    return case(
        f"{a}, {b}",
        f"Return the distance of {a} and {b}.",
        styles,
        [(0, 0), (3, 8), (8, 3), (-2, 4)],
        lambda: (r.int(1, 20), r.int(1, 20)),
    )


@family("arithmetic", "to_minutes units small_units")
def units(r):
    k, (big, small) = r.pick(
        [(60, ("hours", "minutes")), (24, ("days", "hours")), (7, ("weeks", "days")), (12, ("years", "months"))]
    )
    styles = [lines(f"return a * {k} + b"), lines(f"total = a * {k}", "total += b", "return total")]
    return case(
        "a, b",
        f"Return a {big} and b {small} in {small}, {k} per unit.",
        styles,
        [(0, 0), (1, 0), (0, 5), (2, 3)],
        lambda: (r.int(1, 9), r.int(1, 9)),
    )


@family("arithmetic", "rectangle sides frame")
def rectangle(r):
    word, one, two = r.pick([("area", "a * b", None), ("perimeter", "2 * (a + b)", "2 * a + 2 * b")])
    styles = [lines(f"return {one}"), lines(f"return {two}") if two else lines("area = a * b", "return area")]
    return case(
        "a, b",
        f"Return the {word} of a rectangle with sides a and b.",
        styles,
        [(1, 1), (2, 3), (5, 1), (4, 4)],
        lambda: (r.int(1, 20), r.int(1, 20)),
    )


@family("arithmetic", "digit place digit_at", heldout=True)
def digit_at(r):
    n, (word, k) = r.number_arg(), r.pick([("ones", 1), ("tens", 10), ("hundreds", 100)])
    styles = (
        [lines(f"return {n} // {k} % 10"), lines(f"{n} = {n} // {k}", f"return {n} % 10")]
        if k > 1
        else [lines(f"return {n} % 10"), lines(f"return int(str({n})[-1])")]
    )
    return case(
        n,
        f"Return the {word} digit of {n}.",
        styles,
        [(0,), (7,), (10,), (345,), (999,), (1024,)],
        lambda: (r.int(100, 999),),
    )


@family("arithmetic", "middle mean between_two")
def middle(r):
    a, b = r.pick([("a", "b"), ("x", "y")])
    styles = [lines(f"return ({a} + {b}) // 2"), lines(f"total = {a} + {b}", "return total // 2")]
    return case(
        f"{a}, {b}",
        f"Return the mean of {a} and {b} rounded down.",
        styles,
        [(0, 0), (1, 2), (3, 8), (-2, 4)],
        lambda: (r.int(1, 20), r.int(1, 20)),
    )


@family("arithmetic", "split parts div_mod")
def split_number(r):
    n, k = r.number_arg(), r.int(2, 12)
    styles = [lines(f"return [{n} // {k}, {n} % {k}]"), lines(f"a = {n} // {k}", f"return [a, {n} - a * {k}]")]
    return case(
        n,
        f"Return the list of {n} divided by {k} and the remainder.",
        styles,
        number_inputs(k),
        lambda: (r.int(k, 40),),
    )
