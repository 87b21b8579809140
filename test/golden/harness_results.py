"""
What the harnesses of HumanEval, APPS and EvalPlus say of a few small programs, for test/eval/result_codes.test.ts.
Their rules, written down here from openai/human-eval (execution.py), hendrycks/apps (testing_util.py) and
evalplus/evalplus (evalplus/eval), applied by native CPython. Each program runs in a process of its own.

    python3.11 test/golden/harness_results.py > test/golden/harness_results.json
"""
import io
import json
import multiprocessing
import signal
import sys

LIMIT = 1  # seconds

PROGRAMS = {
    "right": "def f(x):\n    return x + 1\n",
    "wrong from 2 on": "def f(x):\n    return 2\n",
    "always wrong": "def f(x):\n    return None\n",
    "raises on the second": "def f(x):\n    return [2, 3][x - 1:][0] if x < 2 else {}['k%d' % x]\n",
    "message of its own": "def f(x):\n    raise ValueError('no value for %d' % x)\n",
    "assertion of its own": "def f(x):\n    assert x > 9, 'x is small'\n    return x + 1\n",
    "syntax error": "def f(x):\n    return x +\n",
    "unclosed bracket": "def f(x):\n    return (x + 1\n",
    "indentation": "def f(x):\nreturn x + 1\n",
    "other name": "def g(x):\n    return x + 1\n",
    "fails at loading": "import nothing_like_it\ndef f(x):\n    return x + 1\n",
    "loop": "def f(x):\n    while True:\n        pass\n",
    "loop on the third": "def f(x):\n    while x == 3:\n        pass\n    return x + 1\n",
    "exit": "import sys\ndef f(x):\n    sys.exit(3)\n",
    "dies": "import os\ndef f(x):\n    os.abort()\n",
}
INPUTS = [1, 2, 3]
OUTPUTS = [2, 3, 4]
CHECK = "def check(candidate):\n" + "".join(f"    assert candidate({x}) == {y}\n" for x, y in zip(INPUTS, OUTPUTS))

STDIO = {
    "right": "x = int(input())\nprint(x + 1)\n",
    "wrong from 2 on": "input()\nprint(2)\n",
    "raises on the second": "x = int(input())\nassert x != 2\nprint(x + 1)\n",
    "syntax error": "x = int(input()\nprint(x + 1)\n",
    "loop": "while True:\n    pass\n",
    "ordinary exit": "import sys\nprint(int(input()) + 1)\nsys.exit(0)\n",
}


class Late(Exception):
    pass


def alarm(*_):
    raise Late


def human_eval(program):
    try:
        signal.alarm(LIMIT)
        exec(program + "\n" + CHECK + "\ncheck(f)", {})
        return "passed"
    except Late:
        return "timed out"
    except BaseException as error:
        return f"failed: {error}"


def apps_call(program):
    space = {}
    try:
        signal.alarm(LIMIT)
        exec(program, space)
    except Exception:
        return [-2]
    if "f" not in space:
        return [-2]
    codes = []
    for x, y in zip(INPUTS, OUTPUTS):
        try:
            signal.alarm(LIMIT)
            codes.append(space["f"](x) == y)
        except Exception:
            codes.append(-1)
    return codes


def apps_stdio(program):
    try:
        code = compile(program, "<string>", "exec")
    except Exception:
        return [-2]
    codes = []
    for x, y in zip(INPUTS, OUTPUTS):
        sys.stdin, sys.stdout = io.StringIO(f"{x}\n"), io.StringIO()
        try:
            signal.alarm(LIMIT)
            try:
                exec(code, {"__name__": "__main__"})
            except SystemExit:
                pass
            codes.append(sys.stdout.getvalue().split() == [str(y)])
        except Exception:
            codes.append(-1)
    return codes


def eval_plus(program, progress):
    space = {}
    try:
        signal.alarm(LIMIT)
        exec(program, space)
        function = space["f"]
        signal.alarm(0)
        for x, y in zip(INPUTS, OUTPUTS):
            try:
                signal.alarm(LIMIT)
                progress.put(function(x) == y)
            except BaseException:
                progress.put(False)
        return "done"
    except BaseException:
        return "fail"


def judged(rule, program):
    """The rule's answer, or None where the process ended without one."""
    answers, progress = multiprocessing.SimpleQueue(), multiprocessing.SimpleQueue()

    def child():
        signal.signal(signal.SIGALRM, alarm)
        answer = rule(program, progress) if rule is eval_plus else rule(program)
        signal.alarm(0)
        answers.put(answer)

    process = multiprocessing.Process(target=child)
    process.start()
    process.join()
    details = []
    while not progress.empty():
        details.append(progress.get())
    return (None if answers.empty() else answers.get()), details


def main():
    rows = []
    for name, program in PROGRAMS.items():
        status, details = judged(eval_plus, program)
        if status == "done":
            status = "pass" if len(details) == len(INPUTS) and all(details) else "fail"
        row = {"name": name, "program": program,
               "human_eval": judged(human_eval, program)[0] or "timed out",
               "eval_plus": {"status": status or "timeout", "details": details}}
        # sys.exit and a dead process take the APPS loop with them: it has no list of codes then.
        codes = None if name in ("exit", "dies") else judged(apps_call, program)[0]
        rows.append({**row, "apps": codes})
    stdio = [{"name": name, "program": program, "apps": judged(apps_stdio, program)[0]} for name, program in STDIO.items()]
    json.dump({"inputs": INPUTS, "outputs": OUTPUTS, "check": CHECK, "call": rows, "stdio": stdio}, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    multiprocessing.set_start_method("fork")
    main()
