"""Stop a unit when its lease runs out, and define how units are stopped: step by step."""

from __future__ import annotations

import signal
import time
from typing import Any, Callable, List, Optional, Tuple

#: Seconds in which an interrupted cell, or a command that was asked to end, may save its work.
LEASE_GRACE_S = 15.0
_TERM_S, _KILL_S = 5.0, 2.0


class Lease:
    """Runs while no client is attached. ``seconds`` 0: for ever."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until: Optional[float] = None
        self._attached = False
        self.seconds = 0.0
        self.renew(seconds)

    def renew(self, seconds: Optional[float] = None) -> None:
        """Start again, with a new length in seconds if one is given."""
        if seconds is not None:
            self.seconds = max(0.0, seconds)
        running = self.seconds > 0 and not self._attached
        self._until = self._clock() + self.seconds if running else None

    def attached(self, attached: bool) -> None:
        """Note that a client came, or the last one left."""
        self._attached = attached
        self.renew()

    def left(self) -> Optional[float]:
        """Return the remaining seconds; None: the lease does not run."""
        return None if self._until is None else self._until - self._clock()


class Steps:
    """Actions in order; each with the seconds to wait after the one before."""

    def __init__(self, steps: List[Tuple[float, Callable[[], None]]]) -> None:
        self._steps = steps
        self._due = time.monotonic() + (steps[0][0] if steps else 0.0)

    def proceed(self) -> Optional[float]:
        """Do what is due. Returns when the next action is due (monotonic); None: all is done."""
        while self._steps and time.monotonic() >= self._due:
            self._steps.pop(0)[1]()
            if self._steps:
                self._due = time.monotonic() + self._steps[0][0]
        return self._due if self._steps else None


#: Sends a signal to a unit; the returned value is ignored.
Signal = Callable[[int], Any]


def ending(ask: Callable[[], None], send: Signal, grace_s: float) -> Steps:
    """Return the steps: ask, wait ``grace_s``, terminate, kill. Without grace: kill."""
    if grace_s <= 0:
        return Steps([(0.0, lambda: send(signal.SIGKILL))])
    return Steps(
        [(0.0, ask), (grace_s, lambda: send(signal.SIGTERM)), (_KILL_S, lambda: send(signal.SIGKILL))]
    )


def terminating(send: Signal, grace_s: float) -> Steps:
    """Return the steps for a unit that understands only signals: terminate, wait ``grace_s``, kill. Without
    grace: kill."""
    if grace_s <= 0:
        return Steps([(0.0, lambda: send(signal.SIGKILL))])
    return Steps([(0.0, lambda: send(signal.SIGTERM)), (grace_s, lambda: send(signal.SIGKILL))])


def lease_ending(ask: Callable[[], None], send: Signal, grace_s: float = LEASE_GRACE_S) -> Steps:
    """Return the steps for a kernel whose lease has run out: a running cell may still save its results."""
    return Steps(
        [
            (0.0, lambda: send(signal.SIGINT)),
            (grace_s, ask),
            (_TERM_S, lambda: send(signal.SIGTERM)),
            (_KILL_S, lambda: send(signal.SIGKILL)),
        ]
    )
