"""Record the outputs of targets' kernels until the documents have them."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from genops_lab.agent.records import IOPUB, NOTE, REQUEST, SHELL

from .full_text import FullTexts, Text
from .kernel_outputs import KernelOutputs, Run
from .messages import decoded, message
from .models import Execution
from .output_limits import MAX_BYTES, MAX_OUTPUTS, OutputArea

log = logging.getLogger("genops_lab")

#: Bytes of records that may wait to be read; above this the sender must wait.
MAX_WAITING_BYTES = 64_000_000
_READ = frozenset({SHELL, IOPUB, NOTE, REQUEST})
#: In place of a channel: the kernel has ended; the only frame is the reason.
_END = -1
_outputs = msgspec.json.Encoder()


class Recorder:
    """A message listener of kernel clients.

    :meth:`record` is called in the connections' thread and only queues. Other methods may be called in any
    thread, and block while messages are read.

    Calls ``changed(kernel_id)``, in any thread, when a run starts or ends, and ``heard()`` when records are
    read. ``max_bytes`` and ``max_outputs`` limit what a cell shows; the files with all text are in
    ``folder``.
    """

    def __init__(
        self,
        folder: Path,
        changed: Callable[[str], None],
        *,
        max_bytes: int = MAX_BYTES,
        max_outputs: int = MAX_OUTPUTS,
        heard: Callable[[], None] = lambda: None,
    ) -> None:
        self._heard = heard
        self.texts = FullTexts(folder)
        self._bounds = {"max_bytes": max_bytes, "max_outputs": max_outputs}
        self._changed = changed
        self._kernels: dict[str, KernelOutputs] = {}
        self._waiting: deque[tuple[str, str, int, int, float, Sequence[bytes]]] = deque()
        # Each is written in one place (the connections' thread, or under the lock), so neither needs a lock
        # of its own.
        self._bytes_in = self._bytes_out = 0
        self._reading = threading.RLock()
        self._news = threading.Event()
        self._closing = False
        self._thread: threading.Thread | None = None

    def record(
        self,
        kernel_id: str,
        incarnation: str,
        seq: int,
        channel: int,
        timestamp: float,
        frames: Sequence[bytes],
    ) -> None:
        """Take one record, in order. Every record counts, also one without output."""
        self._waiting.append((kernel_id, incarnation, seq, channel, timestamp, frames))
        self._bytes_in += sum(map(len, frames))
        if not self._news.is_set():
            self._news.set()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="genops-outputs", daemon=True)
                self._thread.start()

    @property
    def crowded(self) -> bool:
        """Return whether later records should wait."""
        return self._bytes_in - self._bytes_out > MAX_WAITING_BYTES and not self._closing

    def remember(self, kernel_id: str, incarnation: str, documented_seq: int) -> None:
        """Note that the document already has this kernel's runs up to this record: repetitions are not
        needed."""
        with self._reading:
            self._kernel(kernel_id).had = (incarnation, documented_seq)

    def ended(self, kernel_id: str, reason: str, timestamp: float) -> None:
        """Handle the kernel's end, after its last record."""
        self.record(kernel_id, "", 0, _END, timestamp, [reason.encode("utf-8", "replace")])

    @contextmanager
    def _up_to_date(self, kernel_id: str) -> Iterator[KernelOutputs | None]:
        """Yield the state of a kernel, with all its records read."""
        with self._reading:
            self._read()
            yield self._kernels.get(kernel_id)

    def kernels(self) -> list[str]:
        """Return the kernels with records."""
        with self._reading:
            self._read()
            return list(self._kernels)

    def end_of(self, kernel_id: str) -> str | None:
        """Return why the kernel ended; None while it runs."""
        with self._up_to_date(kernel_id) as found:
            return found.reason if found is not None and found.ended else None

    def cursor(self, kernel_id: str) -> tuple[str, int]:
        """Return the last record up to which the journal of an incarnation is not needed; 0 without any."""
        with self._up_to_date(kernel_id) as found:
            return (found.incarnation, found.cursor) if found is not None else ("", 0)

    def wanted(self, kernel_id: str) -> dict[str, bool]:
        """Return the runs that the saved document does not have, by message id: whether each is done. Cheap."""
        with self._up_to_date(kernel_id) as found:
            return {} if found is None else {run.msg_id: run.done for run in found.wanted()}

    def executions(
        self, kernel_id: str, also: Sequence[str] = (), *, encoded: bool = False
    ) -> list[Execution]:
        """Return the runs that the saved document does not have, and those in ``also`` (by message id) that
        are still kept.

        With ``encoded`` their outputs are already JSON, so that an event loop that sends them has little to
        do.
        """
        with self._up_to_date(kernel_id) as found:
            runs = [] if found is None else found.runs.values()
            return [_execution(run, encoded) for run in runs if not run.documented or run.msg_id in also]

    def text(self, kernel_id: str, msg_id: str) -> tuple[Text | None, bool]:
        """Return the whole text of a run that does not show all of it, and whether more may come."""
        with self._reading:
            self._read()
            run = self._run_of(kernel_id, msg_id)
            more = run.area.unwritten() if run is not None and run.area.cut else ""
            return self.texts.open(kernel_id, msg_id, more), run is not None and not run.done

    def cut(self, kernel_id: str, msg_id: str) -> tuple[int, int, int] | None:
        """Return about how much of a run is not shown by now (see OutputArea.begin_cut); None when all is
        shown. Does not wait."""
        run = self._run_of(kernel_id, msg_id)
        return run.area.left_out if run is not None and run.area.cut else None

    def _run_of(self, kernel_id: str, msg_id: str) -> Run | None:
        kernel = self._kernels.get(kernel_id)
        return kernel.runs.get(msg_id) if kernel is not None else None

    def documented(self, kernel_id: str, executions: Iterable[Execution]) -> None:
        """Note that the saved document has these outputs."""
        with self._up_to_date(kernel_id) as found:
            if found is None:
                return
            for each in executions:
                run = found.runs.get(each.msg_id)
                # More outputs may have come since it was written: then it is incomplete.
                if run is not None and run.done and _same_end(run, each):
                    found.documented(run)

    def forget(self, kernel_id: str) -> None:
        """Drop all of a kernel."""
        with self._reading:
            self._read()
            self._kernels.pop(kernel_id, None)

    def close(self) -> None:
        """End the thread; waiting records are not read."""
        self._closing = True
        self._news.set()
        if self._thread is not None:
            self._thread.join(5)

    def _run(self) -> None:
        while not self._closing:
            self._news.wait()
            self._news.clear()
            self._read()

    def _read(self) -> None:
        changed: set[str] = set()
        with self._reading:
            if self._waiting:
                self._heard()
            while self._waiting:
                kernel_id, incarnation, seq, channel, timestamp, frames = self._waiting.popleft()
                self._bytes_out += sum(map(len, frames))
                if channel == _END:
                    if self._ended(kernel_id, frames[0].decode(), timestamp):
                        changed.add(kernel_id)
                    continue
                kernel = self._kernel(kernel_id)
                if kernel.is_new(seq, incarnation) and _apply(kernel, seq, channel, timestamp, frames):
                    changed.add(kernel_id)
        for kernel_id in changed:
            self._changed(kernel_id)

    def _ended(self, kernel_id: str, reason: str, timestamp: float) -> bool:
        found = self._kernels.get(kernel_id)
        if found is None or found.ended:
            return False
        found.end(reason, timestamp)
        return True

    def _kernel(self, kernel_id: str) -> KernelOutputs:
        kernel = self._kernels.get(kernel_id)
        if kernel is None:
            kernel = self._kernels[kernel_id] = KernelOutputs(
                partial(self._area, kernel_id), partial(self.texts.forget, kernel_id)
            )
        return kernel

    def _area(self, kernel_id: str, msg_id: str) -> OutputArea:
        overflow = self.texts.overflow(kernel_id, msg_id)
        return OutputArea(overflow, kernel_id=kernel_id, msg_id=msg_id, **self._bounds)


def _apply(kernel: KernelOutputs, seq: int, channel: int, timestamp: float, frames: Sequence[bytes]) -> bool:
    if channel not in _READ:
        return False
    try:
        parsed: Any = decoded(frames[0]) if channel == NOTE else message(frames)
        return kernel.apply(seq, channel, timestamp, parsed)
    except Exception:  # a boundary: one invalid message of a kernel must not stop the others' outputs
        log.warning("A kernel's message is not readable (record %d).", seq, exc_info=True)
        return False


def _execution(run: Run, encoded: bool) -> Execution:
    outputs: Any = run.area.outputs()
    return Execution(
        msg_id=run.msg_id,
        cell_id=run.cell_id,
        state="done" if run.done else "running",
        status=run.status if run.status in ("ok", "error", "aborted") else "",  # type: ignore[arg-type]
        execution_count=run.execution_count,
        outputs=msgspec.Raw(_outputs.encode(outputs)) if encoded else outputs,  # type: ignore[arg-type]
        message_ids=list(run.message_ids),
        started_at=run.started_at,
        ended_at=run.ended_at,
        truncated=run.area.cut,
        full_output=run.area.full_output,
        code=run.code,
        documented=run.documented,
    )


def _same_end(run: Run, execution: Execution) -> bool:
    return list(run.message_ids)[-1:] == execution.message_ids[-1:]
