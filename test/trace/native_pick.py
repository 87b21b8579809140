# Which call of each program to trace: reads [{src, entry, kind, tests}] from standard input and prints one call or null
# each. The first call whose assertion fails, else the first; only calls with literal arguments, so that a call says it all.
import ast
import json
import signal
import sys


def calls(job):
    """(call, assertion) as text."""
    if job["kind"] == "call-json":
        for test in job["tests"]:
            arguments = test.get("args_repr") or repr(test["args"])
            expected = test.get("expected_repr") or repr(test.get("expected"))
            yield f"{job['entry']}(*{arguments})", f"{job['entry']}(*{arguments}) == {expected}"
        return
    for test in job["tests"]:
        for node in ast.walk(ast.parse(test)):
            if not isinstance(node, ast.Assert):
                continue
            for part in ast.walk(node.test):
                if isinstance(part, ast.Call) and isinstance(part.func, ast.Name) and part.func.id in ("candidate", job["entry"]):
                    part.func.id = job["entry"]
                    yield ast.unparse(part), ast.unparse(node.test)
                    break


def literal(call):
    node = ast.parse(call, mode="eval").body
    try:
        for value in [a.value if isinstance(a, ast.Starred) else a for a in node.args] + [k.value for k in node.keywords]:
            ast.literal_eval(value)
    except ValueError:
        return False
    return True


def holds(src, assertion):
    def late(*_):
        raise TimeoutError

    signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, 1, 0.1)
    try:
        space = {"__name__": "candidate"}
        exec(compile(src, "<program>", "exec"), space)
        return bool(eval(assertion, space))
    except BaseException:
        return False
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def pick(job):
    found = [(call, assertion) for call, assertion in calls(job) if literal(call)][:8]
    for call, assertion in found:
        if not holds(job["src"], assertion):
            return call
    return found[0][0] if found else None


sys.stdout, out = sys.stderr, sys.stdout
json.dump([pick(job) for job in json.load(sys.stdin)], out)
