# Records what a program did, line by line, with sys.settrace: calls, lines, returns, exceptions and where they began.
# Nothing here runs code of the program. Works in CPython 3.11 and later; from 3.14 on condition outcomes come from
# branch events and are exact, before they are inferred from the line that came next.
import dis
import sys
from collections import deque

from etalon_branches import Branches
from etalon_snapshot import class_name, message, scope, text

LINE, CALL, RETURN, EXCEPTION, YIELD, RESUME, UNWIND = range(7)
DEEP = 64  # below this depth only calls and exceptions are recorded
SNAPSHOT_BYTES = 200_000
STREAM_VALUES = 400

_returns = {dis.opmap[name] for name in ("RETURN_VALUE", "RETURN_CONST") if name in dis.opmap}
_yields = {dis.opmap["YIELD_VALUE"]}
_iterations = {dis.opmap[name] for name in ("FOR_ITER", "SEND", "END_ASYNC_FOR") if name in dis.opmap}


class _Activation:
    """One running call of a program function."""

    __slots__ = ("id", "frame", "code", "seen", "arguments", "line_event", "error_event", "raised", "pending", "name")

    def __init__(self, number, frame):
        self.id = number
        self.frame = frame
        self.code = frame.f_code.co_code
        self.seen = {}  # name -> text at the last event
        self.arguments = ()
        self.line_event = None
        self.error_event = None
        self.raised = False
        self.pending = {}  # conditions under evaluation
        self.name = getattr(frame.f_code, "co_qualname", frame.f_code.co_name)


class Tracer:
    """
    Records frames whose code comes from `filename`.

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
        self.activations = {}
        self.made = 0
        self.stack = []
        self.max_depth = 0
        self.covered = set()
        self.bytes = 0
        self.truncated = None
        self.last_error = None
        self.origin = None
        self.stream = [] if stream else None
        self.stopped = False  # enough is recorded
        self.running = False
        self.top = None

    # --- switching on and off

    def start(self):
        self.running = True
        self.branches.start(self)
        sys.settrace(self._enter)

    def stop(self):
        if not self.running:
            return
        self.running = False
        intact = sys.gettrace() == self._enter
        sys.settrace(None)
        self.branches.stop()
        if not intact and self.truncated is None and not self.stopped:
            # CPython drops a trace function that raises, which only the recursion limit can make this one do.
            self.truncated = "recursion"

    def wrote(self, piece):
        """The program printed `piece`: noted at the line that did it."""
        if self.top is None or self.stopped:
            return
        event = self.top.line_event
        if event is not None:
            notes = event[6]
            if notes and notes[-1][0] == "o":
                notes[-1][1] = (notes[-1][1] + piece)[:80]
            else:
                notes.append(["o", piece[:80]])

    # --- sys.settrace

    def _enter(self, frame, kind, arg):
        if frame.f_code.co_filename != self.filename or self.stopped:
            return None
        try:
            activation = self.activations.get(frame)
            resumed = activation is not None
            if not resumed:
                activation = self.activations[frame] = _Activation(self.made, frame)
                self.made += 1
                self.branches.watch(frame.f_code)
            self._surface(activation)
            states = self._states(activation)
            if not resumed:
                activation.arguments = frozenset(states.values())
                activation.seen = states
            self._record(RESUME if resumed else CALL, activation, frame.f_lineno, states, None)
        except RecursionError:
            self.truncated = "recursion"
        return self._local

    def _local(self, frame, kind, arg):
        if self.stopped:
            return None
        try:
            activation = self.activations.get(frame)
            if activation is None:
                return self._local
            if kind == "line":
                self._line(frame, activation)
            elif kind == "return":
                self._return(frame, activation, arg)
            elif kind == "exception":
                self._exception(frame, activation, arg)
        except RecursionError:
            self.truncated = "recursion"
        return self._local

    def _line(self, frame, activation):
        self._surface(activation)
        line = frame.f_lineno
        self.lines += 1
        self.covered.add(line)
        self.branches.next_line(activation, line)
        if activation.raised:
            activation.raised = False
            activation.error_event[5]["handled"] = True
        states = self._states(activation)
        self._changes(activation, states)
        activation.line_event = self._record(LINE, activation, line, states, None)
        if self.lines >= self.max_lines:
            self.truncated = "steps"
            self.stopped = True

    def _return(self, frame, activation, arg):
        self._surface(activation)
        opcode = activation.code[frame.f_lasti] if frame.f_lasti >= 0 else -1
        unwinding = arg is None and opcode not in _returns and (activation.raised or opcode not in _yields)
        depth = len(self.stack) - 1
        if self.stream is not None:
            self._changes(activation, self._states(activation))
        if unwinding:
            if depth == 0 and activation.error_event is not None:
                self._emit("X:" + activation.error_event[5]["type"])
            self._record(UNWIND, activation, frame.f_lineno, None, None)
        else:
            value = text(arg)
            yielding = opcode in _yields
            self.branches.leave(activation, frame, yielding)
            if depth == 0 and not yielding:
                self._emit("R:" + value)
            self._record(YIELD if yielding else RETURN, activation, frame.f_lineno, None, value)
            if yielding:
                self.stack.pop()
                self.top = self.stack[-1] if self.stack else None
                return
        self.stack.pop()
        self.top = self.stack[-1] if self.stack else None
        del self.activations[frame]

    def _exception(self, frame, activation, arg):
        cls, error, traceback = arg
        opcode = activation.code[frame.f_lasti] if frame.f_lasti >= 0 else -1
        if cls is GeneratorExit or (cls is StopIteration and opcode in _iterations):
            activation.raised = cls is GeneratorExit and activation.error_event is not None
            return  # how loops end and generators are closed, not an error
        self._surface(activation)
        first = error is not self.last_error
        self.last_error = error
        info = {"type": class_name(cls), "message": message(error),
                "origin": first, "handled": False, "traceback": self._traceback(traceback)}
        if first:
            last = traceback
            while last is not None and last.tb_next is not None:
                last = last.tb_next
            if last is not None and last.tb_frame.f_code.co_filename != self.filename:
                path = last.tb_frame.f_code.co_filename
                if "/python3" in path:
                    info["external"] = path.split("/python3", 1)[1].split("/", 1)[-1] + ":" + str(last.tb_lineno)
            self.origin = [frame.f_lineno, info["type"], info["message"]]
        activation.raised = True
        activation.error_event = self._record(EXCEPTION, activation, frame.f_lineno, None, info, True)

    def _traceback(self, traceback):
        rows = [[a.frame.f_lineno, a.name] for a in self.stack[-8:-1]]
        while traceback is not None and len(rows) < 8:
            code = traceback.tb_frame.f_code
            if code.co_filename == self.filename:
                rows.append([traceback.tb_lineno, getattr(code, "co_qualname", code.co_name)])
            traceback = traceback.tb_next
        return rows

    # --- bookkeeping

    def _surface(self, activation):
        """Makes `activation` the top of the stack; frames above it ended without telling (closed generators)."""
        stack = self.stack
        if not stack or stack[-1] is not activation:
            if activation in stack:
                while stack[-1] is not activation:
                    stack.pop()
            else:
                stack.append(activation)
        self.top = activation
        if len(stack) > self.max_depth:
            self.max_depth = len(stack)

    def _states(self, activation):
        if len(self.stack) > DEEP or self.bytes > SNAPSHOT_BYTES:
            if self.truncated is None:
                self.truncated = "recursion" if len(self.stack) > DEEP else "bytes"
            return None
        states = scope(activation.frame, self.hidden)
        if self.keep_events:
            for name, value in states.items():
                if activation.seen.get(name) != value:
                    self.bytes += len(name) + len(value)
        return states

    def _changes(self, activation, states):
        if states is None:
            return
        if self.stream is not None:
            seen = activation.seen
            for name, value in states.items():
                if seen.get(name) != value and value not in activation.arguments:
                    self._emit(value)
        activation.seen = states

    def _emit(self, value):
        if self.stream is not None and len(self.stream) < STREAM_VALUES:
            self.stream.append(value[:80])

    def _record(self, kind, activation, line, states, arg, always=False):
        depth = len(self.stack) - 1
        step = self.count
        self.count += 1
        event = [kind, line, activation.id, depth, states, arg, [], step, activation.name]
        if self.keep_events and (depth < DEEP or kind == CALL or always):
            if len(self.head) < self.head_size:
                self.head.append(event)
            else:
                self.tail.append(event)
        return event

    def wire(self):
        """The trace as plain lists: [kind, line, frame, depth, changed, arg, notes, step, function] per event, where
        `changed` has only the names whose text differs from the frame's last event that is kept (null: gone)."""
        events = self.head + list(self.tail)
        last = {}
        previous = -1
        out = []
        for kind, line, frame, depth, states, arg, notes, step, name in events:
            if step != previous + 1:
                last = {}  # after a gap every frame starts with its full set again
            previous = step
            changed = None
            if states is not None:
                before = last.get(frame)
                if before is None:
                    changed = dict(states)
                else:
                    changed = {key: value for key, value in states.items() if before.get(key) != value}
                    changed.update((key, None) for key in before if key not in states)
                last[frame] = states
            out.append([kind, line, frame, depth, changed, arg, notes or None, step, name])
        truncated = self.truncated
        dropped = self.count - len(events)
        if truncated is None and dropped:
            truncated = "events"
        return {"events": out, "dropped": dropped, "truncated": truncated, "steps": self.lines, "frames": self.made,
                "max_depth": self.max_depth, "lines_covered": sorted(self.covered), "origin": self.origin}
