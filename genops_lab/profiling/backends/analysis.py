"""Reading and packing traces, in the profiler's worker process."""

from __future__ import annotations

import contextlib
import gzip
import shutil
import zipfile
from pathlib import Path

from ..models import Difference, Flame, KernelMetrics, ProfileSummary
from .engine_files import check_is_here, kept_columns

#: A profile's folder, its trace and its summary.
Kept = tuple[str, str, ProfileSummary]

# Traces shrink to a sixth at level 1 already, five times faster than at the default level.
LEVEL = 1
#: How a database begins. It is kept as it is: its reader goes to and fro in it.
SQLITE = b"SQLite format 3\x00"
#: How a report of Nsight Compute begins; Nsight Compute's own programs open it as it is.
NCU_REPORT = b"NVR\x00"


class TraceAnalysis:
    """The trace engine as a backend."""

    def ready(self) -> None:
        """Have imported what ``summarize`` needs."""
        from ..engine import profile_folder  # noqa: F401
        from ..engine.reading import files  # noqa: F401
        from ..engine.sums import summary  # noqa: F401

    def summarize(
        self, trace: str, folder: str, usd_per_hour: float | None = None, target: str = ""
    ) -> ProfileSummary:
        """What one trace says, or those in a folder; their columns are kept in ``folder``, for timelines.

        ``usd_per_hour``: the price of ``target``, or of whatever it ran on, for the price of a step.

        Raises what :func:`genops_lab.profiler.analyze` raises.
        """
        from ..engine.efficiency.pricing import priced
        from ..engine.profile_folder import analyze_into

        return priced(analyze_into(folder, trace), usd_per_hour, target)

    def flame(self, folder: str, trace: str, rank: int | None = None) -> Flame:
        """What called what in a profile's trace, or in that of a rank. Raises what ``kept_columns`` raises."""
        from ..engine.timeline.flame import flame

        return flame(kept_columns(Path(folder), Path(trace), rank))

    def kernel_metrics(self, folder: str, trace: str, rank: int | None, number: int) -> KernelMetrics:
        """All metrics of a launch of a report, or of that of a rank. Raises Conflict for one that lies on a target,
        NotFound, InvalidRequest for what is no report of Nsight Compute."""
        from ..engine.profile_folder import kept_place
        from ..engine.reading.ncu_report import kernel_metrics

        check_is_here(Path(trace))
        return kernel_metrics(kept_place(Path(folder), Path(trace), rank).file, number)

    def difference(self, before: Kept, after: Kept) -> Difference:
        """Two kept profiles side by side. Raises what ``kept_columns`` raises."""
        from ..engine.comparison.difference import KernelTally, Side, difference
        from ..engine.profile_folder import kept_ranks
        from ..engine.traces import Trace

        def side(folder: str, trace: str, summary: ProfileSummary) -> Side:
            kernels = KernelTally()
            ranks: list[int | None] = [each.rank for each in kept_ranks(Path(folder), Path(trace))]
            for rank in ranks or [None]:
                kernels.add(Trace(kept_columns(Path(folder), Path(trace), rank), rank or 0))
            return Side(summary, kernels)

        return difference(side(*before), side(*after))

    def zip_columns(self, folder: str, target: str) -> None:
        """A profile's columns as one zip file, for its run. Raises NotFound, InvalidRequest, OSError."""
        from ..engine.profile_folder import COLUMNS

        columns = Path(folder) / COLUMNS
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=LEVEL) as archive:
            for path in sorted(columns.iterdir()) if columns.is_dir() else ():
                archive.write(path, path.name)

    def pack(self, source: str, target: str) -> int:
        """Move ``source`` to ``target``, in gzip unless it is a database or a report; the size there in bytes.

        ``target`` is whole or not there.
        """
        temporary = Path(f"{target}.part")
        try:
            with Path(source).open("rb") as stream:
                head = stream.read(len(SQLITE))
                as_it_is = head.startswith((b"\x1f\x8b", NCU_REPORT)) or head == SQLITE
                stream.seek(0)
                with temporary.open("wb") as raw:
                    if as_it_is:
                        shutil.copyfileobj(stream, raw)
                    else:
                        with gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=LEVEL) as squeezed:
                            shutil.copyfileobj(stream, squeezed)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
        if not Path(source).samefile(target):
            Path(source).unlink()
            # A kernel writes each trace into a folder of its own.
            with contextlib.suppress(OSError):
                Path(source).parent.rmdir()
        return Path(target).stat().st_size
