# Records what a program did, line by line, with sys.settrace: calls, lines, returns, exceptions and where they began.
# Nothing here runs code of the program, nor keeps its objects alive for longer than they would be. Works in CPython 3.11
# and later; from 3.12 on sys.monitoring tells which exception leaves a frame, and from 3.14 on what each condition came
# out as; before, both are inferred.
import dis
import gc
import sys
from collections import deque
from sys import getrecursionlimit, gettrace, setrecursionlimit, settrace

from etalon_branches import EXACT, Branches
from etalon_rows import fitted
from etalon_snapshot import class_name, message, scope, short, text, work

LINE, CALL, RETURN, EXCEPTION, YIELD, RESUME, UNWIND = range(7)
DEEP = 64  # below this depth only calls and exceptions are recorded
SNAPSHOT_WORK = 2_000_000  # items of containers looked at in a run: two to three seconds in WebAssembly
STREAM_VALUES = 400
FRAMES = 60  # added to the recursion limit, because the tracer's own calls count for it

_monitored = hasattr(sys, "monitoring")
_traceback_of = BaseException.__dict__["__traceback__"].__get__
_returns = {dis.opmap[name] for name in ("RETURN_VALUE", "RETURN_CONST") if name in dis.opmap}
_iterations = {dis.opmap[name] for name in ("FOR_ITER", "END_FOR", "POP_ITER", "SEND", "END_SEND") if name in dis.opmap}
_yield, _resume, _next_async = dis.opmap["YIELD_VALUE"], dis.opmap["RESUME"], dis.opmap["GET_ANEXT"]


class _Activation:
    """One call of a program function, while it runs or is suspended."""

    __slots__ = ("id", "frame", "level", "code", "name", "seen", "known", "arguments", "line_event", "error_event",
                 "errors", "last_error", "raised_at", "pending", "line", "entry", "guarded")

    def __init__(self, number, code):
        self.id = number
        self.frame = None  # while it is on the stack
        self.level = 0  # of Python's own stack
        self.code = code.co_code
        self.name = short(code.co_qualname)
        self.seen = {}  # name -> text at the last event
        self.known = {}  # see scope()
        self.arguments = ()
        self.line_event = None
        self.error_event = None  # the last exception, until a line follows
        self.errors = {}  # id of an exception -> (its last event here, the line where it was raised)
        self.last_error = None
        self.raised_at = -1
        self.line = code.co_firstlineno  # the last one: some instructions have none
        self.entry = False  # the call that the test makes
        self.pending = {}  # conditions under evaluation
        self.guarded = None  # a return on its way out: (its line event, its text, first and last line of what it leaves)


class Tracer:
    """
    Records frames whose code comes from `filename`, from each start() to the next stop(); the events continue.

    `head` and `tail`: how many events to keep from the start and from the end. `max_lines`: stop recording after that
    many line events (the caller stops the program). `stream`: collect the value-change stream too.
    """

    def __init__(self, program, filename, head=200, tail=400, max_lines=5000, stream=False, events=True, hidden=()):
        self.filename = filename
        self.hidden = hidden
        self.branches = Branches(program, filename)
        self.keep_events = events
        self.head = []
        self.head_size = head
        self.tail = deque(maxlen=tail)
        self.count = 0
        self.lines = 0
        self.max_lines = max_lines
        self.activations = {}  # id of a frame -> activation; holding frames would keep their variables alive
        self.made = 0
        self.stack = []
        self.max_depth = 0
        self.covered = set()
        self.work_limit = work() + SNAPSHOT_WORK
        self.truncated = None
        self.flight = None  # (exception, its line of origin, its traceback) while it passes from frame to frame
        self.left = None  # the activation that an exception has just left
        self.too_deep = False  # the call that begins is one too many
        self.origin = None
        self.stream = [] if stream else None
        self.stopped = False  # enough is recorded
        self.running = False
        self.top = None
        self.limit = self.raised_limit = None

    # --- switching on and off

    def start(self):
        if self.stopped or self.running:
            return
        self.running = True
        self.limit = getrecursionlimit()
        self.raised_limit = self.limit + FRAMES if _monitored else self.limit
        setrecursionlimit(self.raised_limit)
        self.branches.start(self)
        self._settrace, sys.settrace = sys.settrace, _ignored
        settrace(self._enter)

    def stop(self):
        if not self.running:
            return
        self.running = False
        intact = gettrace() == self._enter
        settrace(None)
        if sys.settrace is _ignored:
            sys.settrace = self._settrace
        self.branches.stop()
        if getrecursionlimit() == self.raised_limit:
            setrecursionlimit(self.limit)
        if not intact and self.truncated is None and not self.stopped:
            # CPython drops a trace function that raises, which only the recursion limit can make this one do.
            self.truncated = "recursion"
        self.activations = {key: a for key, a in self.activations.items() if a.frame is None}
        self.stack.clear()
        self.top = self.flight = self.left = None

    def wrote(self, piece):
        """The program printed `piece`: noted at the line that did it."""
        if self.top is None or self.stopped:
            return
        event = self.top.line_event
        if event is not None:
            notes = event[6]
            if notes and notes[-1][0] == "o":
                notes[-1][1] = (notes[-1][1] + piece)[:80]
            elif len(notes) < 16:
                notes.append(["o", piece[:80]])

    # --- sys.settrace

    def _enter(self, frame, kind, arg):
        code = frame.f_code
        if code.co_filename != self.filename or self.stopped:
            return None
        try:
            if len(self.stack) > DEEP and self._beyond_limit(frame):
                self.too_deep = True
                return None
            self._call(frame, code)
        except (RecursionError, MemoryError) as error:
            self._out_of(error)
        return self._local

    def _local(self, frame, kind, arg):
        if self.stopped:
            return None
        try:
            activation = self.activations.get(id(frame))
            if activation is None:
                return self._local
            if self.top is not activation:
                self._surface(activation, frame)
            if kind == "line":
                self._line(frame, activation)
            elif kind == "return":
                self._return(frame, activation, arg)
            elif kind == "exception":
                self._exception(frame, activation, arg)
        except (RecursionError, MemoryError) as error:
            self._out_of(error)
        return self._local

    def _out_of(self, error):
        self.truncated = "recursion" if type(error) is RecursionError else "bytes"

    def _call(self, frame, code):
        self.flight = None
        instructions, at = code.co_code, frame.f_lasti
        fresh = at < 0 or _at_start(instructions, at)
        activation = None if fresh else self.activations.get(id(frame))
        resumed = activation is not None
        if not resumed:
            activation = self.activations[id(frame)] = _Activation(self.made, code)
            self.made += 1
            self.branches.watch(code)
        activation.level = self._level(frame)
        self._surface(activation, frame)
        # Not what is called when the variables of a call that is over are freed.
        if len(self.stack) == 1 and fresh and code.co_name != "__del__":
            activation.entry = True
            self.origin = None  # of the call before
        states = self._states(activation)
        if not resumed and states is not None:
            activation.arguments = frozenset(states.values())
            activation.seen = states
        # One that began before the recording did is in the middle already.
        line = self.branches.first_line(code) if fresh else frame.f_lineno or activation.line
        self._record(CALL if fresh else RESUME, activation, line, states, None)

    def _line(self, frame, activation):
        line = frame.f_lineno
        self.flight = None
        self.lines += 1
        activation.line = line
        activation.raised_at = -1
        self.covered.add(line)
        if not EXACT:
            self.branches.next_line(activation, line)
        if activation.error_event is not None:
            self._caught(activation)
        states = self._states(activation)
        if states is not None:
            if self.stream is not None:
                self._changes(activation, states)
            activation.seen = states
        event = activation.line_event = self._record(LINE, activation, line, states, None)
        guarded = self.branches.guarded
        if guarded:
            found = guarded.get(line)
            if found is not None:
                activation.guarded = (event, *found)
            elif activation.guarded is not None and not activation.guarded[2] <= line <= activation.guarded[3]:
                activation.guarded = None
        if self.lines >= self.max_lines:
            self.truncated = "steps"
            self.stopped = True

    def _return(self, frame, activation, arg):
        at = frame.f_lasti
        opcode = activation.code[at] if at >= 0 else -1
        # 3.13 tells of a yield one instruction later.
        yielding = opcode == _yield or opcode == _resume and not _at_start(activation.code, at)
        unwinding = arg is None and (at == activation.raised_at or opcode not in _returns and not yielding)
        if self.stream is not None:
            states = self._states(activation)
            if states is not None:
                self._changes(activation, states)
                activation.seen = states
        if unwinding:
            yielding = False
            self._record(UNWIND, activation, frame.f_lineno or activation.line, None, None)
            self.left = activation
        else:
            if activation.error_event is not None:
                self._caught(activation)
            self.flight = None
            value = text(_unwrapped(arg) if yielding else arg)
            self.branches.leave(activation, frame, yielding)
            if activation.entry and not yielding:
                self._emit("R:" + value)
            self._record(YIELD if yielding else RETURN, activation, frame.f_lineno or activation.line, None, value)
        activation.frame = None
        self.stack.pop()
        self.top = self.stack[-1] if self.stack else None
        if not yielding:
            del self.activations[id(frame)]
        if unwinding and not _monitored and activation.errors:
            self.unwound(None)

    def unwound(self, error):
        """Which exception left the last activation that was unwound; None: probably the last one seen there."""
        activation, self.left = self.left, None
        if activation is None:
            return
        event, line = activation.errors.get(id(error), (None, None)) if error is not None else activation.last_error
        if event is None and activation.last_error is not None:
            # The interpreter made it of another one: what is left of a group, a StopIteration out of a generator.
            rows = self._rows(_traceback_of(error))
            if rows and rows[-1][0] == activation.last_error[1]:
                event, line = activation.last_error
        if event is not None:
            event[5]["handled"] = False  # whatever ran since then: a finally, a with, an except that raised it again
        if activation.entry and type(error) is not GeneratorExit:
            name = class_name(type(error)) if error is not None else event[5]["type"]
            said = message(error) if error is not None else event[5]["message"]
            self._emit("X:" + name)
            self.origin = [line if line is not None else activation.line, name, said]

    def _exception(self, frame, activation, arg):
        cls, error, traceback = arg
        at = activation.raised_at = frame.f_lasti
        if cls is GeneratorExit or _ends_loop(cls, activation.code, at):
            return  # how generators are closed and loops end, not an error
        flight = self.flight
        if flight is not None and flight[0] is error:
            first, line, rows = False, flight[1], flight[2]
        else:
            rows = self._rows(traceback)
            first, line = len(rows) == 1, rows[-1][0] if rows else frame.f_lineno or activation.line
            callers = [[a.frame.f_lineno or a.line, a.name] for a in self.stack[-8:-1]]
            rows = (callers + rows)[-8:]
        self.flight = (error, line, rows)
        info = {"type": class_name(cls), "message": message(error), "origin": first, "handled": False, "traceback": rows}
        external = _library_line(traceback) if first else None
        if external is not None:
            info["external"] = external
        activation.guarded = None
        activation.pending.clear()  # the test that was being evaluated never came out
        event = self._record(EXCEPTION, activation, frame.f_lineno or activation.line, None, info)
        activation.error_event = event
        activation.errors[id(error)] = activation.last_error = (event, line)

    def _rows(self, traceback):
        """[line, function] of the program's frames, the innermost last, where the exception began."""
        rows = []
        while traceback is not None:
            code, at = traceback.tb_frame.f_code, traceback.tb_lasti
            # Stopped at its very first instruction, by the recursion limit, a function had not begun.
            if code.co_filename == self.filename and not _at_start(code.co_code, at):
                rows.append([traceback.tb_lineno or code.co_firstlineno, short(code.co_qualname)])
            traceback = traceback.tb_next
        return rows

    # --- bookkeeping

    def _caught(self, activation):
        activation.error_event[5]["handled"] = True
        activation.error_event = None

    def _surface(self, activation, frame):
        """Makes `activation` the top of the stack; frames above it ended without telling."""
        stack = self.stack
        if activation.frame is not None:
            while stack[-1] is not activation:
                stack.pop().frame = None
        else:
            activation.frame = frame
            stack.append(activation)
            if len(stack) > self.max_depth:
                self.max_depth = len(stack)
        self.top = activation

    def _level(self, frame):
        """How many Python frames there are, up to and including this one."""
        level = 0
        while frame is not None:
            activation = self.activations.get(id(frame))
            if activation is not None and activation.frame is frame:
                return level + activation.level
            level += 1
            frame = frame.f_back
        return level

    def _beyond_limit(self, frame):
        """Whether the program would get a RecursionError here if nothing traced it: its frames are as many as ever."""
        limit = getrecursionlimit()
        return self._level(frame) > (self.limit if limit == self.raised_limit else limit)

    def _states(self, activation):
        if len(self.stack) > DEEP or work() > self.work_limit:
            if self.truncated is None:
                self.truncated = "recursion" if len(self.stack) > DEEP else "bytes"
            return None
        return scope(activation.frame, self.hidden, activation.known)

    def _changes(self, activation, states):
        seen = activation.seen
        for name, value in states.items():
            if seen.get(name) != value and value not in activation.arguments:
                self._emit(value)

    def _emit(self, value):
        if self.stream is not None and len(self.stream) < STREAM_VALUES:
            self.stream.append(value[:80])

    def _record(self, kind, activation, line, states, arg):
        depth = len(self.stack) - 1
        event = [kind, line, activation.id, depth, states, arg, [], self.count, activation.name]
        self.count += 1
        if self.keep_events and (depth < DEEP or kind == CALL or kind == EXCEPTION):
            if len(self.head) < self.head_size:
                self.head.append(event)
            else:
                self.tail.append(event)
        return event

    # --- the result

    def wire(self):
        """The trace as plain lists and dictionaries; rows.py has the form of the events."""
        rows, cut = fitted(self.head + list(self.tail))
        dropped = self.count - len(rows)
        truncated = self.truncated or ("bytes" if cut else "events" if dropped else None)
        return {"events": rows, "dropped": dropped, "truncated": truncated, "steps": self.lines, "frames": self.made,
                "max_depth": self.max_depth, "lines_covered": sorted(self.covered), "origin": self.origin}


def _at_start(instructions, at):
    """Whether the frame is at its very first step, where the recursion limit stops it."""
    return at >= 0 and instructions[at] == _resume and instructions[at + 1] & 3 == 0


def _ends_loop(cls, instructions, at):
    """Whether this exception is how a for statement, a yield from or an async for learns of the end."""
    if cls is StopIteration:
        return instructions[at] in _iterations
    return cls is StopAsyncIteration and _next_async in (instructions[at], instructions[at - 4])  # also at its SEND


def _library_line(traceback):
    """`json/decoder.py:355`, if the innermost frame is one of the standard library's."""
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    path = traceback.tb_frame.f_code.co_filename
    if "/python3" in path:
        return path.rsplit("/python3", 1)[1].split("/", 1)[-1][-80:] + ":" + str(traceback.tb_lineno)
    return f"{path}:{traceback.tb_lineno}" if path[:8] == "<frozen " or path == "<string>" else None


def _unwrapped(value):
    """What an asynchronous generator yields comes in a box that only the garbage collector can look into."""
    if class_name(type(value)) == "async_generator_wrapped_value":
        inside = gc.get_referents(value)
        return inside[0] if inside else None
    return value


def _ignored(function):
    """In the place of sys.settrace: a program that traces itself goes on without."""
