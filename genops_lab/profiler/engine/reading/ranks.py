"""Which rank a trace is of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..columns import Columns


def ranked(traces: Iterable[Columns]) -> Iterator[tuple[int, Columns]]:
    """Each trace with its rank: its own, or where it tells none, or one that is taken, the next free number."""
    taken: set[int] = set()
    for columns in traces:
        free = next(rank for rank in range(len(taken) + 1) if rank not in taken)
        rank = columns.rank if columns.rank is not None and columns.rank not in taken else free
        taken.add(rank)
        yield rank, columns
