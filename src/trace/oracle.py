# The judge's view of a program: a function it may call and objects it may ask about, all of which live in another
# interpreter. Answers are decoded plain values. Only the tests know what was expected; the program never does.
import builtins
import marshal
import sys
import types

from etalon_channel import receive, send
from etalon_codec import Malformed, decode, encode, loads, quote
from etalon_counter import OutOfSteps


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
                return decode(said["v"], self.refer)
            if "error" in said:
                error = _error(said["error"])
            else:
                self.over = "output"
                error = OutOfSteps(str(said["m"]))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, Malformed) as problem:
            raise NotPlain(f"an answer that no value has ({type(problem).__name__})")
        raise error

    def refer(self, fields):
        if "m" in fields:
            module = sys.modules.get(fields["m"])  # a library module the program imported: the judge has its own
            return module if module is not None else Remote(self, {"h": -1, "class": "module", "text": "<module>"})
        return Remote(self, fields)


def _encoded(value):
    """JSON of a value that goes to the program."""
    return encode(value, _number)


def _number(value):
    if isinstance(value, Remote):
        return '{"h":' + str(int(value._fields["h"])) + "}"
    if type(value) is type and getattr(builtins, value.__name__, None) is value:
        return '{"B":' + quote(value.__name__) + "}"
    if type(value) is types.FunctionType and not value.__closure__:
        # A function the tests pass as an argument: its code may run there, as it only speaks of its own arguments.
        return '{"P":' + quote(marshal.dumps(value.__code__).hex()) + "}"
    if hasattr(value, "__next__"):
        return encode(list(value), _number)  # an iterator of the tests travels as the list of what it gives
    raise TypeError(f"tests can't hand a {type(value).__name__} to the program")


MAX_TEXT = 400


class Remote:
    """An object of the program. Equal only to itself; whatever else it does, the program's interpreter does."""

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
        return self._ask("call", **fields)

    def __getattr__(self, name):
        if name.startswith("__") and name != "__name__":
            raise AttributeError(name)
        return self._ask("get", name=quote(name))

    def __setattr__(self, name, value):
        self._ask("set", name=quote(name), value=_encoded(value))

    def __eq__(self, other):
        if isinstance(other, Remote) and other._fields["h"] == self._fields["h"]:
            return True
        for one in (self, other):
            if isinstance(one, Remote) and one._decides("__eq__"):
                raise NotPlain(f"an object of class {one._fields['class']} with its own __eq__")
        return False

    def __hash__(self):
        return hash(self._fields["h"])

    def __bool__(self):
        return bool(self._do("bool")) if self._decides("__bool__") or self._decides("__len__") else True

    def __iter__(self):
        return iter(listed(self))

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
    items = remote._do("iter")
    if type(items) is not list:
        raise NotPlain("an iterable that gives no list")
    return items


def _count(value):
    if type(value) is not int or not 0 <= value < 1 << 40:
        raise ValueError
    return value


def _error(fields):
    """An exception of the same builtin class, so that tests which expect one find it; the details travel along."""
    name = next((base for base in fields["bases"] if isinstance(getattr(builtins, base, None), type)), "Exception")
    cls = getattr(builtins, name)
    if not issubclass(cls, BaseException):
        raise Malformed("not an exception")
    error = cls.__new__(cls)
    error.args = (str(fields["message"]),)
    line = fields["line"]
    error.etalon = {"type": str(fields["type"])[:100], "message": str(fields["message"])[:201],
                    "line": line if type(line) is int else None}
    if fields.get("stage") == "syntax":
        error.etalon["stage"] = "syntax"
    return error
