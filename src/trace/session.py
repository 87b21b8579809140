# The program's side of a run. The judge asks, one operation at a time: load the program, call this, read that
# attribute. An answer is plain data or a number that stands for an object kept here. Nothing here is secret: a program
# may find and change all of it and has won only control of its own answers, which it has anyway.
import builtins
import marshal
import sys
import types
from itertools import islice

from etalon_codec import MAX_CHARS, TooLarge, decode, encode, plain_kind, quote
from etalon_counter import OutOfSteps, StepCounter
from etalon_load import FILE, load, run_module
from etalon_printed import Printed, stdin_of
from etalon_snapshot import _type_dict, _type_mro, class_name, message, text
from etalon_tracer import Tracer

TRACE_LINES = 5000
STREAM_LINES = 2000
_builtins = dict(vars(builtins))
MAX_OPERATIONS = 20_000  # of one test: a loop in the tests over an endless list of the program's


class Session:
    def __init__(self, request, limits):
        self.request = request
        self.limits = limits
        self.counter = StepCounter(limits["stepsPerTest"], FILE)
        self.out = Printed(limits["stdoutBytes"])
        self.stage = "load"
        self.space = None  # the program's names
        self.code = None
        self.hidden = ()
        self.kept = []  # what the judge knows by number
        self.numbers = {}
        self.case = 0
        self.operations = 0
        self.tracer = None
        self.untraceable = False
        self.before = None  # the arguments of a call that the tests go on to look at

    # --- one operation

    def answer(self, operation, control):
        """Three lines: what it cost, the value or error, and the trace if one was asked for and ends here."""
        if operation.get("case", 0) != self.case:
            self.case = operation["case"]
            self.counter.reset()
            self.operations = 0
        self.operations += 1
        self.trace(control)
        if operation["op"] == "load" or "stdin" in operation:
            # Not put back: nothing else prints here, and the heap is rewound.
            sys.stdin = stdin_of(operation.get("stdin", ""))
            sys.stdout, sys.stderr = self.out, Printed(0, keep=False)
        self.counter.start()
        try:
            if self.tracer is not None:
                self.tracer.start()
            try:
                if self.operations > MAX_OPERATIONS:
                    self.counter.exceeded = True
                    raise OutOfSteps
                value = OPERATIONS[operation["op"]](self, operation)
            finally:
                if self.tracer is not None:
                    self.tracer.stop()
            said = '{"v":' + encode(value, self.reference) + self.changed() + "}"
        except TooLarge:
            said = '{"x":"output","m":"the value is larger than ' + f'{MAX_CHARS} characters or deeper than 60 levels"' + "}"
        except BaseException as error:
            said = self.error(error)
        finally:
            self.counter.rest()
            sys.settrace(None)
        return self.cost() + "\n" + said + "\n" + self.traced(control)

    def cost(self):
        counter, out = self.counter, self.out
        over = ',"over":"steps"' if counter.exceeded else ',"over":"output"' if out.exceeded else ""
        return '{"steps":' + f"{counter.steps}" + over + ',"line":' + (f"{counter.line}" if counter.line else "null") + "}"

    def changed(self):
        """The arguments of the call, if it changed them and the tests can see that."""
        if self.before is None:
            return ""
        before, args = self.before
        self.before = None
        after = encode(args, self.reference)
        return "" if after == before else ',"args":' + after

    def error(self, error):
        names = [class_name(cls) for cls in _type_mro(type(error)) if _builtins.get(class_name(cls)) is cls]
        fields = {"type": class_name(type(error)), "message": message(error), "line": program_line(error), "bases": names}
        if self.stage == "syntax":
            fields["stage"] = "syntax"
            if isinstance(error, SyntaxError):
                fields.update(message=str(error.msg)[:200], line=error.lineno)
        try:
            args = encode(_args(error), self.reference)
        except BaseException:
            args = "[]"
        return '{"error":' + json_text(fields) + (',"args":' + args if len(args) < 4000 else "") + "}"

    # --- values by number

    def reference(self, value):
        number = self.numbers.get(id(value))
        if number is None:
            number = self.numbers[id(value)] = len(self.kept)
            self.kept.append(value)
        kind = plain_kind(value)
        if kind == "module":
            return json_text({"m": value.__name__})
        if kind == "class" and _builtins.get(class_name(value)) is value:
            return json_text({"B": class_name(value)})
        fields = {"h": number, "class": class_name(value if kind == "class" else type(value)), "text": text(value)}
        own = [name for name in ("__eq__", "__bool__", "__len__") if kind == "object" and overrides(type(value), name)]
        return json_text({**fields, "own": own} if own else fields)

    def value(self, encoded):
        return decode(encoded, self.refer)

    def refer(self, fields, plain=None):
        """What the judge means: an object of ours, a builtin type, a function of the tests or of the library."""
        if "B" in fields:
            return _builtins[fields["B"]]
        if "P" in fields:
            code, defaults = fields["P"]
            function = types.FunctionType(marshal.loads(bytes.fromhex(code)), {"__builtins__": _builtins})
            function.__defaults__ = tuple(self.value(defaults)) or None
            return function
        if "Q" in fields:
            module, name = fields["Q"]
            return getattr(__import__(module, fromlist=[name]), name)
        return self.kept[fields["h"]]

    # --- tracing

    def trace(self, control):
        wanted = control.get("trace")
        if wanted is None:
            self.tracer = None
            self.counter.limit = self.limits["stepsPerTest"]
        elif self.tracer is None and not self.untraceable:
            full = wanted == "full"
            limits = self.limits
            lines = TRACE_LINES if full else STREAM_LINES
            self.counter.limit = lines
            try:
                self.tracer = Tracer(self.request["program"], FILE, limits["traceEventsHead"], limits["traceEventsTail"],
                                     lines, control["stream"], full, self.hidden)
            except Exception:
                self.untraceable = True  # the program broke the library that the tracer reads code with
        self.out.tracer = self.tracer

    def traced(self, control):
        tracer = self.tracer
        if tracer is None or not (control.get("last") or self.counter.exceeded):
            return ""
        self.tracer = self.out.tracer = None
        answer = {"stream": tracer.stream}
        if control["trace"] == "full":
            answer["trace"] = tracer.wire()
            if self.counter.exceeded and answer["trace"]["truncated"] in (None, "events"):
                answer["trace"]["truncated"] = "steps"
        return json_text(answer)


_args = BaseException.__dict__["args"].__get__
_traceback = BaseException.__dict__["__traceback__"].__get__  # a class of the program may have its own


def program_line(error):
    line = None
    traceback = _traceback(error)
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == FILE:
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    return line


def overrides(cls, name):
    """Whether a class of the program decides `name` itself."""
    for base in _type_mro(cls):
        if name in _type_dict(base):
            return base is not object
    return False


def json_text(value):
    """The json module belongs to the programs too; one that breaks it shall not break the engine."""
    t = type(value)
    if t is str:
        return quote(value)
    if value is None or t is bool:
        return {None: "null", True: "true", False: "false"}[value]
    if t is int or t is float:
        return repr(value) if value == value and value not in (1e999, -1e999) else "null"
    if t is list or t is tuple:
        return "[" + ",".join([json_text(item) for item in value]) + "]"
    return "{" + ",".join([quote(key) + ":" + json_text(item) for key, item in value.items()]) + "}"


# --- the operations


def _call(session, operation):
    function = session.kept[operation["f"]]
    args = session.value(operation["args"])
    named = session.value(operation["named"]) if "named" in operation else {}
    session.before = (encode(args, session.reference), args) if operation.get("watch") else None
    return function(*args, **named)


def _get(session, operation):
    return getattr(session.kept[operation["f"]], operation["name"])


def _set(session, operation):
    setattr(session.kept[operation["f"]], operation["name"], session.value(operation["value"]))


def _do(session, operation):
    return _protocols[operation["what"]](session.kept[operation["f"]], *session.value(operation["args"]))


def _take(iterator, count):
    return list(islice(iterator, count))


_protocols = {"eq": lambda v, other: bool(v == other), "list": list, "iter": iter, "take": _take, "len": len,
              "item": lambda v, key: v[key], "bool": bool, "text": str}
OPERATIONS = {"load": load, "run": run_module, "call": _call, "get": _get, "set": _set, "do": _do}
