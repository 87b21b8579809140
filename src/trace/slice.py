# What every statement reads and writes, and what decides whether it runs: the static side of a dynamic slice. Runs as a
# trusted script behind statements.py, whose statements and order these are; nothing of the program is executed.


def main(program):
    raw = program.encode("utf-8", "surrogatepass")
    starts = [0] + [match.end() for match in re.finditer(rb"\r\n|\r|\n", raw)]
    found = []
    _walk(ast.parse(program), None, (), raw, starts, found)
    found.sort(key=lambda row: (row["start"], -row["end"]))
    index = {id(row["node"]): place for place, row in enumerate(found)}
    return [_plain(row, index) for row in found]


_clauses = (ast.stmt, ast.ExceptHandler, ast.match_case)
_scopes = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_loops = (ast.For, ast.AsyncFor, ast.While)
_comprehensions = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def _walk(owner, parent, outer, raw, starts, found):
    """`parent`: the statement whose header decides about this block, None in a function's own. `outer`: jumps before it."""
    for field in ("body", "orelse", "finalbody", "handlers", "cases"):
        block = getattr(owner, field, None)
        if not isinstance(block, list):
            continue
        jumps = list(outer) if field in ("handlers", "cases") else []
        for node in block:
            if not isinstance(node, _clauses):
                continue
            reads, writes, changes = set(), set(), set()
            _names(node, reads, writes, changes, True)
            row = _row(node, raw, starts)
            row.update(node=node, parent=parent, jumps=list(jumps), loop=isinstance(node, _loops),
                       reads=sorted(reads), writes=sorted(writes), changes=sorted(changes))
            found.append(row)
            _walk(node, None if isinstance(node, _scopes) else node, jumps, raw, starts, found)
            if _may_jump(node, True):
                jumps.append(node)


def _may_jump(node, outside):
    """Whether a compound statement may leave the block it stands in; `outside`: break and continue leave it too."""
    if isinstance(node, _scopes):
        return False
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.Return, ast.Raise)):
            return True
        if isinstance(child, (ast.Break, ast.Continue)) and outside and not isinstance(node, _loops):
            return True
        if isinstance(child, _clauses) and _may_jump(child, outside and not isinstance(node, _loops)):
            return True
    return False


def _names(node, reads, writes, changes, own):
    """Names in a statement's own expressions: not those of the statements it holds."""
    if isinstance(node, ast.Name):
        (reads if isinstance(node.ctx, ast.Load) else writes).add(node.id)
        return
    if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
        reads.add(node.target.id)
    if isinstance(node, (ast.Subscript, ast.Attribute)) and not isinstance(node.ctx, ast.Load):
        base = node
        while isinstance(base, (ast.Subscript, ast.Attribute)):
            base = base.value
        if isinstance(base, ast.Name):
            changes.add(base.id)
    if isinstance(node, _scopes):
        writes.add(node.name)
    if isinstance(node, ast.ExceptHandler) and node.name:
        writes.add(node.name)
    if isinstance(node, (ast.MatchAs, ast.MatchStar)) and node.name:
        writes.add(node.name)
    if isinstance(node, ast.MatchMapping) and node.rest:
        writes.add(node.rest)
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        writes.update((name.asname or name.name).split(".")[0] for name in node.names)
    if isinstance(node, (ast.Lambda, *_comprehensions)):
        inner, bound, other = set(), set(), set()
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.arguments):
                names = (*child.posonlyargs, *child.args, *child.kwonlyargs, child.vararg, child.kwarg)
                bound.update(name.arg for name in names if name is not None)
            _names(child, inner, bound, other, False)
        reads |= inner - bound
        changes |= other - bound
        return
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, _clauses) and own):
            _names(child, reads, writes, changes, own and not isinstance(child, ast.expr))


def _plain(row, index):
    node, parent = row.pop("node"), row["parent"]
    row["parent"] = -1 if parent is None else index[id(parent)]
    row["jumps"] = [index[id(jump)] for jump in row["jumps"]]
    return row
