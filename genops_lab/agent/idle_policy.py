"""How long a kernel may do nothing: a target's policy, as a Lab tells it."""

from __future__ import annotations

from typing import Any, NamedTuple, Optional

#: The warning comes so long before the end, or a quarter of the time where that is less.
WARN_S = 300.0
#: Between two looks, or a fortieth of the time where that is less.
LOOK_S = 15.0
MAX_SECONDS = 366 * 86400.0


class IdlePolicy(NamedTuple):
    """``seconds`` without work, GPUs under ``gpu_percent``."""

    seconds: float
    gpu_percent: float

    @property
    def warn_s(self) -> float:
        """How long before the end it is warned of."""
        return min(WARN_S, self.seconds / 4)

    @property
    def look_s(self) -> float:
        """Between two looks."""
        return min(LOOK_S, self.seconds / 40)


def policy_of(given: Any) -> Optional[IdlePolicy]:
    """A Lab's wish; None: the kernel stays. Raises ValueError."""
    if not given:
        return None
    seconds, percent = float(given["seconds"]), float(given.get("gpu_percent", 5.0))
    if not 0 < seconds <= MAX_SECONDS:
        raise ValueError(f"{seconds} s without work cannot be waited for")
    if not 0 <= percent <= 100:
        raise ValueError(f"{percent} % is no use of a GPU")
    return IdlePolicy(seconds, percent)
