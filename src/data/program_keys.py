# Two names for a program: one of what it says, one of where it says it, for what a run shows has line numbers in it.
import ast
import hashlib


def named(text):
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def without_docstrings(tree):
    for node in ast.walk(tree):
        if not isinstance(node, (ast.Module, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            continue
        first = node.body[0] if node.body else None
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
            rest = node.body[1:]
            node.body = rest or [ast.Pass(lineno=first.lineno, col_offset=0)]
    return tree


def keys(program):
    try:
        tree = without_docstrings(ast.parse(program))
        says = ast.dump(tree)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    lines = [node.lineno for node in ast.walk(tree) if hasattr(node, "lineno")]
    return [named(says), named(says + repr(lines))]


def main(programs):
    return [keys(program) for program in programs]
