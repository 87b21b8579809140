# Tests taken apart into cases: `assert L == R` becomes a case of two thunks, so that each assertion counts by itself
# and a failed one does not keep the next from running.
import ast
import builtins

_builtin_names = set(vars(builtins))
_bodies = ("body", "orelse", "finalbody")


class Split:
    """
    Tests ready to run: `code`, the `sources` of its cases, the names it has `used` without defining them, and whether it
    `watches` arguments: hands over something that it may look at afterwards.

    assert L == R becomes __case__(number, lambda: L, lambda: R); any other test becomes one lambda.
    """

    def __init__(self, source, entry, one_case=None):
        self.lines = [line.encode() for line in source.split("\n")]  # columns count UTF-8 bytes
        self.entry = entry
        self.names = {entry, "candidate"}  # names under which the tests know the program's function
        self.one_case = one_case  # number of the case all asserts belong to, or None: each is its own
        self.sources = []
        tree = ast.parse(source)
        self.used, self.watches = _survey(tree)
        self.statements(tree.body, False)
        self.code = compile(tree, "<tests>", "exec")

    def statements(self, body, in_class):
        for position, node in enumerate(body):
            if isinstance(node, ast.Assert):
                body[position] = self.case(node, in_class)
                continue
            for field in _bodies:
                inner = getattr(node, field, None)
                if type(inner) is list:
                    self.statements(inner, isinstance(node, ast.ClassDef))
            for handler in (*getattr(node, "handlers", ()), *getattr(node, "cases", ())):
                self.statements(handler.body, in_class)

    def case(self, node, in_class):
        test = node.test
        if isinstance(test, ast.Constant) and test.value:
            return ast.copy_location(ast.Pass(), node)  # `assert True` tests nothing
        left, right = test, None
        if isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], ast.Eq):
            left, right = test.left, test.comparators[0]
            if not self.calls(left) and self.calls(right):
                left, right = right, left
        number = len(self.sources) if self.one_case is None else self.one_case
        if self.one_case is None or not self.sources:
            self.sources.append(self.source(left))
        if in_class or any(type(part) in _scoped or getattr(part, "id", "") == "super" for part in ast.walk(test)):
            return _inline(number, left, right)
        at = {name: getattr(node, name) for name in ("lineno", "col_offset", "end_lineno", "end_col_offset")}
        thunks = [_lambda(side, at) for side in (left, right) if side is not None]
        call = ast.Call(ast.Name("__case__", ast.Load(), **at), [ast.Constant(number, **at), *thunks], [], **at)
        return ast.Expr(call, **at)

    def calls(self, node):
        return any(isinstance(part, ast.Name) and part.id in self.names for part in ast.walk(node))

    def source(self, node):
        """The node's text on one line, with the entry point's own name for `candidate`."""
        rows = self.lines[node.lineno - 1:node.end_lineno]
        first = node.lineno
        names = [part for part in ast.walk(node) if isinstance(part, ast.Name) and part.id == "candidate"]
        rows[-1] = rows[-1][:node.end_col_offset]
        for name in sorted(names, key=lambda name: (name.lineno, name.col_offset), reverse=True):
            row = rows[name.lineno - first]
            rows[name.lineno - first] = row[:name.col_offset] + self.entry.encode() + row[name.end_col_offset:]
        rows[0] = rows[0][node.col_offset:]
        return shortened(b" ".join(row.strip() for row in rows).decode("utf-8", "replace"))


def _lambda(body, at):
    nothing = ast.arguments(posonlyargs=[], args=[], kwonlyargs=[], kw_defaults=[], defaults=[])
    return ast.Lambda(nothing, body, **at)


def shortened(source):
    return source if len(source) <= 400 else source[:399] + "…"


def one_line(source):
    return shortened(" ".join(source.split()))


# What means something else inside a lambda.
_scoped = {ast.NamedExpr, ast.Await, ast.Yield, ast.YieldFrom}
_template = """
try:
    __left__ = 0
    __right__ = 0
except BaseException as __error__:
    __case__({0}, None, None, __error__)
else:
    __case__({0}, lambda __left__=__left__: __left__, {1})
"""


def _inline(number, left, right):
    """A case whose sides are evaluated where the assert stood."""
    node = ast.parse(_template.format(number, "None" if right is None else "lambda __right__=__right__: __right__")).body[0]
    node.body[0].value = left
    if right is None:
        del node.body[1]
    else:
        node.body[1].value = right
    return node


def _survey(tree):
    """-> (names read, but neither made here nor builtin; whether a call is given something that has a name)."""
    read, made, watches = set(), set(), False
    for node in ast.walk(tree):
        kind = type(node)
        if kind is ast.Name:
            (read if type(node.ctx) is ast.Load else made).add(node.id)
        elif kind is ast.Call:
            watches = watches or not (type(node.func) is ast.Name and node.func.id in _builtin_names) and any(
                type(argument) in (ast.Name, ast.Starred, ast.Tuple) for argument in node.args)
        elif kind is ast.FunctionDef or kind is ast.ClassDef:
            made.add(node.name)
        elif kind is ast.Import or kind is ast.ImportFrom:
            made.update((alias.asname or alias.name).split(".")[0] for alias in node.names)
    return read - made - _builtin_names, watches


def only_imports(source):
    """The import statements at the top level of a text, as a code object."""
    tree = ast.parse(source)
    tree.body = [node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
    return compile(tree, "<imports>", "exec")


def definitions(source):
    """Its imports, functions and plain assignments, without anything that runs: what tests may use of a prompt."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return compile("", "<helpers>", "exec")  # a prompt that ends inside a statement
    kept = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.Assign, ast.AnnAssign)
    tree.body = [node for node in tree.body if isinstance(node, kept)]
    return compile(tree, "<helpers>", "exec")
