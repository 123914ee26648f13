"""What lies on targets, as a person sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..document import Cell, Column, Document, Note, Row, Table, duration, size

if TYPE_CHECKING:
    from genops_lab.hosts.models import StoredItem


def cleaned(
    go: list[StoredItem], stay: list[StoredItem], failures: dict[str, str], dry_run: bool
) -> Document:
    """``targets clean``."""
    word = "would be removed" if dry_run else "removed"
    rows = [
        *(
            _row(each, Cell("not removed", "bad") if each.path in failures else Cell(word, "good"))
            for each in go
        ),
        *(_row(each, Cell(f"stays: {each.stays}", "dim")) for each in stay),
    ]
    columns = [
        Column("what"),
        Column("path", shrinks=True),
        Column("size", right=True),
        Column("unused for", right=True),
        Column("", shrinks=True),
    ]
    notes = []
    gone = [each for each in go if each.path not in failures]
    if gone:
        freed = size(sum(each.size_bytes or 0 for each in gone))
        notes.append(Note(f"{freed} would be freed." if dry_run else f"{freed} freed.", "good"))
    if any(each.forcible for each in stay):
        notes.append(Note("`genops pull` brings results; --force removes those folders without.", "dim"))
    return Document([Table(columns, rows, empty="GenOps Lab has left nothing there."), *notes])


def _row(item: StoredItem, state: Cell) -> Row:
    unused = "" if item.unused_s is None else duration(item.unused_s)
    return [item.kind, item.path, size(item.size_bytes), unused, state]
