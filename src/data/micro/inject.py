# Bug injector: makes one realistic fault in the text of a Python function. It edits the text at positions taken from the
# syntax tree, so formatting stays. It works on any function (HumanEval solutions as well); one call plants one fault.
import ast
import re

SEMANTIC = {  # class: weight among the classes that apply to a function
    "off_by_one": 5, "wrong_operator": 5, "wrong_variable": 4, "wrong_initial": 3,
    "missing_return": 2, "missing_base_case": 3, "wrong_call": 4,
}
SYNTACTIC = {"broken_indentation": 1, "broken_syntax": 1}

OPERATORS = {
    "+": ["-", "*"], "-": ["+"], "*": ["+", "//"], "/": ["//", "*"], "//": ["%", "*"], "%": ["//"], "**": ["*"],
    "&": ["|"], "|": ["&"], "^": ["&"], "<<": [">>"], ">>": ["<<"],
    "==": ["!="], "!=": ["=="], "<": [">"], ">": ["<"], "<=": [">="], ">=": ["<="],
    "and": ["or"], "or": ["and"], "in": ["not in"], "not in": ["in"], "is": ["is not"], "is not": ["is"],
}
BOUNDARY = {"<": "<=", "<=": "<", ">": ">=", ">=": ">"}
SYMBOLS = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.FloorDiv: "//", ast.Mod: "%", ast.Pow: "**",
    ast.BitAnd: "&", ast.BitOr: "|", ast.BitXor: "^", ast.LShift: "<<", ast.RShift: ">>",
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.And: "and", ast.Or: "or",
    ast.In: "in", ast.NotIn: "not in", ast.Is: "is", ast.IsNot: "is not",
}
CALLS = {
    "max": ["min"], "min": ["max"], "sum": ["len", "max"], "len": ["max", "sum"], "any": ["all"], "all": ["any"],
    "int": ["str"], "str": ["int"], "abs": ["int"], "sorted": ["list"], "list": ["sorted"], "set": ["list"], "range": ["list"],
    "zip": ["map"], "enumerate": ["range"], "dict": ["list"], "next": ["list"],
}
METHODS = {
    "append": ["extend", "remove"], "extend": ["append"], "insert": ["append"], "upper": ["lower"], "lower": ["upper"],
    "startswith": ["endswith"], "endswith": ["startswith"], "isdigit": ["isalpha"], "isalpha": ["isdigit"],
    "isupper": ["islower"], "islower": ["isupper"], "keys": ["values"], "values": ["keys"], "items": ["keys", "values"],
    "count": ["find"], "index": ["count"], "find": ["count"], "split": ["strip"], "strip": ["split"], "get": ["pop"],
    "pop": ["remove"], "add": ["remove"], "replace": ["strip"], "setdefault": ["get"], "sort": ["reverse"], "join": ["split"],
}


class Text:
    """Source text as bytes, addressed by the (line, column) pairs of the syntax tree, whose columns count UTF-8 bytes."""

    def __init__(self, source):
        self.bytes = source.encode()
        self.starts = [0]
        for row in self.bytes.splitlines(True):
            self.starts.append(self.starts[-1] + len(row))

    def at(self, line, column):
        return self.starts[line - 1] + column

    def start(self, node):
        return self.at(node.lineno, node.col_offset)

    def end(self, node):
        return self.at(node.end_lineno, node.end_col_offset)

    def of(self, node):
        return self.bytes[self.start(node):self.end(node)].decode()

    def replaced(self, start, end, new):
        return (self.bytes[:start] + new.encode() + self.bytes[end:]).decode()


def body_of(function):
    """Statements of a function without its docstring."""
    body = function.body
    first = body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        body = body[1:]
    return body


def functions_of(tree):
    return [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]


def semantic_edits(source):
    """Every edit this injector knows for the function bodies in `source`: a list of (class, line, start, end, new text)."""
    text = Text(source)
    tree = ast.parse(source)
    edits = []
    for function in functions_of(tree):
        body = body_of(function)
        names = scope_names(function)
        recursive = any(isinstance(n, ast.Call) and isinstance(n.func, ast.Name) and n.func.id == function.name for n in ast.walk(function))
        initial = set()
        for i, statement in enumerate(body):
            edits += initial_edits(text, statement, body[i + 1:], initial)
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


def scope_names(function):
    """Arguments and assigned names of a function, in order of appearance."""
    found = [a.arg for a in ast.walk(function.args) if isinstance(a, ast.arg)]
    for node in ast.walk(function):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id not in found:
            found.append(node.id)
    return found


def between(text, left, right, symbol):
    """Where an operator stands between two expressions; brackets of either side may lie there too."""
    start, end = text.end(left), text.start(right)
    gap = text.bytes[start:end].decode()
    pattern = r"\b" + symbol.replace(" ", r"\s+") + r"\b" if symbol[0].isalpha() else re.escape(symbol)
    match = re.search(pattern, gap)
    return (start + match.start(), start + match.end()) if match else None


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
        return [("off_by_one", node.lineno, text.start(node), text.end(node), str(v)) for v in (node.value + 1, node.value - 1)]
    shifted = []
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "range" and node.args:
        shifted = [node.args[0] if len(node.args) == 1 else node.args[1]]
    elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Slice):
        shifted = [bound for bound in (node.slice.lower, node.slice.upper) if bound is not None]
    elif isinstance(node, ast.Subscript) and isinstance(node.slice, (ast.Name, ast.BinOp)) and isinstance(node.ctx, ast.Load):
        shifted = [node.slice]
    edits = []
    for bound in shifted:
        place = (bound.lineno, text.start(bound), text.end(bound))
        if isinstance(bound, ast.BinOp) and isinstance(bound.op, (ast.Add, ast.Sub)) and is_int(bound.right) and bound.right.value == 1:
            edits.append(("off_by_one", *place, text.of(bound.left)))
        elif isinstance(bound, (ast.Name, ast.Call)):
            edits += [("off_by_one", *place, text.of(bound) + " " + tail) for tail in ("+ 1", "- 1")]
    return edits


def name_edits(text, node, names):
    if not (isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in names):
        return []
    return [("wrong_variable", node.lineno, text.start(node), text.end(node), other) for other in names if other != node.id]


def initial_edits(text, statement, later, initial):
    """A first value that a later loop builds on. The nodes of such values are noted, so that off_by_one leaves them alone."""
    loops = any(isinstance(n, (ast.For, ast.While)) for s in later for n in ast.walk(s))
    if not (loops and isinstance(statement, ast.Assign) and all(isinstance(t, (ast.Name, ast.Tuple)) for t in statement.targets)):
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
        early = isinstance(statement, ast.If) and not statement.orelse and isinstance(statement.body[-1], (ast.Return, ast.Raise))
        # In a recursive function any early return; elsewhere only a guard that opens the function.
        if early and (recursive or i == 0):
            edits.append(("missing_base_case", statement.lineno, *whole_lines(text, statement), ""))
    if recursive:
        for statement in body:
            for node in ast.walk(statement):
                if isinstance(node, ast.IfExp):
                    for branch in (node.body, node.orelse):
                        if any(isinstance(n, ast.Call) for n in ast.walk(branch)):
                            edits.append(("missing_base_case", node.lineno, text.start(node), text.end(node), text.of(branch)))
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
        swapped = text.of(second) + text.bytes[text.end(first):text.start(second)].decode() + text.of(first)
        edits.append(("wrong_call", node.lineno, text.start(first), text.end(second), swapped))
    if isinstance(node.func, ast.Name) and node.func.id == own_name:
        # A recursive call whose argument does not get smaller.
        for argument in node.args:
            smaller = argument.left if isinstance(argument, ast.BinOp) else argument.value if isinstance(argument, ast.Subscript) else None
            if smaller is not None:
                edits.append(("wrong_call", node.lineno, text.start(argument), text.end(argument), text.of(smaller)))
    for keyword in node.keywords:
        if keyword.arg and node.args:
            start = max(text.end(a) for a in node.args)
            edits.append(("wrong_call", node.lineno, start, text.end(keyword), ""))
            break
    return edits


def syntactic_edits(source):
    """Edits after which the text no longer compiles: candidates, to be checked by compiling."""
    text = Text(source)
    rows = source.splitlines(True)
    edits = []
    for function in functions_of(ast.parse(source)):
        body = body_of(function)
        for line in range(body[0].lineno, function.end_lineno + 1):
            row = rows[line - 1]
            start = text.starts[line - 1]
            indent = len(row) - len(row.lstrip(" "))
            if not row.strip():
                continue
            for shift in (1, 2, 4, -1, -2, -4):
                if indent + shift >= 0:
                    edits.append(("broken_indentation", line, start, start + indent, " " * (indent + shift)))
            for pattern, new in ((r":$", ""), (r"\)(?=:?$)", ""), (r"\](?=:?$)", ""), (r"\(", ""), (r"\[", ""), (r" == ", " = "), (r"\b(for \w+) in\b", r"\1"),
                                 (r"\breturn ", "retrun "), (r"\bwhile ", "whlie "), (r" % ", " "), (r" (\+|-|\*|//) ", r" \1 / "), (r'"(?=[^"]*$)', ""), (r"\bif\b", "if if")):
                match = re.search(pattern, row.rstrip("\n"))
                if match:
                    at = start + len(row[:match.start()].encode())
                    edits.append(("broken_syntax", line, at, at + len(match.group().encode()), match.expand(new)))
    return edits


def compile_error(code):
    """None, or the type of the error that stops the text from compiling."""
    try:
        compile(code, "<program>", "exec")
    except (SyntaxError, ValueError) as error:
        return type(error)
    return None


def fits(fault, source, code):
    """Whether an edited text is what its class says: an indentation error, another syntax error, or a different program."""
    error = compile_error(code)
    if fault == "broken_indentation":
        return error is not None and issubclass(error, IndentationError)
    if fault == "broken_syntax":
        return error is SyntaxError
    return error is None and ast.dump(ast.parse(code)) != ast.dump(ast.parse(source))


def inject(source, draw, faults=None):
    """Plants one fault drawn from `faults` (default: all semantic classes). Returns {code, fault, line} or None when no
    class applies. The line counts from 1 in `source`. draw: an object with weighted(pairs) and pick(items)."""
    weights = {**SEMANTIC, **SYNTACTIC}
    wanted = faults or list(SEMANTIC)
    found = {}
    candidates = semantic_edits(source) if any(f in SEMANTIC for f in wanted) else []
    candidates += syntactic_edits(source) if any(f in SYNTACTIC for f in wanted) else []
    for edit in candidates:
        if edit[0] in wanted:
            found.setdefault(edit[0], []).append(edit)
    text = Text(source)
    while found:
        fault = draw.weighted([(name, weights[name]) for name in wanted if name in found])
        edit = draw.pick(found[fault])
        found[fault].remove(edit)
        if not found[fault]:
            del found[fault]
        code = text.replaced(*edit[2:])
        if fits(fault, source, code):
            return {"code": code, "fault": fault, "line": edit[1]}
    return None


def all_mutants(source, faults=None):
    """Every distinct mutant of the given classes, in order of position: a list of {code, fault, line}."""
    text, seen, mutants = Text(source), set(), []
    for edit in semantic_edits(source) + syntactic_edits(source):
        if faults and edit[0] not in faults:
            continue
        code = text.replaced(*edit[2:])
        if code not in seen and fits(edit[0], source, code):
            seen.add(code)
            mutants.append({"code": code, "fault": edit[0], "line": edit[1]})
    return mutants
