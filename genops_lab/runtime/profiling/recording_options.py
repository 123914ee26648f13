"""What a recording is asked for."""

from __future__ import annotations

from typing import NamedTuple, Optional

#: Left to who records: measuring a step with Nsight Compute takes as long as recording many of them.
AS_USUAL = 0


class RecordingOptions(NamedTuple):
    """Bounds of a recording, whichever comes first, and what it holds.

    ``warmup`` steps are not recorded, then ``steps`` are. ``megabytes`` is what the recorder takes of this process,
    with the result that it makes in the end: about 1.4 kB an event.
    ``usd_per_hour``: what all that runs costs, in place of the target's price.
    """

    steps: int = AS_USUAL
    warmup: int = 2
    seconds: float = AS_USUAL
    megabytes: float = 200.0
    shapes: bool = False
    stacks: bool = False
    memory: bool = False
    graphs: bool = False
    lines: bool = True
    usd_per_hour: Optional[float] = None

    def settled(self, steps: int, seconds: float) -> "RecordingOptions":
        """With these where they were left open."""
        return self._replace(steps=self.steps or steps, seconds=self.seconds or seconds)

    def with_a_gap(self) -> "RecordingOptions":
        """The start is recorded as well: what is open where that ends must not be where the steps begin, see
        ``slices``."""
        return self._replace(warmup=2) if self.warmup == 1 else self
