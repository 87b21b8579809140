# Bug injector: makes one realistic fault in the text of a Python function. It edits the text at positions taken from
# the syntax tree, so formatting stays. It works on any function (HumanEval solutions too); one call plants one fault.
import ast
import re


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
            for pattern, new in (
                (r":$", ""),
                (r"\)(?=:?$)", ""),
                (r"\](?=:?$)", ""),
                (r"\(", ""),
                (r"\[", ""),
                (r" == ", " = "),
                (r"\b(for \w+) in\b", r"\1"),
                (r"\breturn ", "retrun "),
                (r"\bwhile ", "whlie "),
                (r" % ", " "),
                (r" (\+|-|\*|//) ", r" \1 / "),
                (r'"(?=[^"]*$)', ""),
                (r"\bif\b", "if if"),
            ):
                match = re.search(pattern, row.rstrip("\n"))
                if match:
                    at = start + len(row[: match.start()].encode())
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
    """Whether an edited text is what its class says: an indentation error, a syntax error, or a different program."""
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
