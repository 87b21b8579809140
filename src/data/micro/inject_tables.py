# Bug injector: fault classes, what is mistaken for what, and how to find places in a source text.
import ast
import re

SEMANTIC = {  # class: weight among the classes that apply to a function
    "off_by_one": 5,
    "wrong_operator": 5,
    "wrong_variable": 4,
    "wrong_initial": 3,
    "missing_return": 2,
    "missing_base_case": 3,
    "wrong_call": 4,
}
SYNTACTIC = {"broken_indentation": 1, "broken_syntax": 1}

OPERATORS = {
    "+": ["-", "*"],
    "-": ["+"],
    "*": ["+", "//"],
    "/": ["//", "*"],
    "//": ["%", "*"],
    "%": ["//"],
    "**": ["*"],
    "&": ["|"],
    "|": ["&"],
    "^": ["&"],
    "<<": [">>"],
    ">>": ["<<"],
    "==": ["!="],
    "!=": ["=="],
    "<": [">"],
    ">": ["<"],
    "<=": [">="],
    ">=": ["<="],
    "and": ["or"],
    "or": ["and"],
    "in": ["not in"],
    "not in": ["in"],
    "is": ["is not"],
    "is not": ["is"],
}
BOUNDARY = {"<": "<=", "<=": "<", ">": ">=", ">=": ">"}
SYMBOLS = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.FloorDiv: "//",
    ast.Mod: "%",
    ast.Pow: "**",
    ast.BitAnd: "&",
    ast.BitOr: "|",
    ast.BitXor: "^",
    ast.LShift: "<<",
    ast.RShift: ">>",
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.And: "and",
    ast.Or: "or",
    ast.In: "in",
    ast.NotIn: "not in",
    ast.Is: "is",
    ast.IsNot: "is not",
}
CALLS = {
    "max": ["min"],
    "min": ["max"],
    "sum": ["len", "max"],
    "len": ["max", "sum"],
    "any": ["all"],
    "all": ["any"],
    "int": ["str"],
    "str": ["int"],
    "abs": ["int"],
    "sorted": ["list"],
    "list": ["sorted"],
    "set": ["list"],
    "range": ["list"],
    "zip": ["map"],
    "enumerate": ["range"],
    "dict": ["list"],
    "next": ["list"],
}
METHODS = {
    "append": ["extend", "remove"],
    "extend": ["append"],
    "insert": ["append"],
    "upper": ["lower"],
    "lower": ["upper"],
    "startswith": ["endswith"],
    "endswith": ["startswith"],
    "isdigit": ["isalpha"],
    "isalpha": ["isdigit"],
    "isupper": ["islower"],
    "islower": ["isupper"],
    "keys": ["values"],
    "values": ["keys"],
    "items": ["keys", "values"],
    "count": ["find"],
    "index": ["count"],
    "find": ["count"],
    "split": ["strip"],
    "strip": ["split"],
    "get": ["pop"],
    "pop": ["remove"],
    "add": ["remove"],
    "replace": ["strip"],
    "setdefault": ["get"],
    "sort": ["reverse"],
    "join": ["split"],
}


class Text:
    """Source text as bytes, addressed by the (line, column) pairs of the syntax tree: columns count UTF-8 bytes."""

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
        return self.bytes[self.start(node) : self.end(node)].decode()

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
