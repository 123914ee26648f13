"""Run ``%%profile`` in a kernel under Nsight Compute.

ncu measures the kernels that are launched between cuProfilerStart and cuProfilerStop. It runs each kernel
again for every group of counters, alone, so that a cell takes many times its time. It appends to one report
while the process lives; a cell's results are those that were appended since the cell began.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import time
from pathlib import Path
from typing import Any, Dict, Iterator, NamedTuple, Optional

from ..errors import GenOpsError
from .device_errors import named
from .external_tool import OutsideCapture, torch_on_cuda
from .ncu_report import cut, measured_in, state
from .recording_options import RecordingOptions

FOLDER_VARIABLE, SET_VARIABLE = "GENOPS_NCU_FOLDER", "GENOPS_NCU_SET"
REPORT, LOG, TRACE = "report.ncu-rep", "ncu.log", "measured.ncu-rep"
#: ncu writes later than the program runs. Results that its log names are waited for, others only this long.
_WRITTEN_S, _LAG_S, _LOOK_S = 60.0, 1.0, 0.05
_LAST_WORDS = 300


class NothingMeasured(GenOpsError):
    """A recording without a kernel."""


class Measuring(NamedTuple):
    """The ncu that started this process: its folder, and its set of sections."""

    folder: Path
    section_set: str

    @property
    def report(self) -> Path:
        """The report that ncu appends to."""
        return self.folder / REPORT

    def log(self) -> str:
        """ncu's log so far."""
        try:
            return (self.folder / LOG).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""


def measuring() -> Optional[Measuring]:
    """Return the ncu of this process; None if it was not started under Nsight Compute."""
    folder = os.environ.get(FOLDER_VARIABLE)
    return Measuring(Path(folder), os.environ.get(SET_VARIABLE) or "basic") if folder else None


class Driver:
    """Signals a beginning and an end to ncu: through PyTorch if it has a device, else through the driver."""

    def __init__(self) -> None:
        torch = torch_on_cuda()
        self._torch: Any = None if torch is None else torch.cuda.profiler
        self._cuda: Any = None
        if self._torch is None:
            try:
                self._cuda = ctypes.CDLL("libcuda.so.1")
            except OSError as error:
                raise GenOpsError(
                    f"Nsight Compute needs a CUDA driver, and loading it failed: {error}.",
                    "Restart the kernel with the command Restart Kernel without Nsight.",
                ) from error
            self._ask("cuInit", 0)

    def start(self) -> None:
        """Start measuring. Raises GenOpsError."""
        self._tell("start", "cuProfilerStart")

    def stop(self) -> None:
        """Stop measuring. Raises GenOpsError."""
        self._tell("stop", "cuProfilerStop")

    def _tell(self, of_torch: str, of_driver: str) -> None:
        if self._torch is None:
            with self._context():
                self._ask(of_driver)
            return
        try:
            getattr(self._torch, of_torch)()
        except RuntimeError as error:
            raise GenOpsError(
                f"PyTorch could not signal {of_torch} to Nsight Compute: {error}.", ""
            ) from error

    @contextlib.contextmanager
    def _context(self) -> Iterator[None]:
        """Provide a CUDA context in this thread, which the driver needs; JAX and CuPy have theirs in other
        threads.
        """
        current = ctypes.c_void_p()
        self._ask("cuCtxGetCurrent", ctypes.byref(current))
        if current.value:
            yield
            return
        self._ask("cuDevicePrimaryCtxRetain", ctypes.byref(current), 0)
        self._ask("cuCtxPushCurrent_v2", current)
        try:
            yield
        finally:
            # Retained: a destroyed context takes its measurements with it.
            self._ask("cuCtxPopCurrent_v2", ctypes.byref(current))

    def _ask(self, function: str, *arguments: Any) -> None:
        answer = getattr(self._cuda, function)(*arguments)
        if answer:
            raise GenOpsError(
                f"Nothing can be measured: the CUDA driver refused {function} (error {answer}).",
                "Check that nvidia-smi lists a GPU, then restart the kernel.",
            )


class NcuCapture(OutsideCapture):
    """One measurement: the code from its start to its first optimizer step, then ``steps`` steps after
    ``warmup``.

    If there are such steps, the profile has only those.
    """

    usual_steps, usual_seconds = 1, 60.0

    def __init__(
        self, title: str, of: Measuring, files: Dict[str, str], wishes: Optional[RecordingOptions] = None
    ) -> None:
        super().__init__(title, files, wishes)
        self._of = of
        self._driver: Any = None
        self._log_from = 0
        #: Results of other cells, written or still pending; and those of this cell before the steps.
        self._had = self._before_steps = 0

    def _begin(self) -> None:
        self._driver = Driver()
        log = self._of.log()
        self._log_from = len(log)
        # Results of an earlier cell may come only now, if ncu was still writing when that cell ended.
        self._had = max(self._results()[0], measured_in(log))
        self._driver.start()

    def _stop(self) -> None:
        if self._driver is not None:
            self._driver.stop()

    def _counted(self, count: int) -> bool:
        wishes = self.wishes
        with self._lock:
            if not self._recording:
                return True
            try:
                if count == 1 and wishes.warmup > 1:
                    self._driver.stop()
                if count == wishes.warmup:
                    self._before_steps = measured_in(self._said())
                    if count > 1:
                        self._driver.start()
            except GenOpsError as error:
                self._error = error
        return count < wishes.warmup + wishes.steps

    def _said(self) -> str:
        return self._of.log()[self._log_from :]

    def _results(self) -> "tuple[int, bool]":
        try:
            return state(self._of.report)
        except OSError as error:
            raise GenOpsError(
                f"Cannot read Nsight Compute's report: {error}.", "Restart the kernel."
            ) from error

    def _write(self) -> None:
        try:
            self._cut(self._said())
        except BaseException:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise

    def _cut(self, said: str) -> None:
        expected = measured_in(said)
        there = self._waited_for(expected)
        if there <= 0:
            raise _nothing(said)
        measured = self.folder / TRACE
        first = self._before_steps if self._before_steps < there else 0
        try:
            kept = cut(self._of.report, self._had + first, measured)
            measured.chmod(0o600)
        except OSError as error:
            raise GenOpsError(
                f"Cannot write the cell's part of Nsight Compute's report: {error}.",
                "Free disk space on this machine, and run the cell again.",
            ) from error
        late = (
            f"{expected - there} measured GPU kernels are missing in ncu's report."
            if expected > there
            else ""
        )
        self.trouble = " ".join(filter(None, (self.trouble, late, named(said))))
        self.trace_path = str(measured)
        self.note = self._summary(
            kept, of_steps=self._ended_by == "steps" and (first > 0 or not self.wishes.warmup)
        )

    def _waited_for(self, expected: int) -> int:
        """Wait until ncu has written the results of this cell; return their number."""
        began = time.monotonic()
        while True:
            results, whole = self._results()
            there, waited = results - self._had, time.monotonic() - began
            if whole and there >= max(expected, 1):
                return there
            if waited > _WRITTEN_S or (not expected and whole and waited > _LAG_S):
                return there
            time.sleep(_LOOK_S)

    def _summary(self, kernels: int, of_steps: bool) -> str:
        steps = self.wishes.steps
        where = f" of {steps} optimizer step{'s' if steps > 1 else ''}" if of_steps else ""
        said = (
            f"Nsight Compute measured {kernels} GPU kernel{'s' if kernels > 1 else ''}{where} "
            f"({self._of.section_set} set) in {self._seconds:.3g} s{self._bound()}."
        )
        alone = "Each of them ran alone, once for every group of counters, so the cell's own time is unknown."
        return " ".join([said, alone, *self._left_out()])


def _nothing(said: str) -> NothingMeasured:
    """Return the error for a measurement without results, from ncu's messages."""
    words = " ".join(line for line in said.splitlines() if line.startswith(("==ERROR==", "==WARNING==")))
    log_end = f" Its log ends with: {words[-_LAST_WORDS:]}" if words else ""
    if measured_in(said) > 0:
        return NothingMeasured(
            f"Nsight Compute measured {measured_in(said)} GPU kernels but wrote none of them to its "
            f"report.{log_end}",
            "Run the cell again, or restart the kernel.",
        )
    return NothingMeasured(
        f"Nsight Compute measured no GPU kernel in this cell.{log_end}",
        named(said) or "Profile a cell that launches kernels on the GPU, in this process.",
    )
