# Runs the trace engine's Python modules under a native CPython: reads [{src, call}] from standard input and prints one
# {trace, stream, error, comprehension} per program. Several calls, one a line, are recorded by one tracer, which is started
# anew for each. Arguments: the folder of the modules.
import ast
import io
import json
import signal
import sys
import types

for name in ("snapshot", "branches", "rows", "tracer", "virtual_loop"):
    module = types.ModuleType("etalon_" + name)
    sys.modules["etalon_" + name] = module
    with open(f"{sys.argv[1]}/{name}.py") as file:
        exec(compile(file.read(), f"<etalon {name}>", "exec"), module.__dict__)

Tracer = sys.modules["etalon_tracer"].Tracer
sys.modules["etalon_virtual_loop"].install()
FILE = "<program>"
STDOUT = sys.stdout


class Stopped(BaseException):
    """Ends a program of which enough is recorded."""


class Printed(io.TextIOBase):
    tracer = None

    def write(self, piece):
        if self.tracer is not None:
            self.tracer.wrote(piece)
        return len(piece)


def trace(tracer, expression, space):
    tracer.start()
    try:
        eval(expression, space)
    finally:
        tracer.stop()


def run(src, call):
    module = types.ModuleType("candidate")
    sys.modules["candidate"] = module
    sys.stdin, sys.stdout = io.StringIO(), Printed()
    tracer = Tracer(src, FILE, stream=True)

    def tick(*_):
        if tracer.stopped:
            raise Stopped

    error = None
    signal.signal(signal.SIGALRM, tick)
    signal.setitimer(signal.ITIMER_REAL, 0.2, 0.2)
    try:
        exec(compile(src, FILE, "exec", dont_inherit=True), module.__dict__)
        sys.stdout.tracer = tracer
        for one in call.split("\n"):
            try:
                trace(tracer, compile(one, "<call>", "eval"), module.__dict__)
            except BaseException as problem:
                error = type(problem).__name__
    except BaseException as problem:
        error = type(problem).__name__
    signal.setitimer(signal.ITIMER_REAL, 0)
    sys.stdout = STDOUT
    comprehension = any(isinstance(node, (ast.ListComp, ast.SetComp, ast.DictComp)) for node in ast.walk(ast.parse(src)))
    return {"trace": tracer.wire(), "stream": tracer.stream, "error": error, "comprehension": comprehension}


jobs = json.load(sys.stdin)
json.dump([run(job["src"], job["call"]) for job in jobs], STDOUT)
