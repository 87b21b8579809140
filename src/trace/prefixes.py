# A function as it grows: the program up to the end of its first, second, ... statement. Runs as a trusted script; nothing of the
# program is executed.
import ast
import re


def main(request):
    """[{end, text}]: `end` in bytes of the program, `text` the program up to there, made whole by `return None`."""
    program, entry = request["program"], request["entry"]
    raw = program.encode("utf-8", "surrogatepass")
    starts = [0] + [match.end() for match in re.finditer(rb"\r\n|\r|\n", raw)]
    tree = _parsable(raw, starts)
    body = _body(tree, entry) if tree is not None else []
    out = []
    for node in body:
        end = starts[node.end_lineno - 1] + node.end_col_offset
        text = raw[:end].decode("utf-8", "surrogatepass")
        if entry:
            # Right behind the first statement's own column, or on its line where that is the function's.
            start = starts[body[0].lineno - 1]
            margin = raw[start : start + body[0].col_offset].decode("utf-8", "surrogatepass")
            text += "\n" + margin + "return None\n" if margin.strip() == "" else "; return None\n"
        out.append({"end": end, "text": text})
    return out


def _parsable(raw, starts):
    """The tree of the longest run of whole lines that is Python."""
    for end in [len(raw)] + starts[:0:-1]:
        try:
            return ast.parse(raw[:end].decode("utf-8", "surrogatepass"))
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
    return None


def _body(tree, entry):
    """The statements of the function of that name, the last one at module level or in a class; of the module without a name."""
    if not entry:
        return tree.body
    scopes = [tree] + [node for node in tree.body if isinstance(node, ast.ClassDef)]
    found = [node for scope in scopes for node in scope.body
             if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name == entry]
    return found[-1].body if found else []
