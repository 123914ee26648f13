"""Batches of events read beside each other: in threads where ``native`` is built, which holds no lock of Python's, else
in processes, for msgspec holds it.

Processes are plain programs that read from a pipe, not ``multiprocessing``, which would run a user's script once more
in each of them. They send numbers and names back, and end with the pipe.
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

#: More than these give little: the process that joins the parts has to keep up.
MOST = 4
#: Of JSON. Processes take 0.2 s to start, in which a core reads 30 MB.
WORTH_PROCESSES, WORTH_THREADS = 96 << 20, 4 << 20

Work = TypeVar("Work", bytes, Range)


def worth(json_bytes: int) -> bool:
    """Whether so much is read sooner with helpers."""
    return json_bytes >= (WORTH_THREADS if native.available() else WORTH_PROCESSES)


def helpers(number: int) -> Helpers:
    """Of the kind that is right here, for the time of a ``with``. They may be asked from several threads."""
    return Threads(number) if native.available() else Processes(number)


class Threads:
    """Helpers that share this process."""

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
        """The part that an array of events makes; None where it is to be read with more care."""
        return self._threads.submit(part_of, work)


class Processes:
    """Helpers that are programs of their own."""

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
                # NumPy starts no threads for products that it is not asked for.
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
            # Also closes its pipes, at which it ends.
            helper.communicate()

    def ask(self, work: bytes | Range) -> Future[Part | None]:
        """As that of ``Threads``."""
        return self._threads.submit(self._ask, pickle.dumps(work, pickle.HIGHEST_PROTOCOL))

    def _ask(self, request: bytes) -> Part | None:
        helper = self._idle.get()
        assert helper.stdin is not None
        assert helper.stdout is not None
        try:
            send(helper.stdin, request)
            answer = message(helper.stdout)
        except OSError:  # it was ended, by the kernel when memory is short
            answer = None
        finally:
            self._idle.put(helper)
        return pickle.loads(answer) if answer is not None else None  # noqa: S301 - of this program's own process


Helpers = Threads | Processes


class Ahead(Generic[Work]):
    """Works that are being read, in their order, as many as helpers can hold."""

    def __init__(self, helpers: Helpers, works: Iterator[Work]) -> None:
        self._helpers = helpers
        self._works: Iterator[Work] = works
        self._waiting: deque[tuple[Work, Future[Part | None]]] = deque()

    def parts(self) -> Iterator[Part]:
        """Of each, up to one that is to be read with more care."""
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
        """What was taken and its part not given out."""
        return [work for work, _ in self._waiting]

    def _oldest(self) -> Part | None:
        part = self._waiting[0][1].result()
        if part is not None:
            self._waiting.popleft()
        return part
