"""A target's policy for idle kernels, as the Lab sends it."""

from __future__ import annotations

from typing import Any, NamedTuple, Optional

#: Seconds between the warning and the stop, or a quarter of the time where that is less.
WARN_S = 300.0
#: Seconds between two looks, or a fortieth of the time where that is less.
LOOK_S = 15.0
MAX_SECONDS = 366 * 86400.0


class IdlePolicy(NamedTuple):
    """The kernel is stopped after ``seconds`` without work; a GPU under ``gpu_percent`` counts as idle.
    ``price_per_hour``: of its host, in USD."""

    seconds: float
    gpu_percent: float
    price_per_hour: Optional[float] = None

    @property
    def warn_s(self) -> float:
        """Seconds between the warning and the stop."""
        return min(WARN_S, self.seconds / 4)

    @property
    def look_s(self) -> float:
        """Seconds between two looks."""
        return min(LOOK_S, self.seconds / 40)


def policy_of(given: Any) -> Optional[IdlePolicy]:
    """Return a Lab's policy; None: the kernel stays. Raises ValueError."""
    if not given:
        return None
    seconds, percent = float(given["seconds"]), float(given.get("gpu_percent", 5.0))
    if not 0 < seconds <= MAX_SECONDS:
        raise ValueError(f"an idle time of {seconds} s is out of range")
    if not 0 <= percent <= 100:
        raise ValueError(f"a GPU limit of {percent} % is out of range")
    price = given.get("price_per_hour")
    return IdlePolicy(seconds, percent, None if price is None else float(price))
