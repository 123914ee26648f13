"""What a recording is made of: one stretch without a stop."""

from __future__ import annotations

import statistics
import time
from typing import List

from .recorder import Recorder, resident_bytes

#: An event takes 0.2 kB while it is recorded and 1.4 kB in the result (torch 2.13).
_RESULT_TO_RECORDED = 6.7
#: Steps may be shorter than it takes to ask the system; in such a time nothing grows by much.
_ASKED_EVERY_S = 0.01
#: Of fewer stretches of steps it is not known what is usual.
_FEW = 3
#: So many times the bound is believed to be the recording's after the first of them.
_BELIEVED = 1.25


class Part:
    """What was recorded in one go. ``steps``: those that it has whole."""

    def __init__(self, recorder: Recorder, elapsed_s: float) -> None:
        self.recorder = recorder
        self.from_s = elapsed_s
        self.began = time.perf_counter()
        self.seconds = 0.0
        self.steps = 0
        self.ended_by = ""
        #: It has all steps, and ends when the last one's slices are closed.
        self.over = False
        #: The name of the slice that would have been the next step.
        self.not_whole = ""
        self.resident = resident_bytes()
        #: Growth before this age is the program's own, as far as is known.
        self.look_at_s = 0.0
        self._asked_at = 0.0
        #: How much and over how many steps it had grown when it was last asked, and what steps grew by in between.
        self._grown_then, self._steps_then = 0.0, 0
        self._grown_a_step: List[float] = []

    @property
    def age(self) -> float:
        """Seconds since it began."""
        return time.perf_counter() - self.began

    @property
    def grown_mb(self) -> float:
        """By how much the recording will have made the process grow, if all growth so far is its own."""
        return _RESULT_TO_RECORDED * max(0, resident_bytes() - self.resident) / 1e6

    def grown_by_steps_mb(self) -> float:
        """The same, at the end of a step, by what the usual step grew. What it grew by in few of them is the program's
        own, as an optimizer's states are; of the very first one all counts."""
        if time.perf_counter() - self._asked_at >= _ASKED_EVERY_S and self.steps > self._steps_then:
            grown = self.grown_mb
            self._grown_a_step.append((grown - self._grown_then) / (self.steps - self._steps_then))
            self._asked_at, self._grown_then, self._steps_then = time.perf_counter(), grown, self.steps
        if len(self._grown_a_step) < 2:
            return self._grown_then / _BELIEVED
        if len(self._grown_a_step) < _FEW:
            return min(self._grown_a_step) * self.steps
        return statistics.median(self._grown_a_step) * self.steps
