"""Store histograms, and convert them to common bins."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

import msgspec

from .models import HistogramRow, HistogramSeries

if TYPE_CHECKING:
    import numpy as np

BINS = 64
MAX_ROWS = 120
_Count = Annotated[int, msgspec.Meta(ge=0, le=2**62)]


class KeptHistogram(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a file. ``series`` and ``index`` identify a histogram among those of its name, so that
    duplicates are found.
    """

    series: Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9]{1,16}$")]
    index: Annotated[int, msgspec.Meta(ge=0, lt=10**7)]
    step: Annotated[int, msgspec.Meta(gt=-(2**62), lt=2**62)]
    timestamp: float
    low: float
    high: float
    counts: Annotated[list[_Count], msgspec.Meta(min_length=1, max_length=512)]
    nan: _Count = 0
    infinite: _Count = 0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low <= self.high):
            raise ValueError("the bins must reach from a number to a larger one")


def on_common_bins(run_id: str, name: str, kept: list[KeptHistogram]) -> HistogramSeries:
    """Return the histograms of one name by step, without duplicates, on the same bins."""
    import numpy as np

    distinct = {(one.series, one.index): one for one in kept}
    ordered = sorted(distinct.values(), key=lambda one: (one.step, one.timestamp, one.index))
    chosen = _evenly(ordered)
    filled = [one for one in chosen if sum(one.counts)]
    low = min((one.low for one in filled), default=0.0)
    high = max((one.high for one in filled), default=1.0)
    if not low < high:
        around = max(0.5, abs(low) * 1e-6)
        low, high = low - around, high + around
    edges = np.linspace(low, high, BINS + 1)
    return HistogramSeries(
        run_id=run_id,
        name=name,
        low=low,
        high=high,
        rows=[_row(one, edges) for one in chosen],
        logged=len(ordered),
    )


def _row(one: KeptHistogram, edges: np.ndarray) -> HistogramRow:
    import numpy as np

    total = sum(one.counts)
    if one.low == one.high:
        place = min(int(np.searchsorted(edges, one.low, "right")) - 1, BINS - 1)
        counts = np.zeros(BINS)
        counts[max(place, 0)] = total
    else:
        own = np.linspace(one.low, one.high, len(one.counts) + 1)
        below = np.concatenate([[0.0], np.cumsum(np.asarray(one.counts, dtype=np.float64))])
        counts = np.diff(np.interp(edges, own, below))
    return HistogramRow(
        step=one.step,
        timestamp=one.timestamp,
        counts=[float(f"{count:.6g}") for count in counts],
        finite=total,
        nan=one.nan,
        infinite=one.infinite,
        low=one.low,
        high=one.high,
    )


def _evenly(ordered: list[KeptHistogram]) -> list[KeptHistogram]:
    if len(ordered) <= MAX_ROWS:
        return ordered
    return [ordered[round(place * (len(ordered) - 1) / (MAX_ROWS - 1))] for place in range(MAX_ROWS)]
