"""Read batches of events in parallel: in threads where ``native`` is built, which releases Python's lock,
else in processes, because msgspec keeps the lock.

Processes are plain programs that read from a pipe, not ``multiprocessing``, which would run the user's script
again in each of them. They send numbers and names back, and end with the pipe.
"""

from __future__ import annotations

import os
import pickle
import queue
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Generic, TypeVar

from . import native
from .helper_process import Range, message, part_of, send
from .parts import Part

#: More helpers gain little, because one process must join the parts.
MOST = 4
#: Least bytes of JSON for processes. They take 0.2 s to start; a core reads 30 MB in that time.
WORTH_PROCESSES, WORTH_THREADS = 96 << 20, 4 << 20

Work = TypeVar("Work", bytes, Range)


def worth(json_bytes: int) -> bool:
    """Return whether helpers read a file of this size faster."""
    return json_bytes >= (WORTH_THREADS if native.available() else WORTH_PROCESSES)


def helpers(number: int) -> Helpers:
    """Yield helpers of the right kind for a ``with`` block. Several threads may use them."""
    return Threads(number) if native.available() else Processes(number)


class Threads:
    """Helpers as threads of this process."""

    def __init__(self, number: int) -> None:
        self.number = number
        self._threads = ThreadPoolExecutor(number)

    def __enter__(self) -> Threads:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._threads.shutdown(cancel_futures=True)

    def ask(self, work: bytes | Range) -> Future[Part | None]:
        """Return the part of an array of events; None where the slow path must read it."""
        return self._threads.submit(part_of, work)


class Processes:
    """Helpers as separate processes."""

    def __init__(self, number: int) -> None:
        self.number = number
        self._idle: queue.SimpleQueue[subprocess.Popen[bytes]] = queue.SimpleQueue()
        self._started: list[subprocess.Popen[bytes]] = []
        self._threads = ThreadPoolExecutor(number)

    def __enter__(self) -> Processes:
        path = os.pathsep.join(each for each in sys.path if each)
        helping = f"{__package__}.helper_process"
        for _ in range(self.number):
            helper = subprocess.Popen(
                [sys.executable, "-c", f"from {helping} import main; main()"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                # NumPy starts no threads here.
                env={**os.environ, "PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1"},
            )  # fmt: skip
            self._started.append(helper)
            self._idle.put(helper)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._threads.shutdown(cancel_futures=True)
        for helper in self._started:
            if kind is not None:
                helper.kill()
            # This also closes the pipes, which ends the process.
            helper.communicate()

    def ask(self, work: bytes | Range) -> Future[Part | None]:
        """Like that of ``Threads``."""
        return self._threads.submit(self._ask, pickle.dumps(work, pickle.HIGHEST_PROTOCOL))

    def _ask(self, request: bytes) -> Part | None:
        helper = self._idle.get()
        assert helper.stdin is not None
        assert helper.stdout is not None
        try:
            send(helper.stdin, request)
            answer = message(helper.stdout)
        except OSError:  # the process was ended, for example by the kernel when memory is short
            answer = None
        finally:
            self._idle.put(helper)
        return pickle.loads(answer) if answer is not None else None  # noqa: S301 - of this program's own process


Helpers = Threads | Processes


class Ahead(Generic[Work]):
    """Work that is being read, in order, as much as the helpers can take."""

    def __init__(self, helpers: Helpers, works: Iterator[Work]) -> None:
        self._helpers = helpers
        self._works: Iterator[Work] = works
        self._waiting: deque[tuple[Work, Future[Part | None]]] = deque()

    def parts(self) -> Iterator[Part]:
        """Yield the parts, up to one that the slow path must read."""
        for work in self._works:
            self._waiting.append((work, self._helpers.ask(work)))
            if len(self._waiting) > 2 * self._helpers.number:
                part = self._oldest()
                if part is None:
                    return
                yield part
        while self._waiting:
            part = self._oldest()
            if part is None:
                return
            yield part

    def unread(self) -> list[Work]:
        """Return work that was taken without a part so far."""
        return [work for work, _ in self._waiting]

    def _oldest(self) -> Part | None:
        part = self._waiting[0][1].result()
        if part is not None:
            self._waiting.popleft()
        return part
