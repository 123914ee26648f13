"""The trace engine: exact sums over traces of any profiler. It knows nothing of servers.

A reader (``kineto``, ``nsight``) makes ``columns`` of a trace; everything else asks the columns. Every length is that
of an exact union of intervals of whole nanoseconds.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

# Nothing of the engine is imported here: programs that only read (``reading.helping``) are waited for.
if TYPE_CHECKING:
    from ..models import ProfileSummary
    from .columns import Columns
    from .traces import Trace


def read(path: Path) -> Columns:
    """Raises NotFound for a missing file and InvalidRequest for one that is no trace."""
    from .reading import files

    return files.read(path)


def analyze(
    paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    *,
    usd_per_hour: float | None = None,
    watch: Callable[[Trace], None] | None = None,
) -> ProfileSummary:
    """What one trace, or the traces of several ranks, say; of memory snapshots, their ``memory``. A folder stands for
    the traces in it.

    ``usd_per_hour``: the price of all that the ranks run on, for the price of a step.
    Ranks come from the traces; a trace without one, or with one that is taken, gets the next free number.
    Raises NotFound for a missing file and InvalidRequest for one that is no trace. A damaged trace is read up
    to the damage, which ``damaged`` tells. ``watch`` is given each trace.
    """
    from genops_lab.core.errors import InvalidRequest

    from .efficiency.pricing import priced
    from .reading.files import read_all
    from .reading.kinds_of_files import FileKind, files_of, kind_of_file

    files = files_of(paths)
    if not files:
        raise InvalidRequest("No trace was given.", hint="Name one trace file a rank.")
    from .sums.summary import Sums
    from .traces import Trace

    sums = Sums()
    ranks: set[int] = set()
    traces = [path for path in files if kind_of_file(path) is not FileKind.SNAPSHOT]
    for path in files:
        if path not in traces:
            from .memory import snapshots

            sums.add_snapshot(snapshots.read(path))
    for path, columns in zip(traces, read_all(traces), strict=True):
        rank = columns.rank if columns.rank is not None and columns.rank not in ranks else _free(ranks)
        ranks.add(rank)
        trace = Trace(columns, rank)
        if watch is not None:
            watch(trace)
        sums.add(trace, path.name if len(files) > 1 else "")
    return priced(sums.summary(), usd_per_hour)


def _free(ranks: set[int]) -> int:
    return next(rank for rank in range(len(ranks) + 1) if rank not in ranks)
