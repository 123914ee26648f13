"""``%%profile``: PyTorch's profiler around some code, its trace handed to the Lab."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import threading
import time
import uuid
from typing import Any, Dict, Iterator, Optional

from . import lab
from .errors import GenOpsError
from .places import is_remote, notebook_path, private_dir
from .state import runs
from .views import ProfileView

ANALYSIS_WAIT_S = 60.0
_POLL_S = 0.25


class Capture:
    """One recording. ``profile`` is the Lab's summary once it is there, ``trace_path`` the trace's file."""

    def __init__(self, title: str, *, seconds: float = 20.0, shapes: bool = False) -> None:
        self.title = title
        self.profile: Optional[Dict[str, Any]] = None
        self.trace_path = ""
        self.cut_short = False
        self._seconds = seconds
        self._shapes = shapes
        self._profiler: Any = None
        self._recording = False
        self._alarm = False

    def start(self) -> None:
        """Begin to record. Raises GenOpsError where there is no torch, or where it is being profiled already."""
        try:
            import torch.profiler as torch_profiler
        except ImportError as error:
            raise GenOpsError(
                "There is no PyTorch in this kernel's environment, and it is PyTorch's profiler that records.",
                "Install it: %pip install torch",
            ) from error
        profiler: Any = torch_profiler
        activities = [profiler.ProfilerActivity.CPU]
        if profiler.ProfilerActivity.CUDA in profiler.supported_activities():
            activities.append(profiler.ProfilerActivity.CUDA)
        else:
            # Without a device the recorder's own chatter is all that it writes to the terminal.
            os.environ.setdefault("KINETO_LOG_LEVEL", "6")
        self._profiler = profiler.profile(activities=activities, record_shapes=self._shapes)
        try:
            self._profiler.start()
        except RuntimeError as error:
            raise GenOpsError(
                f"The profiler could not start: {error}.",
                "One profiler records at a time: end the other first.",
            ) from error
        self._recording = True
        self._limit()

    def _limit(self) -> None:
        # The profiler must be stopped by the thread that started it: a signal's handler runs there.
        if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
            return
        if signal.getsignal(signal.SIGALRM) is not signal.SIG_DFL or signal.getitimer(signal.ITIMER_REAL)[0]:
            return  # the user's own alarm comes first
        signal.signal(signal.SIGALRM, self._time_is_up)
        signal.setitimer(signal.ITIMER_REAL, self._seconds)
        self._alarm = True

    def _time_is_up(self, _number: int, _frame: Any) -> None:
        if self._recording:
            self.cut_short = True
            self._stop_recording()

    def _stop_recording(self) -> None:
        if self._alarm:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            self._alarm = False
        if self._recording:
            self._recording = False
            self._profiler.stop()

    def finish(self) -> None:
        """Stop, write the trace, hand it to the Lab, wait for its summary and show it.

        With the Lab away the trace is kept and its path said.
        """
        self._stop_recording()
        view = ProfileView(self.title)
        try:
            view.open()
            self._write()
            view.update({"state": "analyzing"})
            self.profile = self._hand_over(view)
        except GenOpsError as error:
            view.update({"state": "failed", "message": error.message})
            kept = (
                f" The trace is kept in {self.trace_path}; `genops profile analyze PATH` reads it without a Lab."
                if self.trace_path
                else ""
            )
            print(f"GenOps: {error.message}{kept}", file=sys.stderr)
        except BaseException:
            view.update({"state": "failed", "message": "It was cut short."})
            raise
        finally:
            view.finish()

    def _write(self) -> None:
        folder = private_dir("profiles", uuid.uuid4().hex)
        partial, final = folder / ".partial.json.gz", folder / "trace.json.gz"
        self._profiler.export_chrome_trace(str(partial))
        os.chmod(partial, 0o600)
        partial.replace(final)
        self._profiler = None
        self.trace_path = str(final)
        if self.cut_short:
            print(f"GenOps: recorded the first {self._seconds:g} s (more with --seconds).", file=sys.stderr)

    def _hand_over(self, view: ProfileView) -> Dict[str, Any]:
        current = runs.current or runs.last
        run_id = (current.run_id or current.wait_started(2.0)) if current is not None else ""
        body = {
            "trace_path": lab.hand_over(self.trace_path, "trace") if is_remote() else self.trace_path,
            "title": self.title,
            "run_id": run_id,
            "notebook": notebook_path(),
        }
        profile: Dict[str, Any] = lab.call("POST", "/profiles", body, timeout_s=ANALYSIS_WAIT_S)
        if is_remote():
            # The Lab has it now; on its own machine it takes the file itself.
            shutil.rmtree(os.path.dirname(self.trace_path), ignore_errors=True)
            self.trace_path = ""
        deadline = time.monotonic() + ANALYSIS_WAIT_S
        while profile["state"] == "analyzing" and time.monotonic() < deadline:
            time.sleep(_POLL_S)
            profile = lab.call("GET", "/profiles/" + lab.segment(profile["id"]))
        view.update(profile)
        return profile


@contextlib.contextmanager
def profiled(title: str, *, seconds: float, shapes: bool) -> Iterator[Capture]:
    """Record the block, also when it raises."""
    capture = Capture(title, seconds=seconds, shapes=shapes)
    capture.start()
    try:
        yield capture
    finally:
        capture.finish()
