"""Histories that were read are kept while they are looked at, and brought up to date by what is new."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from genops_lab.core.errors import GenOpsError
from genops_lab.experiments.columns.source import ReadAnew, UnknownSchema

from .history import History
from .readers import Part, Reader

#: Of 24 bytes, and up to twice as much along axes.
MOST_POINTS = 2_000_000


@dataclass
class _Entry:
    history: History
    mark: Any


class KeptHistories:
    """Histories by run and metric; the ones looked at last stay. ``opens`` are the ways to the store, the best first:
    one that finds a schema it does not know gives way to the next."""

    def __init__(self, opens: list[Callable[[], Reader]]) -> None:
        self._opens = opens
        self._reader: Reader | None = None
        self._kept: OrderedDict[tuple[str, str], _Entry] = OrderedDict()
        self._epoch = 0
        self._reading = threading.Lock()

    def now(self, key: str, run_ids: list[str]) -> dict[str, History]:
        """The histories as they are now, by run. Raises GenOpsError."""
        with self._reading:
            try:
                try:
                    parts, starts = self._parts(key, run_ids)
                except ReadAnew:
                    self._close()
                    parts, starts = self._parts(key, run_ids)
            except GenOpsError:
                self._close()
                raise
            known = {run_id: self._kept.get((run_id, key)) for run_id in run_ids}
            for run_id, part in parts.items():
                entry = known[run_id]
                if entry is None or part.whole:
                    self._epoch += 1
                    start = starts.get(run_id) if entry is None else entry.history.start
                    entry = _Entry(History(part.points, start, self._epoch), part.mark)
                    self._kept[run_id, key] = entry
                else:
                    entry.history = entry.history.with_more(part.points)
                    entry.mark = part.mark
            for run_id in run_ids:
                self._kept.move_to_end((run_id, key))
            found = {run_id: self._kept[run_id, key].history for run_id in run_ids}
            self._forget(len(run_ids))
            return found

    def _parts(self, key: str, run_ids: list[str]) -> tuple[dict[str, Part], dict[str, float]]:
        reader = self._opened()
        known = {run_id: self._kept.get((run_id, key)) for run_id in run_ids}
        parts = reader.read(key, {run_id: entry and entry.mark for run_id, entry in known.items()})
        new = [run_id for run_id in parts if known[run_id] is None]
        return parts, reader.starts(new) if new else {}

    def _opened(self) -> Reader:
        while self._reader is None:
            try:
                self._reader = self._opens[0]()
            except UnknownSchema:
                self._opens.pop(0)
        return self._reader

    def _close(self) -> None:
        """After a failure: marks of a reader mean nothing to another one."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None
        self._kept.clear()

    def _forget(self, needed: int) -> None:
        points = sum(len(entry.history.points) for entry in self._kept.values())
        while points > MOST_POINTS and len(self._kept) > needed:
            _, entry = self._kept.popitem(last=False)
            points -= len(entry.history.points)
