"""The trace engine: exact sums over traces of any profiler. It knows nothing of servers.

A reader (``kineto``, ``nsight``) makes ``columns`` of a trace; everything else asks the columns. Every length is that
of an exact union of intervals of whole nanoseconds.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

# Nothing of the engine is imported here: programs that only read (``reading.helping``) are waited for.
if TYPE_CHECKING:
    from ..models import ProfileSummary
    from .columns import Columns
    from .memory.memory_timeline import MemoryTimeline
    from .reading.kinds_of_files import Paths
    from .traces import Trace


def read(path: Path) -> Columns:
    """Raises NotFound for a missing file and InvalidRequest for one that is no trace."""
    from .reading import files

    return files.read(path)


def analyze(
    paths: Paths,
    *,
    usd_per_hour: float | None = None,
    watch: Callable[[Trace, Path], None] | None = None,
    watch_held: Callable[[list[MemoryTimeline]], None] | None = None,
) -> ProfileSummary:
    """What one trace, or the traces of several ranks, say; of memory snapshots, their ``memory``. A folder stands for
    the traces in it.

    ``usd_per_hour``: the price of all that the ranks run on, for the price of a step.
    Ranks come from the traces; a trace without one, or with one that is taken, gets the next free number.
    Raises NotFound for a missing file and InvalidRequest for one that is no trace. A damaged trace is read up
    to the damage, which ``damaged`` tells, as it tells which files of a folder were left out because they are no
    traces; it is an error when all are. ``watch`` is given each trace with its file, ``watch_held`` what
    devices of each snapshot held at any moment.
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
            sums.add_snapshot(snapshots.read(path, watch_held))
    for path, trace in ranked(traces, left_out):
        if watch is not None:
            watch(trace, path)
        sums.add(trace, path.name if len(files) > 1 else "")
    left_out.require_any_of(files)
    sums.leave_out(left_out.told())
    return priced(sums.summary(), usd_per_hour)
