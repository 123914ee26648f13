"""When a kernel is ended because nobody comes back, and how kernels are ended at all: step by step."""

from __future__ import annotations

import time
from typing import Callable, List, Optional, Tuple

#: What an interrupted cell gets to save its work, before the kernel is asked to end.
LEASE_GRACE_S = 15.0
_TERM_S, _KILL_S = 5.0, 2.0


class Lease:
    """Runs while nobody is attached. ``seconds`` 0: for ever."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until: Optional[float] = None
        self._attached = False
        self.seconds = 0.0
        self.renew(seconds)

    def renew(self, seconds: Optional[float] = None) -> None:
        """Count anew, with another length if one is given."""
        if seconds is not None:
            self.seconds = max(0.0, seconds)
        running = self.seconds > 0 and not self._attached
        self._until = self._clock() + self.seconds if running else None

    def attached(self, attached: bool) -> None:
        """A client came, or the last one left."""
        self._attached = attached
        self.renew()

    def left(self) -> Optional[float]:
        """Seconds that are left; None: it does not run."""
        return None if self._until is None else self._until - self._clock()


class Steps:
    """Things to do one after the other; each with the seconds to wait after the one before."""

    def __init__(self, steps: List[Tuple[float, Callable[[], None]]]) -> None:
        self._steps = steps
        self._due = time.monotonic() + (steps[0][0] if steps else 0.0)

    def proceed(self) -> Optional[float]:
        """Do what is due. Returns when the next is (monotonic); None: all is done."""
        while self._steps and time.monotonic() >= self._due:
            self._steps.pop(0)[1]()
            if self._steps:
                self._due = time.monotonic() + self._steps[0][0]
        return self._due if self._steps else None


def ending(
    ask: Callable[[], None], terminate: Callable[[], None], kill: Callable[[], None], grace_s: float
) -> Steps:
    """Ask, wait ``grace_s``, terminate, kill. Without grace: kill."""
    if grace_s <= 0:
        return Steps([(0.0, kill)])
    return Steps([(0.0, ask), (grace_s, terminate), (_KILL_S, kill)])


def lease_ending(
    interrupt: Callable[[], None],
    ask: Callable[[], None],
    terminate: Callable[[], None],
    kill: Callable[[], None],
    grace_s: float = LEASE_GRACE_S,
) -> Steps:
    """The lease has run out: a cell that runs may still save what it has."""
    return Steps([(0.0, interrupt), (grace_s, ask), (_TERM_S, terminate), (_KILL_S, kill)])
