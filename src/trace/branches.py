# What the tests of a program (if, while, assert, conditional expressions, comprehension filters) came out as, and the
# source text of its return statements.
#
# From 3.14 on sys.monitoring reports each branch with its code position. A test is a tree of and/or/not over leaves; a
# conditional jump tells one leaf's value; as soon as the tree's value follows from the leaves seen, it is noted. So
# short circuits are exact and no __bool__ runs twice.
import ast
import dis
import sys

TOOL = 3
_monitoring = getattr(sys, "monitoring", None)
_exact = _monitoring is not None and hasattr(_monitoring.events, "BRANCH_LEFT")


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
        self.leaves = {}  # position of a leaf -> (test, leaf number, node)
        self.headers = {}  # line of an if or while header -> (test, first and last line of its body)
        self.returns = {}  # position -> text
        self.return_lines = {}  # line -> text of the only return there, else None
        self.yields = {}
        self.maps = {}  # id of a code object -> {offset: (test, leaf, value if jumped, decides)}
        self.codes = []  # keeps those ids valid
        self.tracer = None
        try:
            tree = ast.parse(program)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return
        lines = program.split("\n")
        for node in ast.walk(tree):
            if isinstance(node, (ast.If, ast.While)):
                self._test(lines, node.test, node)
            elif isinstance(node, (ast.IfExp, ast.Assert)):
                self._test(lines, node.test, None)
            elif isinstance(node, ast.comprehension):
                for condition in node.ifs:
                    self._test(lines, condition, None)
            elif isinstance(node, ast.Return) and node.value is not None:
                segment = source_text(lines, node.value)
                self.returns[_position(node)] = self.returns[_position(node.value)] = segment
                for line in range(node.lineno, node.end_lineno + 1):
                    self.return_lines[line] = None if line in self.return_lines else segment
            elif isinstance(node, ast.Yield) and node.value is not None:
                self.yields[_position(node)] = source_text(lines, node.value)

    def _test(self, lines, node, statement):
        leaves = []

        def build(part):
            if isinstance(part, ast.BoolOp):
                return ("and" if isinstance(part.op, ast.And) else "or", [build(value) for value in part.values])
            if isinstance(part, ast.UnaryOp) and isinstance(part.op, ast.Not):
                return ("not", build(part.operand))
            if isinstance(part, ast.Constant):
                return ("constant", bool(part.value))
            leaves.append(part)
            return ("leaf", len(leaves) - 1)

        tree = build(node)
        test = _Test(source_text(lines, node), tree)
        for number, leaf in enumerate(leaves):
            self.leaves.setdefault(_position(leaf), (test, number, leaf))
        if statement is not None and statement.body[0].lineno > node.end_lineno:
            self.headers[node.lineno] = (test, statement.body[0].lineno, statement.body[-1].end_lineno)

    # --- exact, from branch events

    def start(self, tracer):
        self.tracer = tracer
        if not _exact:
            return
        _monitoring.use_tool_id(TOOL, "etalon branches")
        _monitoring.register_callback(TOOL, _monitoring.events.BRANCH_LEFT, self._left)
        _monitoring.register_callback(TOOL, _monitoring.events.BRANCH_RIGHT, self._right)

    def stop(self):
        if _exact and self.tracer is not None and _monitoring.get_tool(TOOL) is not None:
            for code in self.codes:
                _monitoring.set_local_events(TOOL, code, 0)
            _monitoring.free_tool_id(TOOL)
        self.tracer = None

    def watch(self, code):
        """Called for each new frame of the program."""
        if not _exact or id(code) in self.maps:
            return
        found = {}
        last_of_leaf = {}
        for instruction in dis.get_instructions(code):
            if not instruction.opname.startswith("POP_JUMP_IF"):
                continue
            p = instruction.positions
            leaf = self.leaves.get((p.lineno, p.end_lineno, p.col_offset, p.end_col_offset))
            if leaf is None:
                continue
            test, number, node = leaf
            name = instruction.opname
            if name.endswith("IF_FALSE") or name.endswith("IF_TRUE"):
                jumped = name.endswith("IF_TRUE")
            elif isinstance(node, ast.Compare):
                jumped = name.endswith("NOT_NONE") == isinstance(node.ops[-1], ast.IsNot)
            else:
                continue
            chained = isinstance(node, ast.Compare) and len(node.ops) > 1
            found[instruction.offset] = [test, number, jumped, not chained]
            last_of_leaf[(id(test), number)] = instruction.offset
        for offset in last_of_leaf.values():
            found[offset][3] = True  # of a < b < c only the last comparison can make it true
        self.maps[id(code)] = found
        self.codes.append(code)
        if found:
            events = _monitoring.events
            _monitoring.set_local_events(TOOL, code, events.BRANCH_LEFT | events.BRANCH_RIGHT)

    def _left(self, code, offset, destination):
        return self._branch(code, offset, False)

    def _right(self, code, offset, destination):
        return self._branch(code, offset, True)

    def _branch(self, code, offset, taken):
        entry = self.maps.get(id(code), {}).get(offset)
        if entry is None:
            return _monitoring.DISABLE
        tracer = self.tracer
        activation = tracer.activations.get(sys._getframe(2)) if tracer and not tracer.stopped else None
        if activation is None:
            return None
        test, number, value_if_jumped, decides = entry
        value = value_if_jumped if taken else not value_if_jumped
        if not value or decides:
            values = activation.pending.setdefault(id(test), {})
            values[number] = value
            known = _evaluate(test.tree, values)
            if known is not None:
                del activation.pending[id(test)]
                _note(activation, ["c", test.text, known])
        return None

    # --- inferred, where there are no branch events

    def next_line(self, activation, line):
        if _exact:
            return
        header = activation.pending.pop("header", None)
        if header is not None and header[3] != line:
            test, first, last, _ = header
            _note(activation, ["c", test.text, first <= line <= last])
        if line in self.headers:
            activation.pending["header"] = self.headers[line] + (line,)

    # --- return and yield

    def leave(self, activation, frame, yielding):
        if not _exact:
            header = activation.pending.pop("header", None)
            if header is not None and header[3] == frame.f_lineno:
                _note(activation, ["c", header[0].text, False])
        table = self.yields if yielding else self.returns
        segment = table.get(self._here(frame))
        if segment is None and not yielding and frame.f_code.co_name not in ("<lambda>", "<listcomp>", "<genexpr>"):
            segment = self.return_lines.get(frame.f_lineno)
        if segment is not None:
            _note(activation, ["y" if yielding else "r", segment])

    def _here(self, frame):
        for number, position in enumerate(frame.f_code.co_positions()):
            if number == frame.f_lasti // 2:
                return position
        return None


def _position(node):
    return (node.lineno, node.end_lineno, node.col_offset, node.end_col_offset)


def _note(activation, note):
    event = activation.line_event
    if event is not None:
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
    deciding = kind == "or"  # one true part decides an or, one false part an and
    unknown = False
    for part in rest:
        value = _evaluate(part, values)
        if value is deciding:
            return deciding
        unknown = unknown or value is None
    return None if unknown else not deciding
