"""Keep the runs of this process and end them when the process ends; threads and forks may use this."""

from __future__ import annotations

import atexit
import os
import sys
import threading
from collections import deque
from typing import Any, Callable, Deque, List, Optional

from .run import FAILED, FINISHED, KILLED, Run

#: Ended runs of this process that can be continued while the Lab is away.
MAX_ENDED = 50


class Runs:
    """Open runs, the innermost last, for the whole process: a training thread logs to the cell's run."""

    def __init__(self) -> None:
        self._forget()
        self.parent_had_run = False
        #: while a trial's kernel runs the cells before the trial's own: their logs belong to no run
        self.muted = False

    def _forget(self) -> None:
        self._lock = threading.RLock()
        self._open: List[Run] = []
        self._ended: Deque[Run] = deque(maxlen=MAX_ENDED)
        self.last: Optional[Run] = None
        self.failure = FINISHED

    def forget_after_fork(self) -> None:
        """Drop the parent's runs in a forked child: their threads and locks were not copied."""
        self.parent_had_run = self.parent_had_run or bool(self._open)
        self._forget()

    def push(self, run: Run) -> Run:
        """Make ``run`` the current run until it is removed."""
        with self._lock:
            self._open.append(run)
            self.last = run
        return run

    def remove(self, run: Run) -> None:
        """Remove a run that has ended."""
        with self._lock:
            if run in self._open:
                self._open.remove(run)
                self._ended.appendleft(run)
            self.last = run

    def all_open(self) -> List[Run]:
        """Return the open runs, the innermost last."""
        with self._lock:
            return list(self._open)

    def ended(self) -> List[Run]:
        """Return the runs of this process that have ended, the latest first."""
        with self._lock:
            return list(self._ended)

    @property
    def current(self) -> Optional[Run]:
        """The innermost open run."""
        with self._lock:
            return self._open[-1] if self._open else None

    def current_or(self, open_one: Callable[[], Run]) -> Run:
        """Return the current run, or open one with ``open_one``: two threads that log first share one."""
        with self._lock:
            return self._open[-1] if self._open else open_one()

    def end_all(self) -> None:
        """End the open runs when the process ends."""
        with self._lock:
            left = list(reversed(self._open))
        for run in left:
            if not run.end(self.failure):
                print(f"GenOps: {run.message}", file=sys.stderr)
            self.remove(run)


runs = Runs()


def _watch_failures() -> None:
    previous = sys.excepthook

    def hook(kind: Any, error: Any, trace: Any) -> None:
        runs.failure = KILLED if issubclass(kind, KeyboardInterrupt) else FAILED
        previous(kind, error, trace)

    sys.excepthook = hook


atexit.register(runs.end_all)
_watch_failures()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=runs.forget_after_fork)
