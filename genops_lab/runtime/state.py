"""The runs of this process, and their end when the process ends. Safe for threads and forks."""

from __future__ import annotations

import atexit
import os
import sys
import threading
from collections import deque
from typing import Any, Callable, Deque, List, Optional

from .run import FAILED, FINISHED, KILLED, Run

#: Ended runs of this process that can be gone on with while the Lab is away.
MAX_ENDED = 50


class Runs:
    """Open runs, the innermost last. One for the whole process: a training thread logs to the cell's run."""

    def __init__(self) -> None:
        self._forget()
        self.parent_had_run = False
        #: while a trial's kernel runs the cells before the trial's own: what they log belongs to no run
        self.muted = False

    def _forget(self) -> None:
        self._lock = threading.RLock()
        self._open: List[Run] = []
        self._ended: Deque[Run] = deque(maxlen=MAX_ENDED)
        self.last: Optional[Run] = None
        self.failure = FINISHED

    def forget_after_fork(self) -> None:
        """In a forked child: the runs are the parent's, whose threads and locks did not come along."""
        self.parent_had_run = self.parent_had_run or bool(self._open)
        self._forget()

    def push(self, run: Run) -> Run:
        """``run`` is the current one until it is removed."""
        with self._lock:
            self._open.append(run)
            self.last = run
        return run

    def remove(self, run: Run) -> None:
        """``run`` has ended."""
        with self._lock:
            if run in self._open:
                self._open.remove(run)
                self._ended.appendleft(run)
            self.last = run

    def all_open(self) -> List[Run]:
        """Open runs, the innermost last."""
        with self._lock:
            return list(self._open)

    def ended(self) -> List[Run]:
        """Runs of this process that have ended, the latest first."""
        with self._lock:
            return list(self._ended)

    @property
    def current(self) -> Optional[Run]:
        """The innermost open run."""
        with self._lock:
            return self._open[-1] if self._open else None

    def current_or(self, open_one: Callable[[], Run]) -> Run:
        """The current run, or the one that ``open_one`` opens: two threads that log first share one."""
        with self._lock:
            return self._open[-1] if self._open else open_one()

    def end_all(self) -> None:
        """End what is open when the process ends."""
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
