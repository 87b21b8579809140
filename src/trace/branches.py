# What sys.settrace does not tell: what the tests of a program (if, while, assert, conditional expressions, filters of
# comprehensions, guards of cases) came out as, the source text of what is returned, and which exception leaves a frame.
#
# From 3.14 on sys.monitoring reports each branch with its code position. A test is a tree of and/or/not/if-else over
# leaves; a conditional jump tells one leaf's value; as soon as the tree's value follows from the leaves seen, it is
# noted. So short circuits are exact and no __bool__ runs twice.
import ast
import dis
import sys
from sys import _getframe

TOOL = 3
_monitoring = getattr(sys, "monitoring", None)
EXACT = _monitoring is not None and hasattr(_monitoring.events, "BRANCH_LEFT")  # from 3.14 on
if _monitoring is not None:
    # Taken now: a program may replace what it finds in sys.
    free_tool_id, get_tool, use_tool_id = _monitoring.free_tool_id, _monitoring.get_tool, _monitoring.use_tool_id
    register_callback, set_events = _monitoring.register_callback, _monitoring.set_events
    set_local_events = _monitoring.set_local_events

# Conditional jumps: opcode -> the leaf's value when it jumps. For comparisons with None that is for `is not`.
_jumps = {dis.opmap[name]: value for name, value in (
    ("POP_JUMP_IF_FALSE", False), ("POP_JUMP_IF_TRUE", True)) if name in dis.opmap}
_none_jumps = {dis.opmap[name]: value for name, value in (
    ("POP_JUMP_IF_NONE", False), ("POP_JUMP_IF_NOT_NONE", True)) if name in dis.opmap}
_copy, _to_bool = dis.opmap.get("COPY"), dis.opmap.get("TO_BOOL")
_unheeded = {dis.opmap[name] for name in ("TO_BOOL", "CACHE", "EXTENDED_ARG") if name in dis.opmap}
_guards = (ast.With, ast.AsyncWith, ast.Try, ast.TryStar)
_functions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def source_text(lines, node):
    """The node's source with white space collapsed, at most 80 characters."""
    first, last = node.lineno - 1, node.end_lineno - 1
    # Columns count UTF-8 bytes.
    rows = [line.encode() for line in lines[first : last + 1]]
    rows[-1] = rows[-1][: node.end_col_offset]
    rows[0] = rows[0][node.col_offset :]
    out = " ".join(b" ".join(rows).decode("utf-8", "replace").split())
    return out if len(out) <= 80 else out[:79] + "…"


class _Test:
    __slots__ = ("text", "tree")

    def __init__(self, text, tree):
        self.text = text
        self.tree = tree


class Branches:
    def __init__(self, program, filename):
        self.filename = filename
        self.leaves = {}  # position of a leaf -> [(test, leaf number, node)]
        self.none_leaves = {}  # position of x in a leaf `x is None` -> the same
        self.headers = {}  # line of an if or while header -> (test, first and last line of its body)
        self.returns = {}  # position -> text
        self.return_lines = {}  # line -> text of the only return there, else None
        self.guarded = {}  # line of a return inside a with or try-finally -> (text, first and last line of that)
        self.yields = {}
        self.definitions = {}  # (line of the first decorator, name) -> line of the def or class
        self.maps = {}  # id of a code object -> {offset: [(test, leaf, value if jumped, decides)]}
        self.positions = {}  # id of a code object -> positions of its instructions
        self.codes = []  # keeps those ids valid
        self.tracer = None
        try:
            # A program may have broken the ast module; then there are no notes.
            self._read(ast.parse(program), program.replace("\r\n", "\n").replace("\r", "\n").split("\n"))
        except Exception:
            return

    def _read(self, tree, lines):
        for node in ast.walk(tree):
            if isinstance(node, (ast.If, ast.While)):
                self._test(lines, node.test, node)
            elif isinstance(node, (ast.IfExp, ast.Assert)):
                self._test(lines, node.test, None)
            elif isinstance(node, ast.comprehension):
                for condition in node.ifs:
                    self._test(lines, condition, None)
            elif isinstance(node, ast.match_case) and node.guard is not None:
                self._test(lines, node.guard, None)
            elif isinstance(node, ast.Return) and node.value is not None:
                segment = source_text(lines, node.value)
                self.returns[_position(node)] = self.returns[_position(node.value)] = segment
                for line in range(node.lineno, node.end_lineno + 1):
                    self.return_lines[line] = None if line in self.return_lines else segment
            elif isinstance(node, _guards) and getattr(node, "finalbody", True):
                parts = (getattr(node, field, []) for field in ("body", "handlers", "orelse"))
                self._guard(lines, node, [part for some in parts for part in some])
            elif isinstance(node, ast.Yield) and node.value is not None:
                self.yields[_position(node)] = source_text(lines, node.value)
            elif isinstance(node, _functions) and node.decorator_list:
                self.definitions[node.decorator_list[0].lineno, node.name] = node.lineno

    def _guard(self, lines, statement, parts):
        """Returns whose last instruction is not theirs: it belongs to what runs before the frame is left."""
        for part in parts:
            if isinstance(part, ast.Return) and part.value is not None:
                found = (source_text(lines, part.value), statement.lineno, statement.end_lineno)
                for line in range(part.lineno, part.end_lineno + 1):
                    self.guarded.setdefault(line, found)
            elif not isinstance(part, (*_functions, ast.Lambda)):
                # Where a return shares its line with a header, nothing tells whether it ran.
                header = getattr(part, "lineno", 0) if not isinstance(part, _guards) else 0
                inner = [child for child in ast.iter_child_nodes(part) if getattr(child, "lineno", -1) != header]
                self._guard(lines, statement, inner)

    def _test(self, lines, node, statement):
        leaves = []

        def build(part):
            if isinstance(part, ast.BoolOp):
                return ("and" if isinstance(part.op, ast.And) else "or", [build(value) for value in part.values])
            if isinstance(part, ast.UnaryOp) and isinstance(part.op, ast.Not):
                return ("not", build(part.operand))
            if isinstance(part, ast.IfExp):
                return ("choice", [build(part.test), build(part.body), build(part.orelse)])
            if isinstance(part, ast.Constant):
                return ("constant", bool(part.value))
            leaves.append(part)
            return ("leaf", len(leaves) - 1)

        tree = build(node)
        test = _Test(source_text(lines, node), tree)
        for number, leaf in enumerate(leaves):
            self.leaves.setdefault(_position(leaf), []).append((test, number, leaf))
            if isinstance(leaf, ast.Compare):
                self.none_leaves.setdefault(_position(leaf.left), []).append((test, number, leaf))
        if statement is not None and statement.body[0].lineno > node.end_lineno:
            self.headers[node.lineno] = (test, statement.body[0].lineno, statement.body[-1].end_lineno)

    def first_line(self, code):
        """The line of the function's or class's own header: CPython starts at the first decorator."""
        return self.definitions.get((code.co_firstlineno, code.co_name), code.co_firstlineno)

    # --- exact, from events of sys.monitoring

    def start(self, tracer):
        self.tracer = tracer
        if _monitoring is None:
            return
        if get_tool(TOOL) is not None:
            free_tool_id(TOOL)
        use_tool_id(TOOL, "etalon branches")
        events = _monitoring.events
        register_callback(TOOL, events.PY_START, self._begin)
        register_callback(TOOL, events.PY_UNWIND, self._unwind)
        set_events(TOOL, events.PY_UNWIND)
        if EXACT:
            register_callback(TOOL, events.BRANCH_LEFT, self._left)
            register_callback(TOOL, events.BRANCH_RIGHT, self._right)
        for code in self.codes:
            self._listen(code)

    def stop(self):
        if _monitoring is not None and self.tracer is not None and get_tool(TOOL) is not None:
            for code in self.codes:
                set_local_events(TOOL, code, 0)
            free_tool_id(TOOL)
        self.tracer = None

    def watch(self, code):
        """Called for each new frame of the program."""
        if id(code) in self.maps:
            return
        self.maps[id(code)] = self._map(code) if EXACT else {}
        self.codes.append(code)
        if _monitoring is not None:
            self._listen(code)

    def _listen(self, code):
        events = _monitoring.events
        branches = events.BRANCH_LEFT | events.BRANCH_RIGHT if self.maps[id(code)] else 0
        set_local_events(TOOL, code, events.PY_START | branches)

    def _map(self, code):
        found = {}
        instructions = code.co_code
        positions = self.positions[id(code)] = list(code.co_positions())
        recent = [None, None]  # the last two instructions, conversions to bool not counted
        value_at = None  # position of what was computed last: a jump may have another one
        for offset in range(0, len(instructions), 2):
            opcode = instructions[offset]
            if opcode == _to_bool:
                value_at = positions[offset // 2]
            if opcode in _unheeded:
                continue
            jumped = _jumps.get(opcode)
            none = _none_jumps.get(opcode)
            leaves = self.leaves if jumped is not None else self.none_leaves if none is not None else {}
            for test, number, node in leaves.get(value_at, ()):
                # Of a < b < c only the last comparison can make it true; those before copy their right side.
                decides = not isinstance(node, ast.Compare) or len(node.ops) == 1 or recent[0] != _copy
                value = jumped if jumped is not None else none == isinstance(node.ops[-1], ast.IsNot)
                found.setdefault(offset, []).append((test, number, value, decides))
            recent = [recent[1], opcode]
            value_at = positions[offset // 2]
        return found

    def _begin(self, code, offset):
        if self.tracer is not None and self.tracer.too_deep:
            self.tracer.too_deep = False
            raise RecursionError("maximum recursion depth exceeded")

    def _unwind(self, code, offset, error):
        if code.co_filename == self.filename and self.tracer is not None:
            self.tracer.unwound(error)

    def _left(self, code, offset, destination):
        return self._branch(code, offset, False)

    def _right(self, code, offset, destination):
        return self._branch(code, offset, True)

    def _branch(self, code, offset, taken):
        entries = self.maps.get(id(code), {}).get(offset)
        if entries is None:
            return _monitoring.DISABLE
        tracer = self.tracer
        activation = tracer.activations.get(id(_getframe(2))) if tracer and not tracer.stopped else None
        if activation is None:
            return None
        for test, number, value_if_jumped, decides in entries:
            value = value_if_jumped if taken else not value_if_jumped
            if not value or decides:
                values = activation.pending.setdefault(id(test), {})
                values[number] = value
                known = _evaluate(test.tree, values)
                if known is not None:
                    del activation.pending[id(test)]
                    _note(activation.line_event, ["c", test.text, known])
        return None

    # --- inferred, where there are no branch events

    def next_line(self, activation, line):
        header = activation.pending.pop("header", None)
        if header is not None and header[3] != line:
            test, first, last, _ = header
            _note(activation.line_event, ["c", test.text, first <= line <= last])
        if line in self.headers:
            activation.pending["header"] = self.headers[line] + (line,)

    # --- return and yield

    def leave(self, activation, frame, yielding):
        if not EXACT:
            header = activation.pending.pop("header", None)
            if header is not None and header[3] == frame.f_lineno:
                _note(activation.line_event, ["c", header[0].text, False])
        table = self.yields if yielding else self.returns
        segment = table.get(self._here(frame)) if table else None
        if segment is None and not (yielding or EXACT) and frame.f_code.co_name not in ("<lambda>", "<listcomp>", "<genexpr>"):
            segment = self.return_lines.get(frame.f_lineno)
        if segment is not None:
            _note(activation.line_event, ["y" if yielding else "r", segment])
        elif activation.guarded is not None and not yielding:
            _note(activation.guarded[0], ["r", activation.guarded[1]])

    def _here(self, frame):
        code = frame.f_code
        positions = self.positions.get(id(code))
        if positions is None:
            positions = self.positions[id(code)] = list(code.co_positions())
        return positions[frame.f_lasti // 2]


def _position(node):
    return (node.lineno, node.end_lineno, node.col_offset, node.end_col_offset)


MAX_NOTES = 16  # of one event


def _note(event, note):
    if event is not None and len(event[6]) < MAX_NOTES:
        event[6].append(note)


def _evaluate(tree, values):
    """True, False, or None while it does not follow yet from the leaves known."""
    kind, rest = tree
    if kind == "leaf":
        return values.get(rest)
    if kind == "constant":
        return rest
    if kind == "not":
        inner = _evaluate(rest, values)
        return None if inner is None else not inner
    if kind == "choice":
        test = _evaluate(rest[0], values)
        return None if test is None else _evaluate(rest[1] if test else rest[2], values)
    deciding = kind == "or"  # one true part decides an or, one false part an and
    unknown = False
    for part in rest:
        value = _evaluate(part, values)
        if value is deciding:
            return deciding
        unknown = unknown or value is None
    return None if unknown else not deciding
