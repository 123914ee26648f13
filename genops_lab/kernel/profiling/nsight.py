"""``%%profile`` in a kernel that was started under Nsight Systems.

CUPTI takes one subscriber, and in such a kernel that is nsys: it records in place of PyTorch's profiler. Collections
are begun and ended by the session's name (``nsys start``, ``nsys stop``): that needs neither CUDA nor PyTorch in the
cell, and there may be any number of them, where a range of the profiler's API (``--capture-range``) needs CUDA first.
"""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional

from ..errors import GenOpsError
from .budget import Costs
from .handing import finished, new_folder
from .hearing import watch
from .lines import LineMarkers, running_frames
from .markers import cell_marker
from .steps import StepHook
from .troubles import named, without_device_events
from .wishes import Wishes

NSYS_VARIABLE, SESSION_VARIABLE = "GENOPS_NSYS", "GENOPS_NSYS_SESSION"
#: The Lab keeps a report that lies beside a trace.
REPORT, TRACE = "report.nsys-rep", "trace.sqlite"
#: A report is written after the end of a collection, and grows with it.
_START_S, _REPORT_S = 120.0, 900.0
_APPEARS_S, _LOOK_S = 10.0, 0.1
#: They would put nsys' own libraries into the nsys that is started from here.
_INJECTED = ("LD_PRELOAD", "CUDA_INJECTION64_PATH", "NVTX_INJECTION64_PATH")
_COLLECT = ("--sample=none", "--cpuctxsw=none", "--force-overwrite=true")
_READ = ("CUPTI_ACTIVITY_KIND_", "NVTX_EVENTS")
_ON_DEVICE = ("KERNEL", "GRAPH_TRACE", "MEMCPY", "MEMSET")


class NothingRecorded(GenOpsError):
    """A collection without any event that the views read."""


class Session(NamedTuple):
    """The session of nsys that this process was started in."""

    nsys: str
    name: str

    def start(self, report: Path) -> None:
        """Begin a collection into ``report``. Raises GenOpsError."""
        self._run(
            "could not begin to record", _START_S, "start", f"--session={self.name}", *_COLLECT,
            f"--output={report}",
        )  # fmt: skip

    def stop(self) -> None:
        """End the collection; its report is written. Raises GenOpsError."""
        self._run("could not end its recording", _REPORT_S, "stop", f"--session={self.name}")

    def export(self, report: Path, database: Path) -> None:
        """Write a report's events as SQLite. Raises GenOpsError."""
        self._run(
            "could not export its report", _REPORT_S, "export", "--type=sqlite", "--force-overwrite=true",
            f"--output={database}", str(report),
        )  # fmt: skip

    def _run(self, failed: str, within_s: float, *arguments: str) -> None:
        env = {name: value for name, value in os.environ.items() if name not in _INJECTED}
        try:
            # A session of its own: an interrupt of the cell does not reach it.
            done = subprocess.run(
                [self.nsys, *arguments], env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, start_new_session=True, timeout=within_s, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise GenOpsError(
                f"Nsight Systems {failed} within {within_s:.0f} s.", "Restart the kernel."
            ) from error
        except OSError as error:
            raise GenOpsError(
                f"Nsight Systems {failed}: {error}.", "Is it still installed? Restart the kernel then."
            ) from error
        if done.returncode:
            said = done.stdout.decode("utf-8", "replace")
            last = " ".join(said.split())[-300:] or f"nsys ended with {done.returncode} and said nothing"
            raise GenOpsError(f"Nsight Systems {failed}: {last}", named(said) or "Restart the kernel.")


def session() -> Optional[Session]:
    """The one of this process; None where it was not started under Nsight Systems."""
    nsys, name = os.environ.get(NSYS_VARIABLE), os.environ.get(SESSION_VARIABLE)
    return Session(nsys, name) if nsys and name else None


class Range:
    """A slice of the trace: an NVTX range of this thread."""

    def __init__(self, nvtx: Any, name: str) -> None:
        self._nvtx, self._name = nvtx, name

    def __enter__(self) -> None:
        self._nvtx.range_push(self._name)

    def __exit__(self, *_: Any) -> None:
        self._nvtx.range_pop()


class NsightCapture:
    """One collection, with the interface of :class:`~genops_lab.kernel.profiling.capture.Capture`.

    The code is recorded from its start, and at most for ``warmup`` and ``steps`` optimizer steps together. Lines,
    steps and PyTorch's operators are NVTX ranges, where PyTorch has a CUDA device.
    """

    _active: "Optional[NsightCapture]" = None

    def __init__(
        self, title: str, of: Session, files: Dict[str, str], wishes: Optional[Wishes] = None
    ) -> None:
        self.title = title
        self.profile: Optional[Dict[str, Any]] = None
        self.trace_path = ""
        self.note = ""
        self.trouble = ""
        self.wishes = wishes or Wishes()
        self._session = of
        self._files = files
        self._report = Path()
        self._lock = threading.Lock()
        self._recording = False
        self._over = threading.Event()
        self._began = self._seconds = 0.0
        self._ended_by = ""
        self._error: Optional[GenOpsError] = None
        self._raised = ""
        self._nvtx: Any = None
        self._ranges = contextlib.ExitStack()
        self._step: Any = None
        self._steps = StepHook(self._stepped)
        self.markers: Optional[LineMarkers] = None
        self._watch: Any = None

    def start(self, *, own_line: bool = False) -> None:
        """Begin to record. Raises GenOpsError where nsys does not.

        ``own_line``: the line that runs now is ours, and none of what is recorded.
        """
        if NsightCapture._active is not None:
            raise GenOpsError(
                f"The profile {NsightCapture._active.title!r} is being recorded; profiles do not nest.",
                "Take the inner %%profile or genops.profile() off.",
            )
        self._nvtx = nvtx()
        self._report = new_folder() / REPORT
        try:
            self._session.start(self._report)
        except BaseException:
            shutil.rmtree(self._report.parent, ignore_errors=True)
            raise
        NsightCapture._active, self._recording, self._began = self, True, time.perf_counter()
        threading.Thread(target=self._hold_the_bound, name="genops-profile", daemon=True).start()
        if "torch" in sys.modules:
            self._steps.register()
        self._mark(own_line)

    def _mark(self, own_line: bool) -> None:
        if self._nvtx is None:
            return
        import torch

        emit_nvtx: Any = torch.autograd.profiler.emit_nvtx
        try:
            self._ranges.enter_context(emit_nvtx(record_shapes=self.wishes.shapes))
        except RuntimeError as error:
            self.trouble = f"PyTorch's operators are not in the profile: {error}."
        if not self.wishes.lines or not self._files:
            return
        self.markers = LineMarkers(self._files, functools.partial(Range, self._nvtx), Costs())
        self.markers.leave_out_this_line(own_line)
        self._watch = watch(self.markers)
        frames = running_frames(self._files)
        if frames:
            name = self._files[frames[0].f_code.co_filename]
            self._ranges.enter_context(Range(self._nvtx, cell_marker(name)))
        self.markers.begin()
        if not self._watch.start():
            self.markers.on = False

    def _stepped(self, count: int, _took_s: float) -> None:
        """A step has ended: in the thread that trains, inside the optimizer's call."""
        # Such ranges begin and end anywhere: those of the line that runs are not cut.
        if hasattr(self._nvtx, "range_start"):
            self._end_step()
            self._step = self._nvtx.range_start(f"ProfilerStep#{count}")
        if count >= self.wishes.warmup + self.wishes.steps:
            self._steps.remove()
            threading.Thread(target=self._end, args=("steps",), name="genops-profile-end").start()
        elif self._watch is not None:
            self._watch.resume()

    def _end_step(self) -> None:
        if self._step is not None:
            self._nvtx.range_end(self._step)
            self._step = None

    def _hold_the_bound(self) -> None:
        if not self._over.wait(self.wishes.seconds):
            self._end("time")

    def _end(self, why: str) -> None:
        """Stop the collection, from any thread, and wait for its report; the first one that asks does it."""
        with self._lock:
            if not self._recording:
                return
            self._recording = False
            self._seconds, self._ended_by = time.perf_counter() - self._began, why
            try:
                self._session.stop()
            except GenOpsError as error:
                self._error = error

    def raises(self, error: BaseException) -> None:
        """The code ends with ``error``; what is made of that is not the code's own."""
        if not self._over.is_set():
            self._raised = type(error).__name__
            self.close()

    def close(self) -> None:
        """Record no more."""
        self._steps.remove()
        if self.markers is not None:
            self.markers.end()
            self._watch.stop()
        if self._nvtx is not None:
            self._end_step()
        try:
            self._ranges.close()
        finally:
            self._over.set()
            try:
                # In a thread: an interrupt ends the waiting, and not nsys in the middle of its report.
                ending = threading.Thread(
                    target=self._end, args=("error" if self._raised else "end",), name="genops-profile-end"
                )
                ending.start()
                ending.join()
            finally:
                NsightCapture._active = None

    def forget(self) -> None:
        """In a forked child: the collection is the parent's."""
        self._over.set()
        self._steps.remove()
        self._recording, self._nvtx = False, None
        if self.markers is not None:
            self.markers.on = False

    def finish(self) -> None:
        """Stop, export, hand the database to the Lab, wait for its summary and show it."""
        self.close()
        finished(self, self._write)

    def _write(self) -> None:
        if self._error is not None:
            raise self._error
        self._wait_for_the_report()
        database = self._report.with_name(TRACE)
        try:
            self._session.export(self._report, database)
            os.chmod(database, 0o600)
        except (GenOpsError, OSError) as error:
            raise GenOpsError(
                str(error), f"The report is kept in {self._report}: open it in Nsight Systems."
            ) from error
        try:
            lacks = found_in(database)
        except NothingRecorded:
            shutil.rmtree(database.parent, ignore_errors=True)
            raise
        self.trouble = " ".join(filter(None, (self.trouble, lacks)))
        self.trace_path = str(database)
        self.note = self._told()

    def _wait_for_the_report(self) -> None:
        deadline = time.monotonic() + _APPEARS_S
        while not self._report.exists():
            if time.monotonic() > deadline:
                beside = ", ".join(sorted(path.name for path in self._report.parent.iterdir()))
                raise GenOpsError(
                    "Nsight Systems wrote no report" + (f", but {beside}." if beside else "."),
                    f"Look into {self._report.parent}: a .qdstrm needs the host part of Nsight Systems installed.",
                )
            time.sleep(_LOOK_S)

    def _told(self) -> str:
        wishes = self.wishes
        bound = {
            "time": f", until {wishes.seconds:g} s (more with --seconds)",
            "steps": f", until {wishes.warmup + wishes.steps} optimizer steps (see --steps)",
            "error": f", until it ended with {self._raised}",
        }.get(self._ended_by, "")
        said = [f"Nsight Systems recorded {self._seconds:.3g} s{bound}."]
        left_out = [name for name in ("stacks", "memory", "graphs") if getattr(wishes, name)]
        if left_out:
            said.append(f"It has no --{', --'.join(left_out)}.")
        return " ".join([*said, *filter(None, [self.trouble])])


def nvtx() -> Any:
    """PyTorch's NVTX; None where there is no PyTorch with a CUDA device."""
    try:
        import torch
    except ImportError:
        return None
    return torch.cuda.nvtx if torch.cuda.is_available() else None


def found_in(database: Path) -> str:
    """What an export lacks, in words; empty where it has events of a device.

    Raises NothingRecorded, or GenOpsError for one that cannot be read.
    """
    try:
        with contextlib.closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
            tables = _filled(connection)
            said = _diagnostics(connection)
    except sqlite3.Error as error:
        raise GenOpsError(
            f"The export of Nsight Systems cannot be read: {error}.", f"It is kept in {database}."
        ) from error
    if not tables:
        raise NothingRecorded(
            "Nsight Systems recorded nothing of this cell: no CUDA call and no NVTX range.",
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


def _after_fork() -> None:
    active, NsightCapture._active = NsightCapture._active, None
    if active is not None:
        active.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
