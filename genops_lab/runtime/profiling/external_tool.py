"""Record with the NVIDIA tool that this kernel runs under, in place of PyTorch's profiler.

CUPTI takes one subscriber, and in such a kernel that is the tool. This module has the parts that all tools
share: a recording has a beginning, limits and one end, and marks cells, lines and steps as NVTX ranges.
"""

from __future__ import annotations

import abc
import contextlib
import functools
import importlib
import os
import shutil
import sys
import threading
import time
from pathlib import Path
from typing import Any, Dict, List, Optional

from ..errors import GenOpsError
from .budget import Costs
from .line_tracing import watch
from .lines import LineMarkers, running_frames
from .markers import cell_marker
from .recording_options import Recording, RecordingOptions
from .upload import finished, new_folder

#: Beginnings of the variables that the tools set in their children. A tool that is started here with them
#: would be injected into itself.
_INJECTED = (
    "LD_PRELOAD", "CUDA_INJECTION", "NVTX_INJECTION", "NSYS_", "QUADD_", "NV_NSIGHT_", "NV_COMPUTE_PROFILER_",
    "NV_TPS_",
)  # fmt: skip


def clean_environment() -> Dict[str, str]:
    """Return this process's environment without the variables of the tool that started it."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_INJECTED)}


class OutsideCapture(Recording):
    """One recording by such a tool.

    Lines, steps and PyTorch's operators are NVTX ranges, if NVTX is available.
    """

    #: The tool's name for users.
    tool = ""
    #: Defaults for :class:`RecordingOptions`.
    usual_steps, usual_seconds = 10, 20.0

    def __init__(self, title: str, files: Dict[str, str], wishes: Optional[RecordingOptions] = None) -> None:
        super().__init__(title, (wishes or RecordingOptions()).settled(self.usual_steps, self.usual_seconds))
        self.folder = Path()
        self._files = files
        self._lock = threading.Lock()
        self._recording = False
        self._began = self._seconds = 0.0
        self._ended_by = ""
        self._error: Optional[GenOpsError] = None
        self._nvtx: Any = None
        self._ranges = contextlib.ExitStack()
        self._step: Any = None

    @abc.abstractmethod
    def _begin(self) -> None:
        """Start the tool's recording. Raises GenOpsError."""

    @abc.abstractmethod
    def _stop(self) -> None:
        """Stop the tool's recording, from any thread. Raises GenOpsError."""

    @abc.abstractmethod
    def _counted(self, count: int) -> bool:
        """Note the number of finished steps, in the training thread, inside the optimizer's call. False:
        enough.
        """

    @abc.abstractmethod
    def _write(self) -> None:
        """Put the trace into ``folder``, set ``trace_path`` and describe the trace. Raises GenOpsError."""

    def start(self, *, own_line: bool = False) -> None:
        """Begin to record. Raises GenOpsError if the tool does not.

        ``own_line``: the line that runs now is ours, and is not recorded.
        """
        self.refuse_nested()
        self._nvtx = nvtx()
        self.folder = new_folder()
        # Set this first: after an interrupted start it is unknown whether the tool records.
        Recording.active, self._recording = self, True
        try:
            self._begin_to_record()
            threading.Thread(target=self._hold_the_bound, name="genops-profile", daemon=True).start()
            if "torch" in sys.modules:
                self._hook.register()
            self._mark(own_line)
        except BaseException:
            try:
                self.close()
            finally:
                shutil.rmtree(self.folder, ignore_errors=True)
            raise

    def _begin_to_record(self) -> None:
        try:
            self._begin()
        except GenOpsError:
            self._recording = False
            raise
        finally:
            self._began = time.perf_counter()

    def _mark(self, own_line: bool) -> None:
        if self._nvtx is None:
            return
        torch = torch_on_cuda()
        if torch is not None:
            emit_nvtx: Any = torch.autograd.profiler.emit_nvtx
            try:
                self._ranges.enter_context(emit_nvtx(record_shapes=self.wishes.shapes))
            except RuntimeError as error:
                self.trouble = f"The profile has no PyTorch operators: {error}."
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
        # Such ranges begin and end anywhere: those of the running line are not cut.
        if hasattr(self._nvtx, "range_start"):
            self._end_step()
            self._step = self._nvtx.range_start(f"ProfilerStep#{count}")
        if not self._counted(count):
            self._hook.remove()
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
        """Stop, from any thread, and wait for the end; the first caller does it."""
        with self._lock:
            if not self._recording:
                return
            self._recording = False
            self._seconds, self._ended_by = time.perf_counter() - self._began, why
            try:
                self._stop()
            except GenOpsError as error:
                self._error = error

    def close(self) -> None:
        """Stop recording."""
        try:
            self._unmark()
        finally:
            self._over.set()
            try:
                # In a thread: an interrupt ends the wait, not the tool in the middle of its report.
                ending = threading.Thread(
                    target=self._end, args=("error" if self.raised else "end",), name="genops-profile-end"
                )
                ending.start()
                ending.join()
            finally:
                Recording.active = None

    def _unmark(self) -> None:
        self._hook.remove()
        if self.markers is not None:
            self.markers.end()
        if self._watch is not None:
            self._watch.stop()
        if self._nvtx is not None:
            self._end_step()
        self._ranges.close()

    def forget(self) -> None:
        """Forget the recording, which is the parent process's."""
        super().forget()
        self._recording, self._nvtx = False, None

    def finish(self) -> None:
        """Stop, send the trace to the Lab, wait for its summary and show it."""
        self.close()
        finished(self, self._written)

    def _written(self) -> None:
        if self._error is not None:
            raise self._error
        self._write()

    def _bound(self) -> str:
        """Return the limit that ended the recording, as text."""
        return {
            "time": f", until {self.wishes.seconds:g} s (more with --seconds)",
            "steps": f", until {self.wishes.warmup + self.wishes.steps} optimizer steps (see --steps)",
            "error": f", until it ended with {self.raised}",
        }.get(self._ended_by, "")

    def _left_out(self) -> List[str]:
        """Return the options that this tool lacks, and the troubles, as sentences."""
        names = [name for name in ("stacks", "memory", "graphs") if getattr(self.wishes, name)]
        return [
            said
            for said in (f"This tool has no --{', --'.join(names)}." if names else "", self.trouble)
            if said
        ]


class Nvtx:
    """Wraps PyPI's ``nvtx`` under the names of PyTorch's own."""

    def __init__(self, module: Any) -> None:
        self.range_push, self.range_pop = module.push_range, module.pop_range
        self.range_start, self.range_end = module.start_range, module.end_range


class Range:
    """A slice of the trace: an NVTX range of this thread."""

    def __init__(self, nvtx: Any, name: str) -> None:
        self._nvtx, self._name = nvtx, name

    def __enter__(self) -> None:
        self._nvtx.range_push(self._name)

    def __exit__(self, *_: Any) -> None:
        self._nvtx.range_pop()


def torch_on_cuda() -> Any:
    """Return PyTorch; None if it is missing or has no CUDA device."""
    try:
        import torch
    except ImportError:
        return None
    return torch if torch.cuda.is_available() else None


def nvtx() -> Any:
    """Return PyTorch's NVTX if it has a CUDA device, else PyPI's ``nvtx`` (JAX, CuPy and others), else None."""
    torch = torch_on_cuda()
    if torch is not None:
        return torch.cuda.nvtx
    try:
        return Nvtx(importlib.import_module("nvtx"))
    except ImportError:
        return None
