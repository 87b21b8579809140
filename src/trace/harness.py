# The way in from JavaScript, for both interpreters: the judge's, which has the tests, and the program's, which answers
# the judge's operations.
import json
import random
import sys

from etalon_channel import receive, send
from etalon_codec import loads
from etalon_kinds import prepare
from etalon_oracle import Stopped, Unsupported
from etalon_printed import Printed
from etalon_run import Run
from etalon_session import Session, json_text
from etalon_snapshot import class_name

_session = None


def main():
    """One request: a program to judge, an operation on a loaded program, or a script of our own."""
    control, request = receive().split("\n", 1)
    control = loads(control)
    kind = control["kind"]
    try:
        if kind == "operation":
            return send(operate(control, loads(request)))
        if kind == "judge":
            answer = judge(loads(request))
        else:
            answer = script(loads(request))
    except Unsupported as error:
        answer = {"failed": str(error)}
    except BaseException as error:
        import traceback

        answer = {"failed": "".join(traceback.format_exception(error))[-4000:]}
    send("A" + json_text(answer))


def operate(control, operation):
    global _session
    if "job" in control:
        _session = Session(control["job"], control["limits"])
    try:
        return _session.answer(operation, control)
    except BaseException as error:
        # Only a program that went for the engine itself gets here.
        name = class_name(type(error))
        broken = {"type": name, "message": "the program broke what runs it", "line": None, "bases": ["SystemError"]}
        return '{"steps":0,"line":null}\n{"error":' + json_text(broken) + "}\n"


def judge(request):
    def say(what):
        send("P" + json.dumps(what))

    random.seed(0)
    sys.stdout = Printed(0, keep=False)
    run = Run(request, say)
    names, run.oracle.watch, runner = prepare(run)
    try:
        if run.load(names):
            runner(run)
    except Stopped:
        pass  # the case it happened in knows
    return {"stage": run.stage, "verdict": run.verdict, "error": run.error, "rest": run.rest, "where": run.where}


def script(request):
    space = {"__name__": "script", "__builtins__": __import__("builtins")}
    try:
        exec(compile(request["source"], "<script>", "exec"), space)
        value = space["main"](request["input"])
        return {"value": json.loads(json.dumps(value))}
    except BaseException as error:
        import traceback

        return {"error": "".join(traceback.format_exception(error))[-4000:]}
