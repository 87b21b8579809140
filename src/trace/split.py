# Tests taken apart into cases: `assert L == R` becomes a case of two thunks, so that each assertion counts by itself
# and a failed one does not keep the next from running.
import ast
import builtins
import copy


class _Split(ast.NodeTransformer):
    """assert L == R becomes __case__(number, lambda: L, lambda: R); any other test becomes one lambda."""

    def __init__(self, entry, one_case):
        self.entry = entry
        self.names = {entry, "candidate"}  # names under which the tests know the program's function
        self.one_case = one_case  # number of the case all asserts belong to, or None: each is its own
        self.sources = []

    def visit_Assert(self, node):
        if isinstance(node.test, ast.Constant) and node.test.value:
            return ast.copy_location(ast.Pass(), node)  # `assert True` tests nothing
        test = node.test
        left, right = test, None
        if isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], ast.Eq):
            left, right = test.left, test.comparators[0]
            if not self._calls(left) and self._calls(right):
                left, right = right, left
        number = len(self.sources) if self.one_case is None else self.one_case
        if self.one_case is None or not self.sources:
            self.sources.append(self._source(left))
        call = ast.Call(ast.Name("__case__", ast.Load()), [ast.Constant(number), _lambda(left)], [])
        if right is not None:
            call.args.append(_lambda(right))
        return ast.fix_missing_locations(ast.copy_location(ast.Expr(call), node))

    def _calls(self, node):
        return any(isinstance(part, ast.Name) and part.id in self.names for part in ast.walk(node))

    def _source(self, node):
        renamed = copy.deepcopy(node)
        for part in ast.walk(renamed):
            if isinstance(part, ast.Name) and part.id == "candidate":
                part.id = self.entry
        return shortened(" ".join(ast.unparse(renamed).split()))


def _lambda(body):
    nothing = ast.arguments(posonlyargs=[], args=[], kwonlyargs=[], kw_defaults=[], defaults=[])
    return ast.Lambda(nothing, body)


def shortened(source):
    return source if len(source) <= 400 else source[:399] + "…"


def split_check(source, entry):
    """A test module of the HumanEval kind -> (code object, source texts of its cases, names it uses)."""
    tree = ast.parse(source)
    names = used_names(tree)
    split = _Split(entry, None)
    tree = split.visit(tree)
    return compile(tree, "<tests>", "exec"), split.sources, names


def split_statement(source, entry, number):
    """One string of an assert list -> (code object, source text, names it uses)."""
    tree = ast.parse(source)
    names = used_names(tree)
    split = _Split(entry, number)
    tree = split.visit(tree)
    shown = split.sources[0] if split.sources else shortened(" ".join(source.split()))
    return compile(tree, "<tests>", "exec"), shown, names


def used_names(tree):
    """Names the tests read and neither define themselves nor find among the builtins."""
    read, made = set(), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            (read if isinstance(node.ctx, ast.Load) else made).add(node.id)
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            made.add(node.name)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            made.update((alias.asname or alias.name).split(".")[0] for alias in node.names)
    return read - made - set(vars(builtins))


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
