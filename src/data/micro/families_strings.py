# Micro-Python: families of strings and of lists of words.


def texts(r, alphabet):
    return lambda: (r.letters(alphabet),)


def word_test(r, var):
    """A condition on a word: (words after "the words in ws that", code, a letter or None)."""
    k, c = r.int(2, 4), r.pick("abcdegt")
    return r.pick(
        [
            (f"are longer than {k}", f"len({var}) > {k}"),
            (f"are shorter than {k}", f"len({var}) < {k}"),
            (f'start with "{c}"', f'{var}.startswith("{c}")'),
            (f'end with "{c}"', f'{var}.endswith("{c}")'),
            (f'contain "{c}"', f'"{c}" in {var}'),
        ]
    )


WORD_LISTS = [
    ([],),
    (["go"],),
    (["cat", "dog"],),
    (["apple", "egg", "tea"],),
    (["bird", "fox", "tree", "at"],),
    (["a", "bc", "dad", "ebbed"],),
    (["gag", "tot"],),
]


@family("strings", "count_letters how_many tally")
def text_count(r):
    s = r.text_arg()
    words, code, alphabet = letter_test(r, "c")
    styles = [
        loop("count = 0", f"for c in {s}:", "count += 1", "return count", code),
        lines(f"return sum(1 for c in {s} if {code})"),
    ]
    return case(
        s,
        f"Return the count of the {words} in {s}.",
        styles,
        [("",), (alphabet,), (alphabet[:2],), ("aAe1 9",)],
        texts(r, alphabet),
    )


@family("strings", "keep only select")
def text_keep(r):
    s = r.text_arg()
    words, code, alphabet = letter_test(r, "c")
    styles = [
        loop('out = ""', f"for c in {s}:", "out += c", "return out", code),
        lines(f'return "".join(c for c in {s} if {code})'),
    ]
    return case(
        s, f"Return the {words} in {s}.", styles, [("",), (alphabet,), (alphabet[:2],), ("aAe1 9",)], texts(r, alphabet)
    )


@family("strings", "drop without strip_all", heldout=True)
def text_drop(r):
    s = r.text_arg()
    words, code, alphabet = letter_test(r, "c")
    styles = [
        loop('out = ""', f"for c in {s}:", "out += c", "return out", f"not {code}"),
        lines(f'return "".join(c for c in {s} if not {code})'),
    ]
    return case(
        s,
        f"Return {s} without the {words}.",
        styles,
        [("",), (alphabet,), (alphabet[:2],), ("aAe1 9",)],
        texts(r, alphabet),
    )


@family("strings", "has any_is check", heldout=True)
def text_any(r):
    s = r.text_arg()
    words, code, alphabet = letter_test(r, "c")
    styles = [
        lines(f"for c in {s}:", f"    if {code}:", "        return True", "return False"),
        lines(f"return any({code} for c in {s})"),
    ]
    return case(
        s,
        f"Return True if there are {words} in {s}.",
        styles,
        [("",), (alphabet,), (alphabet[:1],), (alphabet[-1],), ("aAe1 9",), ("xz",), ("XZ",)],
        texts(r, alphabet),
    )


@family("strings", "reverse backwards flip")
def text_reverse(r):
    s = r.text_arg()
    styles = [lines('out = ""', f"for c in {s}:", "    out = c + out", "return out"), lines(f"return {s}[::-1]")]
    return case(s, f"Return {s} reversed.", styles, [("",), ("a",), ("ab",), ("aab",), ("abc",)], lambda: (r.word(),))


@family("strings", "is_palindrome mirror check")
def text_palindrome(r):
    s = r.text_arg()
    styles = [
        lines(f"return {s} == {s}[::-1]"),
        lines(f"for i in range(len({s})):", f"    if {s}[i] != {s}[-1 - i]:", "        return False", "return True"),
    ]
    return case(
        s,
        f"Return True if {s} is the same reversed.",
        styles,
        [("",), ("a",), ("ab",), ("aba",), ("abca",), ("noon",), ("moon",)],
        lambda: (r.word(),),
    )


@family("strings", "repeat copies times_text")
def text_repeat(r):
    s, k, c = r.text_arg(), r.int(2, 4), r.pick("-+*.")
    styles = [lines(f"return {s} * {k}"), lines('out = ""', f"for i in range({k}):", f"    out += {s}", "return out")]
    return case(s, f"Return {s} repeated {k} times.", styles, [("",), ("a",), ("ab",), ("aa",)], lambda: (r.word(),))


@family("strings", "repeat_letters stretch wide", heldout=True)
def text_stretch(r):
    s, k = r.text_arg(), r.int(2, 4)
    styles = [
        loop('out = ""', f"for c in {s}:", f"out += c * {k}", "return out"),
        lines(f'return "".join(c * {k} for c in {s})'),
    ]
    return case(
        s,
        f"Return {s} with each letter repeated {k} times.",
        styles,
        [("",), ("a",), ("ab",), ("aba",)],
        texts(r, "abc"),
    )


@family("strings", "count_letter how_many tally")
def text_count_letter(r):
    s, c = r.text_arg(), r.pick("abcegot")
    styles = [
        loop("count = 0", f"for c in {s}:", "count += 1", "return count", f'c == "{c}"'),
        lines(f'return {s}.count("{c}")'),
    ]
    return case(
        s,
        f'Return the count of "{c}" in {s}.',
        styles,
        [("",), (c,), (c + "x" + c,), ("xyz",), (c * 3,)],
        lambda: (r.word(),),
    )


@family("strings", "replace swap_letter change_letter")
def text_replace(r):
    s, (a, b) = r.text_arg(), r.two("abcegot")
    styles = [
        lines(f'return {s}.replace("{a}", "{b}")'),
        lines('out = ""', f"for c in {s}:", f'    out += "{b}" if c == "{a}" else c', "return out"),
    ]
    return case(
        s,
        f'Return {s} with "{a}" replaced by "{b}".',
        styles,
        [("",), (a,), (b,), (a + "x" + a,), (b + a + "y",)],
        lambda: (r.word(),),
    )


@family("strings", "take ends part")
def text_take(r):
    s, k = r.text_arg(), r.int(1, 3)
    word, one, two = r.pick(
        [("first", f"{s}[:{k}]", f"{s}[0:{k}]"), ("last", f"{s}[-{k}:]", f"{s}[max(0, len({s}) - {k}):]")]
    )
    return case(
        s,
        f"Return the {word} {k} letters of {s}.",
        [lines(f"return {one}"), lines(f"return {two}")],
        [("",), ("a",), ("ab",), ("abc",), ("abcde",)],
        lambda: (r.word(),),
    )


@family("strings", "to_case convert letters")
def text_case(r):
    s, word = r.text_arg(), r.pick(["upper", "lower"])
    styles = [lines(f"return {s}.{word}()"), loop('out = ""', f"for c in {s}:", f"out += c.{word}()", "return out")]
    return case(
        s, f"Return {s} in {word} case.", styles, [("",), ("a",), ("B",), ("aBc",), ("De1f",)], texts(r, "aBcDe")
    )


@family("strings", "join_words glue link")
def words_join(r):
    ws, c = r.pick(["words", "ws"]), r.pick("-+*.,")
    styles = [
        lines(f'return "{c}".join({ws})'),
        lines('out = ""', f"for w in {ws}:", f'    out += "{c}" + w', "return out[1:]"),
    ]
    return case(ws, f'Return the words in {ws} joined by "{c}".', styles, WORD_LISTS[:4], lambda: (r.words(),))


@family("strings", "split_text cut pieces")
def text_split(r):
    s, (c, word) = r.text_arg(), r.pick(
        [("-", "list"), (",", "list"), (".", "list"), ("-", "count"), (",", "count"), (".", "count")]
    )
    one, two = (
        (f'return {s}.split("{c}")', ("out = " + f'{s}.split("{c}")', "return out"))
        if word == "list"
        else (f'return len({s}.split("{c}"))', (f'return {s}.count("{c}") + 1',))
    )
    return case(
        s,
        f'Return the {word} of the parts of {s} split at "{c}".',
        [lines(one), lines(*two)],
        [("a",), (f"a{c}b",), (f"a{c}b{c}c",), (f"{c}a",)],
        lambda: (c.join(r.words()),),
    )


@family("strings", "longest best extreme")
def words_extreme(r):
    ws, (word, fn, op) = r.pick(["words", "ws"]), r.pick([("longest", "max", ">"), ("shortest", "min", "<")])
    styles = [
        loop(f"best = {ws}[0]", f"for w in {ws}:", "best = w", "return best", f"len(w) {op} len(best)"),
        lines(f"return {fn}({ws}, key=len)"),
    ]
    return case(
        ws,
        f"Return the first {word} word in {ws}.",
        styles,
        [(["go"],), (["cat", "at"],), (["at", "cat"],), (["cat", "dog"],), (["bird", "fox", "apple"],)],
        lambda: (r.words(),),
    )


@family("strings", "lengths sizes map_words")
def words_change(r):
    ws = r.pick(["words", "ws"])
    words, code = r.pick([("lengths", "len(w)"), ("first letters", "w[0]"), ("last letters", "w[-1]")])
    styles = [
        loop("out = []", f"for w in {ws}:", f"out.append({code})", "return out"),
        lines(f"return [{code} for w in {ws}]"),
    ]
    return case(
        ws, f"Return the list of the {words} of the words in {ws}.", styles, WORD_LISTS[:4], lambda: (r.words(),)
    )


@family("strings", "initials sum_lengths combine", heldout=True)
def words_combine(r):
    ws = r.pick(["words", "ws"])
    words, start, code = r.pick(
        [
            ("sum of the lengths", "total = 0", "len(w)"),
            ("joined first letters", 'out = ""', "w[0]"),
            ("joined last letters", 'out = ""', "w[-1]"),
        ]
    )
    name = start.split()[0]
    short = f"return sum({code} for w in {ws})" if name == "total" else f'return "".join({code} for w in {ws})'
    styles = [loop(start, f"for w in {ws}:", f"{name} += {code}", f"return {name}"), lines(short)]
    return case(ws, f"Return the {words} of the words in {ws}.", styles, WORD_LISTS[:4], lambda: (r.words(),))


@family("strings", "keep_words select filter_words")
def words_keep(r):
    ws = r.pick(["words", "ws"])
    words, code = word_test(r, "w")
    styles = [
        loop("out = []", f"for w in {ws}:", "out.append(w)", "return out", code),
        lines(f"return [w for w in {ws} if {code}]"),
    ]
    return case(ws, f"Return the list of the words in {ws} that {words}.", styles, WORD_LISTS, lambda: (r.words(),))


@family("strings", "count_words how_many tally", heldout=True)
def words_count(r):
    ws = r.pick(["words", "ws"])
    words, code = word_test(r, "w")
    styles = [
        loop("count = 0", f"for w in {ws}:", "count += 1", "return count", code),
        lines(f"return len([w for w in {ws} if {code}])"),
    ]
    return case(ws, f"Return the count of the words in {ws} that {words}.", styles, WORD_LISTS, lambda: (r.words(),))


@family("strings", "wrap around enclose")
def text_wrap(r):
    s, (a, b) = r.text_arg(), r.pick(["()", "[]", "<>", "**", "--"])
    styles = [lines(f'return "{a}" + {s} + "{b}"'), lines(f'out = "{a}"', f"out += {s}", f'return out + "{b}"')]
    return case(
        s, f'Return {s} between "{a}" and "{b}".', styles, [("",), ("a",), ("ab",), ("a b",)], lambda: (r.word(),)
    )
