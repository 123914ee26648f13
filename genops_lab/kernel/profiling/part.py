"""What a recording is made of: one stretch without a stop."""

from __future__ import annotations

import time

from .recorder import Recorder, resident_bytes

#: An event takes 0.2 kB while it is recorded and 1.4 kB in the result (torch 2.13).
_RESULT_TO_RECORDED = 6.7
#: Steps may be shorter than it takes to ask the system; in such a time nothing grows by much.
_ASKED_EVERY_S = 0.01


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
        self._grown_mb = self._asked_at = 0.0

    @property
    def age(self) -> float:
        """Seconds since it began."""
        return time.perf_counter() - self.began

    @property
    def grown_mb(self) -> float:
        """By how much the recording will have made the process grow, if all growth so far is its own."""
        self._asked_at = time.perf_counter()
        self._grown_mb = _RESULT_TO_RECORDED * max(0, resident_bytes() - self.resident) / 1e6
        return self._grown_mb

    def grown_lately_mb(self) -> float:
        """The same, as it was a moment ago."""
        if time.perf_counter() - self._asked_at >= _ASKED_EVERY_S:
            return self.grown_mb
        return self._grown_mb
