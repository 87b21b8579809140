# Micro-Python: families about places in a list, and about two lists.


@family("lists", "reverse backwards flip")
def list_reverse(r):
    xs = r.list_arg()
    styles = [lines("out = []", f"for x in {xs}:", "    out.insert(0, x)", "return out"), lines(f"return {xs}[::-1]")]
    return case(
        xs, f"Return {xs} reversed.", styles, [([],), ([1],), ([1, 2],), ([3, 1, 2],), ([1, 1, 2],)], ints_of(r)
    )


@family("lists", "take ends part")
def list_take(r):
    xs, k = r.list_arg(), r.int(1, 4)
    word, one, two = r.pick(
        [
            ("first", f"{xs}[:{k}]", f"[x for i, x in enumerate({xs}) if i < {k}]"),
            ("last", f"{xs}[-{k}:]", f"{xs}[max(0, len({xs}) - {k}):]"),
        ]
    )
    styles = [lines(f"return {one}"), lines(f"return {two}")]
    return case(
        xs,
        f"Return the {word} {k} numbers in {xs}.",
        styles,
        [([],), ([7],), (list(range(k)),), (list(range(k + 1)),), ([5, 4, 3, 2, 1, 0],)],
        lambda: (r.ints(0, 9, 4, 5),),
    )


@family("lists", "skip ends part", heldout=True)
def list_skip(r):
    xs, k = r.list_arg(), r.int(1, 4)
    word, one, two = r.pick(
        [
            ("first", f"{xs}[{k}:]", f"[x for i, x in enumerate({xs}) if i >= {k}]"),
            ("last", f"{xs}[:-{k}]", f"{xs}[:max(0, len({xs}) - {k})]"),
        ]
    )
    styles = [lines(f"return {one}"), lines(f"return {two}")]
    return case(
        xs,
        f"Return {xs} without the {word} {k} numbers.",
        styles,
        [([],), ([7],), (list(range(k)),), (list(range(k + 1)),), ([5, 4, 3, 2, 1, 0],)],
        lambda: (r.ints(0, 9, 4, 5),),
    )


@family("lists", "every_nth steps thin")
def list_every(r):
    xs, k, start = r.list_arg(), r.int(2, 4), r.int(0, 2)
    styles = [lines(f"return {xs}[{start}::{k}]"), lines(f"return [{xs}[i] for i in range({start}, len({xs}), {k})]")]
    return case(
        xs,
        f"Return each number in {xs} at index {start} and then in steps of {k}.",
        styles,
        [([],), ([7],), ([1, 2, 3],), ([5, 4, 3, 2, 1, 0],), ([9, 8, 7, 6, 5, 4, 3],)],
        lambda: (r.ints(0, 9, 4, 5),),
    )


@family("lists", "unique distinct once")
def list_unique(r):
    xs = r.list_arg()
    styles = [
        loop("out = []", f"for x in {xs}:", "out.append(x)", "return out", "x not in out"),
        lines(f"return list(dict.fromkeys({xs}))"),
    ]
    return case(
        xs,
        f"Return {xs} without duplicates.",
        styles,
        [([],), ([1],), ([2, 2],), ([1, 2, 1],), ([3, 3, 1, 3],)],
        lambda: (r.ints(1, 3, 4, 4),),
    )


@family("lists", "steps gaps pairs")
def list_adjacent(r):
    xs, (word, op) = r.list_arg(), r.pick([("differences", "-"), ("sums", "+"), ("products", "*")])
    styles = [
        loop("out = []", f"for i in range(1, len({xs})):", f"out.append({xs}[i] {op} {xs}[i - 1])", "return out"),
        lines(f"return [{xs}[i] {op} {xs}[i - 1] for i in range(1, len({xs}))]"),
    ]
    return case(
        xs,
        f"Return the {word} of each number in {xs} and the one before.",
        styles,
        [([],), ([4],), ([1, 3],), ([5, 2, 9],), ([2, 2, 0],)],
        lambda: (r.ints(0, 9),),
    )


@family("lists", "is_sorted in_order check")
def list_sorted(r):
    xs, (word, op, tail) = r.list_arg(), r.pick([("increasing", "<", ""), ("decreasing", ">", ", reverse=True")])
    styles = [
        lines(
            f"for i in range(1, len({xs})):", f"    if {xs}[i] {op} {xs}[i - 1]:", "        return False", "return True"
        ),
        lines(f"return {xs} == sorted({xs}{tail})"),
    ]
    edges = [([],), ([1, 2, 3],), ([3, 2, 1],), ([2, 2, 3],), ([3, 2, 2],), ([2, 1, 3],), ([1, 3, 2],)]
    return case(
        xs,
        f"Return True if {xs} is in {word} order.",
        styles,
        edges,
        lambda: (r.pick([sorted, list, lambda v: sorted(v, reverse=True)])(r.ints(0, 9)),),
    )


@family("lists", "running partial sums_so_far", heldout=True)
def list_running(r):
    xs, (word, unit, op) = r.list_arg(), r.pick([("sums", "0", "+"), ("products", "1", "*")])
    styles = [
        lines(
            f"total = {unit}",
            "out = []",
            f"for x in {xs}:",
            f"    total {op}= x",
            "    out.append(total)",
            "return out",
        ),
        lines(
            "out = []",
            f"total = {unit}",
            f"for x in {xs}:",
            f"    total = total {op} x",
            "    out.append(total)",
            "return out",
        ),
    ]
    return case(
        xs,
        f"Return the running {word} of {xs}.",
        styles,
        [([],), ([4],), ([1, 3],), ([5, 2, 9],), ([2, -2, 3],)],
        lambda: (r.ints(1, 9),),
    )


@family("lists", "add_lists combine zip_up")
def list_zip(r):
    (xs, ys), (word, op) = r.pick([("xs", "ys"), ("a", "b")]), r.pick(
        [("sums", "+"), ("differences", "-"), ("products", "*")]
    )
    styles = [
        loop("out = []", f"for x, y in zip({xs}, {ys}):", f"out.append(x {op} y)", "return out"),
        lines(f"return [x {op} y for x, y in zip({xs}, {ys})]"),
    ]
    edges = [([], []), ([4], [3]), ([1, 3], [5, 2]), ([5, 2, 9], [0, -1, 2])]
    return case(
        f"{xs}, {ys}",
        f"Return the {word} of the pairs of {xs} and {ys}.",
        styles,
        edges,
        lambda: (r.ints(0, 9, 2, 2), r.ints(0, 9, 2, 2)),
    )


@family("lists", "dot combine inner", heldout=True)
def list_dot(r):
    (xs, ys), (word, op) = r.pick([("xs", "ys"), ("a", "b")]), r.pick([("differences", "-"), ("products", "*")])
    styles = [
        loop("total = 0", f"for x, y in zip({xs}, {ys}):", f"total += x {op} y", "return total"),
        lines(f"return sum(x {op} y for x, y in zip({xs}, {ys}))"),
    ]
    edges = [([], []), ([4], [3]), ([1, 3], [5, 2]), ([5, 2, 9], [0, -1, 2])]
    return case(
        f"{xs}, {ys}",
        f"Return the sum of the {word} of the pairs of {xs} and {ys}.",
        styles,
        edges,
        lambda: (r.ints(0, 9, 2, 2), r.ints(0, 9, 2, 2)),
    )


@family("lists", "rotate turn cycle")
def list_rotate(r):
    xs, k = r.list_arg(), r.int(1, 3)
    word, one, two = r.pick(
        [
            ("left", f"{xs}[{k}:] + {xs}[:{k}]", (f"a = {xs}[:{k}]", f"return {xs}[{k}:] + a")),
            ("right", f"{xs}[-{k}:] + {xs}[:-{k}]", (f"a = {xs}[-{k}:]", f"return a + {xs}[:-{k}]")),
        ]
    )
    edges = [([],), ([1, 2, 3],), ([4, 5, 6, 7],), ([1, 2, 3, 4, 5],)]
    return case(
        xs,
        f"Return {xs} rotated {word} by {k}.",
        [lines(f"return {one}"), lines(*two)],
        edges,
        lambda: (r.ints(0, 9, 4, 5),),
    )


@family("lists", "span spread extent")
def list_span(r):
    xs, (word, op) = r.list_arg(), r.pick([("minus", "-"), ("plus", "+"), ("times", "*")])
    styles = [lines(f"return max({xs}) {op} min({xs})"), lines(f"out = sorted({xs})", f"return out[-1] {op} out[0]")]
    return case(
        xs,
        f"Return the largest number in {xs} {word} the smallest.",
        styles,
        [([3],), ([1, 5],), ([5, 1],), ([-2, 7, 3],)],
        ints_of(r),
    )


@family("lists", "common shared both_in")
def list_common(r):
    (xs, ys), (word, op) = r.pick([("xs", "ys"), ("a", "b")]), r.pick([("in", "in"), ("not in", "not in")])
    styles = [
        loop("out = []", f"for x in {xs}:", "out.append(x)", "return out", f"x {op} {ys}"),
        lines(f"return [x for x in {xs} if x {op} {ys}]"),
    ]
    edges = [([], [1]), ([1], []), ([1, 2, 3], [2, 3, 4]), ([5, 6], [6, 5]), ([7, 7, 8], [7])]
    return case(
        f"{xs}, {ys}",
        f"Return the list of the numbers in {xs} that are {word} {ys}.",
        styles,
        edges,
        lambda: (r.ints(0, 4, 2, 3), r.ints(0, 4, 2, 3)),
    )


@family("lists", "sort arrange order")
def list_sort(r):
    xs, (word, tail, end) = r.list_arg(), r.pick(
        [("increasing", "", "out"), ("decreasing", ", reverse=True", "out[::-1]")]
    )
    styles = [lines(f"return sorted({xs}{tail})"), lines(f"out = list({xs})", "out.sort()", f"return {end}")]
    return case(
        xs,
        f"Return {xs} in {word} order.",
        styles,
        [([],), ([1],), ([2, 1],), ([1, 2, 3],), ([3, -1, 2, 3],)],
        ints_of(r),
    )
