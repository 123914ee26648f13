"""Check whether a cell can repeat in one kernel: it must change nothing that it did not make.

A model that the previous repeat trained would make the intervals false.
"""

from __future__ import annotations

import ast
import dis
import types
from typing import Any, Iterator, List, Mapping, NamedTuple, Optional, Set

_HARMLESS = (
    types.ModuleType, types.FunctionType, types.BuiltinFunctionType, types.BuiltinMethodType, type,
    int, float, complex, bool, str, bytes, tuple, frozenset, range, type(None),
)  # fmt: skip
#: Objects with one of these methods carry state from repeat to repeat.
_LEARNS = ("fit", "partial_fit", "parameters", "state_dict", "train_on_batch", "__next__")


class Change(NamedTuple):
    """A change to something from outside the cell: the name, the line in the cell, and how."""

    name: str
    line: int
    how: str


def outer_change(code: str, namespace: Mapping[str, Any]) -> Optional[Change]:
    """Return the first place where the cell changes, or may change, an outer object; None if there is none.

    Reads the cell's text, the present values of the names, and the session's functions that the cell names.
    Raises SyntaxError.
    """
    return next(_Cell(namespace).changes(ast.parse(code).body), None)


class _Cell:
    def __init__(self, namespace: Mapping[str, Any]) -> None:
        self._namespace = namespace
        self._made: Set[str] = set()

    def changes(self, body: List[ast.stmt]) -> Iterator[Change]:
        for statement in body:
            yield from self._in_statement(statement)
            self._made |= bound_by(statement)

    def _in_statement(self, statement: ast.stmt) -> Iterator[Change]:
        read = {
            node.id
            for node in ast.walk(statement)
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
        }
        for node in ast.walk(statement):
            found = self._change(node, read)
            if found is not None:
                yield found

    def _change(self, node: ast.AST, read: Set[str]) -> Optional[Change]:
        line = getattr(node, "lineno", 0)
        if isinstance(node, ast.AugAssign):
            name = root_of(node.target)
            if self._is_outer(name):
                return Change(name, line, "changes it")
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id in read:
            if self._is_outer(node.id):
                return Change(node.id, line, "assigns it from its own old value")
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Del) and self._is_outer(node.id):
            return Change(node.id, line, "deletes it")
        elif isinstance(node, (ast.Attribute, ast.Subscript)) and isinstance(node.ctx, (ast.Store, ast.Del)):
            name = root_of(node)
            if self._is_outer(name):
                return Change(name, line, "sets a part of it")
        elif isinstance(node, ast.Call):
            return self._call(node, line)
        elif isinstance(node, (ast.For, ast.comprehension)):
            name = root_of(node.iter)
            if self._is_outer(name) and hasattr(self._namespace[name], "__next__"):
                return Change(name, getattr(node.iter, "lineno", line), "iterates over it")
        elif isinstance(node, ast.Global):
            return Change(node.names[0], line, "declares it global")
        return None

    def _call(self, node: ast.Call, line: int) -> Optional[Change]:
        name = root_of(node.func)
        if self._is_outer(name):
            value = self._namespace[name]
            if not isinstance(value, _HARMLESS):
                return Change(name, line, "calls it")
            if isinstance(value, types.FunctionType):
                found = self._in_function(value, set())
                if found:
                    return Change(found, line, f"calls {name}, which uses it")
        given = [*node.args, *(keyword.value for keyword in node.keywords)]
        for argument in given:
            name = root_of(argument.value if isinstance(argument, ast.Starred) else argument)
            if self._is_outer(name) and _learns(self._namespace[name]):
                return Change(name, line, "passes it on")
        return None

    def _in_function(self, function: types.FunctionType, seen: Set[int]) -> str:
        """Return a session name that a function sets or uses as a learning object; empty for none."""
        if id(function) in seen or function.__globals__ is not self._namespace:
            return ""
        seen.add(id(function))
        for step in dis.get_instructions(function):
            name = str(step.argval)
            if step.opname in ("STORE_GLOBAL", "DELETE_GLOBAL"):
                return name
            if step.opname == "LOAD_GLOBAL" and name in self._namespace:
                value = self._namespace[name]
                if _learns(value):
                    return name
                if isinstance(value, types.FunctionType):
                    found = self._in_function(value, seen)
                    if found:
                        return found
        return ""

    def _is_outer(self, name: str) -> bool:
        return bool(name) and name not in self._made and name in self._namespace


def _learns(value: Any) -> bool:
    return not isinstance(value, _HARMLESS) and any(hasattr(value, name) for name in _LEARNS)


def root_of(node: ast.AST) -> str:
    """Return the name at the beginning of ``a.b[c].d``, or an empty text."""
    while isinstance(node, (ast.Attribute, ast.Subscript)):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def bound_by(statement: ast.stmt) -> Set[str]:
    """Return the names that a statement certainly makes."""
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return {statement.name}
    if isinstance(statement, (ast.Import, ast.ImportFrom)):
        return {(alias.asname or alias.name).partition(".")[0] for alias in statement.names}
    targets: List[ast.AST] = []
    if isinstance(statement, ast.Assign):
        targets = list(statement.targets)
    elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
        targets = [statement.target]
    elif isinstance(statement, (ast.With, ast.AsyncWith)):
        targets = [item.optional_vars for item in statement.items if item.optional_vars is not None]
        return _names(targets).union(*map(bound_by, statement.body))
    elif isinstance(statement, (ast.For, ast.AsyncFor)):
        targets = [statement.target]
    return _names(targets)


def _names(targets: List[ast.AST]) -> Set[str]:
    nodes = (node for target in targets for node in ast.walk(target))
    return {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
