"""Traces read as those of the ranks of one run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from ..traces import Trace
from .files import read_all


def ranked(paths: Sequence[Path]) -> Iterator[Trace]:
    """The trace of each file, in order. A trace without a rank, or with one that is taken, gets the next free number.

    Raises NotFound for a missing file and InvalidRequest for one that is no trace.
    """
    taken: set[int] = set()
    for columns in read_all(paths):
        rank = columns.rank
        if rank is None or rank in taken:
            rank = next(each for each in range(len(taken) + 1) if each not in taken)
        taken.add(rank)
        yield Trace(columns, rank)
        # Not kept while the next is waited for.
        del columns
