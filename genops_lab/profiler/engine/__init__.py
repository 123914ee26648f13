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
    from .memory.held import Held
    from .traces import Trace


def read(path: Path) -> Columns:
    """Raises NotFound for a missing file and InvalidRequest for one that is no trace."""
    from .reading import files

    return files.read(path)


def analyze(
    paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    *,
    usd_per_hour: float | None = None,
    watch: Callable[[Trace, Path], None] | None = None,
    watch_held: Callable[[list[Held]], None] | None = None,
) -> ProfileSummary:
    """What one trace, or the traces of several ranks, say; of memory snapshots, their ``memory``. A folder stands for
    the traces in it.

    ``usd_per_hour``: the price of all that the ranks run on, for the price of a step.
    Ranks come from the traces; a trace without one, or with one that is taken, gets the next free number.
    Raises NotFound for a missing file and InvalidRequest for one that is no trace. A damaged trace is read up
    to the damage, which ``damaged`` tells. ``watch`` is given each trace with its file, ``watch_held`` what
    devices of each snapshot held at any moment.
    """
    from genops_lab.core.errors import InvalidRequest

    from .efficiency.pricing import priced
    from .reading.kinds_of_files import FileKind, files_of, kind_of_file

    files = files_of(paths)
    if not files:
        raise InvalidRequest("No trace was given.", hint="Name one trace file a rank.")
    from .reading.ranked import ranked
    from .sums.summary import Sums

    sums = Sums()
    traces = [path for path in files if kind_of_file(path) is not FileKind.SNAPSHOT]
    for path in files:
        if path not in traces:
            from .memory import snapshots

            sums.add_snapshot(snapshots.read(path, watch_held))
    for path, trace in zip(traces, ranked(traces), strict=True):
        if watch is not None:
            watch(trace, path)
        sums.add(trace, path.name if len(files) > 1 else "")
    return priced(sums.summary(), usd_per_hour)
