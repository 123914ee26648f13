"""Which cells a trial's kernel runs before the trial's own, so that it has what the notebook's session has."""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple

from .cells import Cell, executed_cells
from .errors import GenOpsError

_TRACKING = ("%%track", "%%profile")


class SetupCell(NamedTuple):
    """A cell and what it is called."""

    source: str
    label: str


def untracked(source: str) -> str:
    """The cell without the ``%%track`` and ``%%profile`` lines at its top."""
    lines = source.lstrip("\n").splitlines(keepends=True)
    while lines and lines[0].split(None, 1)[:1] and lines[0].split(None, 1)[0] in _TRACKING:
        del lines[0]
    return "".join(lines)


def is_left_out(source: str) -> bool:
    """Whether the cell does nothing for a trial: it starts sweeps or repeats, or holds GenOps commands alone."""
    lines = [line.strip() for line in source.splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    if not lines:
        return True
    if lines[0].split()[0] == "%%sweep" or (
        lines[0].startswith("%%track") and "--repeat" in lines[0].split()
    ):
        return True
    return all(line.startswith(("%genops", "%load_ext genops_lab")) for line in lines)


def setup_cells(shell: Any, chosen: str, failed: "Dict[int, str]") -> List[SetupCell]:
    """The session's earlier cells, as ``chosen`` says: ``all``, ``none`` or numbers such as ``1,3-5``.

    With ``all``: each cell of the notebook once, as it ran last, without those that raised (``failed``: their texts
    by their numbers) and without the present one in earlier runs.
    """
    if chosen == "none":
        return []
    cells = executed_cells(shell)
    present, earlier = cells[-1:], cells[:-1]
    if chosen != "all":
        wanted = _numbers(chosen)
        found = {cell.execution_count: cell for cell in earlier}
        missing = [number for number in wanted if number not in found]
        if missing:
            raise GenOpsError(
                f"There was no cell [{missing[0]}] in this session.", "Use numbers that cells show."
            )
        return [_labelled(found[number]) for number in wanted]
    kept: List[Cell] = []
    seen = {cell.cell_id for cell in present if cell.cell_id}
    for cell in reversed(earlier):
        if is_left_out(cell.source) or failed.get(cell.execution_count or 0) == cell.source:
            continue
        if cell.cell_id and cell.cell_id in seen:
            continue
        seen.add(cell.cell_id)
        kept.append(cell)
    return [_labelled(cell) for cell in reversed(kept)]


def _labelled(cell: Cell) -> SetupCell:
    return SetupCell(untracked(cell.source), f"[{cell.execution_count}]")


def _numbers(text: str) -> List[int]:
    found: List[int] = []
    for part in text.split(","):
        first, dash, last = part.partition("-")
        try:
            found += range(int(first), int(last if dash else first) + 1)
        except ValueError:
            raise GenOpsError(
                f"--setup {text}: {part!r} is no cell's number.", "Write all, none, or numbers such as 1,3-5."
            ) from None
    return found
