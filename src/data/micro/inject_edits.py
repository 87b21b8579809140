# Bug injector: the semantic edits. Each is (class, line, start, end, new text), offsets in bytes of the source.
import ast


def semantic_edits(source):
    """Every edit the injector knows for the function bodies in `source`: (class, line, start, end, new text)."""
    text = Text(source)
    tree = ast.parse(source)
    edits = []
    for function in functions_of(tree):
        body = body_of(function)
        names = scope_names(function)
        recursive = any(
            isinstance(n, ast.Call) and isinstance(n.func, ast.Name) and n.func.id == function.name
            for n in ast.walk(function)
        )
        initial = set()
        for i, statement in enumerate(body):
            edits += initial_edits(text, statement, body[i + 1 :], initial)
        edits += return_edits(text, body)
        edits += base_case_edits(text, body, recursive)
        for statement in body:
            for node in ast.walk(statement):
                edits += operator_edits(text, node)
                if id(node) not in initial:
                    edits += off_by_one_edits(text, node)
                edits += name_edits(text, node, names)
                edits += call_edits(text, node, function.name)
    return edits


def operator_sites(node):
    if isinstance(node, ast.BinOp):
        return [(node.left, node.right, node.op)]
    if isinstance(node, ast.Compare):
        operands = [node.left] + node.comparators
        return [(operands[i], operands[i + 1], op) for i, op in enumerate(node.ops)]
    if isinstance(node, ast.BoolOp):
        return [(node.values[i], node.values[i + 1], node.op) for i in range(len(node.values) - 1)]
    if isinstance(node, ast.AugAssign):
        return [(node.target, node.value, node.op)]
    return []


def operator_edits(text, node):
    edits = []
    for left, right, op in operator_sites(node):
        symbol = SYMBOLS.get(type(op))
        place = symbol and between(text, left, right, symbol)
        if not place:
            continue
        for new in OPERATORS[symbol]:
            edits.append(("wrong_operator", left.end_lineno, *place, new))
        if symbol in BOUNDARY:
            edits.append(("off_by_one", left.end_lineno, *place, BOUNDARY[symbol]))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        edits.append(("wrong_operator", node.lineno, text.start(node), text.start(node.operand), ""))
    return edits


def is_int(node):
    return isinstance(node, ast.Constant) and type(node.value) is int


def off_by_one_edits(text, node):
    if is_int(node):
        return [
            ("off_by_one", node.lineno, text.start(node), text.end(node), str(v))
            for v in (node.value + 1, node.value - 1)
        ]
    shifted = []
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "range" and node.args:
        shifted = [node.args[0] if len(node.args) == 1 else node.args[1]]
    elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Slice):
        shifted = [bound for bound in (node.slice.lower, node.slice.upper) if bound is not None]
    elif (
        isinstance(node, ast.Subscript)
        and isinstance(node.slice, (ast.Name, ast.BinOp))
        and isinstance(node.ctx, ast.Load)
    ):
        shifted = [node.slice]
    edits = []
    for bound in shifted:
        place = (bound.lineno, text.start(bound), text.end(bound))
        if (
            isinstance(bound, ast.BinOp)
            and isinstance(bound.op, (ast.Add, ast.Sub))
            and is_int(bound.right)
            and bound.right.value == 1
        ):
            edits.append(("off_by_one", *place, text.of(bound.left)))
        elif isinstance(bound, (ast.Name, ast.Call)):
            edits += [("off_by_one", *place, text.of(bound) + " " + tail) for tail in ("+ 1", "- 1")]
    return edits


def name_edits(text, node, names):
    if not (isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in names):
        return []
    return [
        ("wrong_variable", node.lineno, text.start(node), text.end(node), other) for other in names if other != node.id
    ]


def initial_edits(text, statement, later, initial):
    """A first value that a later loop builds on. Such nodes are noted in `initial`: off_by_one leaves them alone."""
    loops = any(isinstance(n, (ast.For, ast.While)) for s in later for n in ast.walk(s))
    if not (
        loops
        and isinstance(statement, ast.Assign)
        and all(isinstance(t, (ast.Name, ast.Tuple)) for t in statement.targets)
    ):
        return []
    edits = []
    for value in statement.value.elts if isinstance(statement.value, ast.Tuple) else [statement.value]:
        initial.update(id(n) for n in ast.walk(value))
        for new in other_initial(value):
            edits.append(("wrong_initial", value.lineno, text.start(value), text.end(value), new))
    return edits


def other_initial(value):
    if isinstance(value, ast.Constant):
        if isinstance(value.value, bool):
            return [str(not value.value)]
        if type(value.value) is int:
            return ["1", "-1"] if value.value == 0 else ["0", "2"] if value.value == 1 else ["0", "1"]
        if isinstance(value.value, str):
            return ['" "'] if value.value == "" else ['""']
        return ["0"] if value.value is None else []
    if isinstance(value, ast.List) and not value.elts:
        return ["[0]", "{}"]
    if isinstance(value, ast.Dict) and not value.keys:
        return ["[]", "{0: 0}"]
    if isinstance(value, ast.Subscript):
        return ["0", "None"]
    if isinstance(value, ast.UnaryOp) and is_int(value.operand):
        return ["0", "1"]
    return []


def blocks(statements):
    """The statement lists of a body, with the statement before which each one is nested (None for the body itself)."""
    yield statements
    for statement in statements:
        for field in ("body", "orelse", "finalbody"):
            inner = getattr(statement, field, None)
            if inner and isinstance(inner, list) and isinstance(inner[0], ast.stmt):
                yield from blocks(inner)


def whole_lines(text, node):
    return text.starts[node.lineno - 1], text.starts[node.end_lineno]


def return_edits(text, body):
    edits = []
    for block in blocks(body):
        for i, statement in enumerate(block):
            if not isinstance(statement, ast.Return) or statement.value is None:
                continue
            line = statement.lineno
            edits.append(("missing_return", line, text.start(statement), text.start(statement.value), ""))
            if i > 0 or len(block) > 1:
                edits.append(("missing_return", line, *whole_lines(text, statement), ""))
            # The return slips into the loop before it, so that the loop ends in its first round.
            if i > 0 and isinstance(block[i - 1], (ast.For, ast.While)):
                inner = block[i - 1].body[0].col_offset
                start = text.starts[line - 1]
                edits.append(("missing_return", line, start, start + statement.col_offset, " " * inner))
    return edits


def base_case_edits(text, body, recursive):
    edits = []
    for i, statement in enumerate(body[:-1]):
        early = (
            isinstance(statement, ast.If)
            and not statement.orelse
            and isinstance(statement.body[-1], (ast.Return, ast.Raise))
        )
        # In a recursive function any early return; elsewhere only a guard that opens the function.
        opens = all(isinstance(before, ast.Assign) for before in body[:i])
        if early and (recursive or opens):
            edits.append(("missing_base_case", statement.lineno, *whole_lines(text, statement), ""))
    if recursive:
        for statement in body:
            for node in ast.walk(statement):
                if isinstance(node, ast.IfExp):
                    for branch in (node.body, node.orelse):
                        if any(isinstance(n, ast.Call) for n in ast.walk(branch)):
                            edits.append(
                                ("missing_base_case", node.lineno, text.start(node), text.end(node), text.of(branch))
                            )
    return edits


def call_edits(text, node, own_name):
    if not isinstance(node, ast.Call):
        return []
    edits = []
    if isinstance(node.func, ast.Name):
        for new in CALLS.get(node.func.id, []):
            edits.append(("wrong_call", node.lineno, text.start(node.func), text.end(node.func), new))
    elif isinstance(node.func, ast.Attribute):
        end = text.end(node.func)
        for new in METHODS.get(node.func.attr, []):
            edits.append(("wrong_call", node.lineno, end - len(node.func.attr.encode()), end, new))
    plain = [a for a in node.args if not isinstance(a, ast.Starred)]
    if len(plain) == 2 and len(node.args) == 2:
        first, second = plain
        swapped = text.of(second) + text.bytes[text.end(first) : text.start(second)].decode() + text.of(first)
        edits.append(("wrong_call", node.lineno, text.start(first), text.end(second), swapped))
    if isinstance(node.func, ast.Name) and node.func.id == own_name:
        # A recursive call whose argument does not get smaller.
        for argument in node.args:
            smaller = (
                argument.left
                if isinstance(argument, ast.BinOp)
                else argument.value if isinstance(argument, ast.Subscript) else None
            )
            if smaller is not None:
                edits.append(("wrong_call", node.lineno, text.start(argument), text.end(argument), text.of(smaller)))
    for keyword in node.keywords:
        if keyword.arg and node.args:
            start = max(text.end(a) for a in node.args)
            edits.append(("wrong_call", node.lineno, start, text.end(keyword), ""))
            break
    return edits
