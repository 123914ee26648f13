"""Compare cells and patches with those of a baseline."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

from genops_lab.experiments.restoring.run_source import KeptCell

from .models import ChangeKind, LineChange, TextChange

#: Characters of differing texts that one comparison sends.
MAX_CHARACTERS = 2_000_000
#: Longer texts count as one change.
MAX_LINES = 10_000
#: In a differing stretch of cells with more pairs than this, cells are matched only by their ids.
_MAX_PAIRS = 2_500
_COMPARED_LINES = 100
_FILE = re.compile(r"(?m)^(?=diff --git )")
_NAME = re.compile(r'(?m)^(?:\+\+\+ (?:"?b/)|--- (?:"?a/))(.*?)"?\t?$')


class Room:
    """The number of characters that still fit into the answer."""

    def __init__(self, characters: int = MAX_CHARACTERS) -> None:
        self._left = characters

    def change(self, title: str, before: str | None, after: str | None) -> TextChange:
        """Return the two texts side by side, or without them if they do not fit."""
        if before == after:
            return TextChange(title=title, kind="equal")
        kind: ChangeKind = "added" if before is None else "removed" if after is None else "changed"
        needed = len(before or "") + len(after or "")
        if needed > self._left:
            return TextChange(title=title, kind=kind, left_out=True)
        self._left -= needed
        return TextChange(
            title=title,
            kind=kind,
            before=before,
            after=after,
            changes=line_changes(before, after) if before is not None and after is not None else [],
        )


def line_changes(before: str, after: str) -> list[LineChange]:
    """Return the lines of two texts that differ (only a newline ends a line)."""
    old, new = before.split("\n"), after.split("\n")
    if len(old) + len(new) > MAX_LINES:
        return [LineChange(0, len(old), 0, len(new))]
    matcher = difflib.SequenceMatcher(None, old, new)
    return [LineChange(*ends) for tag, *ends in matcher.get_opcodes() if tag != "equal"]


def cell_changes(before: Sequence[KeptCell], after: Sequence[KeptCell], room: Room) -> list[TextChange]:
    """Return the cells of two runs in order.

    Equal cells are matched by their text, then edited ones by their id or, within a differing stretch, by
    similarity.
    """
    matcher = difflib.SequenceMatcher(None, [cell.source for cell in before], [cell.source for cell in after])
    found: list[TextChange] = []
    for tag, i1, i2, j1, j2 in matcher.get_opcodes():
        if tag == "equal":
            pairs: list[tuple[int | None, int | None]] = list(zip(range(i1, i2), range(j1, j2), strict=True))
        else:
            pairs = _paired(before[i1:i2], after[j1:j2], i1, j1)
        for i, j in pairs:
            old = before[i] if i is not None else None
            new = after[j] if j is not None else None
            texts = (cell.source if cell is not None else None for cell in (old, new))
            found.append(room.change(_title(old, new, i, j), *texts))
    return found


def _paired(
    before: Sequence[KeptCell], after: Sequence[KeptCell], first_before: int, first_after: int
) -> list[tuple[int | None, int | None]]:
    """Match cells of both sides; the order of both sides is kept."""
    partner: dict[int, int] = {}
    earliest = 0
    few = len(before) * len(after) <= _MAX_PAIRS
    for i, old in enumerate(before):
        candidates = range(earliest, len(after))
        match = next((j for j in candidates if old.cell_id and after[j].cell_id == old.cell_id), None)
        if match is None and few:
            match = next((j for j in candidates if _alike(old, after[j])), None)
        if match is not None:
            partner[i] = match
            earliest = match + 1
    pairs: list[tuple[int | None, int | None]] = []
    reached = 0
    for i in range(len(before)):
        if i in partner:
            pairs.extend((None, first_after + j) for j in range(reached, partner[i]))
            pairs.append((first_before + i, first_after + partner[i]))
            reached = partner[i] + 1
        else:
            pairs.append((first_before + i, None))
    pairs.extend((None, first_after + j) for j in range(reached, len(after)))
    return pairs


def _alike(old: KeptCell, new: KeptCell) -> bool:
    if old.cell_id and new.cell_id and old.cell_id != new.cell_id:
        return False
    a, b = old.source.split("\n")[:_COMPARED_LINES], new.source.split("\n")[:_COMPARED_LINES]
    if len(a) == len(b) == 1:
        a, b = list(a[0][:_COMPARED_LINES]), list(b[0][:_COMPARED_LINES])
    matcher = difflib.SequenceMatcher(None, a, b, autojunk=False)
    return matcher.real_quick_ratio() >= 0.5 and matcher.quick_ratio() >= 0.5 and matcher.ratio() >= 0.5


def _title(old: KeptCell | None, new: KeptCell | None, i: int | None, j: int | None) -> str:
    def number(cell: KeptCell | None, position: int | None) -> str:
        if cell is None or position is None:
            return ""
        return f"[{cell.execution_count}]" if cell.execution_count is not None else f"#{position + 1}"

    numbers = [text for text in (number(old, i), number(new, j)) if text]
    return " → ".join(dict.fromkeys(numbers))


def patch_changes(before: str, after: str, room: Room) -> list[TextChange]:
    """Compare two patches, file by file."""
    old, new = by_file(before), by_file(after)
    return [room.change(path, old.get(path), new.get(path)) for path in sorted({*old, *new})]


def by_file(patch: str) -> dict[str, str]:
    """Return each file's part of a git diff."""
    found: dict[str, str] = {}
    for part in _FILE.split(patch):
        if part.strip():
            names = [name for name in _NAME.findall(part.partition("\n@@ ")[0]) if name]
            head = part.partition("\n")[0].rpartition(" b/")[2]
            path = names[-1] if names else head
            found[path] = found.get(path, "") + part
    return found
