"""Find rows that changed in place in tables of an SQLite file, by digests of slices of rows."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

#: Rows of a slice, whose digest takes about 0.15 ms.
_ROWS = 256


class _Slice(NamedTuple):
    digest: int
    ids: str


class SliceDigests:
    """Compare tables with their earlier state: slice by slice, each table's newest first.

    ``statements`` return, for each table and two ends of row numbers, what may change as one text, and the ids of the
    rows with commas between. ``select`` executes a statement. One :meth:`changed` ends after ``budget_s`` seconds of
    this thread, or with more than ``enough`` ids.
    """

    def __init__(
        self, statements: Mapping[str, str], select: Callable[..., list[Any]], budget_s: float, enough: int
    ) -> None:
        self._statements = statements
        self._select = select
        self._budget_s, self._enough = budget_s, enough
        self._slices: dict[tuple[str, int], _Slice] = {}
        self._due: list[tuple[str, int]] = []

    @property
    def settled(self) -> bool:
        """Whether all slices were compared since the last :meth:`begin`."""
        return not self._due

    def remember(self) -> None:
        """Read all slices as they are."""
        self._slices = {part: made for part in self._parts() if (made := self._look_at(part)) is not None}
        self._due = []

    def begin(self) -> None:
        """Compare all slices, from the next :meth:`changed` on."""
        self._due = self._parts()

    def changed(self) -> set[str]:
        """Return the ids in slices that changed; at least one slice is compared, then as many as time allows.

        Most rows of a slice with few changes are named needlessly.
        """
        changed: set[str] = set()
        begin = time.thread_time()
        while self._due:
            part = self._due.pop()
            old, new = self._slices.get(part), self._look_at(part)
            if (old and old.digest) != (new and new.digest):
                changed.update(each for found in (old, new) if found for each in found.ids.split(","))
                if new is None:
                    del self._slices[part]
                else:
                    self._slices[part] = new
            if time.thread_time() - begin > self._budget_s or len(changed) > self._enough:
                break
        return changed

    def _parts(self) -> list[tuple[str, int]]:
        """Return all slices, the newest last (where they are taken from)."""
        last = {
            table: int(self._select(f"SELECT coalesce(max(rowid), 0) FROM {table}")[0][0]) // _ROWS  # noqa: S608
            for table in self._statements
        }
        parts = {(table, at) for table, end in last.items() for at in range(end + 1)}
        return sorted(parts | self._slices.keys(), key=lambda part: (part[1] - last[part[0]], part[0]))

    def _look_at(self, part: tuple[str, int]) -> _Slice | None:
        table, at = part
        content, ids = self._select(self._statements[table], at * _ROWS, (at + 1) * _ROWS)[0]
        return None if content is None else _Slice(hash(content), ids)
