"""Where the SQL comes from that a module sends: read off its source, by following names to what they are made of."""

import ast
from collections.abc import Iterator
from importlib.resources import files

SENDS = frozenset({"execute", "send_prepare"})
"""Methods that send SQL, by the name of each; without arguments, they are of something else (a pipeline of Redis)."""
OF_CURSORS = frozenset({"execute", "stream", "copy"})
"""What a cursor is asked for where it is made; of anything else, `stream` and `copy` send no SQL."""
NEVER = frozenset(
    {
        "callproc",
        "cursor",
        "exec_",
        "exec_params",
        "exec_prepared",
        "executemany",
        "send_query",
        "send_query_params",
    }
)
"""Calls that send SQL too, or give what does, and are not looked into: nothing of ours uses them."""
TELLING = SENDS | NEVER - {"cursor"}
"""Names that nothing else has; pages may have a `cursor`."""
Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


def unexplained(source: str) -> list[str]:
    """Statements that come neither from a file nor from one of the ways that `sql` has of composing them."""
    module = _Module(ast.parse(source))
    return [f"{line}: {text}" for line, text in module.unexplained()]


class _Module:
    def __init__(self, tree: ast.Module) -> None:
        self._tree = tree
        self._parents = {child: parent for parent in ast.walk(tree) for child in ast.iter_child_nodes(parent)}
        self._functions = {
            node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        }
        self._open: set[ast.AST] = set()

    def unexplained(self) -> Iterator[tuple[int, str]]:
        for node in ast.walk(self._tree):
            if isinstance(node, ast.Call) and self._sends_unknown(node):
                yield node.lineno, ast.unparse(node)
            elif isinstance(node, ast.expr) and self._is_taken(node):
                yield node.lineno, ast.unparse(self._parents[node])
            elif isinstance(node, ast.alias | ast.Name | ast.arg) and _hides_sql(node, self._parents.get(node)):
                yield node.lineno, ast.unparse(node)

    def _sends_unknown(self, call: ast.Call) -> bool:
        method = call.func
        if not isinstance(method, ast.Attribute):
            return False
        if method.attr in NEVER or (method.attr == "prepare" and ast.unparse(method.value).endswith("pgconn")):
            return True
        if not _sends(method) or not (call.args or call.keywords):
            return False
        statement = call.args[-1] if method.attr == "send_prepare" and call.args else next(iter(call.args), None)
        return statement is None or not self._is_ours(statement)

    def _is_taken(self, node: ast.expr) -> bool:
        """What sends is called where it stands: as a value, or by its name in a text, it could be called anywhere."""
        parent = self._parents.get(node)
        match node:
            case ast.Attribute(attr=name) if name in TELLING:
                return not self._is_called(node)
            case ast.Constant(value=str(name)):
                return name in TELLING
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name.endswith("Cursor"):
                return not (isinstance(parent, ast.Attribute) and parent.attr in OF_CURSORS and self._is_called(parent))
            case ast.Name(id=name) | ast.Attribute(attr=name) if name.endswith("Cursor"):
                return not self._is_called(node) and not self._is_annotation(node)
        return False

    def _is_called(self, node: ast.expr) -> bool:
        parent = self._parents[node]
        return isinstance(parent, ast.Call) and parent.func is node

    def _is_annotation(self, node: ast.AST) -> bool:
        while isinstance(parent := self._parents[node], ast.expr | ast.arg):
            if isinstance(parent, ast.Call):
                return False
            if isinstance(parent, ast.arg):
                return True
            node = parent
        return isinstance(parent, Function | ast.AnnAssign) and node in (
            getattr(parent, "returns", None),
            getattr(parent, "annotation", None),
        )

    def _calls(self) -> Iterator[ast.Call]:
        return (node for node in ast.walk(self._tree) if isinstance(node, ast.Call))

    def _is_ours(self, node: ast.expr) -> bool:
        """What is made of itself is ours if all else that it is made of is."""
        if node in self._open:
            return True
        self._open.add(node)
        try:
            return self._comes_from_ours(node)
        finally:
            self._open.discard(node)

    def _comes_from_ours(self, node: ast.expr) -> bool:
        match node:
            case ast.Constant(value=str(name)):
                # The name of a file, which the direct connection loads by itself.
                return files("infrastructure.sql").joinpath("queries", f"{name}.sql").is_file()
            case ast.Call(func=ast.Attribute(value=ast.Name(id="sql"), attr="load" | "named"), args=[name, *_]):
                return self._is_file(name)
            case ast.Call(func=ast.Attribute(value=inner, attr="decode"), args=[]):
                return self._is_ours(inner)
            case ast.Call(func=ast.Name(id="SQL"), args=[inner]):
                return self._is_ours(inner)
            case ast.Call(func=ast.Attribute(value=inner, attr="format"), args=[], keywords=names):
                return self._is_ours(inner) and all(self._is_identifier(one.value) for one in names)
            case ast.Call(func=ast.Name(id=name)) if name in self._functions:
                return self._gives_ours(self._functions[name])
            case ast.IfExp(body=one, orelse=other):
                return self._is_ours(one) and self._is_ours(other)
            case ast.Attribute(value=ast.Name(id=name), attr="text"):
                return self._is_script(node, name)
            case ast.Name(id=name):
                return self._is_ours_by_name(node, name)
        return False

    def _is_file(self, name: ast.expr) -> bool:
        """A text, or one within a directory of ours: `load` finds nothing outside of it."""
        match name:
            case ast.JoinedStr(values=[ast.Constant(value=str(directory)), *_]) if directory.endswith("/"):
                return files("infrastructure.sql").joinpath("queries", directory).is_dir()
            case ast.Constant() | ast.IfExp() | ast.Name():
                return self._is_ours(name)
        return False

    def _gives_ours(self, function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
        given = [node.value for node in ast.walk(function) if isinstance(node, ast.Return)]
        return bool(given) and all(value is not None and self._is_ours(value) for value in given)

    def _is_identifier(self, node: ast.expr) -> bool:
        """Quoted by psycopg, whatever it says."""
        match node:
            case ast.Call(func=ast.Name(id="Identifier")):
                return True
            case ast.Name(id=name):
                values = [value for scope in self._scopes(node) for value in _assigned(scope, name)]
                return bool(values) and all(self._is_identifier(value) for value in values)
        return False

    def _is_script(self, node: ast.AST, name: str) -> bool:
        """One of the files of a directory, as a loop goes through them."""
        loops = [one for scope in self._scopes(node) for one in ast.walk(scope) if isinstance(one, ast.For)]
        of_name = [one.iter for one in loops if isinstance(one.target, ast.Name) and one.target.id == name]
        return bool(of_name) and all(
            ast.unparse(one).partition("(")[0] in ("sql.scripts", "run.scripts") for one in of_name
        )

    def _is_ours_by_name(self, node: ast.AST, name: str) -> bool:
        """By what is assigned to it, or else by what each caller in the module gives for it."""
        for scope in self._scopes(node):
            if values := list(_assigned(scope, name)):
                return all(self._is_ours(value) for value in values)
            if name in (parameters := _parameters(scope)):
                return self._is_given_ours(scope, name, parameters.index(name))
        return False

    def _is_given_ours(self, function: Function, name: str, place: int) -> bool:
        if isinstance(function, ast.Lambda):
            return False
        is_method = isinstance(self._parents[function], ast.ClassDef)
        if function.name in SENDS and place == is_method:
            return True  # whoever calls it is looked into, in each module
        given = [
            _given(call, name, place - is_method)
            for call in self._calls()
            if (isinstance(call.func, ast.Name) and call.func.id == function.name)
            or (isinstance(call.func, ast.Attribute) and call.func.attr == function.name)
        ]
        return bool(given) and all(value is not None and self._is_ours(value) for value in given)

    def _scopes(self, node: ast.AST) -> Iterator[Function]:
        """The functions around a node, the innermost first."""
        while node in self._parents:
            node = self._parents[node]
            if isinstance(node, Function):
                yield node


def _sends(method: ast.Attribute) -> bool:
    """Clients of HTTP have a `stream`, too."""
    match method:
        case ast.Attribute(value=ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name))) if name.endswith(
            "Cursor"
        ):
            return method.attr in OF_CURSORS
    return method.attr in SENDS


def _hides_sql(node: ast.alias | ast.Name | ast.arg, parent: ast.AST | None) -> bool:
    """Something else by the name of the package that loads files."""
    match node:
        case ast.alias(name=name, asname=known_as):
            is_ours = isinstance(parent, ast.ImportFrom) and parent.module == "infrastructure" and name == "sql"
            return (known_as or name) == "sql" and not is_ours
        case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name):
            return name == "sql"
    return False


def _assigned(scope: Function, name: str) -> Iterator[ast.expr]:
    for node in ast.walk(scope):
        if isinstance(node, ast.Assign) and any(isinstance(one, ast.Name) and one.id == name for one in node.targets):
            yield node.value
        elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name) and node.target.id == name:
            yield ast.BinOp(node.target, node.op, node.value)


def _parameters(scope: Function) -> list[str]:
    return [one.arg for one in (*scope.args.posonlyargs, *scope.args.args, *scope.args.kwonlyargs)]


def _given(call: ast.Call, name: str, place: int) -> ast.expr | None:
    named = next((one.value for one in call.keywords if one.arg == name), None)
    return named if named is not None else call.args[place] if place < len(call.args) else None
