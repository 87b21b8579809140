# Micro-Python: random draws and the building blocks that the problem families share.
# source.ts joins the parts into one script (core, families_*, inject*, generate); nothing is imported between them.
import ast
import json
import random
import re
import sys

FAMILIES = []


def family(category, names, heldout=False):
    """Registers a maker of problems. `names` are the function names it may use, one is drawn per problem."""

    def add(make):
        split = "heldout" if heldout else "train"
        FAMILIES.append(
            {"name": make.__name__, "category": category, "split": split, "names": names.split(), "make": make}
        )
        return make

    return add


class Draw:
    """Random draws that are the same in every CPython: only randrange, whose algorithm has not changed since 3.2."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def int(self, low, high):
        return self.random.randrange(low, high + 1)

    def chance(self, rate):
        return self.random.randrange(1 << 30) < rate * (1 << 30)

    def pick(self, items):
        return items[self.random.randrange(len(items))]

    def weighted(self, pairs):
        total = sum(weight for _, weight in pairs)
        at = self.random.randrange(total)
        for item, weight in pairs:
            at -= weight
            if at < 0:
                return item

    def two(self, items):
        first = self.random.randrange(len(items))
        second = (first + 1 + self.random.randrange(len(items) - 1)) % len(items)
        return items[first], items[second]

    def ints(self, low=-9, high=9, least=3, most=4):
        return [self.int(low, high) for _ in range(self.int(least, most))]

    def word(self):
        return self.pick(WORDS)

    def words(self, least=2, most=3):
        return [self.pick(WORDS) for _ in range(self.int(least, most))]

    def letters(self, alphabet, least=3, most=6):
        return "".join(self.pick(alphabet) for _ in range(self.int(least, most)))

    def table(self, least=2, most=3):
        keys = "abcdefgh"
        start = self.int(0, 4)
        return {keys[start + i]: self.int(1, 9) for i in range(self.int(least, most))}

    # Argument names: few, so that a small model meets each of them often.
    def list_arg(self):
        return self.pick(["xs", "nums"])

    def text_arg(self):
        return self.pick(["s", "text"])

    def number_arg(self):
        return self.pick(["n", "x"])

    def dict_arg(self):
        return self.pick(["d", "table"])


WORDS = [
    "cat",
    "dog",
    "bird",
    "apple",
    "level",
    "tea",
    "sun",
    "moon",
    "noon",
    "river",
    "egg",
    "tree",
    "radar",
    "fox",
    "go",
]


def case(args, doc, styles, edges, typical):
    """One problem before its name is chosen. styles: bodies that all solve it; edges: argument tuples that must be
    tested; typical: a function that draws one more argument tuple (its first draw is the docstring's example)."""
    return {"args": args, "doc": doc, "styles": styles, "edges": edges, "typical": typical}


def lines(*rows):
    """A function body: each row indented by four spaces. NAME stands for the function's own name."""
    return "".join("    " + row + "\n" for row in rows)


def number_test(r, var):
    """A condition on a number: (words, code, k), with k the constant the condition turns on."""
    k = r.int(2, 9)
    return r.pick(
        [
            ("even", f"{var} % 2 == 0", 2),
            ("odd", f"{var} % 2 == 1", 1),
            ("positive", f"{var} > 0", 0),
            ("negative", f"{var} < 0", 0),
            (f"greater than {k}", f"{var} > {k}", k),
            (f"less than {k}", f"{var} < {k}", k),
            (f"at least {k}", f"{var} >= {k}", k),
            (f"at most {k}", f"{var} <= {k}", k),
            (f"divisible by {k}", f"{var} % {k} == 0", k),
        ]
    )


def numbers(words, one=False):
    """ "even" gives "even numbers", "less than 3" gives "numbers less than 3"."""
    noun = "number" if one else "numbers"
    return f"{noun} {words}" if " " in words else f"{words} {noun}"


def letter_test(r, var):
    """A condition on a character: (plural noun, code, alphabet that hits and misses it)."""
    return r.pick(
        [
            ("vowels", f'{var} in "aeiou"', "abeiost"),
            ("digits", f"{var}.isdigit()", "ab12x7"),
            ("upper case letters", f"{var}.isupper()", "aBcDE"),
            ("lower case letters", f"{var}.islower()", "aBcDe"),
            ("spaces", f'{var} == " "', "ab c "),
        ]
    )


def change(r, var):
    """A change of a number by a constant: (words, code)."""
    k = r.int(2, 9)
    return r.pick([(f"plus {k}", f"{var} + {k}"), (f"minus {k}", f"{var} - {k}"), (f"times {k}", f"{var} * {k}")])


def loop(start, head, step, end, condition=None):
    """The accumulator loop most solutions share, with an optional condition around its step."""
    inner = [f"    if {condition}:", f"        {step}"] if condition else [f"    {step}"]
    return lines(start, head, *inner, end)
