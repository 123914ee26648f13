"""Read traces one after the other or in parallel, by their size and the machine."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from itertools import islice
from pathlib import Path

from genops_lab.core.errors import GenOpsError

from .. import heap
from ..columns import Columns
from ..threads import cores
from ..traces import Trace
from . import kineto
from .helpers import MOST, Helpers, helpers, worth
from .kinds_of_files import FileKind, LeftOut, file_errors, kind_of_file

#: Usual ratio of JSON to gzip.
_PACKED = 12


def read(path: Path) -> Columns:
    """Read a trace. Raises NotFound for a missing file and InvalidRequest for a file that is not a trace."""
    return next(read_all([path], LeftOut([path])))[1]


def read_all(paths: Sequence[Path], left_out: LeftOut) -> Iterator[tuple[Path, Columns]]:
    """Yield the columns of each file, in order, without those that are ``left_out``."""
    for path, reading in _readings(paths):
        with left_out.reading(path):
            yield path, reading()
        # Not kept while the next one is read.
        del reading


def _readings(paths: Sequence[Path]) -> Iterator[tuple[Path, Callable[[], Columns]]]:
    """Yield each file with a function that reads it, or waits until it is read."""
    number = min(cores(), MOST)
    if number < 2 or not worth(sum(map(_json_bytes, paths))):
        for path in paths:
            yield path, partial(_read, path, None)
    elif len(paths) == 1:
        yield paths[0], partial(_read_with_helpers, paths[0], number)
    else:
        yield from _read_in_parallel(paths, number)


def _read_with_helpers(path: Path, number: int) -> Columns:
    """Read one large file."""
    with helpers(number) as several, file_errors(path):
        reading = kineto.Reading(path)
        reading.take(several)
    # Free the memory of the helpers before the columns need more, and that of the parts before the sums do.
    heap.give_back()
    columns = reading.columns()
    del reading
    columns.rest()
    return columns


def _read_in_parallel(paths: Sequence[Path], number: int) -> Iterator[tuple[Path, Callable[[], Columns]]]:
    """Read several files at the same time."""
    with helpers(number) as several, ThreadPoolExecutor(number) as readers:
        left, waiting = iter(paths), deque[tuple[Path, Future[Columns]]]()
        try:
            for path in islice(left, number):
                waiting.append((path, readers.submit(_read, path, several)))
            while waiting:
                path, future = waiting.popleft()
                wait([future])
                for following in islice(left, 1):
                    waiting.append((following, readers.submit(_read, following, several)))
                result = future.result
                del future
                yield path, result
                del result
        finally:
            for _, each in waiting:
                each.cancel()


def _json_bytes(path: Path) -> int:
    """Return about the number of bytes of JSON; 0 for other files and missing files."""
    with contextlib.suppress(OSError, GenOpsError), path.open("rb") as stream:
        packed = stream.read(2) == b"\x1f\x8b"
        if kind_of_file(path) is FileKind.TRACE:
            return path.stat().st_size * (_PACKED if packed else 1)
    return 0


def _read(path: Path, several: Helpers | None) -> Columns:
    with file_errors(path):
        kind = kind_of_file(path)
        if kind is FileKind.NSIGHT_COMPUTE:
            from . import ncu

            return ncu.read(path)
        if kind is FileKind.NSIGHT:
            from . import nsight

            return nsight.read(path)
        return kineto.read(path, several)


def ranked(paths: Sequence[Path], left_out: LeftOut) -> Iterator[tuple[Path, Trace]]:
    """Return each file's trace, in order. A trace without a rank, or with a rank that is taken, gets the next
    free number.

    Raises NotFound for a missing file and InvalidRequest for a file that is not a trace, unless they may be
    ``left_out``.
    """
    taken: set[int] = set()
    for path, columns in read_all(paths, left_out):
        rank = columns.rank
        if rank is None or rank in taken:
            rank = next(each for each in range(len(taken) + 1) if each not in taken)
        taken.add(rank)
        yield path, Trace(columns, rank)
        # Not kept while the next one is read.
        del columns
