"""Warn and stop a kernel that is idle.

Idle means: no cell runs, nobody uses widgets, the kernel sends nothing, its processes use almost no CPU, and
its GPUs are under a limit. A terminal beside the kernel counts as use. The system is checked only in the second half of
the time (and while it shows work), in a thread.
"""

from __future__ import annotations

import math
import re
import threading
import time
from typing import Any, Callable, Dict, Iterable, List, Mapping, NamedTuple, Optional, Sequence, Set, Tuple

from . import processes, wire
from .gpus import GpuReader
from .idle_policy import IdlePolicy

#: Percent of one core, for all processes of the kernel together, over the time between two looks.
MAX_CPU_PERCENT = 10.0
#: The error of the system's coarse clock in the CPU time between two looks, in seconds.
_COARSE_S = 0.05
#: Requests that front ends send by themselves: they show no user.
_UNASKED = (b"kernel_info_request", b"comm_info_request", b"history_request", b"connect_request")
_MSG_ID = re.compile(rb'"msg_id"\s*:\s*"([^"]+)"')


class IdleWatch:
    """``tell(step, **fields)`` writes a note; ``end(reason)`` ends the kernel. ``pid`` leads its processes;
    ``visible`` is its CUDA_VISIBLE_DEVICES. ``attended()``: a terminal is attached to it."""

    def __init__(
        self,
        pid: int,
        visible: Optional[str],
        tell: Callable[..., None],
        end: Callable[[str], None],
        *,
        attended: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
        read: Optional[Callable[[], Work]] = None,
    ) -> None:
        self._tell = tell
        self._end = end
        self._attended = attended
        self._clock = clock
        gpus = GpuReader()
        self._looks = _Looks(read or (lambda: read_work(pid, visible, gpus)), clock)
        self.policy: Optional[IdlePolicy] = None
        self._since = clock()
        self._running: Set[bytes] = set()
        self._warned = False
        self._next_look = 0.0
        self._last: Optional[Work] = None
        self._quiet: Optional[Work] = None
        #: The last look saw work without a cell: the idle time starts at the end of this work.
        self._works = False

    def change(self, policy: Optional[IdlePolicy]) -> None:
        """Apply another policy from now on; the same one continues."""
        if policy != self.policy:
            self._active()
            self.policy = policy

    def keep(self) -> None:
        """Restart the idle time: a user wants the kernel."""
        self._active()

    def info(self) -> Optional[Dict[str, Any]]:
        """Return the part of KernelInfo; ``ends_in_s`` once the kernel was warned."""
        if self.policy is None:
            return None
        left = max(0.0, self._since + self.policy.seconds - self._clock()) if self._warned else None
        known = {name: value for name, value in self.policy._asdict().items() if value is not None}
        return {**known, "ends_in_s": left}

    # Events

    def asked(self, header: bytes) -> None:
        """Handle a client's message on shell or stdin."""
        kind = wire.msg_type(header)
        if kind in _UNASKED:
            return
        found = _MSG_ID.search(header)
        if kind == b"execute_request" and found is not None:
            self._running.add(found.group(1))
        self._active()

    def said(self, frames: Sequence[bytes]) -> None:
        """Handle a message of the kernel on shell or iopub."""
        start = wire.after_delimiter(frames)
        if start is None:
            return
        kind = wire.msg_type(frames[start])
        if kind == b"execute_reply":
            found = _MSG_ID.search(frames[start + 1])
            self._running.discard(found.group(1) if found is not None else b"")
            self._active()
        elif kind in (b"stream", b"display_data", b"update_display_data", b"comm_msg", b"comm_open"):
            self._active()

    def _active(self) -> None:
        self._since = self._clock()
        self._last = self._quiet = None
        if self._warned:
            self._warned = False
            self._tell("kept")

    # Looks

    def look(self, busy: bool) -> Optional[float]:
        """Do what is due. ``busy``: the kernel reports busy. Returns when the next action is due on the
        clock; None: never."""
        policy, now = self.policy, self._clock()
        if policy is None:
            return None
        if busy or self._running:
            self._active()
            return now + policy.look_s
        work = self._looks.answer(self._since)
        if work is not None:
            self._judge(policy, work)
        quiet_s = now - self._since
        if quiet_s < policy.seconds / 2 and not self._works:
            return self._since + policy.seconds / 2
        if self._attended():
            self._active()
            return self._since + policy.seconds / 2
        if now >= self._next_look:
            self._next_look = now + policy.look_s
            self._looks.begin()
        if self._quiet is not None and not self._warned and quiet_s >= policy.seconds - policy.warn_s:
            self._warn(policy, now)
        elif self._quiet is not None and self._warned and quiet_s >= policy.seconds:
            reason = f"Ended after {span(policy.seconds)} without work{held_words(self._quiet, policy.price_per_hour)}."
            self.policy = None
            self._end(reason)
            return None
        return now + min(policy.look_s, 0.25)

    def _judge(self, policy: IdlePolicy, work: Work) -> None:
        last, self._last = self._last, work
        busy = any((gpu.percent or 0.0) > policy.gpu_percent for gpu in work.gpus)
        if busy or (last is not None and work.cpu_percent_since(last, _COARSE_S) > MAX_CPU_PERCENT):
            self._active()
            self._last, self._works = work, True
        elif last is not None:
            self._quiet, self._works = work, False

    def _warn(self, policy: IdlePolicy, now: float) -> None:
        self._warned = True
        self._since = now - policy.seconds + policy.warn_s  # no kernel ends without a warning
        text = (
            f"This kernel has been idle for {span(policy.seconds - policy.warn_s)}. It will be stopped "
            f"in {span(policy.warn_s)} unless you run a cell or keep it."
        )
        self._tell("warning", ends_in_s=policy.warn_s, seconds=policy.seconds, text=text)


class _Looks:
    """Checks the system in a thread, one check at a time: a driver may hang, and the kernel's messages must
    not wait."""

    def __init__(self, read: Callable[[], Work], clock: Callable[[], float]) -> None:
        self._read = read
        self._clock = clock
        self._answers: List[Work] = []
        self._began = -math.inf
        self._thread: Optional[threading.Thread] = None

    def begin(self) -> None:
        """Start a check, unless one already runs."""
        if self._thread is None or not self._thread.is_alive():
            self._began = self._clock()
            self._thread = threading.Thread(target=self._work, name="genops-idle", daemon=True)
            self._thread.start()

    def _work(self) -> None:
        self._answers.append(self._read())

    def answer(self, since: float) -> Optional[Work]:
        """Return the result of a check that began after ``since``, if there is one."""
        if self._thread is None or self._thread.is_alive() or not self._answers:
            return None
        found = self._answers.pop()
        self._answers.clear()
        return found if self._began >= since else None


def span(seconds: float) -> str:
    """Return a duration as text."""
    if seconds >= 7200:
        return f"{seconds / 3600:.3g} hours"
    return f"{seconds / 60:.3g} min" if seconds >= 60 else f"{seconds:.2g} s"


class GpuUse(NamedTuple):
    """A GPU of the kernel: its utilization by all processes, and the memory of the kernel's processes."""

    number: int
    percent: Optional[float]
    memory_bytes: int


class Work(NamedTuple):
    """One check; ``at`` is monotonic."""

    at: float
    cpu_s: float
    memory_bytes: int
    gpus: Tuple[GpuUse, ...]

    def cpu_percent_since(self, before: "Work", without_s: float = 0.0) -> float:
        """Return the percent of one core; ``without_s`` of the CPU time are left out."""
        return 100.0 * max(0.0, self.cpu_s - before.cpu_s - without_s) / max(self.at - before.at, 1e-3)


def read_work(pid: int, visible: Optional[str], gpus: GpuReader) -> Work:
    """Return what the processes below ``pid``, and their GPUs, do now. ``visible``: CUDA_VISIBLE_DEVICES."""
    return work_of(processes.trees([pid])[pid], gpus.read().gpus, visible)


def work_of(
    tree: Mapping[int, processes.Usage], gpus: Iterable[Dict[str, Any]], visible: Optional[str] = None
) -> Work:
    """Return the use of these processes, with the GPUs as a reading has them."""
    uses = []
    for gpu in gpus:
        memory_bytes = _held(gpu, tree)
        if memory_bytes is not None or _is_visible(gpu, visible):
            uses.append(GpuUse(gpu["index"], gpu["utilization_percent"], memory_bytes or 0))
    cpu_s = sum(each.cpu_s for each in tree.values())
    memory = sum(each.memory_bytes for each in tree.values())
    return Work(time.monotonic(), cpu_s, memory, tuple(uses))


def _held(gpu: Dict[str, Any], pids: Mapping[int, Any]) -> Optional[int]:
    """Return the bytes of these processes on a GPU; None: they do not use it."""
    sizes = [each["memory_bytes"] or 0 for each in gpu["processes"] if each["pid"] in pids]
    return sum(sizes) if sizes else None


def _is_visible(gpu: Dict[str, Any], visible: Optional[str]) -> bool:
    """Return whether CUDA_VISIBLE_DEVICES names the GPU, or a slice of it. Without the variable the answer is
    unknown."""
    names = [name.strip() for name in (visible or "").split(",") if name.strip()]
    own = [str(gpu["index"]), gpu["uuid"], *(each["uuid"] for each in gpu["mig"])]
    return any(name in own or (len(name) > 7 and gpu["uuid"].startswith(name)) for name in names)


def held_words(work: Work, price_per_hour: Optional[float] = None) -> str:
    """Return ``; freed 21.4 GiB of GPU memory on GPU 0 and 3.1 GiB of memory at 2.49 USD/h``; empty where nothing
    is known."""
    parts: List[str] = [
        f"{size(gpu.memory_bytes)} of GPU memory on GPU {gpu.number}" for gpu in work.gpus if gpu.memory_bytes
    ]
    if work.memory_bytes:
        parts.append(f"{size(work.memory_bytes)} of memory")
    if not parts:
        return ""
    freed = ", ".join(parts[:-1]) + " and " + parts[-1] if len(parts) > 1 else parts[0]
    price = f" at {price_per_hour:.4g} USD/h" if price_per_hour else ""
    return f"; freed {freed}{price}"


def size(count: int) -> str:
    """Return bytes as text."""
    return f"{count / 1024**3:.1f} GiB" if count >= 1024**3 else f"{count / 1024**2:.0f} MiB"
