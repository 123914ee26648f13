"""Measures of one kernel, whatever its way: through jupyter_client, as every front end does."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field
from queue import Empty
from typing import Any

from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

PATIENCE_S = 120.0
_MANY_LINES = "import sys\nline = 'x' * 99_999 + '\\n'\n"
#: 100 MB of standard output.
PRINT_100_MB = _MANY_LINES + "for _ in range(1000): sys.stdout.write(line)\nsys.stdout.flush()"
PRINT_ON = _MANY_LINES + "import time\nwhile True:\n    sys.stdout.write(line)\n    time.sleep(0.0005)"
COUNT = (
    "import time\nfrom IPython.display import publish_display_data as show\n"
    "for number in range({first}, {last}):\n    show({{'text/plain': str(number)}})\n    time.sleep({pause})"
)


class Kernel:
    """A kernel that runs, with a client."""

    def __init__(self, name: str, kernel_id: str = "") -> None:
        self.manager = KernelManager(kernel_name=name)
        if kernel_id:
            self.manager.kernel_id = kernel_id
        self.manager.log.setLevel(logging.ERROR)
        begun = time.perf_counter()
        self.manager.start_kernel()
        self.client: BlockingKernelClient = self.manager.blocking_client()
        self.client.start_channels()
        self.reply(self.client.execute("6 * 7"))
        #: from nothing to the first reply
        self.started_s = time.perf_counter() - begun
        self._listen()

    def _listen(self) -> None:
        """Return when iopub is heard: a subscription travels to the kernel's socket, wherever that is."""
        for _ in range(50):
            try:
                self.run("pass", 1.0)
            except Empty:
                continue
            return
        raise RuntimeError("iopub is not heard")

    def close(self) -> None:
        """End it."""
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)

    def reply(self, message_id: str, patience_s: float = PATIENCE_S) -> dict[str, Any]:
        """The reply to a request."""
        deadline = time.monotonic() + patience_s
        while True:
            reply: dict[str, Any] = self.client.get_shell_msg(timeout=deadline - time.monotonic())
            if reply["parent_header"].get("msg_id") == message_id:
                return reply

    def until_idle(self, message_id: str, patience_s: float = PATIENCE_S) -> list[dict[str, Any]]:
        """What a request brought on iopub, up to its idle."""
        found = []
        deadline = time.monotonic() + patience_s
        while True:
            message: dict[str, Any] = self.client.get_iopub_msg(timeout=deadline - time.monotonic())
            if message["parent_header"].get("msg_id") == message_id:
                found.append(message)
                if message["content"].get("execution_state") == "idle":
                    return found

    def run(self, code: str, patience_s: float = PATIENCE_S) -> list[dict[str, Any]]:
        """Run a cell to its end."""
        message_id = self.client.execute(code)
        found = self.until_idle(message_id, patience_s)
        self.reply(message_id, patience_s)
        return found

    def drain(self) -> None:
        """Throw away what waits on iopub."""
        while True:
            try:
                self.client.get_iopub_msg(timeout=0.2)
            except Empty:
                return


def passes_ms(kernel: Kernel, count: int, pause_s: float = 0.0) -> list[float]:
    """Milliseconds from ``pass`` to its reply, after a pause: a machine that has rested is slower."""
    found = []
    for _ in range(count):
        time.sleep(pause_s)
        begun = time.perf_counter()
        message_id = kernel.client.execute("pass")
        kernel.reply(message_id)
        found.append((time.perf_counter() - begun) * 1e3)
        kernel.until_idle(message_id)
    return found


def interrupt_ms(kernel: Kernel) -> float:
    """Milliseconds from the interrupt of a busy cell to its reply."""
    message_id = kernel.client.execute("while True: pass")
    while True:
        message = kernel.client.get_iopub_msg(timeout=PATIENCE_S)
        if message["msg_type"] == "execute_input" and message["parent_header"].get("msg_id") == message_id:
            break
    time.sleep(0.2)
    begun = time.perf_counter()
    kernel.manager.interrupt_kernel()
    kernel.reply(message_id)
    took = (time.perf_counter() - begun) * 1e3
    kernel.until_idle(message_id)
    return took


def interrupt_printing_ms(kernel: Kernel) -> float:
    """The same while it prints as fast as it is read, some 100 MB, with a reader beside."""
    message_id = kernel.client.execute(PRINT_ON)
    printed, replied = threading.Event(), threading.Event()

    def read() -> None:
        size = 0
        while True:
            try:
                message = kernel.client.get_iopub_msg(timeout=0.5)
            except Empty:
                if replied.is_set():  # its "idle" was lost, as a local kernel's may be
                    return
                continue
            if message["msg_type"] == "stream":
                size += len(message["content"]["text"])
                if size > 50e6:
                    printed.set()
            idle = message["content"].get("execution_state") == "idle"
            if idle and message["parent_header"].get("msg_id") == message_id:
                return

    reader = threading.Thread(target=read)
    reader.start()
    printed.wait(PATIENCE_S)
    begun = time.perf_counter()
    try:
        kernel.manager.interrupt_kernel()
        kernel.reply(message_id)
        return (time.perf_counter() - begun) * 1e3
    finally:
        replied.set()
        reader.join(PATIENCE_S)


def print_100_mb_s(kernel: Kernel) -> float:
    """Seconds for 100 MB of standard output, all of it read."""
    begun = time.perf_counter()
    found = kernel.run(PRINT_100_MB)
    took = time.perf_counter() - begun
    size = sum(len(one["content"]["text"]) for one in found if one["msg_type"] == "stream")
    if size != 100_000_000:
        raise RuntimeError(f"{size} bytes of 100,000,000 arrived")
    return took


@dataclass
class Tally:
    """What became of numbered outputs."""

    expected: int
    numbers: list[int] = field(default_factory=list)
    arrived_at: list[float] = field(default_factory=list)
    complete: bool = True

    @property
    def lost(self) -> int:
        """Never came."""
        return self.expected - len(set(self.numbers))

    @property
    def twice(self) -> int:
        """Came more than once."""
        return len(self.numbers) - len(set(self.numbers))

    @property
    def out_of_order(self) -> int:
        """Came after a later one."""
        later = zip(self.numbers, self.numbers[1:], strict=False)
        return sum(1 for one, following in later if following < one)

    def longest_gap_s(self, since: float, until: float) -> float:
        """The longest silence that overlaps these times of ``time.perf_counter``."""
        gaps = [
            following - one
            for one, following in zip(self.arrived_at, self.arrived_at[1:], strict=False)
            if following >= since and one <= until
        ]
        return max(gaps, default=0.0)


def count_outputs(
    kernel: Kernel, count: int, *, pause_s: float = 0.0, stall_s: float = 0.0, patience_s: float = PATIENCE_S
) -> Tally:
    """Let a cell show the numbers up to ``count`` one by one; ``stall_s``: the reader sleeps first."""
    tally = Tally(expected=count)
    message_id = kernel.client.execute(COUNT.format(first=0, last=count, pause=pause_s))
    if stall_s:
        time.sleep(stall_s)
    deadline = time.monotonic() + patience_s
    while True:
        try:
            message = kernel.client.get_iopub_msg(timeout=max(deadline - time.monotonic(), 0.01))
        except Empty:
            tally.complete = False
            return tally
        if message["parent_header"].get("msg_id") != message_id:
            continue
        if message["msg_type"] == "display_data":
            tally.numbers.append(int(message["content"]["data"]["text/plain"]))
            tally.arrived_at.append(time.perf_counter())
        elif message["content"].get("execution_state") == "idle":
            return tally
