"""What a recording is made of: one stretch without a stop."""

from __future__ import annotations

import time

from .recorder import Recorder, resident_bytes


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

    @property
    def age(self) -> float:
        """Seconds since it began."""
        return time.perf_counter() - self.began
