# The step budget: counts executed lines, and backward jumps within one line as one each, which is what line events of
# sys.settrace count. Deterministic, so the same program runs out of steps at the same place on every machine.
#
# From 3.12 on through sys.monitoring, whose callbacks go on raising at every further line, so that a program can't
# swallow the end. Before, through sys.settrace, which stops after the first raise: good enough for checks outside.
import sys

TOOL = 4
_monitoring = getattr(sys, "monitoring", None)


_current = None  # the counter of the program that runs


def hear_exec(event, args):
    """An audit hook: code that the program makes itself, by exec or eval, counts too. No program can remove a hook."""
    if event == "exec" and _current is not None and not args[0].co_filename.startswith("/lib/"):
        _current.watch(args[0])


class OutOfSteps(BaseException):
    """Raised in the program at every line beyond its budget."""


class StepCounter:
    """`limit` steps for each test. The callbacks are closures over one number, because they are most of what counting
    costs."""

    def __init__(self, limit, filename):
        self.filename = filename
        self.exceeded = False
        self.line = None
        self.jumps = {}
        self.codes = []
        left = self._limit = limit

        def on_line(code, line):
            nonlocal left
            left -= 1
            if left < 0:
                self._exceed(line)

        def step(line):
            on_line(None, line)

        def read():
            return left

        def write(value):
            nonlocal left
            left = value

        self._on_line, self._step, self._left, self._set_left = on_line, step, read, write

    @property
    def steps(self):
        return self._limit - self._left()

    @property
    def limit(self):
        return self._limit

    @limit.setter
    def limit(self, limit):
        self._set_left(self._left() + limit - self._limit)
        self._limit = limit

    def reset(self):
        """Starts the next test."""
        self._set_left(self._limit)
        self.exceeded = False

    def start(self):
        global _current
        _current = self
        if _monitoring is None or _monitoring.get_tool(TOOL) is not None:
            return
        events = _monitoring.events
        _monitoring.use_tool_id(TOOL, "etalon steps")
        _monitoring.register_callback(TOOL, events.LINE, self._on_line)
        _monitoring.register_callback(TOOL, events.JUMP, self._on_jump)

    def rest(self):
        """Until the next start, code that is made is not the program's."""
        global _current
        _current = None

    def watch(self, code):
        """Counts in this code object and all that are defined in it. Only there: instrumenting the library and the
        engine as well would cost 30 ms a program."""
        if _monitoring is None:
            return
        todo = [code]
        while todo:
            code = todo.pop()
            _monitoring.set_local_events(TOOL, code, _monitoring.events.LINE | _monitoring.events.JUMP)
            todo.extend(constant for constant in code.co_consts if type(constant) is type(code))

    def _on_jump(self, code, offset, destination):
        key = (id(code), offset)
        counts = self.jumps.get(key)
        if counts is None:
            counts = self.jumps[key] = self._within_line(code, offset, destination) or 0
            self.codes.append(code)
        if not counts:
            return _monitoring.DISABLE
        self._step(counts)

    def _within_line(self, code, offset, destination):
        """The line of a backward jump that stays in it, else None."""
        if destination > offset:
            return None
        origin = target = None
        for start, end, line in code.co_lines():
            if start <= offset < end:
                origin = line
            if start <= destination < end:
                target = line
        return origin if origin == target else None

    def _exceed(self, line):
        if not self.exceeded:
            self.exceeded = True
            self.line = line
        raise OutOfSteps
