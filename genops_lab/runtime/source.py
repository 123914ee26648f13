"""Read the simple variables of a cell, which become a run's parameters."""

from __future__ import annotations

import ast
from collections import Counter
from typing import Any, Dict, List, Mapping, Tuple

from ..redaction.secret_names import is_secret, is_secret_name, remember
from .values import scalars

_CONSTANT_NODES = (
    ast.Expression, ast.Constant, ast.Name, ast.Load, ast.UnaryOp, ast.BinOp, ast.BoolOp, ast.Compare, ast.IfExp,
    ast.operator, ast.unaryop, ast.boolop, ast.cmpop, ast.JoinedStr, ast.FormattedValue,
)  # fmt: skip


def simple_params(code: str, namespace: Mapping[str, Any]) -> Dict[str, Any]:
    """Return the cell's own settings, known before it runs.

    A parameter is a name without a leading underscore that the cell assigns exactly once, at its top level.
    Its value is a number, text or truth value, arithmetic over them, or another such name (``lr = 1e-3``,
    ``steps = 10 * epochs``). Counters and results are not parameters: they are assigned again, or come from
    calls. Neither is a secret's name (``api_key``); its value is remembered as a secret.
    """
    try:
        tree = ast.parse(code)
    except SyntaxError:
        return {}
    stores = Counter(
        node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    )
    known = {name: value for name, value in scalars(dict(namespace)).items() if name not in stores}
    found: Dict[str, Any] = {}
    secrets: Dict[str, Any] = {}
    for name, value in assignments(tree):
        secret = is_secret_name(name)
        if not secret and (name.startswith("_") or stores[name] != 1):
            continue
        result = _evaluated(value, {**known, **found, **secrets})
        if type(result) in (int, float, str, bool):
            secret = secret or is_secret(name, result)
            (secrets if secret else found)[name] = result
            if secret and isinstance(result, str):
                remember([result])
    return found


def assignments(tree: ast.Module) -> List[Tuple[str, ast.expr]]:
    """Return the assignments to plain names at the code's top level, in order."""
    pairs: List[Tuple[str, ast.expr]] = []
    for statement in tree.body:
        if isinstance(statement, ast.AnnAssign) and statement.value is not None:
            targets: List[ast.expr] = [statement.target]
        elif isinstance(statement, ast.Assign):
            targets = statement.targets
        else:
            continue
        value = statement.value
        for target in targets:
            if isinstance(target, ast.Name) and value is not None:
                pairs.append((target.id, value))
            elif isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
                pairs += [
                    (one.id, part)
                    for one, part in zip(target.elts, value.elts)  # noqa: B905 - Python 3.8
                    if isinstance(one, ast.Name)
                ]
    return pairs


def _evaluated(value: ast.expr, names: Dict[str, Any]) -> Any:
    expression = ast.Expression(value)
    for node in ast.walk(expression):
        if not isinstance(node, _CONSTANT_NODES) or (isinstance(node, ast.Name) and node.id not in names):
            return None
    try:
        return eval(compile(expression, "<parameter>", "eval"), {"__builtins__": {}}, names)  # noqa: S307
    except (ArithmeticError, TypeError, ValueError):
        return None  # the cell itself will raise this error
