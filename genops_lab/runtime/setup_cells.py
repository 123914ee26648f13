"""Choose the cells that a trial's kernel runs first, so that it has the names of the notebook's session."""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Optional, Sequence

from .cells import Cell, executed_cells, seconds_of
from .errors import GenOpsError
from .needed_cells import EarlierCell, Needed, needed_cells

_TRACKING = ("%%track", "%%profile")


class SetupCell(NamedTuple):
    """A cell and its label."""

    source: str
    label: str


class Setup(NamedTuple):
    """The cells that a trial's kernel runs first.

    ``in_part`` are labels of cells of which only imports, seeds and settings run. ``missing`` maps names that
    only left-out cells make to those cells' labels. ``seconds``: the duration of the whole cells in this
    session, None if unknown.
    """

    cells: List[SetupCell]
    in_part: "Sequence[str]" = ()
    left_out: "Sequence[str]" = ()
    missing: "Optional[Dict[str, str]]" = None
    seconds: "Optional[float]" = None

    @classmethod
    def of(cls, found: Needed, seconds: "Optional[float]" = None) -> "Setup":
        """Return the setup of the cells that were found to be needed."""
        cells = [SetupCell(source, label) for label, source in found.sources]
        return cls(cells, found.in_part, found.left_out, found.missing, seconds)

    def summary(self) -> str:
        """Return sentences that say which cells run first, which do not, and how to change that."""
        whole = ", ".join(one.label for one in self.cells if not one.label.endswith(PART))
        part = ", ".join(self.in_part)
        what = " and ".join(
            filter(None, [whole, f"the imports, seeds and settings of {part}" if part else ""])
        )
        took = "" if self.seconds is None else f" ({self.seconds:.1f} s in this session)"
        words = [
            f"Each fresh kernel runs {what} first{took}."
            if what
            else "Each trial has a fresh kernel; no cell runs first."
        ]
        if self.left_out:
            words.append(
                f"Left out: {', '.join(self.left_out)}. Add cells with `--setup 1,3-5`, or all with `--setup all`."
            )
        for name, label in (self.missing or {}).items():
            words.append(f"Trials may lack `{name}`: it is made in {label}, which is left out.")
        return " ".join(words)


#: End of the label of a cell of which only a part runs.
PART = " in part"


def untracked(source: str) -> str:
    """Return the cell without the ``%%track`` and ``%%profile`` lines at its top."""
    lines = source.lstrip("\n").splitlines(keepends=True)
    while lines and lines[0].split(None, 1)[:1] and lines[0].split(None, 1)[0] in _TRACKING:
        del lines[0]
    return "".join(lines)


def is_left_out(source: str) -> bool:
    """Return whether the cell does nothing for a trial: it starts sweeps or repeats, or only has GenOps
    commands.
    """
    lines = [line.strip() for line in source.splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    if not lines:
        return True
    if lines[0].split()[0] == "%%sweep" or (
        lines[0].startswith("%%track") and "--repeat" in lines[0].split()
    ):
        return True
    return all(line.startswith(("%genops", "%load_ext genops_lab")) for line in lines)


def setup_cells(shell: Any, chosen: str, failed: "Dict[int, str]", trial: str, given: Sequence[str]) -> Setup:
    """Return the session's earlier cells as ``chosen`` says: ``needed``, ``all``, ``none`` or numbers
    (``1,3-5``).

    ``all``: each cell of the notebook once, as it ran last, without those that raised (``failed``: their
    texts by their numbers) and without earlier runs of the present cell. ``needed``: of those, the cells that
    make what ``trial`` reads (``given`` names are set otherwise), except tracked or profiled ones. Other
    cells run only their imports, seeds and settings.
    """
    if chosen == "none":
        return Setup([])
    cells = executed_cells(shell)
    present, earlier = cells[-1:], cells[:-1]
    if chosen not in ("all", "needed"):
        wanted = _numbers(chosen)
        found = {cell.execution_count: cell for cell in earlier}
        missing = [number for number in wanted if number not in found]
        if missing:
            raise GenOpsError(
                f"This session has no cell [{missing[0]}].",
                "Use the numbers that the notebook shows beside its cells.",
            )
        return _timed(shell, [found[number] for number in wanted])
    kept: List[Cell] = []
    seen = {cell.cell_id for cell in present if cell.cell_id}
    for cell in reversed(earlier):
        if is_left_out(cell.source) or failed.get(cell.execution_count or 0) == cell.source:
            continue
        if cell.cell_id and cell.cell_id in seen:
            continue
        seen.add(cell.cell_id)
        kept.append(cell)
    kept.reverse()
    if chosen == "all":
        return _timed(shell, kept)
    earlier_cells = [earlier_cell(one.source, _label(one)) for one in kept]
    needed = needed_cells(earlier_cells, trial, given, shell.transform_cell)
    whole = _timed(shell, [one for one in kept if _label(one) in needed.whole])
    return Setup.of(needed, whole.seconds)


def earlier_cell(source: str, label: str) -> EarlierCell:
    """Return a cell for :func:`needed_cells`: tracked and profiled cells run only if the user names them."""
    first = source.lstrip("\n").split(None, 1)[:1]
    why = {"%%track": "tracked", "%%profile": "profiled"}.get(first[0] if first else "", "")
    return EarlierCell(label, untracked(source), why)


def _timed(shell: Any, cells: "List[Cell]") -> Setup:
    took = [seconds_of(shell, cell.execution_count) for cell in cells]
    known = [seconds for seconds in took if seconds is not None]
    return Setup(
        [SetupCell(untracked(cell.source), _label(cell)) for cell in cells],
        seconds=sum(known) if known and len(known) == len(took) else None,
    )


def _label(cell: Cell) -> str:
    return f"[{cell.execution_count}]"


def _numbers(text: str) -> List[int]:
    found: List[int] = []
    for part in text.split(","):
        first, dash, last = part.partition("-")
        try:
            found += range(int(first), int(last if dash else first) + 1)
        except ValueError:
            raise GenOpsError(
                f"--setup {text}: {part!r} is not a cell's number.",
                "Write needed, all, none, or numbers such as 1,3-5.",
            ) from None
    return found
