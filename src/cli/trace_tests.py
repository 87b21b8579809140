# Takes apart what a program is to be tested with. Runs in the sandbox as a script: the tests are parsed here, never run.
import ast
import builtins
import re


def main(given):
    """{program, stem, entry, call, expect | tests} -> {kind, tests, entry}, or {problem} with what is wrong in words."""
    try:
        body = from_call(given["call"], given["expect"]) if "call" in given else ast.parse(given["tests"]).body
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        where = f"line {line}" if line and "tests" in given else "it"
        return {"problem": f"{where} is not Python ({getattr(error, 'msg', error)})"}
    body = [Here(given["stem"]).visit(node) for node in body]
    body = [part for node in body for part in (node if isinstance(node, list) else [node])]
    defined = re.findall(r"^(?:async\s+def|def|class)\s+(\w+)|^(\w+)\s*=", given["program"], re.MULTILINE)
    defined = [function or variable for function, variable in defined]
    if any(isinstance(node, ast.FunctionDef) and node.name == "check" for node in body):
        entry = given["entry"] or checked(body) or only_function(given["program"])
        if entry is None:
            return {"problem": "check(candidate) does not say which function it checks; name it with --entry"}
        return {"kind": "humaneval-check", "tests": ["\n".join(map(ast.unparse, body))], "entry": entry}
    tests = statements(body)
    if not tests:
        return {"problem": "it has no assert outside functions, and no check(candidate)"}
    entry = given["entry"] or called(body, defined)
    if entry is None:
        return {"problem": "it calls no function of the program; name one with --entry"}
    return {"kind": "assert-list", "tests": tests, "entry": entry}


class Here(ast.NodeTransformer):
    """The tests see the program's own names: what they import from its file is here already, at most under another name."""

    def __init__(self, stem):
        self.stem = stem

    def visit_ImportFrom(self, node):
        if node.module != self.stem:
            return node
        renamed = [f"{alias.asname} = {alias.name}" for alias in node.names if alias.asname]
        return ast.parse("\n".join(renamed)).body

    def visit_Import(self, node):
        node.names = [alias for alias in node.names if alias.name != self.stem]
        return node if node.names else []

    def visit_Attribute(self, node):
        self.generic_visit(node)
        if isinstance(node.value, ast.Name) and node.value.id == self.stem:
            return ast.copy_location(ast.Name(node.attr, node.ctx), node)
        return node


def from_call(call, expect):
    """Parsed one by one, or `f(1)) == (1` would be an expression."""
    call, expect = (ast.unparse(ast.parse(text.strip(), mode="eval")) for text in (call, expect))
    return ast.parse(f"assert ({call}) == ({expect})").body


def statements(body):
    """One text per statement that asserts, after what prepares it: preparing alone would count as a passed test."""
    tests, pending = [], []
    for node in body:
        pending.append(ast.unparse(node))
        asserts = any(isinstance(part, ast.Assert) for part in ast.walk(node))
        if asserts and not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            tests.append("\n".join(pending))
            pending = []
    return tests


def checked(body):
    """NAME of a `check(NAME)` at the end."""
    for node in body:
        call = node.value if isinstance(node, ast.Expr) else None
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "check":
            if len(call.args) == 1 and isinstance(call.args[0], ast.Name):
                return call.args[0].id
    return None


def only_function(program):
    names = re.findall(r"^(?:async\s+)?def\s+(\w+)", program, re.MULTILINE)
    return names[0] if len(set(names)) == 1 else None


def called(body, defined):
    """The first function called that the program defines; else the first that neither Python nor the tests define."""
    calls = [part for node in body for part in ast.walk(node) if isinstance(part, ast.Call)]
    calls = [call.func for call in calls if isinstance(call.func, ast.Name)]
    names = [name.id for name in sorted(calls, key=lambda name: (name.lineno, name.col_offset))]
    own = {node.name for node in body if isinstance(node, (ast.FunctionDef, ast.ClassDef))} | set(dir(builtins))
    return next((name for name in names if name in defined), None) or next((n for n in names if n not in own), None)
