"""Put other values into a cell's text, so that tracebacks, history and restored notebooks show what ran."""

from __future__ import annotations

import ast
from typing import Any, Callable, Collection, Dict, List, Mapping, NamedTuple, Tuple

from .errors import GenOpsError
from .source import assignments


class Placed(NamedTuple):
    """``before`` sets names that the cell reads and never assigns (empty: none); ``cell`` is the cell itself."""

    before: str
    cell: str


def placed(
    code: str,
    values: Mapping[str, Any],
    transform: Callable[[str], str],
    optional: Collection[str] = (),
) -> Placed:
    """Put ``values`` in place: at the first plain assignment at the cell's top level, else before the cell.

    ``transform`` makes Python of a cell with magics. Raises GenOpsError for a name that the cell neither
    assigns there nor reads, unless the name is in ``optional``.
    """
    code = code.strip("\n") + "\n"
    python = transform(code)
    try:
        tree = ast.parse(python)
    except SyntaxError as error:
        raise GenOpsError(
            f"The cell is not valid Python: {error.msg} (line {error.lineno}).", "Correct the cell."
        ) from error
    first: Dict[str, ast.expr] = {}
    for name, value in assignments(tree):
        first.setdefault(name, value)
    read = {
        node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    }
    before: List[str] = []
    edits: List[Tuple[ast.expr, str]] = []
    for name, value in values.items():
        if name in first:
            edits.append((first[name], repr(value)))
        elif name in read:
            before.append(f"{name} = {value!r}")
        elif name not in optional:
            raise GenOpsError(
                f"The cell neither assigns {name} at its top level nor reads it.",
                f"Write `{name} = ...` in the cell, or remove {name} from the sweep.",
            )
    return Placed("\n".join(before), _edited(code, python, edits))


def _edited(code: str, python: str, edits: List[Tuple[ast.expr, str]]) -> str:
    # Positions of Python's parser count bytes of UTF-8, in the cell without its magics.
    lines = [line.encode() for line in code.splitlines(keepends=True)]
    parsed = [line.encode() for line in python.splitlines(keepends=True)]
    for node, text in sorted(edits, key=lambda edit: (edit[0].lineno, edit[0].col_offset), reverse=True):
        start, end = node.lineno - 1, (node.end_lineno or node.lineno) - 1
        if parsed[start : end + 1] != lines[start : end + 1]:
            raise GenOpsError(
                f"Line {node.lineno} of the cell cannot get another value, because magics are above it.",
                "Move the assignment above the magics, to a line of its own.",
            )
        tail = lines[end][node.end_col_offset :]
        lines[start : end + 1] = [lines[start][: node.col_offset] + text.encode() + tail]
        parsed[start : end + 1] = lines[start : start + 1]
    return b"".join(lines).decode()
