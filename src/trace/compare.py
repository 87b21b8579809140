# Expected values and how what came from a program is compared with them. Only plain values come here: they were made by
# the codec, not by the program.
import copy
import math
import re
from collections import deque

from etalon_oracle import NotPlain, Remote, listed


class Shown:
    """A value with the rule it is compared by; text() and == of a case go through it."""

    def __init__(self, value, same):
        self.value = value
        self.same = same

    def __eq__(self, other):
        return self.same(self.value)


_literal_names = {"__builtins__": {}, "inf": math.inf, "nan": math.nan, "set": set, "frozenset": frozenset,
                  "dict": dict, "range": range, "deque": deque, "True": True, "False": False, "None": None}


def literal(test, key):
    """`test[key]`, or the Python literal in `test[key + "_repr"]` where JSON can't express the value."""
    if key + "_repr" in test:
        return eval(test[key + "_repr"], dict(_literal_names))
    return copy.deepcopy(test[key])


def equal(actual, expected, compare, args):
    """The comparison rules of call-json rows; `exact` still allows 1e-6 on floats, as EvalPlus does."""
    try:
        return _equal(actual, expected, compare, args)
    except (TypeError, ValueError, OverflowError, AttributeError):
        return False  # of a kind that can't be compared by this rule


def _equal(actual, expected, compare, args):
    kind = compare.get("type", "exact")
    if kind == "not-none":
        return (actual is not None and actual is not False) == bool(expected)
    if kind == "set":
        return _frozen(actual) == _frozen(expected)
    if kind == "deep-list":
        return _lists(actual, 0) == _lists(expected, 0)
    if kind == "last-arg-eps":
        return abs(actual - expected) <= args[-1]
    if kind == "approx":
        return _close(actual, expected, compare.get("atol", 1e-6))
    if actual == expected:
        return True
    # JSON from JavaScript has lost the difference between 3.0 and 3, so a float on either side counts.
    return _floats(expected, actual) and _close(actual, expected, 1e-6)


def _floats(expected, actual):
    if type(expected) in (list, tuple):
        same = type(actual) in (list, tuple) and 0 < len(expected) == len(actual)
        numbers = same and all(type(item) in (int, float) for item in (*expected, *actual))
        return numbers and float in (*map(type, expected), *map(type, actual))
    return type(expected) in (int, float) and type(actual) in (int, float) and float in (type(expected), type(actual))


def _close(actual, expected, tolerance):
    if type(expected) in (list, tuple):
        same = type(actual) in (list, tuple) and len(actual) == len(expected)
        return same and all(_close(a, e, tolerance) for a, e in zip(actual, expected))
    numbers = (int, float, bool, complex)
    if type(actual) not in numbers or type(expected) not in numbers:
        return actual == expected
    if actual == expected or abs(actual - expected) <= tolerance:
        return True
    # A float beyond the whole numbers it can tell apart, against the exact one.
    return complex not in (type(actual), type(expected)) and float(actual) == float(expected)


def _frozen(value):
    return {_lists_hashable(item) for item in value}


def _lists_hashable(value):
    return tuple(_lists_hashable(item) for item in value) if type(value) in (list, tuple) else value


def _lists(value, depth):
    if depth > 60:
        raise NotPlain("nested deeper than 60")
    if type(value) in (tuple, list, deque, range):
        return [_lists(item, depth + 1) for item in value]
    return value


def same_output(actual, expected):
    """Printed text: equal by right-stripped lines, else by tokens, else by numbers within 1e-6."""
    if _rows(actual) == _rows(expected):
        return True
    left, right = actual.split(), expected.split()
    if left == right:
        return True
    if len(left) != len(right):
        return False
    for a, e in zip(left, right):
        if a != e and not _same_number(a, e):
            return False
    return True


_whole = re.compile(r"[+-]?[0-9]+")


def _same_number(a, e):
    if "_" in a + e:
        return False
    try:
        if _whole.fullmatch(a) and _whole.fullmatch(e):
            return int(a) == int(e)
        return abs(float(a) - float(e)) <= 1e-6
    except ValueError:
        return False


def _rows(text):
    return [line.rstrip() for line in text.rstrip().split("\n")]
