"""Run ``%%profile`` in a kernel under Nsight Systems.

``nsys start`` and ``nsys stop`` begin and end a collection by the session's name. That needs neither CUDA nor
PyTorch in the cell and works any number of times. A range of the profiler's API (``--capture-range``) would
need CUDA first.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess
import time
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional

from ..errors import GenOpsError
from .device_errors import named, without_device_events
from .external_tool import OutsideCapture, clean_environment
from .recording_options import RecordingOptions

NSYS_VARIABLE, SESSION_VARIABLE = "GENOPS_NSYS", "GENOPS_NSYS_SESSION"
#: The Lab keeps a report that lies next to a trace.
REPORT, TRACE = "report.nsys-rep", "trace.sqlite"
#: A report is written after the end of a collection, and grows with it.
_START_S, _REPORT_S = 120.0, 900.0
_APPEARS_S, _LOOK_S = 120.0, 0.1
#: A stream (.qdstrm) that is older than this stays: Nsight Systems lacks the part that makes reports.
_STREAM_STAYS_S = 10.0
_COLLECT = ("--sample=none", "--cpuctxsw=none", "--force-overwrite=true")
_READ = ("CUPTI_ACTIVITY_KIND_", "NVTX_EVENTS")
_ON_DEVICE = ("KERNEL", "GRAPH_TRACE", "MEMCPY", "MEMSET")


class NothingRecorded(GenOpsError):
    """A collection without any event that the views read."""


class Session(NamedTuple):
    """The nsys session in which this process was started."""

    nsys: str
    name: str

    def start(self, report: Path) -> None:
        """Begin a collection into ``report``. Raises GenOpsError."""
        self._run(
            "could not begin to record", _START_S, "start", f"--session={self.name}", *_COLLECT,
            f"--output={report}",
        )  # fmt: skip

    def stop(self) -> None:
        """End the collection, which writes its report. Raises GenOpsError."""
        self._run("could not end its recording", _REPORT_S, "stop", f"--session={self.name}")

    def export(self, report: Path, database: Path) -> None:
        """Write a report's events as SQLite. Raises GenOpsError."""
        self._run(
            "could not export its report", _REPORT_S, "export", "--type=sqlite", "--force-overwrite=true",
            f"--output={database}", str(report),
        )  # fmt: skip

    def _run(self, failed: str, within_s: float, *arguments: str) -> None:
        try:
            # A session of its own, so that an interrupt of the cell does not reach nsys.
            done = subprocess.run(
                [self.nsys, *arguments], env=clean_environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, start_new_session=True, timeout=within_s, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise GenOpsError(
                f"Nsight Systems {failed} within {within_s:.0f} s.", "Restart the kernel."
            ) from error
        except OSError as error:
            raise GenOpsError(
                f"Nsight Systems {failed}: {error}.",
                "Check that Nsight Systems is still installed, then restart the kernel.",
            ) from error
        if done.returncode:
            said = done.stdout.decode("utf-8", "replace")
            last = " ".join(said.split())[-300:] or (
                f"nsys ended with exit code {done.returncode} and without a message"
            )
            raise GenOpsError(f"Nsight Systems {failed}: {last}", named(said) or "Restart the kernel.")


def session() -> Optional[Session]:
    """Return the session of this process; None if it was not started under Nsight Systems."""
    nsys, name = os.environ.get(NSYS_VARIABLE), os.environ.get(SESSION_VARIABLE)
    return Session(nsys, name) if nsys and name else None


class NsightCapture(OutsideCapture):
    """One collection: the code from its start, for at most ``warmup`` and ``steps`` optimizer steps together."""

    def __init__(
        self, title: str, of: Session, files: Dict[str, str], wishes: Optional[RecordingOptions] = None
    ) -> None:
        super().__init__(title, files, wishes)
        self._session = of

    @property
    def _report(self) -> Path:
        return self.folder / REPORT

    def _begin(self) -> None:
        self._session.start(self._report)

    def _stop(self) -> None:
        self._session.stop()

    def _counted(self, count: int) -> bool:
        return count < self.wishes.warmup + self.wishes.steps

    def _write(self) -> None:
        self._wait_for_the_report()
        database = self._report.with_name(TRACE)
        try:
            self._session.export(self._report, database)
            os.chmod(database, 0o600)
        except (GenOpsError, OSError) as error:
            raise GenOpsError(
                str(error), f"The report is kept. To open it in Nsight Systems: {self._report}"
            ) from error
        try:
            lacks = found_in(database)
        except NothingRecorded:
            shutil.rmtree(database.parent, ignore_errors=True)
            raise
        self.trouble = " ".join(filter(None, (self.trouble, lacks)))
        self.trace_path = str(database)
        self.note = self._summary()

    def _wait_for_the_report(self) -> None:
        began = time.monotonic()
        while not self._report.exists():
            names = sorted(path.name for path in self._report.parent.iterdir())
            streamed = any(name.endswith(".qdstrm") for name in names)
            if time.monotonic() - began > (_STREAM_STAYS_S if streamed else _APPEARS_S):
                beside = ", ".join(names)
                raise GenOpsError(
                    "Nsight Systems wrote no report" + (f", but {beside}." if beside else "."),
                    f"Look into {self._report.parent}. A .qdstrm file needs the host part of Nsight Systems.",
                )
            time.sleep(_LOOK_S)

    def _summary(self) -> str:
        said = f"Nsight Systems recorded {self._seconds:.3g} s{self._bound()}."
        return " ".join([said, *self._left_out()])


def found_in(database: Path) -> str:
    """Return a sentence on what an export lacks; empty if it has events of a device.

    Raises NothingRecorded, or GenOpsError for an unreadable export.
    """
    try:
        with contextlib.closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
            tables = _filled(connection)
            said = _diagnostics(connection)
    except sqlite3.Error as error:
        raise GenOpsError(
            f"Cannot read the export of Nsight Systems: {error}.", f"The export is kept in {database}."
        ) from error
    if not tables:
        raise NothingRecorded(
            "Nsight Systems recorded no CUDA call and no NVTX range of this cell.",
            named(said) or "Profile a cell that uses the GPU.",
        )
    if any(table.endswith(_ON_DEVICE) for table in tables):
        return named(said)
    return without_device_events(said, "cuda")


def _filled(connection: sqlite3.Connection) -> List[str]:
    names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    return [
        name
        for (name,) in names
        if name.startswith(_READ) and connection.execute(f'SELECT 1 FROM "{name}" LIMIT 1').fetchone()  # noqa: S608
    ]


def _diagnostics(connection: sqlite3.Connection) -> str:
    with contextlib.suppress(sqlite3.OperationalError):  # not in every version
        return "\n".join(str(text) for (text,) in connection.execute("SELECT text FROM DIAGNOSTIC_EVENT"))
    return ""
