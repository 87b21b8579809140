# The kinds of tests: how each is taken apart into cases, and how its cases are run.
import io
import sys

from etalon_judge import equal, literal, require_plain, same_output, split_check, split_statement
from etalon_load import new_space
from etalon_run import MAX_FUEL, Shown
from etalon_snapshot import text


def prepare(run):
    """Makes the list of tests; gives back the function that runs them, given the program's code object if it reads and
    prints."""
    kind, tests = run.request["testKind"], run.request["tests"]
    if kind == "humaneval-check":
        check, sources = split_check("\n".join(tests), run.entry)
        runner = lambda: run_check(run, check)
    elif kind == "assert-list":
        pairs = [split_statement(test, run.entry, number) for number, test in enumerate(tests)]
        sources = [pair[1] for pair in pairs]
        runner = lambda: run_statements(run, [pair[0] for pair in pairs])
    elif kind == "call-json":
        sources = [call_source(run, test) for test in tests]
        runner = lambda: run_calls(run)
    elif kind == "stdio":
        sources = ["stdin " + text(test["stdin"]) for test in tests]
        runner = lambda code: run_stdio(run, code)
    else:
        raise ValueError(f'test kind "{kind}" is not known')
    # A check whose every assert is `assert True` still has to run to its end.
    sources = sources or [f"{run.entry}(…)"]
    run.tests = [{"index": number, "outcome": "SKIP", "verdict": "pass", "source": source, "steps": 0}
                 for number, source in enumerate(sources)]
    run.where = [None] * len(sources)
    run.say({"sources": sources})
    return runner


def test_space(run):
    """What the tests see: the program's names, but builtins of the engine's own, whatever the program did to them."""
    own = globals()["__builtins__"]
    own = own if type(own) is dict else vars(own)
    space = {name: value for name, value in run.space.items() if name not in own}
    space["__builtins__"] = dict(own)
    space["__name__"] = "tests"
    space["__case__"] = run.case
    function = run.function
    space[run.entry] = function if isinstance(function, type) else run.guarded
    return space


def run_check(run, check):
    space = test_space(run)
    error = None
    try:
        exec(check, space)
        if not run.occurrences and "check" in space:
            space["check"](space[run.entry])
    except BaseException as problem:
        if run.stopped(problem):
            raise
        error = problem
    after_check(run, error)


def after_check(run, error):
    open_tests = [test["index"] for test in run.tests if test["outcome"] == "SKIP"]
    if error is None and not run.counter.exceeded and not run.out.exceeded:
        if not run.occurrences:
            run.settle(0, "pass", None)  # nothing but `assert True`
        return
    # A statement between the asserts failed: the first test it kept from running takes the blame.
    later = [index for index in open_tests if index > run.last] or open_tests
    index = later[0] if later else max(run.last, 0)
    test = run.tests[index]
    if run.pending_stream is not None:
        test["values"] = run.pending_stream
    call = max(run.calls - 1, 0)
    test["steps"], exceeded = run.counter.reset()
    verdict, details = run.classify(error, exceeded)
    run.where[index] = {"test": index, "occurrence": 0, "call": call}
    for other in open_tests:
        if other != index:
            run.tests[other]["verdict"] = verdict
    run.settle(index, verdict, details)


def run_statements(run, statements):
    space = test_space(run)
    for index, code in enumerate(statements):
        before = run.tests[index]["outcome"]
        try:
            exec(code, space)
        except BaseException as error:
            if run.stopped(error):
                raise
            if run.fuel >= MAX_FUEL:
                continue
            run.last = index
            run.tests[index]["outcome"] = "SKIP"
            if run.pending_stream is not None:
                run.tests[index]["values"] = run.pending_stream
                run.pending_stream = None
            run.where[index] = {"test": index, "occurrence": 0, "call": max(run.calls - 1, 0)}
            run.tests[index]["steps"], exceeded = run.counter.reset()
            verdict, details = run.classify(error, exceeded)
            run.settle(index, verdict, details)
            continue
        if run.tests[index]["outcome"] == before == "SKIP":
            run.settle(index, "pass", None)  # a statement that only prepares later tests


def run_calls(run):
    compare = run.request.get("compare") or {"type": "exact"}
    for index, test in enumerate(run.request["tests"]):
        args = literal(test, "args")
        expected = literal(test, "expected") if "expected" in test or "expected_repr" in test else None
        given = literal(test, "args")
        compare_now = lambda value: equal(value, expected, compare, given)
        call_case(run, index, args, expected, compare_now, compare)


def call_case(run, index, args, expected, same, compare):
    holder = []

    def left():
        value = run.function(*args)
        require_plain(value)
        if compare.get("type") == "deep-list" and type(value).__name__ == "generator":
            value = list(value)
            require_plain(value)
        holder.append(value)
        return Shown(value, same)

    run.case(index, left, lambda: Shown(expected, None))


def call_source(run, test):
    args = literal(test, "args")
    out = f"{run.entry}({', '.join(repr(arg) for arg in args)})"
    return out if len(out) <= 400 else out[:399] + "…"


def run_stdio(run, code):
    run.say({"loaded": True})
    for index, test in enumerate(run.request["tests"]):
        sys.stdin = io.TextIOWrapper(io.BytesIO(_joined(test["stdin"]).encode()), encoding="utf-8")
        run.out.parts = []
        expected = _joined(test["stdout"])

        def left():
            try:
                exec(code, new_space("__main__"))
            except SystemExit:
                pass  # the ordinary end of many programs
            return Shown(run.out.text(), lambda actual: same_output(actual, expected))

        run.case(index, left, lambda: Shown(expected, None))


def _joined(value):
    return "\n".join(value) if isinstance(value, list) else value
