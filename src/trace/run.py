# The judge's records of one program: its tests, one assertion at a time, and what became of each. The program itself
# runs in another interpreter and is asked through the oracle.
import json

from etalon_oracle import NotPlain, Oracle, OutOfSteps, Remote, Stopped, Unsupported
from etalon_compare import Shown
from etalon_snapshot import class_name, message, text

MAX_FUEL = 2  # after that many tests out of steps the rest is skipped


class Run:
    def __init__(self, request, say):
        self.request = request
        self.say = say
        self.entry = request["entryPoint"]
        self.oracle = Oracle()
        self.space = {}  # the names tests see
        self.function = None  # what the tests call
        self.tests = []
        self.where = []  # per test the operations that belong to it: [first, last]
        self.occurrences = {}
        self.first = 0  # operation with which the next case begins
        self.fuel = 0
        self.last = -1
        self.rest = None  # the verdict of tests that something kept from running
        self.stage = "run"
        self.error = None
        self.verdict = None

    def case(self, index, left, right=None, error=None):
        """Runs one assertion, or takes the error that kept its sides from being known; never raises for what the program
        does, but for the end of its interpreter."""
        test = self.tests[index]
        self.last = index
        occurrence = self.occurrences.get(index, 0)
        self.occurrences[index] = occurrence + 1
        if self.fuel >= MAX_FUEL:
            if test["outcome"] in ("SKIP", "PASS"):
                self.settle(index, "step_limit", {"type": "OutOfSteps", "line": None,
                                                  "message": "not run: earlier tests ran out of steps"})
            return
        actual = expected = None
        ok = False
        try:
            if error is not None:
                raise error
            actual = left()
            if right is not None:
                expected = right()
                ok = bool(actual == expected)
            else:
                ok = bool(actual)
        except BaseException as problem:
            error = problem
        where, steps, over, line = self.end_case()
        failed = not ok or error is not None or over
        if test["outcome"] not in ("SKIP", "PASS") or (test["outcome"] == "PASS" and not failed):
            return  # a later round of a loop; the first failure counts
        test["steps"] = steps
        self.where[index] = where
        if error is not None or over:
            self.settle(index, *self.classify(error, over, line))
        elif ok:
            self.settle(index, "pass", None)
        else:
            if right is not None:
                test["actual"], test["expected"] = shown(actual), shown(expected)
            self.settle(index, "wrong_answer", None)
        if type(error) is Stopped:
            self.stop(error)
            raise error

    def stop(self, error):
        """No test can run any more: all without a result share the verdict."""
        self.rest = error.args[0]

    def end_case(self):
        """-> (operations of the case, steps, budget that ran out, its line); the next case begins."""
        first, last = self.first, self.oracle.sent - 1
        self.first = self.oracle.sent
        return ([first, last] if last >= first else None, *self.oracle.next_case())

    def settle(self, index, verdict, details):
        test = self.tests[index]
        test["verdict"] = verdict
        test["outcome"] = OUTCOMES.get(verdict, "EXC")
        if details is not None:
            test["error"] = details
        if verdict == "step_limit":
            self.fuel += 1
        self.say({"test": test})

    def classify(self, error, over=None, line=None):
        """(verdict, {type, message, line}) of what ended a load or a test."""
        details = getattr(error, "etalon", None)
        if type(error) is Unsupported:
            raise error
        if type(error) is Stopped:
            return error.args[0], {"type": error.args[0], "message": error.args[1], "line": None}
        if over == "steps":
            return "step_limit", {"type": "OutOfSteps", "line": line,
                                  "message": f"more than {self.request['limits']['stepsPerTest']} steps"}
        if over == "output":
            said = error.args[0] if type(error) is OutOfSteps and error.args else \
                f"more than {self.request['limits']['stdoutBytes']} characters"
            return "output_limit", {"type": "OutputLimit", "message": said, "line": details["line"] if details else None}
        if type(error) is NotPlain:
            return "sandbox_violation", {"type": "NotPlain", "message": message(error), "line": None}
        if details is None:  # raised by the tests themselves
            return "runtime_error", {"type": class_name(type(error)), "message": message(error), "line": None}
        kinds = type(error).__mro__
        if SystemExit in kinds:
            return "exit", details
        if MemoryError in kinds:
            return "memory_limit", details
        if AssertionError in kinds and details["line"] is not None:
            return "assertion_error", details
        return "runtime_error", details

    # --- the load

    def load(self, names):
        """Loads the program; False if it failed at that. Then the tests' names are known."""
        try:
            answer = self.oracle.ask("load", names=json.dumps(sorted(names)))
            if self.request["testKind"] != "stdio":
                found = _mapping(_mapping(answer).get("names"))
                self.space.update({name: found[name] for name in names if name in found})
                self.function = answer.get("entry")
        except BaseException as error:
            _, over, line = self.oracle.next_case()
            self.first = self.oracle.sent
            self.failed_load(error, over, line)
            return False
        self.end_case()
        if self.request["testKind"] != "stdio":
            if self.function is None:
                what = "Solution." if self.request.get("isMethod") else ""
                self.stage, self.verdict = "load", "missing_entry"
                self.error = {"type": "NameError", "message": f"name '{what}{self.entry}' is not defined", "line": None}
                return False
        self.say({"loaded": True})
        return True

    def failed_load(self, error, over, line):
        details = getattr(error, "etalon", None)
        if details is not None and details.pop("stage", None) == "syntax":
            self.stage, self.verdict, self.error = "syntax", "syntax_error", details
            return
        verdict, self.error = self.classify(error, over, line)
        self.stage = "load"
        self.verdict = "load_error" if verdict in ("runtime_error", "assertion_error") else verdict


def _mapping(value):
    if type(value) is not dict:
        raise NotPlain("an answer that loading a program does not give")
    return value


def shown(value):
    value = value.value if type(value) is Shown else value
    return repr(value) if isinstance(value, Remote) else text(value)


OUTCOMES = {"pass": "PASS", "wrong_answer": "WRONG", "step_limit": "FUEL", "timeout": "KILL", "memory_limit": "KILL",
            "output_limit": "KILL", "crash": "KILL", "harness_error": "SKIP"}
