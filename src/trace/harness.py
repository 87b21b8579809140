# One request: load a program, run its tests under a step budget, trace what was asked for, write the answer.
import io
import json
import sys

from etalon_channel import progress, read_request, write_answer
from etalon_kinds import prepare
from etalon_load import load
from etalon_printed import Printed
from etalon_run import FILE, Run, StopTests
from etalon_snapshot import class_name, message


def main():
    del sys._etalon  # the way in is not for programs; the rewound heap has it again
    request = read_request()
    say = progress(request.pop("nonce", None))
    try:
        answer = run_script(request) if request["kind"] == "script" else run_program(Run(request, say))
    except BaseException as error:
        import traceback

        answer = {"failed": "".join(traceback.format_exception(error))[-4000:]}
    sys.settrace(None)
    write_answer(answer)


def run_script(request):
    space = {"__name__": "script", "__builtins__": __import__("builtins")}
    try:
        exec(compile(request["source"], "<script>", "exec"), space)
        value = space["main"](request["input"])
        return {"value": json.loads(json.dumps(value))}
    except BaseException as error:
        import traceback

        return {"error": "".join(traceback.format_exception(error))[-4000:]}


def run_program(run):
    stdin, stdout, stderr = sys.stdin, sys.stdout, sys.stderr
    sys.stdin = io.TextIOWrapper(io.BytesIO(b""), encoding="utf-8")
    sys.stdout, sys.stderr = run.out, Printed(0, keep=False)
    run.counter.start()
    try:
        judge(run)
    except StopTests:
        pass
    finally:
        run.counter.stop()
        sys.settrace(None)
        sys.stdin, sys.stdout, sys.stderr = stdin, stdout, stderr
    return {"stage": run.stage, "verdict": run.verdict, "error": run.error, "tests": run.tests,
            "where": run.where, "trace": run.trace}


def judge(run):
    try:
        code = compile(run.program, FILE, "exec", dont_inherit=True)
    except (SyntaxError, ValueError, MemoryError, RecursionError, OverflowError) as error:
        run.stage, run.verdict = "syntax", "syntax_error"
        run.error = {"type": class_name(type(error)), "message": _syntax_message(error),
                     "line": getattr(error, "lineno", None)}
        prepare(run)
        return
    run.counter.watch(code)
    runner = prepare(run)
    if run.request["testKind"] == "stdio":
        runner(code)
    elif load(run, code):
        runner()


def _syntax_message(error):
    if isinstance(error, SyntaxError):
        return str(error.msg)[:200]
    return message(error)
