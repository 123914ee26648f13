"""The complete events of a batch, whatever decoded them."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from ..columns import Int32, Int64
from ..kinds import kind_of
from .events import MISSING, Argument
from .slow_path import LARGEST_PER_MILLE
from .times import UNUSABLE

Mask = npt.NDArray[np.bool_]
#: The number of a text in JSON, which may be new.
NumberOf = Callable[[bytes], int]
#: Names come again in every batch.
remembered_kind_of = lru_cache(1 << 14)(kind_of)


class Row(NamedTuple):
    """What many slices share. Device and stream as they are written, or None where a slice's kind does not ask."""

    category: str | None
    name: str
    process: Any
    thread: Any
    device: Any
    stream: Any


class Given(NamedTuple):
    """Slices that have an argument, rising, and its values."""

    slices: npt.NDArray[np.integer[Any]]
    values: Int64


class Slices(Protocol):
    """Times in nanoseconds, UNUSABLE where there is none; ``row``: the number of each slice's row."""

    ts: Int64
    dur: Int64
    row: Int32

    def rows(self) -> list[Row]:
        """All rows, by number."""

    def keep(self, kept: Mask) -> None:
        """Forget all others."""

    def whole(self, name: str) -> Int64 | None:
        """The argument ``name`` of each slice, MISSING where it has none; None where none has."""

    def given(self, argument: Argument, chosen: Mask, number_of: NumberOf) -> Given | None:
        """An argument of the ``chosen`` slices; None where none has it. Texts are given as their numbers."""


class MemoryEvents(NamedTuple):
    """``threads``: process and thread as they are written; ``thread``: the number of each event's."""

    ts: Int64
    thread: npt.NDArray[np.integer[Any]]
    threads: list[tuple[Any, Any]]
    #: By name of ``MEMORY_KEYS``, of each event, MISSING where it has none.
    arguments: dict[str, Int64]

    def timed(self) -> MemoryEvents:
        """Those that have a usable time."""
        kept = self.ts != UNUSABLE
        if kept.all():
            return self
        used, thread = np.unique(self.thread[kept], return_inverse=True)
        threads = [self.threads[each] for each in used.tolist()]
        arguments = {name: values[kept] for name, values in self.arguments.items()}
        return MemoryEvents(self.ts[kept], thread.reshape(-1), threads, arguments)


def per_mille(percents: npt.NDArray[np.float64]) -> Int64:
    """MISSING for what is no percentage."""
    found = percents * 10
    return np.where(np.abs(found) < LARGEST_PER_MILLE, np.rint(found), MISSING).astype(np.int64)
