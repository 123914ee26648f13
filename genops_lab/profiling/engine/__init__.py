"""The trace engine: exact sums over traces of any profiler. It does not depend on servers.

A reader (``kineto``, ``nsight``) makes ``columns`` from a trace; all other modules read the columns. Every
length is that of an exact union of intervals of whole nanoseconds.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

# No engine module is imported here, so that helper processes that only read start fast.
if TYPE_CHECKING:
    from ..models import ProfileSummary
    from .columns import Columns
    from .memory.memory_timeline import MemoryTimeline
    from .reading.kinds_of_files import Paths
    from .traces import Trace


def read(path: Path) -> Columns:
    """Read a trace. Raises NotFound for a missing file and InvalidRequest for a file that is not a trace."""
    from .reading import files

    return files.read(path)


def analyze(
    paths: Paths,
    *,
    usd_per_hour: float | None = None,
    watch: Callable[[Trace, Path], None] | None = None,
    watch_memory: Callable[[list[MemoryTimeline]], None] | None = None,
) -> ProfileSummary:
    """Return the summary of one trace, of several ranks' traces, or the ``memory`` of memory snapshots. A
    folder stands for the traces in it.

    ``usd_per_hour`` is the price of all ranks' hardware, for the cost of a step. Ranks come from the traces;
    a trace without a rank, or with a rank that is taken, gets the next free number.

    Raises NotFound for a missing file and InvalidRequest for a file that is not a trace. A damaged trace is
    read up to the damage, which ``damaged`` describes. ``damaged`` also names files of a folder that are not
    traces; if no file is a trace, that is an error.

    ``watch`` is called with each trace and its file, ``watch_memory`` with the memory over time of each
    snapshot's devices.
    """
    from genops_lab.core.errors import InvalidRequest

    from .efficiency.pricing import priced
    from .reading.kinds_of_files import LeftOut

    files, left_out = LeftOut.of(paths)
    if not files:
        raise InvalidRequest("No trace was given.", hint="Give one trace file per rank.")
    from .reading.files import ranked
    from .sums.summary import Sums

    sums = Sums()
    traces, memory_snapshots = left_out.by_kind(files)
    for path in memory_snapshots:
        from .memory import snapshots

        with left_out.reading(path):
            sums.add_snapshot(snapshots.read(path, watch_memory))
    for path, trace in ranked(traces, left_out):
        if watch is not None:
            watch(trace, path)
        sums.add(trace, path.name if len(files) > 1 else "")
    left_out.require_any_of(files)
    sums.leave_out(left_out.sentences())
    return priced(sums.summary(), usd_per_hour)
