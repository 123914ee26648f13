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

    A sweep compares all slices. A commit during a sweep puts the newest slices first and asks for another sweep. It
    never begins the sweep anew: a program that writes all the time would hide changes of old rows.
    """

    def __init__(
        self, statements: Mapping[str, str], select: Callable[..., list[Any]], budget_s: float, enough: int
    ) -> None:
        self._statements = statements
        self._select = select
        self._budget_s, self._enough = budget_s, enough
        self._slices: dict[tuple[str, int], _Slice] = {}
        self._due: list[tuple[str, int]] = []
        self._newest: list[tuple[str, int]] = []
        self._last: dict[str, int] = {}
        self._begun, self._again = 0.0, False
        #: The time before which all commits are known, in seconds since 1970.
        self.swept_since: float | None = None

    @property
    def settled(self) -> bool:
        """Whether all slices were compared since the last :meth:`committed`."""
        return not self._due and not self._again

    def remember(self) -> None:
        """Read all slices as they are."""
        self._slices = {part: made for part in self._parts() if (made := self._look_at(part)) is not None}
        self._due, self._newest, self._again = [], [], False

    def committed(self) -> None:
        """Compare all slices, from the next :meth:`changed` on. A sweep that is under way is finished before."""
        self._again = True
        if self._due:
            before, self._last = self._last, self._ends()
            new = {(table, at) for table, end in self._last.items() for at in range(before[table], end + 1)}
            self._newest = sorted(new.union(self._newest), key=lambda part: part[1])

    def changed(self, at: float) -> set[str]:
        """Return the ids in slices that changed; at least one slice of the sweep is compared, then as many as time
        allows.

        Most rows of a slice with few changes are named needlessly. ``at``: seconds since 1970, before the view of the
        store began.
        """
        if self._again and not self._due:
            self._due, self._newest, self._begun, self._again = self._parts(), [], at, False
        changed: set[str] = set()
        begin = time.thread_time()

        def is_enough() -> bool:
            return time.thread_time() - begin > self._budget_s or len(changed) > self._enough

        while self._newest:
            changed |= self._compared(self._newest.pop())
            if is_enough():
                break
        while self._due:
            changed |= self._compared(self._due.pop())
            if not self._due:
                self.swept_since = self._begun
            if is_enough():
                break
        if self.settled:
            self.swept_since = at
        return changed

    def _compared(self, part: tuple[str, int]) -> set[str]:
        """Return the ids in a slice if it changed."""
        old, new = self._slices.get(part), self._look_at(part)
        if (old and old.digest) == (new and new.digest):
            return set()
        if new is None:
            del self._slices[part]
        else:
            self._slices[part] = new
        return {each for found in (old, new) if found for each in found.ids.split(",")}

    def _parts(self) -> list[tuple[str, int]]:
        """Return all slices, the newest last (where they are taken from)."""
        last = self._last = self._ends()
        parts = {(table, at) for table, end in last.items() for at in range(end + 1)}
        return sorted(parts | self._slices.keys(), key=lambda part: (part[1] - last[part[0]], part[0]))

    def _ends(self) -> dict[str, int]:
        """Return the newest slice of each table."""
        return {
            table: int(self._select(f"SELECT coalesce(max(rowid), 0) FROM {table}")[0][0]) // _ROWS  # noqa: S608
            for table in self._statements
        }

    def _look_at(self, part: tuple[str, int]) -> _Slice | None:
        table, at = part
        content, ids = self._select(self._statements[table], at * _ROWS, (at + 1) * _ROWS)[0]
        return None if content is None else _Slice(hash(content), ids)
