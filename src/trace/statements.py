# Which bytes of a program belong to which statement. Runs as a trusted script; nothing of the program is executed.
#
# A clause that the interpreter reports lines of (an except or case clause) counts as a statement of its own.
import ast
import io
import re
import tokenize


def main(program):
    raw = program.encode("utf-8", "surrogatepass")
    starts = [0] + [match.end() for match in re.finditer(rb"\r\n|\r|\n", raw)]  # of lines, in bytes
    tree = ast.parse(program)
    found = []
    _collect(tree, raw, starts, found)
    found.sort(key=lambda row: (row["start"], -row["end"]))
    text = re.sub(r"\r\n|\r", "\n", program)
    lines = text.split("\n")
    comments = []
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        line, column = token.start
        if token.type not in (tokenize.COMMENT, tokenize.OP) or token.string[0] not in "#;":
            continue
        start = starts[line - 1] + len(lines[line - 1][:column].encode("utf-8", "surrogatepass"))
        if token.string == ";":
            # The semicolon belongs to the statement it ends.
            before = max((row for row in found if row["end"] <= start), key=lambda row: (row["end"], row["start"]))
            before["end"] = start + 1
        else:
            comments.append([start, start + len(token.string.encode("utf-8", "surrogatepass"))])
    return {"statements": found, "comments": comments}


def _collect(node, raw, starts, found):
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.stmt, ast.ExceptHandler, ast.match_case)):
            found.append(_row(child, raw, starts))
        _collect(child, raw, starts, found)


def _row(node, raw, starts):
    def offset(line, column):
        return starts[line - 1] + column

    last = node.body[-1] if isinstance(node, ast.match_case) else node
    end = offset(last.end_lineno, last.end_col_offset)
    decorators = getattr(node, "decorator_list", [])
    if isinstance(node, ast.match_case):
        start = raw.rfind(b"case", 0, offset(node.pattern.lineno, node.pattern.col_offset))
    elif decorators:
        start = raw.rfind(b"@", 0, offset(decorators[0].lineno, decorators[0].col_offset))
    else:
        start = offset(node.lineno, node.col_offset)
    compound = hasattr(node, "body") or hasattr(node, "cases")
    return {"kind": type(node).__name__, "start": start, "end": end, "compound": compound}
