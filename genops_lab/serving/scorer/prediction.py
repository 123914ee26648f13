"""Run the model in threads, and notice a prediction that does not end."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")


class Predictions:
    """The predictions that run now. One that takes more than ``limit_s`` counts as hung."""

    def __init__(self, limit_s: float, threads: int = 0) -> None:
        self._limit_s = limit_s
        self._pool = ThreadPoolExecutor(threads or min(32, (os.cpu_count() or 1) + 4), "predict")
        self._began: dict[object, float] = {}

    async def run(self, within_s: float, work: Callable[..., T], *arguments: Any) -> T:
        """Return what ``work`` returns in a thread. The thread goes on if the caller is cancelled.

        Raises TimeoutError after ``within_s``. ``asyncio.wait_for`` would make a task of it, which takes as long as
        half a small prediction.
        """
        loop = asyncio.get_running_loop()
        answer = loop.run_in_executor(self._pool, self._noted, work, arguments)
        late = False

        def end() -> None:
            nonlocal late
            late = True
            answer.cancel()

        timer = loop.call_later(within_s, end)
        try:
            return await answer
        except asyncio.CancelledError:
            if late:
                raise TimeoutError from None
            raise
        finally:
            timer.cancel()

    def _noted(self, work: Callable[..., T], arguments: tuple[Any, ...]) -> T:
        mark = object()
        self._began[mark] = time.monotonic()
        try:
            return work(*arguments)
        finally:
            del self._began[mark]

    @property
    def longest_s(self) -> float:
        """The time since the oldest unfinished prediction began, 0 without one."""
        began = list(self._began.values())
        return time.monotonic() - min(began) if began else 0.0

    @property
    def hung(self) -> bool:
        """Whether a prediction takes more than the limit."""
        return self.longest_s > self._limit_s

    @property
    def lost(self) -> bool:
        """Whether a prediction takes more than twice the limit: nobody waits for it any more."""
        return self.longest_s > 2 * self._limit_s
