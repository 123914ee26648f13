"""Whether a run that goes on has stopped to log: its process may hang where nothing says so."""

from __future__ import annotations

from collections.abc import Iterable

from .models import LatestMetric

#: A run that has logged nothing for so many seconds is stalled.
STALLED_AFTER_S = 300.0
_SYSTEM = "system/"


def stalled_s(latest: Iterable[LatestMetric], now: float) -> float | None:
    """Return for how many seconds a running run has logged no metric of its own (``system/...`` go on by themselves);
    None while it logs, and for one that never logged any.

    ``now``: seconds since 1970.
    """
    times = [metric.at for metric in latest if not metric.key.startswith(_SYSTEM)]
    quiet = now - max(times) if times else 0.0
    return quiet if quiet > STALLED_AFTER_S else None
