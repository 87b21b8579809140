# Micro-Python: families of dictionaries.

TABLES = [({},), ({"a": 1},), ({"a": 1, "b": 2},), ({"x": 5, "y": 5, "z": 0},)]


def table_edges(k):
    return [({},), ({"a": k},), ({"a": k - 1, "b": k, "c": k + 1},), ({"x": 2 * k, "y": -k},), ({"x": -1, "y": 1},)]


def tables(r):
    return lambda: (r.table(),)


@family("dicts", "histogram counts frequency")
def dict_counts(r):
    (arg, noun), draw = r.pick(
        [
            (("s", "letter"), "text"),
            (("text", "letter"), "text"),
            (("xs", "number"), "list"),
            (("nums", "number"), "list"),
        ]
    )
    v = "c" if draw == "text" else "x"
    styles = [
        lines("out = {}", f"for {v} in {arg}:", f"    out[{v}] = out.get({v}, 0) + 1", "return out"),
        lines(
            "out = {}",
            f"for {v} in {arg}:",
            f"    if {v} not in out:",
            f"        out[{v}] = 0",
            f"    out[{v}] += 1",
            "return out",
        ),
    ]
    edges = [("",), ("a",), ("aab",), ("abab",)] if draw == "text" else [([],), ([1],), ([1, 1, 2],), ([3, 4, 3, 4],)]
    return case(
        arg,
        f"Return a dict of each {noun} in {arg} and its count.",
        styles,
        edges,
        lambda: (r.letters("ab", 3, 4) if draw == "text" else r.ints(1, 2),),
    )


@family("dicts", "sum_values total add_up")
def dict_sum(r):
    d = r.dict_arg()
    words, code, k = number_test(r, "v")
    words = numbers(words).replace("numbers", "values")
    styles = [
        loop("total = 0", f"for v in {d}.values():", "total += v", "return total", code),
        lines(f"return sum(v for v in {d}.values() if {code})"),
    ]
    return case(d, f"Return the sum of the {words} in {d}.", styles, table_edges(k), tables(r))


@family("dicts", "count_values how_many tally", heldout=True)
def dict_count(r):
    d = r.dict_arg()
    words, code, k = number_test(r, "v")
    words = numbers(words).replace("numbers", "values")
    styles = [
        loop("count = 0", f"for v in {d}.values():", "count += 1", "return count", code),
        lines(f"return len([v for v in {d}.values() if {code}])"),
    ]
    return case(d, f"Return the count of the {words} in {d}.", styles, table_edges(k), tables(r))


@family("dicts", "keys_of select find_keys")
def dict_keys(r):
    d = r.dict_arg()
    words, code, k = number_test(r, "v")
    words = numbers(words).replace("numbers", "values")
    styles = [
        loop("out = []", f"for k, v in {d}.items():", "out.append(k)", "return out", code),
        lines(f"return [k for k, v in {d}.items() if {code}]"),
    ]
    return case(d, f"Return the list of the keys of the {words} in {d}.", styles, table_edges(k), tables(r))


@family("dicts", "keep_items select filter_dict", heldout=True)
def dict_keep(r):
    d = r.dict_arg()
    words, code, k = number_test(r, "v")
    words = numbers(words).replace("numbers", "values")
    styles = [
        loop("out = {}", f"for k, v in {d}.items():", "out[k] = v", "return out", code),
        lines(f"return {{k: v for k, v in {d}.items() if {code}}}"),
    ]
    return case(d, f"Return a dict of the {words} in {d} with their keys.", styles, table_edges(k), tables(r))


@family("dicts", "change_values map_dict shift")
def dict_change(r):
    d, (words, code) = r.dict_arg(), change(r, "v")
    styles = [
        loop("out = {}", f"for k, v in {d}.items():", f"out[k] = {code}", "return out"),
        lines(f"return {{k: {code} for k, v in {d}.items()}}"),
    ]
    return case(d, f"Return {d} with each value {words}.", styles, TABLES, tables(r))


@family("dicts", "invert swap turn_around")
def dict_invert(r):
    d = r.dict_arg()
    styles = [
        loop("out = {}", f"for k, v in {d}.items():", "out[v] = k", "return out"),
        lines(f"return {{v: k for k, v in {d}.items()}}"),
    ]
    return case(d, f"Return {d} with keys and values swapped.", styles, TABLES, tables(r))


@family("dicts", "lookup get_value value_of")
def dict_get(r):
    d, m = r.dict_arg(), r.pick(["0", "-1", "None", "5"])
    styles = [lines(f"return {d}.get(k, {m})"), lines(f"if k in {d}:", f"    return {d}[k]", f"return {m}")]
    edges = [({}, "a"), ({"a": 1}, "a"), ({"a": 1}, "b"), ({"a": 1, "b": 2}, "b")]

    def draw():
        table = r.table()
        return table, r.pick(list(table))

    return case(f"{d}, k", f"Return the value of k in {d}, or {m} if there is none.", styles, edges, draw)


@family("dicts", "best_key top_key extreme")
def dict_best(r):
    d, (word, fn, op) = r.dict_arg(), r.pick([("largest", "max", ">"), ("smallest", "min", "<")])
    styles = [
        lines(
            "best = None",
            f"for k, v in {d}.items():",
            f"    if best is None or v {op} {d}[best]:",
            "        best = k",
            "return best",
        ),
        lines(f"return {fn}({d}, key={d}.get) if {d} else None"),
    ]
    edges = TABLES + [({"a": 2, "b": 1},), ({"a": -3, "b": -1, "c": -2},)]
    return case(d, f"Return the key of the {word} value in {d}, or None if there is none.", styles, edges, tables(r))


@family("dicts", "pair_up to_dict zip_up")
def dict_zip(r):
    (xs, ys), word = r.pick([("xs", "ys"), ("a", "b")]), r.pick(["keys", "values"])
    k, v = ("x", "y") if word == "keys" else ("y", "x")
    first, second = (xs, ys) if word == "keys" else (ys, xs)
    styles = [
        loop("out = {}", f"for x, y in zip({xs}, {ys}):", f"out[{k}] = {v}", "return out"),
        lines(f"return dict(zip({first}, {second}))"),
    ]
    edges = [([], []), ([4], [3]), ([1, 3], [5, 2]), ([1, 2, 3], [7, 8, 9])]
    return case(
        f"{xs}, {ys}",
        f"Return a dict with the {word} {xs} and the {'values' if word == 'keys' else 'keys'} {ys}.",
        styles,
        edges,
        lambda: (r.ints(0, 9, 2, 2), r.ints(0, 9, 2, 2)),
    )


@family("dicts", "table_of to_dict map_each", heldout=True)
def dict_of_list(r):
    xs, (words, code) = r.list_arg(), change(r, "x")
    styles = [
        loop("out = {}", f"for x in {xs}:", f"out[x] = {code}", "return out"),
        lines(f"return {{x: {code} for x in {xs}}}"),
    ]
    return case(
        xs,
        f"Return a dict of each number in {xs} and it {words}.",
        styles,
        [([],), ([0],), ([1, -2],), ([5, 5, 3],)],
        lambda: (r.ints(0, 9, 2, 3),),
    )


@family("dicts", "word_lengths to_dict map_each")
def dict_of_words(r):
    ws = r.pick(["words", "ws"])
    words, code = r.pick([("length", "len(w)"), ("first letter", "w[0]"), ("last letter", "w[-1]")])
    styles = [
        loop("out = {}", f"for w in {ws}:", f"out[w] = {code}", "return out"),
        lines(f"return {{w: {code} for w in {ws}}}"),
    ]
    return case(
        ws,
        f"Return a dict of each word in {ws} and its {words}.",
        styles,
        [([],), (["go"],), (["cat", "dog"],), (["apple", "egg", "go"],)],
        lambda: (r.words(),),
    )


@family("dicts", "group buckets sort_into")
def dict_group(r):
    ws = r.pick(["words", "ws"])
    words, code = r.pick([("length", "len(w)"), ("first letter", "w[0]"), ("last letter", "w[-1]")])
    styles = [
        lines("out = {}", f"for w in {ws}:", f"    out.setdefault({code}, []).append(w)", "return out"),
        lines("out = {}", f"for w in {ws}:", f"    k = {code}", "    out[k] = out.get(k, []) + [w]", "return out"),
    ]
    return case(
        ws,
        f"Return a dict of the words in {ws} by their {words}.",
        styles,
        [([],), (["go"],), (["cat", "cow"],), (["apple", "egg", "ale"],)],
        lambda: (r.words(),),
    )


@family("dicts", "merge join_dicts unite")
def dict_merge(r):
    word, op = r.pick([("added", "+"), ("multiplied", "*")])
    unit = "0" if op == "+" else "1"
    styles = [
        lines("out = dict(a)", "for k, v in b.items():", f"    out[k] = out.get(k, {unit}) {op} v", "return out"),
        lines("out = dict(a)", "for k in b:", f"    out[k] = out.get(k, {unit}) {op} b[k]", "return out"),
    ]
    edges = [({}, {}), ({"a": 1}, {}), ({}, {"a": 2}), ({"a": 2}, {"a": 3}), ({"a": 2, "b": 4}, {"b": 3, "c": 5})]
    return case(
        "a, b",
        f"Return a and b merged, values of the same key {word}.",
        styles,
        edges,
        lambda: (r.table(1, 2), r.table(1, 2)),
    )
