# Micro-Python: families of conditionals.


@family("conditionals", "pick choose best_of")
def pick_two(r):
    (a, b), (word, fn, op) = r.pick([("a", "b"), ("x", "y")]), r.pick([("larger", "max", ">"), ("smaller", "min", "<")])
    styles = [
        lines(f"if {a} {op} {b}:", f"    return {a}", f"return {b}"),
        lines(f"return {fn}({a}, {b})"),
        lines(f"return {a} if {a} {op} {b} else {b}"),
    ]
    return case(
        f"{a}, {b}",
        f"Return the {word} of {a} and {b}.",
        styles,
        [(0, 0), (3, 8), (8, 3), (-2, -4)],
        lambda: (r.int(1, 20), r.int(1, 20)),
    )


@family("conditionals", "pick choose best_of", heldout=True)
def pick_three(r):
    word, fn, op = r.pick([("largest", "max", ">"), ("smallest", "min", "<")])
    styles = [
        lines("best = a", f"if b {op} best:", "    best = b", f"if c {op} best:", "    best = c", "return best"),
        lines(f"return {fn}(a, b, c)"),
    ]
    return case(
        "a, b, c",
        f"Return the {word} of a, b and c.",
        styles,
        [(1, 2, 3), (3, 2, 1), (2, 3, 1), (2, 1, 3), (-1, -2, -3)],
        lambda: (r.int(1, 9), r.int(1, 9), r.int(1, 9)),
    )


@family("conditionals", "clamp limit keep_in")
def clamp(r):
    n, low = r.number_arg(), r.int(0, 5)
    high = low + r.int(2, 4)
    styles = [
        lines(f"if {n} < {low}:", f"    return {low}", f"if {n} > {high}:", f"    return {high}", f"return {n}"),
        lines(f"return max({low}, min({high}, {n}))"),
    ]
    return case(
        n,
        f"Return {n} limited to {low} at least and {high} at most.",
        styles,
        [(low,), (high,), (low - 1,), (high + 1,), (low + 1,)],
        lambda: (r.int(-5, 15),),
    )


@family("conditionals", "limit cap bound", heldout=True)
def limit(r):
    n, k, (word, fn, op) = r.number_arg(), r.int(2, 12), r.pick([("at most", "min", ">"), ("at least", "max", "<")])
    styles = [lines(f"if {n} {op} {k}:", f"    return {k}", f"return {n}"), lines(f"return {fn}({n}, {k})")]
    return case(n, f"Return {n} limited to {k} {word}.", styles, number_inputs(k), lambda: (r.int(0, 20),))


@family("conditionals", "sign direction side")
def sign(r):
    n, (a, b, c) = r.number_arg(), r.pick(
        [("1", "-1", "0"), ('"up"', '"down"', '"flat"'), ('"plus"', '"minus"', '"zero"')]
    )
    styles = [
        lines(f"if {n} > 0:", f"    return {a}", f"if {n} < 0:", f"    return {b}", f"return {c}"),
        lines(f"if {n} == 0:", f"    return {c}", f"return {a} if {n} > 0 else {b}"),
    ]
    return case(
        n,
        f"Return {a} if {n} is positive, {b} if negative, else {c}.",
        styles,
        [(0,), (1,), (-1,), (7,), (-7,)],
        lambda: (r.int(-20, 20),),
    )


@family("conditionals", "is_ok check test")
def number_is(r):
    n = r.number_arg()
    words, code, k = number_test(r, n)
    styles = [lines(f"return {code}"), lines(f"if {code}:", "    return True", "return False")]
    return case(n, f"Return True if {n} is {words}.", styles, number_inputs(k), lambda: (r.int(-9, 20),))


@family("conditionals", "inside within in_range")
def between(r):
    n, low = r.number_arg(), r.int(0, 9)
    high = low + r.int(3, 9)
    styles = [lines(f"return {low} <= {n} <= {high}"), lines(f"return {n} >= {low} and {n} <= {high}")]
    return case(
        n,
        f"Return True if {n} is at least {low} and at most {high}.",
        styles,
        [(low,), (high,), (low - 1,), (high + 1,), (low + 1,)],
        lambda: (r.int(-5, 20),),
    )


@family("conditionals", "fits_both check test")
def two_divisors(r):
    n, (a, b), word = r.number_arg(), r.two([2, 3, 4, 5, 7]), r.pick(["and", "or"])
    code = f"{n} % {a} == 0 {word} {n} % {b} == 0"
    styles = [lines(f"return {code}"), lines(f"if {code}:", "    return True", "return False")]
    return case(
        n,
        f"Return True if {n} is divisible by {a} {word} {b}.",
        styles,
        [(0,), (a,), (b,), (a * b,), (a * b + 1,), (2 * a,)],
        lambda: (r.int(1, 40),),
    )


@family("conditionals", "fizz say label")
def fizz(r):
    n, word = r.number_arg(), r.pick(["fizz", "buzz", "boom"])
    words, code, k = number_test(r, n)
    styles = [
        lines(f"if {code}:", f'    return "{word}"', f"return str({n})"),
        lines(f'return "{word}" if {code} else str({n})'),
    ]
    return case(
        n,
        f'Return "{word}" if {n} is {words}, else {n} as a string.',
        styles,
        number_inputs(k),
        lambda: (r.int(-9, 20),),
    )


@family("conditionals", "grade label name_of")
def grade(r):
    n, (yes, no) = r.number_arg(), r.pick([("high", "low"), ("yes", "no"), ("pass", "fail"), ("hot", "cold")])
    words, code, k = number_test(r, n)
    styles = [
        lines(f"if {code}:", f'    return "{yes}"', f'return "{no}"'),
        lines(f'return "{yes}" if {code} else "{no}"'),
    ]
    return case(
        n, f'Return "{yes}" if {n} is {words}, else "{no}".', styles, number_inputs(k), lambda: (r.int(-9, 20),)
    )


@family("conditionals", "level label band", heldout=True)
def three_levels(r):
    n, low = r.number_arg(), r.int(1, 5)
    high, (a, b, c) = low + r.int(2, 4), r.pick([("low", "high", "mid"), ("cold", "hot", "mild")])
    styles = [
        lines(f"if {n} < {low}:", f'    return "{a}"', f"if {n} > {high}:", f'    return "{b}"', f'return "{c}"'),
        lines(f"if {n} < {low}:", f'    return "{a}"', f'return "{b}" if {n} > {high} else "{c}"'),
    ]
    doc = f'Return "{a}" if {n} is less than {low}, "{b}" if greater than {high}, else "{c}".'
    return case(n, doc, styles, [(low,), (high,), (low - 1,), (high + 1,), (low + 1,)], lambda: (r.int(-2, 12),))


@family("conditionals", "order sort_two arrange")
def order_two(r):
    (a, b), (word, op) = r.pick([("a", "b"), ("x", "y")]), r.pick([("increasing", "<"), ("decreasing", ">")])
    tail = ", reverse=True" if op == ">" else ""
    styles = [
        lines(f"if {a} {op} {b}:", f"    return [{a}, {b}]", f"return [{b}, {a}]"),
        lines(f"return sorted([{a}, {b}]{tail})"),
    ]
    return case(
        f"{a}, {b}",
        f"Return the list of {a} and {b} in {word} order.",
        styles,
        [(0, 0), (3, 8), (8, 3), (-2, -4)],
        lambda: (r.int(1, 20), r.int(1, 20)),
    )


@family("conditionals", "adjust step branch")
def piecewise(r):
    n = r.number_arg()
    words, code, k = number_test(r, n)
    (yes, plus), (no, minus) = change(r, n), change(r, n)
    styles = [
        lines(f"if {code}:", f"    return {plus}", f"return {minus}"),
        lines(f"return {plus} if {code} else {minus}"),
    ]
    return case(
        n, f"Return {n} {yes} if {n} is {words}, else {n} {no}.", styles, number_inputs(k), lambda: (r.int(-9, 20),)
    )


@family("conditionals", "both either check", heldout=True)
def both_are(r):
    word = r.pick(["and", "or"])
    words, code, k = number_test(r, "a")
    other = re.sub(r"\ba\b", "b", code)
    styles = [
        lines(f"return {code} {word} {other}"),
        lines(f"if {code} {word} {other}:", "    return True", "return False"),
    ]
    many = f"a and b are {words}" if word == "and" else f"a or b is {words}"
    return case(
        "a, b",
        f"Return True if {many}.",
        styles,
        [(k, k), (k, k + 1), (k + 1, k), (k - 1, k), (k, k - 1), (k + 1, k + 1), (k - 1, k - 1)],
        lambda: (r.int(-9, 9), r.int(-9, 9)),
    )
