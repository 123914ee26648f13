"""Report the progress of a call in a worker process, and notice that its caller cancelled it.

A module of its own: the child runs :mod:`.worker_child` as ``__main__``, which backends cannot import a second time.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

REPORT_EVERY_S = 0.5

_thread = threading.local()
T = TypeVar("T")


class CallCancelled(BaseException):
    """The caller cancelled the call. No library takes it for an error of its own and tries again."""


class RunningCall:
    """A call that a thread of the child runs. ``send`` writes a figure to the caller."""

    def __init__(self, send: Callable[[int], None]) -> None:
        self._send = send
        self._reported_at = 0.0
        self.cancelled = False

    def report(self, done: int) -> None:
        """See :func:`report_progress`."""
        if self.cancelled:
            raise CallCancelled
        now = time.monotonic()
        if now - self._reported_at >= REPORT_EVERY_S:
            self._reported_at = now
            self._send(done)

    @contextlib.contextmanager
    def in_this_thread(self) -> Iterator[None]:
        """Make this the call of the thread."""
        _thread.running = self
        try:
            yield
        finally:
            _thread.running = None


def report_progress(done: int) -> None:
    """Report progress, such as bytes copied so far, to the caller of the running call; at most twice a second.

    Call it in the thread of the call. Does nothing outside of a worker process. Raises CallCancelled after the caller
    cancelled the call (:meth:`.worker.Worker.follow`).
    """
    running: RunningCall | None = getattr(_thread, "running", None)
    if running is not None:
        running.report(done)


def for_another_thread(function: Callable[[], T]) -> Callable[[], T]:
    """Return the function for another thread: there it belongs to the running call of this one."""
    running: RunningCall | None = getattr(_thread, "running", None)

    def called() -> T:
        if running is None:
            return function()
        with running.in_this_thread():
            return function()

    return called
