"""Read and pack traces in the profiler's worker process."""

from __future__ import annotations

import contextlib
import gzip
import shutil
import zipfile
from pathlib import Path

from ..models import Difference, Flame, KernelMetrics, ProfileSummary
from .engine_files import check_is_here, kept_columns

#: Names of the summary and the columns in a profile's folder.
Kept = tuple[str, str, ProfileSummary]

# Traces shrink to a sixth at level 1, five times faster than at the default level.
LEVEL = 1
#: First bytes of a database. It stays uncompressed, because its reader needs random access.
SQLITE = b"SQLite format 3\x00"
#: First bytes of a report of Nsight Compute. It stays uncompressed, so that Nsight Compute can open it.
NCU_REPORT = b"NVR\x00"


class TraceAnalysis:
    """The trace engine as a backend."""

    def ready(self) -> None:
        """Import the modules of ``summarize``."""
        from ..engine import profile_folder  # noqa: F401
        from ..engine.reading import files  # noqa: F401
        from ..engine.sums import summary  # noqa: F401

    def summarize(
        self, trace: str, folder: str, usd_per_hour: float | None = None, target: str = ""
    ) -> ProfileSummary:
        """Analyze one trace, or those of a folder; store the columns in ``folder`` for timelines.

        ``usd_per_hour`` is the price of ``target``, or of the given hardware; it sets the cost of a step.

        Raises the errors of :func:`genops_lab.profiler.analyze`.
        """
        from ..engine.efficiency.pricing import priced
        from ..engine.profile_folder import analyze_into

        return priced(analyze_into(folder, trace), usd_per_hour, target)

    def flame(self, folder: str, trace: str, rank: int | None = None) -> Flame:
        """Return the call tree of a profile's trace, or of one rank. Raises the errors of
        ``kept_columns``."""
        from ..engine.timeline.flame import flame

        return flame(kept_columns(Path(folder), Path(trace), rank))

    def kernel_metrics(self, folder: str, trace: str, rank: int | None, number: int) -> KernelMetrics:
        """Return all metrics of a launch of a report, or of a rank's report. Raises Conflict for a report on
        a target, NotFound, InvalidRequest for a file that is not a report of Nsight Compute."""
        from ..engine.profile_folder import kept_place
        from ..engine.reading.ncu_report import kernel_metrics

        check_is_here(Path(trace))
        return kernel_metrics(kept_place(Path(folder), Path(trace), rank).file, number)

    def difference(self, before: Kept, after: Kept) -> Difference:
        """Compare two stored profiles. Raises the errors of ``kept_columns``."""
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
        """Write a profile's columns to one zip file, for its run. Raises NotFound, InvalidRequest,
        OSError."""
        from ..engine.profile_folder import COLUMNS

        columns = Path(folder) / COLUMNS
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=LEVEL) as archive:
            for path in sorted(columns.iterdir()) if columns.is_dir() else ():
                archive.write(path, path.name)

    def pack(self, source: str, target: str) -> int:
        """Move ``source`` to ``target``, compressed by gzip unless it is a database or a report. Return its
        size in bytes.

        ``target`` is complete or absent.
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
            # A kernel writes each trace into a separate folder.
            with contextlib.suppress(OSError):
                Path(source).parent.rmdir()
        return Path(target).stat().st_size
