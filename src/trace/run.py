# One pass over a program: its records, and one assertion at a time. Whatever a program raises, returns or prints is only
# ever looked at; loading it and the kinds of tests are in modules of their own, which write to these records.
from etalon_counter import OutOfSteps, StepCounter
from etalon_judge import NotPlain, require_plain
from etalon_printed import Printed
from etalon_snapshot import class_name, message, text
from etalon_tracer import Tracer

FILE = "<program>"
TRACE_LINES = 5000
STREAM_LINES = 2000
MAX_FUEL = 2  # after that many tests out of steps the rest is skipped


class StopTests(BaseException):
    """Ends a run whose remaining tests are of no interest."""


class Run:
    """
    One pass over a program. The verdict pass runs all tests untraced. A second pass, in an interpreter that was reset,
    repeats it with `target` = {test, occurrence, call} traced, and with every test's value-change stream if `streams`.
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
        self.space = None  # the program's names
        self.function = None  # what the tests call
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

    def stopped(self, error):
        """Whether `error` is our own end of a replay. The verdict pass has none: there a program made it up."""
        return type(error) is StopTests and self.target is not None

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


def _program_line(error):
    line = None
    traceback = error.__traceback__
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == FILE:
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    return line
