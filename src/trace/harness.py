# One request: load a program, run its tests under a step budget, trace what was asked for, write the answer. Everything
# this module reports is made from its own records; what a program raises, returns or prints is only ever looked at.
import io
import json
import sys
import types

from etalon_counter import OutOfSteps, StepCounter
from etalon_judge import NotPlain, equal, literal, require_plain, same_output, split_check, split_statement
from etalon_output import Printed, progress, read_request, write_answer
from etalon_snapshot import class_name, message, text
from etalon_tracer import Tracer

FILE = "<program>"
TRACE_LINES = 5000
STREAM_LINES = 2000
MAX_FUEL = 2  # after that many tests out of steps the rest is skipped

METHOD_IMPORTS = """import bisect, collections, copy, datetime, functools, heapq, itertools, math, operator, random, re, string, sys
from bisect import *
from collections import *
from functools import *
from heapq import *
from itertools import *
from math import *
from typing import *
"""


class StopTests(BaseException):
    """Ends a run whose remaining tests are of no interest."""


def main():
    del sys._etalon  # the way in is not for programs; the rewound heap has it again
    request = read_request()
    say = progress(request.pop("nonce", None))
    try:
        answer = run_script(request) if request["kind"] == "script" else Run(request, say).answer()
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


class Run:
    """
    One pass over a program. The verdict pass runs all tests untraced. A second pass, in an interpreter that was reset,
    repeats it with `trace` = {test, occurrence, call} traced, and with every test's value-change stream if `streams`.
    """

    def __init__(self, request, say):
        self.request = request
        self.say = say
        self.limits = request["limits"]
        self.entry = request["entryPoint"]
        self.program = request["program"]
        self.target = request.get("target")
        self.streams = request.get("streams", False)
        self.out = Printed(self.limits["stdoutBytes"])
        self.counter = StepCounter(self.limits["stepsPerTest"], FILE)
        self.tests = []
        self.where = []  # per test what to trace: {occurrence, call}
        self.occurrences = {}
        self.calls = 0  # program calls made outside any case
        self.calls_seen = 0  # of them, before the last case
        self.inner_calls = 0  # made inside the current case
        self.in_case = False
        self.fuel = 0
        self.last = -1
        self.trace = None
        self.stage = "run"
        self.error = None
        self.verdict = None
        self.hidden = ()
        self.pending_stream = None

    # --- the whole

    def answer(self):
        stdin, stdout, stderr = sys.stdin, sys.stdout, sys.stderr
        sys.stdin = io.TextIOWrapper(io.BytesIO(b""), encoding="utf-8")
        sys.stdout, sys.stderr = self.out, Printed(0, keep=False)
        self.counter.start()
        try:
            self.run()
        except StopTests:
            pass
        finally:
            self.counter.stop()
            sys.settrace(None)
            sys.stdin, sys.stdout, sys.stderr = stdin, stdout, stderr
        return {"stage": self.stage, "verdict": self.verdict, "error": self.error, "tests": self.tests,
                "where": self.where, "trace": self.trace}

    def run(self):
        kind = self.request["testKind"]
        try:
            code = compile(self.program, FILE, "exec", dont_inherit=True)
        except (SyntaxError, ValueError, MemoryError, RecursionError, OverflowError) as error:
            self.stage, self.verdict = "syntax", "syntax_error"
            self.error = {"type": class_name(type(error)), "message": _syntax_message(error),
                          "line": getattr(error, "lineno", None)}
            self.prepare(kind)
            return
        self.counter.watch(code)
        runner = self.prepare(kind)
        if kind == "stdio":
            runner(code)
        elif self.load(code):
            runner()

    def prepare(self, kind):
        """Makes the list of tests; gives back the function that runs them."""
        tests = self.request["tests"]
        if kind == "humaneval-check":
            self.check, sources = split_check("\n".join(tests), self.entry)
            runner = self.run_check
        elif kind == "assert-list":
            pairs = [split_statement(test, self.entry, number) for number, test in enumerate(tests)]
            self.statements = [pair[0] for pair in pairs]
            sources = [pair[1] for pair in pairs]
            runner = self.run_statements
        elif kind == "call-json":
            sources = [self.call_source(test) for test in tests]
            runner = self.run_calls
        elif kind == "stdio":
            sources = ["stdin " + text(test["stdin"]) for test in tests]
            runner = self.run_stdio
        else:
            raise ValueError(f'test kind "{kind}" is not known')
        # A check whose every assert is `assert True` still has to run to its end.
        sources = sources or [f"{self.entry}(…)"]
        self.tests = [{"index": number, "outcome": "SKIP", "verdict": "pass", "source": source, "steps": 0}
                      for number, source in enumerate(sources)]
        self.where = [None] * len(sources)
        self.say({"sources": sources})
        return runner

    # --- loading

    def load(self, code):
        space = self.space = self.new_space("candidate")
        if self.request.get("isMethod"):
            exec(METHOD_IMPORTS, space)
        if self.request.get("preCode"):
            exec(compile(self.request["preCode"], "<pre>", "exec"), space)
        hidden = self.hidden = frozenset(space)
        trace_load = self.target is not None and self.target.get("load")
        tracer = self.tracer(full=True) if trace_load else None
        try:
            if tracer is not None:
                tracer.start()
            exec(code, space)
            if self.request.get("testSetup"):
                # It builds on the program's classes: that they are missing or fail is the program's failure.
                exec(compile(self.request["testSetup"], "<setup>", "exec"), space)
            self.function = self.resolve(space)
        except BaseException as error:
            self.failed_load(*self.classify(error, self.counter.exceeded))
        finally:
            if tracer is not None:
                self.end_trace(tracer)
        if self.verdict is None and (self.counter.exceeded or self.out.exceeded):
            self.failed_load(*self.classify(None, self.counter.exceeded))
        if self.verdict is not None:
            return False
        if self.function is None:
            what = "Solution." if self.request.get("isMethod") else ""
            self.failed_load("missing_entry", {"type": "NameError", "line": None,
                                               "message": f"name '{what}{self.entry}' is not defined"})
            return False
        self.counter.reset()
        self.say({"loaded": True})
        return True

    def failed_load(self, verdict, details):
        self.stage = "load"
        self.verdict = "load_error" if verdict in ("runtime_error", "assertion_error") else verdict
        self.error = details

    def new_space(self, name):
        module = types.ModuleType(name)
        sys.modules[name] = module  # dataclasses and pickling look their module up
        module.__dict__["__builtins__"] = sys.modules["builtins"]
        module.__dict__["__file__"] = FILE
        return module.__dict__

    def resolve(self, space):
        if self.request.get("isMethod"):
            owner = space.get("Solution")
            if owner is None:
                return None
            return getattr(owner(), self.entry, None)
        function = space.get(self.entry)
        return function if callable(function) else None

    def test_space(self):
        """What the tests see: the program's names, but builtins of the engine's own, whatever the program did to them."""
        own = globals()["__builtins__"]
        own = own if type(own) is dict else vars(own)
        space = {name: value for name, value in self.space.items() if name not in own}
        space["__builtins__"] = dict(own)
        space["__name__"] = "tests"
        space["__case__"] = self.case
        function = self.function
        space[self.entry] = function if isinstance(function, type) else self.guarded
        return space

    def guarded(self, *args, **kwargs):
        """The program's function as the tests see it."""
        if self.in_case:
            self.inner_calls += 1
            value = self.function(*args, **kwargs)
        else:
            number = self.calls
            self.calls += 1
            tracer = None
            wanted = self.target is not None and self.target.get("call") == number
            if wanted or self.streams:
                tracer = self.tracer(full=wanted)
                tracer.start()
            try:
                value = self.function(*args, **kwargs)
            finally:
                if tracer is not None:
                    self.pending_stream = self.end_trace(tracer)
        if self.counter.exceeded:
            raise OutOfSteps
        require_plain(value)
        return value

    # --- one case

    def case(self, index, left, right=None):
        """Runs one assertion; never raises for what the program does."""
        test = self.tests[index]
        self.last = index
        occurrence = self.occurrences.get(index, 0)
        self.occurrences[index] = occurrence + 1
        if self.fuel >= MAX_FUEL:
            if test["outcome"] in ("SKIP", "PASS"):
                self.settle(index, "step_limit", {"type": "OutOfSteps", "message": "not run: earlier tests ran out of steps",
                                                  "line": None})
            return
        is_target = self.target is not None and self.target.get("test") == index \
            and self.target.get("occurrence") == occurrence and self.target.get("call") is None
        tracer = None
        if is_target or (self.streams and occurrence == 0):
            tracer = self.tracer(full=is_target)
        self.inner_calls = 0
        actual = expected = None
        error = None
        ok = False
        self.in_case = True
        try:
            if tracer is not None:
                tracer.start()
            actual = left()
            if right is not None:
                if tracer is not None:
                    tracer.stop()
                expected = right()
                require_plain(actual)
                ok = bool(actual == expected)
            else:
                require_plain(actual)
                ok = bool(actual)
        except BaseException as problem:
            error = problem
        finally:
            self.in_case = False
            stream = self.end_trace(tracer) if tracer is not None else None
        if occurrence == 0 and self.streams:
            values = self.pending_stream if self.pending_stream is not None else stream
            if values is not None:
                test["values"] = values
        self.pending_stream = None
        steps, exceeded = self.counter.reset()
        outside = self.inner_calls == 0 and self.calls > self.calls_seen
        self.calls_seen = self.calls
        failed = not ok or error is not None or exceeded or self.out.exceeded
        if test["outcome"] not in ("SKIP", "PASS") or (test["outcome"] == "PASS" and not failed and not is_target):
            return  # a later round of a loop; the first failure counts
        test["steps"] = steps
        self.where[index] = {"test": index, "occurrence": occurrence, "call": self.calls - 1 if outside else None}
        if error is not None or exceeded or self.out.exceeded:
            self.settle(index, *self.classify(error, exceeded))
        elif ok:
            self.settle(index, "pass", None)
        else:
            if right is not None:
                test["actual"], test["expected"] = shown(actual), shown(expected)
            self.settle(index, "wrong_answer", None)

    def settle(self, index, verdict, details):
        test = self.tests[index]
        test["verdict"] = verdict
        test["outcome"] = OUTCOMES.get(verdict, "EXC")
        if details is not None:
            test["error"] = details
        if verdict == "step_limit":
            self.fuel += 1
        if self.target is not None and self.target.get("test") == index and self.trace is not None and not self.streams:
            raise StopTests
        self.say({"test": test})

    def classify(self, error, exceeded):
        """(verdict, {type, message, line}) of what ended a load or a test."""
        details = None
        if error is not None:
            details = {"type": class_name(type(error)), "message": message(error), "line": _program_line(error)}
        if exceeded:
            return "step_limit", {"type": "OutOfSteps", "message": f"more than {self.counter.limit} steps",
                                  "line": self.counter.line}
        if self.out.exceeded:
            return "output_limit", {"type": "OutputLimit", "message": f"more than {self.out.limit} characters",
                                    "line": details["line"] if details else None}
        kinds = type(error).__mro__
        if NotPlain in kinds:
            return "sandbox_violation", details
        if SystemExit in kinds:
            return "exit", details
        if MemoryError in kinds:
            return "memory_limit", details
        if AssertionError in kinds and details["line"] is not None:
            return "assertion_error", details
        return "runtime_error", details

    # --- the kinds of tests

    def run_check(self):
        space = self.test_space()
        error = None
        try:
            exec(self.check, space)
            if not self.occurrences and "check" in space:
                space["check"](space[self.entry])
        except StopTests:
            raise
        except BaseException as problem:
            error = problem
        self.after_check(error)

    def after_check(self, error):
        open_tests = [test["index"] for test in self.tests if test["outcome"] == "SKIP"]
        if error is None and not self.counter.exceeded and not self.out.exceeded:
            if not self.occurrences:
                self.settle(0, "pass", None)  # nothing but `assert True`
            return
        # A statement between the asserts failed: the first test it kept from running takes the blame.
        later = [index for index in open_tests if index > self.last] or open_tests
        index = later[0] if later else max(self.last, 0)
        test = self.tests[index]
        if self.pending_stream is not None:
            test["values"] = self.pending_stream
        call = max(self.calls - 1, 0)
        test["steps"], exceeded = self.counter.reset()
        verdict, details = self.classify(error, exceeded)
        self.where[index] = {"test": index, "occurrence": 0, "call": call}
        for other in open_tests:
            if other != index:
                self.tests[other]["verdict"] = verdict
        self.settle(index, verdict, details)

    def run_statements(self):
        space = self.test_space()
        for index, code in enumerate(self.statements):
            before = self.tests[index]["outcome"]
            try:
                exec(code, space)
            except StopTests:
                raise
            except BaseException as error:
                if self.fuel >= MAX_FUEL:
                    continue
                self.last = index
                self.tests[index]["outcome"] = "SKIP"
                if self.pending_stream is not None:
                    self.tests[index]["values"] = self.pending_stream
                    self.pending_stream = None
                self.where[index] = {"test": index, "occurrence": 0, "call": max(self.calls - 1, 0)}
                self.tests[index]["steps"], exceeded = self.counter.reset()
                verdict, details = self.classify(error, exceeded)
                self.settle(index, verdict, details)
                continue
            if self.tests[index]["outcome"] == before == "SKIP":
                self.settle(index, "pass", None)  # a statement that only prepares later tests

    def run_calls(self):
        compare = self.request.get("compare") or {"type": "exact"}
        for index, test in enumerate(self.request["tests"]):
            args = literal(test, "args")
            expected = literal(test, "expected") if "expected" in test or "expected_repr" in test else None
            given = literal(test, "args")
            compare_now = lambda value: equal(value, expected, compare, given)
            self.call_case(index, args, expected, compare_now, compare)

    def call_case(self, index, args, expected, same, compare):
        holder = []

        def left():
            value = self.function(*args)
            require_plain(value)
            if compare.get("type") == "deep-list" and type(value).__name__ == "generator":
                value = list(value)
                require_plain(value)
            holder.append(value)
            return Shown(value, same)

        self.case(index, left, lambda: Shown(expected, None))

    def call_source(self, test):
        args = literal(test, "args")
        out = f"{self.entry}({', '.join(repr(arg) for arg in args)})"
        return out if len(out) <= 400 else out[:399] + "…"

    def run_stdio(self, code):
        self.say({"loaded": True})
        for index, test in enumerate(self.request["tests"]):
            sys.stdin = io.TextIOWrapper(io.BytesIO(_joined(test["stdin"]).encode()), encoding="utf-8")
            self.out.parts = []
            expected = _joined(test["stdout"])

            def left():
                try:
                    exec(code, self.new_space("__main__"))
                except SystemExit:
                    pass  # the ordinary end of many programs
                return Shown(self.out.text(), lambda actual: same_output(actual, expected))

            self.case(index, left, lambda: Shown(expected, None))

    # --- tracing

    def tracer(self, full):
        limits = self.limits
        tracer = Tracer(self.program, FILE, limits["traceEventsHead"], limits["traceEventsTail"],
                        TRACE_LINES if full else STREAM_LINES, self.streams, full, self.hidden)
        tracer.full = full
        self.counter.limit = TRACE_LINES if full else STREAM_LINES
        if full:
            self.out.tracer = tracer
        return tracer

    def end_trace(self, tracer):
        tracer.stop()
        self.counter.limit = self.limits["stepsPerTest"]
        self.out.tracer = None
        if tracer.full:
            self.trace = tracer.wire()
            if self.counter.exceeded and self.trace["truncated"] in (None, "events"):
                self.trace["truncated"] = "steps"
        return tracer.stream


class Shown:
    """A returned value with the rule it is compared by; text() and == of a case go through it."""

    def __init__(self, value, same):
        self.value = value
        self.same = same

    def __eq__(self, other):
        return self.same(self.value)


def shown(value):
    return text(value.value if type(value) is Shown else value)


OUTCOMES = {"pass": "PASS", "wrong_answer": "WRONG", "step_limit": "FUEL", "timeout": "KILL", "memory_limit": "KILL",
            "output_limit": "KILL", "crash": "KILL", "harness_error": "SKIP"}


def _joined(value):
    return "\n".join(value) if isinstance(value, list) else value


def _program_line(error):
    line = None
    traceback = error.__traceback__
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == FILE:
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    return line


def _syntax_message(error):
    if isinstance(error, SyntaxError):
        return str(error.msg)[:200]
    return message(error)
