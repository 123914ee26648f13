"""Where a run comes from: the cells that were executed, the git commit, the cell's simple variables."""

from __future__ import annotations

import ast
import json
import os
import subprocess
from typing import Any, Dict, List, Mapping, Optional, Tuple

from .values import scalars

GIT_TIMEOUT_S = 3.0
#: Of a long session the latest cells are kept.
MAX_CELLS_CHARACTERS = 2_000_000

_CONSTANT_NODES = (
    ast.Expression, ast.Constant, ast.Name, ast.Load, ast.UnaryOp, ast.BinOp, ast.BoolOp, ast.Compare, ast.IfExp,
    ast.operator, ast.unaryop, ast.boolop, ast.cmpop, ast.JoinedStr, ast.FormattedValue,
)  # fmt: skip


def simple_params(code: str, namespace: Mapping[str, Any]) -> Dict[str, Any]:
    """The cell's own settings, known before it runs.

    The rule: a name without a leading underscore that the cell assigns exactly once, at its top level, from
    numbers, texts and truth values, from arithmetic over them, or over other names that hold such values
    (``lr = 1e-3``, ``steps = 10 * epochs``). Counters and results are no parameters: they are assigned
    again, or come from calls.
    """
    try:
        tree = ast.parse(code)
    except SyntaxError:
        return {}
    stores: Dict[str, int] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            stores[node.id] = stores.get(node.id, 0) + 1
    known = scalars(dict(namespace))
    for name in stores:
        known.pop(name, None)
    found: Dict[str, Any] = {}
    for name, value in _assignments(tree):
        if name.startswith("_") or stores.get(name) != 1:
            continue
        result = _evaluated(value, {**known, **found})
        if type(result) in (int, float, str, bool):
            found[name] = result
    return found


def _assignments(tree: ast.Module) -> List[Tuple[str, ast.expr]]:
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
        return None  # the cell itself will say so


def executed_cells(shell: Any) -> List[Dict[str, Any]]:
    """The cells of this session up to the present one, as they were typed."""
    typed = list(shell.history_manager.input_hist_raw)
    cells = [{"execution_count": count, "source": text} for count, text in enumerate(typed) if count and text]
    size = 0
    for index in range(len(cells) - 1, -1, -1):
        size += len(str(cells[index]["source"]))
        if size > MAX_CELLS_CHARACTERS:
            return cells[index + 1 :]
    return cells


def cells_json(cells: List[Dict[str, Any]]) -> str:
    """``source/cells.json``."""
    return json.dumps(cells, indent=1, ensure_ascii=False)


def cells_script(cells: List[Dict[str, Any]]) -> str:
    """``source/notebook.py``: the cells in the percent format, magics and all."""
    return (
        "\n\n".join(f"# %% [{cell['execution_count']}]\n{cell['source'].rstrip()}" for cell in cells) + "\n"
    )


def git_tags(folder: str) -> Dict[str, str]:
    """Commit, branch and whether tracked files differ from it; empty outside of a repository."""
    commit = _git(folder, "rev-parse", "HEAD")
    if not commit:
        return {}
    tags = {"mlflow.source.git.commit": commit}
    branch = _git(folder, "rev-parse", "--abbrev-ref", "HEAD")
    if branch and branch != "HEAD":
        tags["mlflow.source.git.branch"] = branch
    changes = _git(folder, "status", "--porcelain", "--untracked-files=no")
    if changes is not None:
        tags["mlflow.source.git.dirty"] = "true" if changes else "false"
    return tags


def _git(folder: str, *arguments: str) -> Optional[str]:
    try:
        answer = subprocess.run(
            ["git", *arguments], cwd=folder, env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            universal_newlines=True, timeout=GIT_TIMEOUT_S,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None
