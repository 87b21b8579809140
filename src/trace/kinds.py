# The kinds of tests: how each is taken apart into cases, and how its cases are run.
import json

from etalon_compare import Shown, equal, literal, same_output
from etalon_oracle import Remote, Stopped, listed
from etalon_run import MAX_FUEL
from etalon_snapshot import text
from etalon_split import Split, definitions, one_line, only_imports, shortened

# A problem has many candidates: its tests and helpers are taken apart once.
_prepared = {}
_helpers = {}
MAX_PREPARED = 200


def prepare(run):
    """Makes the list of tests; gives back the names they use, whether they look at arguments after a call, and the
    function that runs them."""
    request = run.request
    key = (request["testKind"], request["entryPoint"], request["tests"])
    found = _prepared.get(key)
    if found is None:
        if len(_prepared) >= MAX_PREPARED:
            _prepared.clear()
        found = _prepared[key] = KINDS[request["testKind"]](json.loads(request["tests"]), request["entryPoint"])
    sources, names, watch, runner = found
    # A check whose every assert is `assert True` still has to run to its end.
    sources = sources or [f"{run.entry}(…)"]
    run.tests = [{"index": number, "outcome": "SKIP", "verdict": "pass", "source": source, "steps": 0}
                 for number, source in enumerate(sources)]
    run.where = [None] * len(sources)
    run.say({"sources": sources})
    return names, watch, runner


def check_tests(tests, entry):
    split = Split("\n".join(tests), entry)
    return split.sources, split.used | {entry}, split.watches, lambda run: run_check(run, split.code)


def assert_tests(tests, entry):
    split = [Split(test, entry, number) for number, test in enumerate(tests)]
    sources = [each.sources[0] if each.sources else one_line(test) for each, test in zip(split, tests)]
    used = set().union(*(each.used for each in split))
    watches = any(each.watches for each in split)
    return sources, used, watches, lambda run: run_statements(run, [each.code for each in split])


def call_tests(tests, entry):
    sources = [shortened(f"{entry}({', '.join(repr(arg) for arg in literal(test, 'args'))})") for test in tests]
    return sources, set(), False, lambda run: run_calls(run, tests)


def stdio_tests(tests, entry):
    return ["stdin " + text(test["stdin"]) for test in tests], set(), False, lambda run: run_stdio(run, tests)


KINDS = {"humaneval-check": check_tests, "assert-list": assert_tests, "call-json": call_tests, "stdio": stdio_tests}


def test_space(run):
    """
    What the tests see: names of the program, which live in its interpreter; before those, what the row itself brings:
    imports of its set-up code, and the functions of its prompt, which a program must not be able to redefine.
    """
    space = {"__name__": "tests", **run.space}
    for key, pick in (("preCode", only_imports), ("testSetup", only_imports), ("helpers", definitions)):
        if run.request.get(key):
            try:
                exec(_helper(pick, run.request[key]), space)  # anew for each program: functions may have a memory
            except ImportError:
                pass  # where it matters, the tests say so themselves
    space["__case__"] = run.case
    space[run.entry] = run.function
    return space


def _helper(pick, source):
    """The code that `pick` takes of a text."""
    found = _helpers.get((pick, source))
    if found is None:
        if len(_helpers) >= MAX_PREPARED:
            _helpers.clear()
        try:
            found = pick(source)
        except SyntaxError:
            found = pick("")
        _helpers[pick, source] = found
    return found


def run_check(run, check):
    space = test_space(run)
    error = None
    try:
        exec(check, space)
        if not run.occurrences and "check" in space:
            space["check"](space[run.entry])
    except BaseException as problem:
        error = problem
        if type(problem) is Stopped and run.first == run.oracle.sent:
            return  # a case has it already
    blame(run, [test["index"] for test in run.tests if test["outcome"] == "SKIP"], error)


def blame(run, open_tests, error):
    """A statement between the asserts failed: the first test it kept from running takes it."""
    where, steps, over, line = run.end_case()
    if error is None and not over:
        if not run.occurrences:
            run.settle(0, "pass", None)  # nothing but `assert True`
        return
    later = [index for index in open_tests if index > run.last] or open_tests
    index = later[0] if later else max(run.last, 0)
    if not later and run.tests[index]["outcome"] not in ("SKIP", "PASS"):
        return  # a round of its loop has failed already, and the first failure counts
    run.tests[index]["steps"] = steps
    run.where[index] = where or run.where[index]
    verdict, details = run.classify(error, over, line)
    if open_tests:
        run.rest = verdict
    run.settle(index, verdict, details)


def run_statements(run, statements):
    space = test_space(run)
    for index, code in enumerate(statements):
        before = run.tests[index]["outcome"]
        try:
            exec(code, space)
        except BaseException as error:
            if type(error) is Stopped and run.first == run.oracle.sent:
                return
            if run.fuel >= MAX_FUEL:
                continue
            run.last = index
            run.tests[index]["outcome"] = "SKIP"
            where, run.tests[index]["steps"], over, line = run.end_case()
            run.where[index] = where or run.where[index]
            run.settle(index, *run.classify(error, over, line))
            if type(error) is Stopped:
                return run.stop(error)
            continue
        if run.tests[index]["outcome"] == before == "SKIP":
            run.settle(index, "pass", None)  # a statement that only prepares later tests


def run_calls(run, tests):
    compare = run.request.get("compare") or {"type": "exact"}
    for index, test in enumerate(tests):
        args, given = literal(test, "args"), literal(test, "args")
        expected = literal(test, "expected") if "expected" in test or "expected_repr" in test else None

        def left():
            value = run.function(*args)
            if compare.get("type") == "deep-list" and isinstance(value, Remote):
                value = listed(value)
            return Shown(value, lambda actual: equal(actual, expected, compare, given))

        run_case(run, index, left, expected)


def run_stdio(run, tests):
    for index, test in enumerate(tests):
        expected = _joined(test["stdout"])

        def left():
            printed = run.oracle.ask("run", stdin=json.dumps(_joined(test["stdin"])))
            return Shown(printed, lambda actual: same_output(actual, expected))

        run_case(run, index, left, expected)


def run_case(run, index, left, expected):
    run.case(index, left, lambda: Shown(expected, None))


def _joined(value):
    return "\n".join(value) if isinstance(value, list) else value
