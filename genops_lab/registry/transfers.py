"""Say how far a copy of several files is, and try again where the line breaks."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from genops_lab.core.errors import Unavailable
from genops_lab.core.formatting import size_of

if TYPE_CHECKING:
    from genops_lab.core.tasks import TaskHandle

R = TypeVar("R")

_TRIES, _PAUSE_S = 4, 1.0
#: The rate is that of the last seconds.
_WINDOW_S = 15.0


class Progress:
    """The progress of a task that copies ``whole`` bytes in parts, in the task's message.

    The copy is the part ``share`` of the task, such as (0.5, 1.0) for its second half.
    """

    def __init__(self, handle: TaskHandle, whole: int, share: tuple[float, float] = (0.0, 1.0)) -> None:
        self._handle = handle
        self._whole = whole
        self._share = share
        self._title = ""
        self._before = 0
        self._marks: deque[tuple[float, int]] = deque()
        #: The most bytes that were there at any time.
        self.furthest = 0

    def begin(self, title: str, before: int) -> None:
        """Begin with a part after ``before`` bytes, and write a line into the log."""
        self._title, self._before = title, before
        self._marks.clear()
        self._handle.progress(f"{title}.", self._at(before))

    def show(self, done: int) -> None:
        """Show that ``done`` bytes of this part are there, how many arrive in a second, and the time left."""
        now, there = time.monotonic(), self._before + done
        self.furthest = max(self.furthest, there)
        while self._marks and (now - self._marks[0][0] > _WINDOW_S or self._marks[0][1] > there):
            self._marks.popleft()
        self._marks.append((now, there))
        figures = f"{size_of(there)} of {size_of(self._whole)}"
        began, at = self._marks[0]
        if there > at and now > began:
            rate = (there - at) / (now - began)
            figures += f", {size_of(round(rate))}/s, {_duration((self._whole - there) / rate)} left"
        self._handle.show(f"{self._title}; {figures}.", self._at(there))

    def _at(self, there: int) -> float:
        first, last = self._share
        return first + (last - first) * min(there / (self._whole or 1), 1.0)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


async def again(handle: TaskHandle, call: Callable[[], Awaitable[R]], progress: Progress | None = None) -> R:
    """Call up to four times if the other side does not answer: lines break in long copies.

    A call that came further than all before does not count. Raises Unavailable.
    """
    tried, furthest = 0, progress.furthest if progress else 0
    while True:
        try:
            return await call()
        except Unavailable as error:
            if progress is not None and progress.furthest > furthest:
                tried, furthest = 0, progress.furthest
            tried += 1
            if tried == _TRIES:
                raise
            handle.say(f"{error.message} Trying again.")
            await asyncio.sleep(_PAUSE_S * 2 ** (tried - 1))
