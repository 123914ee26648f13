"""The trace engine: exact sums over traces of any profiler. It knows nothing of servers.

A reader (``kineto``, ``nsight``) makes ``columns`` of a trace; everything else asks the columns. Every length is that
of an exact union of intervals of whole nanoseconds.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from genops_lab.core.errors import InvalidRequest

from ..models import ProfileSummary
from .efficiency.pricing import priced
from .reading.files import read as read
from .reading.kinds_of_files import FileKind, files_of, kind_of_file

if TYPE_CHECKING:
    from .memory.held import Held
    from .traces import Trace


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
    files = files_of(paths)
    if not files:
        raise InvalidRequest("No trace was given.", hint="Name one trace file a rank.")
    # Not at the start: a process that only reads is ready sooner.
    from .memory import snapshots
    from .reading.ranked import ranked
    from .sums.summary import Sums

    sums = Sums()
    traces = [path for path in files if kind_of_file(path) is not FileKind.SNAPSHOT]
    for path in files:
        if path not in traces:
            sums.add_snapshot(snapshots.read(path, watch_held))
    for path, trace in zip(traces, ranked(traces), strict=True):
        if watch is not None:
            watch(trace, path)
        sums.add(trace, path.name if len(files) > 1 else "")
    return priced(sums.summary(), usd_per_hour)
