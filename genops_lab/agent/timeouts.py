"""Limit the time of calls that may hang: a driver in trouble, a home on a file server that is away."""

from __future__ import annotations

import threading
import time
from typing import Callable, Generic, Optional, TypeVar

T = TypeVar("T")


class Unanswered(Exception):
    """No answer in time. The function is not called again before this call has ended."""


class Guarded(Generic[T]):
    """A function for one thread at a time, which is left behind when it takes too long. Safe for several
    threads.

    A thread that hangs in the kernel cannot be ended: each function loses at most one thread. An answer is
    reused until ``fresh_s`` after its call.
    """

    def __init__(self, ask: Callable[[], T], fresh_s: float = 0.0) -> None:
        self._ask = ask
        self._fresh_s = fresh_s
        self._lock = threading.Lock()
        self._running: Optional[_Asking[T]] = None

    def __call__(self, timeout_s: float) -> T:
        """Return the answer; raises Unanswered after ``timeout_s``, and the function's errors."""
        with self._lock:
            running = self._running
            if running is None or (
                running.done.is_set() and time.monotonic() - running.began >= self._fresh_s
            ):
                running = self._running = _Asking(self._ask)
                threading.Thread(target=running.run, name="genops-reading", daemon=True).start()
        if not running.done.wait(timeout_s):
            raise Unanswered(f"no answer within {timeout_s:g} s")
        return running.answer()


class _Asking(Generic[T]):
    def __init__(self, ask: Callable[[], T]) -> None:
        self._ask = ask
        self.began = time.monotonic()
        self._answer: Optional[T] = None
        self._error: Optional[BaseException] = None
        self.done = threading.Event()

    def run(self) -> None:
        try:
            self._answer = self._ask()
        except BaseException as error:  # raised again in the caller
            self._error = error
        finally:
            self.done.set()

    def answer(self) -> T:
        if self._error is not None:
            raise self._error
        return self._answer  # type: ignore[return-value]
