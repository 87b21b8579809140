# Micro-Python: families that go through a list of numbers.


def list_edges(k):
    """Lists that tell a condition that turns on k from its neighbours."""
    return [([],), ([k],), ([k - 1, k, k + 1],), ([k + 1, -k, 2 * k],), ([-1, 0, 1, 2],)]


def ints_of(r):
    return lambda: (r.ints(),)


@family("lists", "sum_list total add_up")
def list_sum(r):
    xs = r.list_arg()
    words, code, k = number_test(r, "x")
    styles = [
        loop("total = 0", f"for x in {xs}:", "total += x", "return total", code),
        lines(f"return sum(x for x in {xs} if {code})"),
    ]
    return case(xs, f"Return the sum of the {numbers(words)} in {xs}.", styles, list_edges(k), ints_of(r))


@family("lists", "count_list how_many tally")
def list_count(r):
    xs = r.list_arg()
    words, code, k = number_test(r, "x")
    styles = [
        loop("count = 0", f"for x in {xs}:", "count += 1", "return count", code),
        lines(f"return len([x for x in {xs} if {code}])"),
    ]
    return case(xs, f"Return the count of the {numbers(words)} in {xs}.", styles, list_edges(k), ints_of(r))


@family("lists", "product multiply times_all", heldout=True)
def list_product(r):
    xs = r.list_arg()
    words, code, k = number_test(r, "x")
    styles = [
        loop("total = 1", f"for x in {xs}:", "total *= x", "return total", code),
        lines("total = 1", f"for x in [x for x in {xs} if {code}]:", "    total *= x", "return total"),
    ]
    return case(xs, f"Return the product of the {numbers(words)} in {xs}.", styles, list_edges(k), ints_of(r))


@family("lists", "keep select filter_list")
def list_keep(r):
    xs = r.list_arg()
    words, code, k = number_test(r, "x")
    styles = [
        loop("out = []", f"for x in {xs}:", "out.append(x)", "return out", code),
        lines(f"return [x for x in {xs} if {code}]"),
    ]
    return case(xs, f"Return the list of the {numbers(words)} in {xs}.", styles, list_edges(k), ints_of(r))


@family("lists", "drop without remove_all", heldout=True)
def list_drop(r):
    xs = r.list_arg()
    words, code, k = number_test(r, "x")
    styles = [
        loop("out = []", f"for x in {xs}:", "out.append(x)", "return out", f"not {code}"),
        lines(f"return [x for x in {xs} if not {code}]"),
    ]
    return case(xs, f"Return {xs} without the {numbers(words)}.", styles, list_edges(k), ints_of(r))


@family("lists", "change_all map_list shift")
def list_change(r):
    xs, (words, code) = r.list_arg(), change(r, "x")
    styles = [
        loop("out = []", f"for x in {xs}:", f"out.append({code})", "return out"),
        lines(f"return [{code} for x in {xs}]"),
    ]
    return case(
        xs,
        f"Return the list of each number {words} in {xs}.",
        styles,
        [([],), ([0],), ([1, -2],), ([5, 5, 3],)],
        ints_of(r),
    )


@family("lists", "change_some map_list shift", heldout=True)
def list_change_where(r):
    xs, (words, code) = r.list_arg(), change(r, "x")
    which, test, k = number_test(r, "x")
    styles = [
        loop("out = []", f"for x in {xs}:", f"out.append({code})", "return out", test),
        lines(f"return [{code} for x in {xs} if {test}]"),
    ]
    return case(xs, f"Return the list of the {numbers(which)} {words} in {xs}.", styles, list_edges(k), ints_of(r))


@family("lists", "largest best extreme")
def list_extreme(r):
    xs, (word, fn, op) = r.list_arg(), r.pick([("largest", "max", ">"), ("smallest", "min", "<")])
    styles = [
        loop(f"best = {xs}[0]", f"for x in {xs}:", "best = x", "return best", f"x {op} best"),
        lines(f"return {fn}({xs})"),
    ]
    return case(
        xs,
        f"Return the {word} number in {xs}.",
        styles,
        [([3],), ([1, 2, 3],), ([3, 2, 1],), ([-5, -2, -9],), ([0, 4, -4],)],
        ints_of(r),
    )


@family("lists", "largest best extreme", heldout=True)
def list_extreme_where(r):
    xs, (word, fn, op), d = (
        r.list_arg(),
        r.pick([("largest", "max", ">"), ("smallest", "min", "<")]),
        r.pick(["-1", "0", "None"]),
    )
    words, code, k = number_test(r, "x")
    styles = [
        lines(f"out = [x for x in {xs} if {code}]", f"return {fn}(out) if out else {d}"),
        lines(f"out = [x for x in {xs} if {code}]", "if not out:", f"    return {d}", f"return {fn}(out)"),
    ]
    return case(
        xs,
        f"Return the {word} of the {numbers(words)} in {xs}, or {d} if there is none.",
        styles,
        list_edges(k),
        ints_of(r),
    )


@family("lists", "index position where")
def list_index(r):
    xs, d = r.list_arg(), r.pick(["-1", "None"])
    styles = [
        lines(f"for i in range(len({xs})):", f"    if {xs}[i] == n:", "        return i", f"return {d}"),
        lines(f"for i, x in enumerate({xs}):", "    if x == n:", "        return i", f"return {d}"),
    ]
    edges = [([], 1), ([4], 4), ([1, 2, 3], 3), ([1, 2, 3], 4), ([5, 7, 5], 5), ([9, 5, 5], 5)]

    def draw():
        values = r.ints(0, 9)
        return values, r.pick(values)

    return case(f"{xs}, n", f"Return the first index of n in {xs}, or {d} if there is none.", styles, edges, draw)


@family("lists", "find first search")
def list_first(r):
    xs, d = r.list_arg(), r.pick(["-1", "0", "None"])
    words, code, k = number_test(r, "x")
    styles = [
        lines(f"for x in {xs}:", f"    if {code}:", "        return x", f"return {d}"),
        lines(f"return next((x for x in {xs} if {code}), {d})"),
    ]
    return case(
        xs,
        f"Return the first of the {numbers(words)} in {xs}, or {d} if there is none.",
        styles,
        list_edges(k),
        ints_of(r),
    )


@family("lists", "find last search", heldout=True)
def list_last(r):
    xs, d = r.list_arg(), r.pick(["-1", "0", "None"])
    words, code, k = number_test(r, "x")
    styles = [
        loop(f"best = {d}", f"for x in {xs}:", "best = x", "return best", code),
        lines(f"for x in {xs}[::-1]:", f"    if {code}:", "        return x", f"return {d}"),
    ]
    return case(
        xs,
        f"Return the last of the {numbers(words)} in {xs}, or {d} if there is none.",
        styles,
        list_edges(k),
        ints_of(r),
    )


@family("lists", "has any_is check")
def list_any(r):
    xs = r.list_arg()
    words, code, k = number_test(r, "x")
    styles = [
        lines(f"for x in {xs}:", f"    if {code}:", "        return True", "return False"),
        lines(f"return any({code} for x in {xs})"),
    ]
    return case(xs, f"Return True if any number in {xs} is {words}.", styles, list_edges(k), ints_of(r))


@family("lists", "every all_are check")
def list_all(r):
    xs = r.list_arg()
    words, code, k = number_test(r, "x")
    styles = [
        lines(f"for x in {xs}:", f"    if not {code}:", "        return False", "return True"),
        lines(f"return all({code} for x in {xs})"),
    ]
    edges = list_edges(k) + [([k, k],), ([k + 1, k + 1],), ([k - 1, k - 1],)]
    return case(xs, f"Return True if all numbers in {xs} are {words}.", styles, edges, ints_of(r))
