# Tests taken apart into cases, and the comparison of what a program returned with what was expected. Values of the
# program are compared only if nothing of the program can run during the comparison.
import ast
import copy
import math
from collections import Counter, OrderedDict, defaultdict, deque

from etalon_snapshot import _type_dict, _type_mro, class_name

_known_classes = set()
_known_keep = []
# What ==, not, in, abs() - x, iteration and sorting may call on a value.
_compared = (
    "__eq__ __ne__ __lt__ __le__ __gt__ __ge__ __hash__ __bool__ __len__ __iter__ __next__ __contains__ __getitem__ "
    "__index__ __int__ __float__ __abs__ __neg__ __round__ __add__ __sub__ __mul__ __truediv__ __floordiv__ __mod__ "
    "__radd__ __rsub__ __rmul__ __rtruediv__ __pow__ __getattribute__ __getattr__ __class__ __str__ __repr__ __format__ "
    "__instancecheck__ __reversed__"
).split()


class NotPlain(BaseException):
    """The program returned something that decides for itself what it equals."""


def keep_classes():
    """Remembers every class of the library; called once, before the first program."""
    todo = [object]
    while todo:
        cls = todo.pop()
        if id(cls) in _known_classes:
            continue
        _known_classes.add(id(cls))
        _known_keep.append(cls)
        todo.extend(type.__subclasses__(cls))


def require_plain(value):
    """Raises NotPlain unless every comparison method reachable in `value` is the library's own."""
    _plain(value, 0, set())


def _plain(v, depth, seen):
    t = type(v)
    if t in (int, str, float, bool, type(None), bytes, complex, range):
        return
    if depth > 60:
        raise NotPlain("nested deeper than 60")
    if id(v) in seen:
        return
    seen.add(id(v))
    mro = _type_mro(t)
    if id(t) not in _known_classes:
        for name in _compared:
            for cls in mro:
                if name in _type_dict(cls):
                    if id(cls) not in _known_classes:
                        raise NotPlain(f"an object of class {class_name(t)} with its own {name}")
                    break
        if id(type(t)) not in _known_classes:
            raise NotPlain(f"an object of class {class_name(t)} with its own metaclass")
    for base in mro:
        if base in (list, tuple, set, frozenset, deque):
            for item in base.__iter__(v):
                _plain(item, depth + 1, seen)
            return
        if base in (dict, defaultdict, Counter, OrderedDict):
            for key, item in dict.items(v):
                _plain(key, depth + 1, seen)
                _plain(item, depth + 1, seen)
            return


class _Split(ast.NodeTransformer):
    """assert L == R becomes __case__(number, lambda: L, lambda: R); any other test becomes one lambda."""

    def __init__(self, entry, names, one_case):
        self.entry = entry
        self.names = names  # names under which the tests know the program's function
        self.one_case = one_case  # number of the case all asserts belong to, or None: each is its own
        self.sources = []

    def visit_Assert(self, node):
        if isinstance(node.test, ast.Constant) and node.test.value:
            return ast.copy_location(ast.Pass(), node)  # `assert True` tests nothing
        test = node.test
        left, right = test, None
        if isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], ast.Eq):
            left, right = test.left, test.comparators[0]
            if not self._calls(left) and self._calls(right):
                left, right = right, left
        number = len(self.sources) if self.one_case is None else self.one_case
        if self.one_case is None or not self.sources:
            self.sources.append(self._source(left))
        call = ast.Call(ast.Name("__case__", ast.Load()), [ast.Constant(number), _lambda(left)], [])
        if right is not None:
            call.args.append(_lambda(right))
        return ast.fix_missing_locations(ast.copy_location(ast.Expr(call), node))

    def _calls(self, node):
        return any(isinstance(part, ast.Name) and part.id in self.names for part in ast.walk(node))

    def _source(self, node):
        renamed = copy.deepcopy(node)
        for part in ast.walk(renamed):
            if isinstance(part, ast.Name) and part.id == "candidate":
                part.id = self.entry
        out = " ".join(ast.unparse(renamed).split())
        return out if len(out) <= 400 else out[:399] + "…"


def _lambda(body):
    nothing = ast.arguments(posonlyargs=[], args=[], kwonlyargs=[], kw_defaults=[], defaults=[])
    return ast.Lambda(nothing, body)


def split_check(source, entry):
    """A test module of the HumanEval kind -> (code object, source texts of its cases)."""
    tree = ast.parse(source)
    split = _Split(entry, {entry, "candidate"}, None)
    tree = split.visit(tree)
    return compile(tree, "<tests>", "exec"), split.sources


def split_statement(source, entry, number):
    """One string of an assert list -> (code object, source text)."""
    tree = ast.parse(source)
    split = _Split(entry, {entry, "candidate"}, number)
    tree = split.visit(tree)
    shown = split.sources[0] if split.sources else " ".join(source.split())[:400]
    return compile(tree, "<tests>", "exec"), shown


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
    return actual == expected or abs(actual - expected) <= tolerance or float(abs(actual)) == float(abs(expected)) > 1e15


def _frozen(value):
    return {_lists_hashable(item) for item in value}


def _lists_hashable(value):
    return tuple(_lists_hashable(item) for item in value) if type(value) in (list, tuple) else value


def _lists(value, depth):
    if depth > 60:
        raise NotPlain("nested deeper than 60")
    if type(value) in (str, bytes, dict, set, frozenset) or not hasattr(value, "__iter__"):
        return value
    return [_lists(item, depth + 1) for item in value]


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
        if a != e:
            try:
                if not abs(float(a) - float(e)) <= 1e-6:
                    return False
            except ValueError:
                return False
    return True


def _rows(text):
    return [line.rstrip() for line in text.rstrip().split("\n")]
