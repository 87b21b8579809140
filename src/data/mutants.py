# Chains of nested mutants of a right program: each link has the edits of the one before and one more. Runs as a trusted
# script; nothing of the program is executed.
#
# An edit never touches what an earlier one made or holds, so that a later link has strictly more faults planted.
import ast
import pickle
import random

COMPARED = {
    ast.Lt: [ast.LtE, ast.Gt],
    ast.LtE: [ast.Lt, ast.GtE],
    ast.Gt: [ast.GtE, ast.Lt],
    ast.GtE: [ast.Gt, ast.LtE],
    ast.Eq: [ast.NotEq, ast.LtE],
    ast.NotEq: [ast.Eq],
    ast.In: [ast.NotIn],
    ast.NotIn: [ast.In],
    ast.Is: [ast.IsNot],
    ast.IsNot: [ast.Is],
}
COMPUTED = {
    ast.Add: [ast.Sub, ast.Mult],
    ast.Sub: [ast.Add],
    ast.Mult: [ast.Add, ast.FloorDiv],
    ast.Div: [ast.FloorDiv, ast.Mult],
    ast.FloorDiv: [ast.Mult, ast.Mod, ast.Div],
    ast.Mod: [ast.FloorDiv, ast.Add],
    ast.Pow: [ast.Mult],
    ast.LShift: [ast.RShift],
    ast.RShift: [ast.LShift],
    ast.BitAnd: [ast.BitOr],
    ast.BitOr: [ast.BitAnd],
    ast.BitXor: [ast.BitAnd, ast.BitOr],
    ast.And: [ast.Or],
    ast.Or: [ast.And],
}
SIMPLE = (ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Expr)


def main(given):
    return [chains(**program) for program in given["programs"]]


def chains(program, entry, first_line, seed, count, depth, mix):
    """`count` chains of up to `depth` links. Lines before `first_line` (from 1) are left as they are."""
    tree = ast.parse(program)
    found = []
    for chain in range(count):
        draw = random.Random(f"{seed} {chain}")  # only randrange below: it has not changed since 3.2
        found.append(links(tree, entry, first_line, draw, depth, mix))
    return found


def links(tree, entry, first_line, draw, depth, mix):
    seen = {ast.unparse(tree) + "\n"}
    chain = []
    while len(chain) < depth:
        changed = one_edit(tree, first_line, draw, seen, mix)
        if changed is None:
            break
        tree, kind, line, code = changed
        seen.add(code)
        padded, quiet = with_padding(code, entry)
        chain.append({"code": code, "kind": kind, "line": line, "padded": padded, "quiet": quiet})
    return chain


def one_edit(tree, first_line, draw, seen, mix):
    """`kinds`: a kind of edit first, then a place for it; `places`: every edit there is a place for is as likely, which
    makes many of them another variable."""
    packed = pickle.dumps(tree)  # copies a tree in a fifth of the time that copy.deepcopy takes
    places = None
    while places is None or places:
        edited = pickle.loads(packed)  # an edit works in place, in the tree its place was found in
        found = sites(edited, first_line)
        if places is None:
            places = {}
            for at, (kind, _, _) in enumerate(found):
                places.setdefault(kind if mix == "kinds" else "", []).append(at)
            if not places:
                return None
        kind = sorted(places)[draw.randrange(len(places))]
        at = places[kind].pop(draw.randrange(len(places[kind])))
        if not places[kind]:
            del places[kind]
        planted, line, apply = found[at]
        apply()
        ast.fix_missing_locations(edited)
        try:
            code = ast.unparse(edited) + "\n"
            compile(code, "<mutant>", "exec")
        except (SyntaxError, ValueError, RecursionError):
            continue
        if code not in seen:
            return edited, planted, line, code
    return None


def sites(tree, first_line):
    """Every edit there is a place for: (kind, line, apply). `apply` edits the tree it was found in."""
    found = []
    dirty = set()  # ids of nodes that an earlier edit made or lies in
    note_edits(tree, dirty)
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            names = names_of(node)
            for statements in blocks(node):
                documented = statements is node.body and ast.get_docstring(node, clean=False) is not None
                whole = statements is node.body and len(statements) == 1 + documented
                statement_sites(found, dirty, statements, int(documented), first_line, whole)
            for statement in node.body:
                expression_sites(found, dirty, statement, names, first_line)
    return found


def note_edits(node, dirty):
    noted = getattr(node, "edited", False)
    for child in ast.iter_child_nodes(node):
        noted = note_edits(child, dirty) or noted
    if noted:
        dirty.add(id(node))
    return noted


def names_of(function):
    """Arguments and assigned names, in order of appearance."""
    names = [a.arg for a in ast.walk(function.args) if isinstance(a, ast.arg)]
    for node in ast.walk(function):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id not in names:
            names.append(node.id)
    return names


def blocks(function):
    """The statement lists of a function, but for those of functions inside it."""
    waiting = [function]
    while waiting:
        node = waiting.pop(0)
        for field in ("body", "orelse", "finalbody"):
            statements = getattr(node, field, None)
            if not isinstance(statements, list) or not statements:
                continue
            yield statements
            waiting += [s for s in statements if not isinstance(s, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))]
        waiting += getattr(node, "handlers", [])


def new(node, old):
    node.edited = True
    return ast.copy_location(node, old) if hasattr(old, "lineno") else node


def statement_sites(found, dirty, statements, start, first_line, whole):
    """`whole`: the one statement is all there is of a function, and stays."""

    def put(at, new_statements):
        def apply():
            statements[at : at + 1] = new_statements

        return apply

    for at in range(start, len(statements)):
        statement = statements[at]
        if statement.lineno < first_line or id(statement) in dirty:
            continue
        line = statement.lineno
        if isinstance(statement, (*SIMPLE, ast.If, ast.Return)) and not whole:
            found.append(("remove", line, remove(statements, at)))
        if isinstance(statement, (ast.For, ast.While)):
            found.append(("return-early", line, into_loop(dirty, statements, at)))
        if isinstance(statement, ast.Break):
            found.append(("break", line, put(at, [new(ast.Continue(), statement)])))
        if isinstance(statement, ast.Continue):
            found.append(("break", line, put(at, [new(ast.Break(), statement)])))
        if isinstance(statement, ast.AugAssign):
            plain = ast.Assign(targets=[statement.target], value=statement.value)
            found.append(("assign", line, put(at, [new(plain, statement)])))
        if isinstance(statement, (ast.If, ast.While)):
            found.append(("negate", line, negate(statement)))


def remove(statements, at):
    def apply():
        statements[at : at + 1] = [] if len(statements) > 1 else [new(ast.Pass(), statements[at])]

    return apply


def into_loop(dirty, statements, at):
    """The return behind a loop slips into it; a loop with no return behind it stops in its first round."""
    loop = statements[at]
    behind = statements[at + 1] if at + 1 < len(statements) else None

    def apply():
        if isinstance(behind, ast.Return) and id(behind) not in dirty:
            del statements[at + 1]
            behind.edited = True
            loop.body.append(behind)
        else:
            loop.body.append(new(ast.Break(), loop.body[-1]))

    return apply


def negate(statement):
    def apply():
        test = statement.test
        inside = test.operand if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not) else None
        statement.test = new(inside or ast.UnaryOp(op=ast.Not(), operand=test), test)

    return apply


def expression_sites(found, dirty, statement, names, first_line):
    """Walks with the knowledge of what lies above: nothing inside an earlier edit is edited again."""
    waiting = [statement]
    while waiting:
        node = waiting.pop(0)
        if getattr(node, "edited", False) or isinstance(node, (ast.JoinedStr, ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        if getattr(node, "lineno", first_line) >= first_line:
            node_sites(found, dirty, node, names)
        waiting += ast.iter_child_nodes(node)


def setter(owner, field, node, at=None):
    def apply():
        if at is None:
            setattr(owner, field, node)
        else:
            getattr(owner, field)[at] = node

    return apply


def node_sites(found, dirty, node, names):
    if isinstance(node, ast.Compare):
        for at, op in enumerate(node.ops):
            for other in [] if getattr(op, "edited", False) else COMPARED.get(type(op), []):
                found.append(("compare", node.lineno, setter(node, "ops", new(other(), op), at)))
    if isinstance(node, (ast.BinOp, ast.BoolOp, ast.AugAssign)) and not getattr(node.op, "edited", False):
        if not (isinstance(node.op, ast.Mod) and is_text(node.left if isinstance(node, ast.BinOp) else None)):
            for other in COMPUTED.get(type(node.op), []):
                found.append(("operator", node.lineno, setter(node, "op", new(other(), node.op))))
    for field, value in ast.iter_fields(node):
        for at, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if isinstance(child, ast.expr) and id(child) not in dirty:
                child_sites(found, node, field, at, child, names)
    if isinstance(node, ast.Call):
        call_sites(found, dirty, node)
    if isinstance(node, ast.Slice):
        for field in ("lower", "upper"):
            bound = getattr(node, field)
            if bound is not None and not isinstance(bound, ast.Constant) and id(bound) not in dirty:
                for op in (ast.Add, ast.Sub):
                    found.append(("bound", bound.lineno, setter(node, field, shifted(bound, op))))


def is_text(node):
    return isinstance(node, (ast.JoinedStr, ast.Constant)) and not isinstance(getattr(node, "value", None), (int, float))


def shifted(node, op):
    return new(ast.BinOp(left=node, op=op(), right=ast.Constant(value=1)), node)


def child_sites(found, node, field, at, child, names):
    if isinstance(child, ast.Constant) and isinstance(child.value, bool):
        found.append(("constant", child.lineno, setter(node, field, new(ast.Constant(value=not child.value), child), at)))
    elif isinstance(child, ast.Constant) and type(child.value) in (int, float):
        for other in (child.value + 1, child.value - 1):
            value = ast.Constant(value=other) if other >= 0 else ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=-other))
            found.append(("constant", child.lineno, setter(node, field, new(value, child), at)))
    elif isinstance(child, ast.Name) and isinstance(child.ctx, ast.Load) and child.id in names:
        for other in names:
            if other != child.id:
                name = new(ast.Name(id=other, ctx=ast.Load()), child)
                found.append(("variable", child.lineno, setter(node, field, name, at)))


def call_sites(found, dirty, node):
    name = node.func.id if isinstance(node.func, ast.Name) else None
    plain = not node.keywords and not any(isinstance(a, ast.Starred) or id(a) in dirty for a in node.args)
    if name == "range" and plain:
        bound = node.args[0] if len(node.args) == 1 else node.args[1]
        if not isinstance(bound, ast.Constant):
            for op in (ast.Add, ast.Sub):
                at = 0 if len(node.args) == 1 else 1
                found.append(("bound", node.lineno, setter(node, "args", shifted(bound, op), at)))
    if plain and len(node.args) >= 2:
        for at in range(len(node.args) - 1):

            def apply(at=at):
                first, second = node.args[at : at + 2]
                first.edited = second.edited = True
                node.args[at : at + 2] = [second, first]

            found.append(("arguments", node.lineno, apply))


def with_padding(code, entry):
    """The program with a loop of 102 line events that changes no result, at the start of the tested function. Twice: with
    a counter that takes 51 values that no right program has any use for, and with a variable whose one value is the first
    argument's, which is new to nobody."""
    lines = code.split("\n")
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name == entry:
            body = node.body[0 if ast.get_docstring(node, clean=False) is None else 1 :]
            at = first_line_of(body[0]) - 1 if body else node.end_lineno
            arguments = [*node.args.posonlyargs, *node.args.args]
            value = arguments[0].arg if arguments else "None"
            break
    else:
        return code, code
    counting = ["pad_ = 0", "while pad_ < 50:", "    pad_ += 1"]
    quiet = ["pass", f"for pad_ in ({value},) * 50:", "    pass"]
    indent = " " * node.body[0].col_offset
    return ["\n".join(lines[:at] + [indent + line for line in loop] + lines[at:]) for loop in (counting, quiet)]


def first_line_of(statement):
    return min(node.lineno for node in [statement, *getattr(statement, "decorator_list", [])])
