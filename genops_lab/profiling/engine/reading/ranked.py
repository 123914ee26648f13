"""Traces read as those of the ranks of one run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from ..traces import Trace
from .files import read_all
from .skipped_files import LeftOut


def ranked(paths: Sequence[Path], left_out: LeftOut) -> Iterator[tuple[Path, Trace]]:
    """Each file's trace, in order. A trace without a rank, or with one that is taken, gets the next free number.

    Raises NotFound for a missing file and InvalidRequest for one that is no trace, unless they may be ``left_out``.
    """
    taken: set[int] = set()
    for path, columns in read_all(paths, left_out):
        rank = columns.rank
        if rank is None or rank in taken:
            rank = next(each for each in range(len(taken) + 1) if each not in taken)
        taken.add(rank)
        yield path, Trace(columns, rank)
        # Not kept while the next is waited for.
        del columns
