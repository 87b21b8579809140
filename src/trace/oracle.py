# The judge's view of a program: a function it may call and objects it may ask about, all of which live in another
# interpreter. Answers are decoded plain values. Only the tests know what was expected; the program never does.
import builtins
import marshal
import sys
import types
from itertools import islice

from etalon_channel import receive, send
from etalon_codec import Malformed, decode, encode, loads, quote
from etalon_counter import OutOfSteps


class Unsupported(BaseException):
    """The tests ask for what cannot be done across two interpreters; no program is to blame."""


class NotPlain(BaseException):
    """The program returned something that decides for itself what it equals, or an answer no program should give."""


class Stopped(BaseException):
    """The program's interpreter broke: (verdict, message)."""


class Oracle:
    def __init__(self):
        self.sent = 0  # operations so far; the answer to the next has this number
        self.case = 0
        self.steps = 0  # of the current case
        self.over = None  # the budget that ran out in it: steps or output
        self.line = None
        _origins.clear()
        _classes.clear()
        self.known = {}  # number -> Remote: the same object is the same stand-in
        self.watch = False  # whether tests look at arguments after a call

    def next_case(self):
        """-> (steps, budget that ran out, its line) of the case that ends."""
        last = self.steps, self.over, self.line
        self.case += 1
        self.steps, self.over, self.line = 0, None, None
        return last

    def ask(self, op, **fields):
        """Carries out one operation in the program's interpreter; raises what the program raised there. The fields are
        JSON already."""
        self.sent += 1
        more = "".join([f',"{name}":{text}' for name, text in fields.items()])
        send(f'C{{"op":"{op}","case":{self.case}{more}}}')
        reply = receive()
        if reply.startswith("!"):
            raise Stopped(*loads(reply[1:]))
        try:
            cost, said, _ = reply[1:].split("\n", 2)
            cost, said = loads(cost), loads(said)
            self.steps, self.line = _count(cost["steps"]), cost["line"] and _count(cost["line"])
            self.over = self.over or cost.get("over")
            if "v" in said:
                if self.over:
                    raise OutOfSteps
                if "args" in said:
                    self.changed = decode(said["args"], self.refer)
                return decode(said["v"], self.refer)
            if "error" in said:
                args = decode(said["args"], self.refer) if "args" in said else [str(said["error"]["message"])]
                error = _error(said["error"], args)
            else:
                self.over = "output"
                error = OutOfSteps(str(said["m"])[:200])
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, Malformed) as problem:
            raise NotPlain(f"an answer that no value has ({type(problem).__name__})")
        raise error

    def refer(self, fields, plain=None):
        if "m" in fields:
            # A library module that the tests know by a name of the program: the judge has its own. Only then, for what
            # tests do to a module stays.
            module = sys.modules.get(fields["m"]) if self.sent == 1 else None
            return module if module is not None else Remote(self, {"h": -1, "class": "module", "text": "<module>"})
        if "B" in fields:
            kind = getattr(builtins, fields["B"])
            if type(kind) is not type:
                raise Malformed("no builtin type")
            return kind
        remote = self.known.get(int(fields["h"]))
        if remote is None:
            remote = self.known[int(fields["h"])] = Remote(self, fields)
        return remote if plain is None else _with_plain(plain, remote)


def _encoded(value):
    """JSON of a value that goes to the program."""
    return encode(value, _number)


def _number(value):
    """What is not plain data on its way to the program."""
    kind = type(value)
    remote = value if kind is Remote else _origins.get(id(value), (None, None))[1]
    if remote is not None:
        return '{"h":' + str(int(remote._fields["h"])) + "}"
    if kind is type and getattr(builtins, value.__name__, None) is value:
        return '{"B":' + quote(value.__name__) + "}"
    if kind is types.FunctionType and not value.__closure__ and not value.__kwdefaults__:
        # A function the tests pass as an argument: its code may run there, as it only speaks of its own arguments.
        code = quote(marshal.dumps(value.__code__).hex())
        return '{"P":[' + code + "," + _encoded(list(value.__defaults__ or ())) + "]}"
    if kind is types.BuiltinFunctionType and type(value.__self__) is types.ModuleType:
        return '{"Q":[' + quote(value.__self__.__name__) + "," + quote(value.__name__) + "]}"
    if hasattr(value, "__next__"):
        items = list(islice(value, MAX_ITEMS + 1))
        if len(items) <= MAX_ITEMS:
            return '{"I":' + _encoded(items) + "}"
    raise Unsupported(f"these tests hand a {kind.__name__} to the program, which cannot be done from outside")


MAX_ITEMS = 20_000
MAX_TEXT = 400


class Remote:
    # An object of the program; whatever it does, the program's interpreter does. No docstring: tests may ask for its own.

    def __init__(self, oracle, fields):
        object.__setattr__(self, "_oracle", oracle)
        object.__setattr__(self, "_fields", fields)

    def _ask(self, op, **fields):
        return self._oracle.ask(op, f=int(self._fields["h"]), **fields)

    def _do(self, what, *args):
        return self._ask("do", what=quote(what), args=_encoded(list(args)))

    def _decides(self, name):
        return name in self._fields.get("own", ())

    def __call__(self, *args, **named):
        fields = {"args": _encoded(list(args))}
        if named:
            fields["named"] = _encoded(named)
        if not self._oracle.watch:
            return self._ask("call", **fields)
        self._oracle.changed = None
        value = self._ask("call", watch="true", **fields)
        for before, after in zip(args, self._oracle.changed or ()):
            _write_back(before, after)
        return value

    def __getattr__(self, name):
        if name.startswith("__") and name != "__name__":
            raise AttributeError(name)
        return self._ask("get", name=quote(name))

    def __setattr__(self, name, value):
        self._ask("set", name=quote(name), value=_encoded(value))

    def __eq__(self, other):
        if self is other:
            return True
        if type(other) is Remote:
            # Both are the program's, and so is what it means by equal.
            return bool(self._do("eq", other)) if self._decides("__eq__") or other._decides("__eq__") else False
        if self._decides("__eq__") and other is not None:
            raise NotPlain(f"an object of class {self._fields['class']} with its own __eq__")
        return False

    def __hash__(self):
        return hash(self._fields["h"])

    def __bool__(self):
        return bool(self._do("bool")) if self._decides("__bool__") or self._decides("__len__") else True

    def __iter__(self):
        iterator = self._do("iter")
        count = 1  # one at a time at first, because tests may stop early; then more, because each question costs
        while True:
            items = iterator._do("take", count)
            yield from items
            if len(items) < count:
                return
            count = min(count + 1, 200)

    def __next__(self):
        items = self._do("take", 1)
        if not items:
            raise StopIteration
        return items[0]

    def __len__(self):
        return self._do("len")

    def __getitem__(self, key):
        return self._do("item", key)

    def __contains__(self, item):
        return item in listed(self)  # whether it holds something is not for the program to say

    def __str__(self):
        return self._do("text")

    def __repr__(self):
        return str(self._fields["text"])[:MAX_TEXT]


def listed(remote):
    """All a generator or other iterable of the program gives, as a list."""
    items = remote._do("list")
    if type(items) is not list:
        raise NotPlain("an iterable that gives no list")
    return items


def _count(value):
    if type(value) is not int or not 0 <= value < 1 << 40:
        raise ValueError
    return value


def _with_plain(plain, remote):
    """A value of a class derived from a builtin one: equal by what it holds, its attributes asked of the program."""
    base = type(plain)
    if base is bool or base not in _bases:
        return plain
    name = str(remote._fields["class"])[:100]
    make = _classes.get((base, name))
    if make is None:
        make = _classes[base, name] = type(name, (base,), {"__getattr__": _attribute})
    value = make(plain)
    _origins[id(value)] = value, remote
    return value


def _attribute(value, name):
    return getattr(_origins[id(value)][1], name)


_classes = {}
_origins = {}  # id of such a value -> (the value, so that no other gets its id; the stand-in)
_bases = (int, float, str, bytes, list, tuple, dict, set, frozenset)


def _write_back(before, after):
    """Gives an argument of the tests the content that the program has left in it."""
    if type(before) is list or type(before) is bytearray:
        before[:] = after
    elif type(before) in (dict, set):
        before.clear()
        before.update(after)
    elif type(before) is tuple:
        for inner, changed in zip(before, after):
            _write_back(inner, changed)


def _error(fields, args):
    """An exception of the same builtin class, so that tests which expect one find it; the details travel along."""
    error = Exception()
    for name in fields["bases"]:
        cls = getattr(builtins, name)
        if not issubclass(cls, BaseException):
            raise Malformed("not an exception")
        try:
            error = cls.__new__(cls)
            break
        except TypeError:
            continue  # a group is not made without its exceptions
    error.args = tuple(args)
    line = fields["line"]
    error.etalon = {"type": str(fields["type"])[:100], "message": str(fields["message"])[:201],
                    "line": line if type(line) is int and 0 < line < 1 << 31 else None}
    if fields.get("stage") == "syntax":
        error.etalon["stage"] = "syntax"
    return error
