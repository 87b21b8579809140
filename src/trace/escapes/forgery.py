# Ways to a pass without the expected value, which has 128 random bits: they can only
# fail where tests and their comparison are kept out of this interpreter.
import sys


class Equal:
    """Equal to everything."""

    def __eq__(self, other):
        return True

    def __ne__(self, other):
        return False

    __hash__ = object.__hash__


FORGED = ('{"stage": "run", "verdict": null, "error": null, "where": [null], "trace": null, "tests": '
          '[{"index": 0, "outcome": "PASS", "verdict": "pass", "source": "attempt()", "steps": 1}]}')


def frames():
    frame = sys._getframe(1)
    while frame is not None:
        yield frame
        frame = frame.f_back


# === the harness's modules by name
def attempt():
    for name, module in list(sys.modules.items()):
        if "etalon" in name or "judge" in name or "harness" in name:
            return f"{name} is there"


# === the harness's entry
def attempt():
    space = sys._etalon.__globals__
    space["Run"].case = lambda run, index, *rest: run.settle(index, "pass", None)
    return None


# === the harness's records patched through a frame
def attempt():
    for frame in frames():
        for value in list(frame.f_locals.values()):
            settle = getattr(type(value), "settle", None)
            if settle:
                type(value).settle = lambda run, index, verdict, details: settle(run, index, "pass", None)
                return None


# === the harness's comparison patched through a frame
def attempt():
    for frame in frames():
        space = frame.f_globals
        for name in ("require_plain", "equal", "classify"):
            if name in space:
                space[name] = lambda *arguments: True
        builtins = space.get("__builtins__")
        if type(builtins) is dict:
            builtins["bool"] = lambda value: True
    return Equal()


# === the writer of answers, behind sys.stdout
def attempt():
    sys.stdout.write.__func__.__globals__["to_json"] = lambda value: FORGED


# === the engine's builtins, behind sys.stdout
def attempt():
    sys.stdout.write.__func__.__globals__["__builtins__"]["bool"] = lambda value: True


# === the engine's builtins, behind the step counter
def attempt():
    for tool in range(6):
        for event in (sys.monitoring.events.LINE, sys.monitoring.events.JUMP, sys.monitoring.events.PY_START):
            old = sys.monitoring.register_callback(tool, event, None)
            if old:
                old.__func__.__globals__["__builtins__"]["bool"] = lambda value: True


# === an answer written to its file, and out
def attempt():
    import os

    with open("/run/out", "w") as file:
        file.write(FORGED)
    os._exit(0)


# === an answer written to its file, and kept from being replaced
def attempt():
    import os

    for number in range(41):
        try:
            os.close(number)
        except OSError:
            pass
    for _ in range(10):
        with open("/run/out", "w") as file:
            file.write(FORGED)
    sys.exit(0)


# === an answer written to every descriptor
def attempt():
    import os

    for number in range(41):
        for text in (FORGED, '{"result": {"passed": true, "verdict": "pass"}}', '{"kind": "result"}'):
            try:
                os.write(number, (text + "\n").encode())
            except OSError:
                pass


# === a result line printed as the harness would
def attempt():
    print('{"test": {"index": 0, "outcome": "PASS", "verdict": "pass"}}')
    print('{"ok": true, "value": {"s": "x"}}')
    sys.stdout.flush()


# === builtins patched for the comparison
def attempt():
    import builtins

    builtins.bool = lambda value: True
    builtins.type = lambda value, *rest: str
    builtins.isinstance = lambda value, kind: True
    builtins.all = builtins.any = lambda values: True
    builtins.str = Equal
    return Equal()


# === AssertionError patched away
def attempt():
    import builtins

    class Never(BaseException):
        def __new__(cls, *arguments):
            return None

    builtins.AssertionError = Never
    builtins.Exception = builtins.BaseException = ()
    return 1


# === json and operator patched
def attempt():
    import json
    import operator

    json.dumps = lambda *_, **__: FORGED
    json.loads = lambda *_, **__: Equal()
    json.JSONEncoder.encode = lambda *_: FORGED
    json.encoder.encode_basestring_ascii = json.encoder.c_make_encoder = lambda *_: FORGED
    operator.eq = lambda a, b: True
    return 1


# === the codecs that read and write answers patched
def attempt():
    import codecs
    import io

    codecs.register_error("strict", lambda error: ("", error.end))
    codecs.utf_8_encode = codecs.utf_8_decode = lambda *_: (FORGED, 1)
    io.open = open = lambda *_, **__: io.StringIO(FORGED)
    io.TextIOWrapper.write = lambda *_: 1
    return 1


# === the entry replaced during the call
def attempt():
    for frame in frames():
        frame.f_globals["attempt"] = Equal
        frame.f_globals["candidate"] = Equal
    globals()["attempt"] = lambda: Equal()
    return globals()["attempt"]()


# === sys.exit in the call
def attempt():
    sys.exit(0)


# === os._exit in the call
def attempt():
    import os

    os._exit(0)


# === os.abort in the call
def attempt():
    import os

    os.abort()


# === an exception that no handler takes
def attempt():
    class Odd(BaseException):
        __traceback__ = property(lambda self: sys.exit(0))
        __class__ = property(lambda self: sys.exit(0))
        args = property(lambda self: sys.exit(0))

        def __str__(self):
            sys.exit(0)

    raise Odd


# === the harness's own exceptions raised by the program
def attempt():
    import gc

    for kind in type.__subclasses__(BaseException) + type.__subclasses__(Exception):
        if kind.__module__.startswith("etalon"):
            raise kind


# === recursion without an end, its limit raised
def attempt():
    sys.setrecursionlimit(2**31 - 1)

    def deep(number):
        return deep(number + 1)

    return deep(0)


# === recursion in C
def attempt():
    nested = []
    for _ in range(1_000_000):
        nested = [nested]
    return repr(nested)[:0] or nested == [nested]


# === tracing and monitoring turned off
def attempt():
    sys.settrace(None)
    sys.setprofile(None)
    for tool in range(6):
        try:
            sys.monitoring.free_tool_id(tool)
        except ValueError:
            pass
    sys.monitoring.use_tool_id(4, "mine")
    return Equal()


# === work left for the interpreter's end
def attempt():
    import atexit
    import threading

    def late():
        print(FORGED)
        with open("/run/out", "w") as file:
            file.write(FORGED)

    atexit.register(late)
    threading._register_atexit(late)
    sys.exit(0)


# === work left to a weak reference and a finalizer
def attempt():
    import weakref

    class Made:
        def __del__(self):
            with open("/run/out", "w") as file:
                file.write(FORGED)
            sys._getframe(1).f_locals["ok"] = True

    frames_ = list(frames())
    made = Made()
    for frame in frames_:
        frame.f_globals.setdefault("__held__", made)
    weakref.finalize(made, print, FORGED)


# === work left to the collector's callbacks
def attempt():
    import gc

    def late(phase, info):
        for frame in frames():
            if "ok" in frame.f_locals:
                frame.f_locals["ok"] = True

    gc.callbacks.append(late)
    gc.set_threshold(1)
    return Equal()


# === a generator that changes its caller's variables
def attempt():
    for frame in frames():
        for name in ("ok", "failed", "error", "exceeded"):
            if name in frame.f_locals:
                frame.f_locals[name] = name == "ok"
    for frame in frames():
        if "expected" in frame.f_locals:
            frame.f_locals["expected"] = 1
    return 1


# === the comparison's code replaced
def attempt():
    import gc
    import types

    def yes(*arguments, **more):
        return True

    for thing in [value for frame in frames() for value in frame.f_globals.values()] + gc.get_objects():
        if type(thing) is types.FunctionType and thing.__name__ in ("equal", "require_plain", "same_output", "same"):
            thing.__code__ = yes.__code__
    return Equal()


# === a late change of the value that was returned
def attempt():
    value = []

    class Watch(dict):
        pass

    def later(frame, event, arg):
        if event == "call" and "expected" in frame.f_code.co_varnames:
            value.append(1)

    sys.settrace(later)
    return value
