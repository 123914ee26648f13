"""Choose the points of histories that a chart of a given width can show."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from .history import Floats, History, Line, reach
from .models import Histories, HistoriesQuery, RunHistory

Places = npt.NDArray[np.intp]


def drawn(known: dict[str, History], query: HistoriesQuery) -> Histories:
    """Return the histories that differ from their marks."""
    lines = {run_id: history.line(query.x) for run_id, history in known.items()}
    width = bucket_width(_span(list(lines.values()), query), query.buckets)
    return Histories(
        key=query.key,
        histories=[
            _drawn(run_id, history, lines[run_id], width, query)
            for run_id, history in known.items()
            if query.marks.get(run_id) != _mark(history, width)
        ],
    )


def _span(lines: list[Line], query: HistoriesQuery) -> float:
    ends = [line.x[[0, -1]] for line in lines if len(line.x)]
    if not ends:
        return 0.0
    first = min(float(each[0]) for each in ends) if query.first is None else query.first
    last = max(float(each[1]) for each in ends) if query.last is None else query.last
    return last - first


def _mark(history: History, width: float) -> str:
    return f"{history.epoch}:{width!r}:{len(history.points)}"


def _drawn(run_id: str, history: History, line: Line, width: float, query: HistoriesQuery) -> RunHistory:
    from_x = _new_from(run_id, history, line, width, query)
    begin, end = _part(line.x, query, from_x)
    x, y = line.x[begin:end], line.y[begin:end]
    kept = chosen(x, y, width)
    smooth_x = smooth_y = np.empty(0)
    if query.smoothing.kind != "none":
        smooth = line.smooth(query.smoothing)[begin:end]
        there = np.isfinite(smooth)
        smooth_x, smooth_y = x[there], smooth[there]
        thin = chosen(smooth_x, smooth_y, width)
        smooth_x, smooth_y = smooth_x[thin], smooth_y[thin]
    repeated, backwards = history.repeated_and_backwards()
    return RunHistory(
        run_id=run_id,
        mark=_mark(history, width),
        from_x=from_x,
        x=_bytes(x[kept]),
        y=_bytes(y[kept]),
        smooth_x=_bytes(smooth_x),
        smooth_y=_bytes(smooth_y),
        points=len(line.x),
        gaps=int(np.isnan(line.y).sum()),
        infinite=int(np.isinf(line.y).sum()),
        repeated=repeated,
        backwards=backwards,
        first=float(line.x[0]) if len(line.x) else None,
        last=float(line.x[-1]) if len(line.x) else None,
    )


def _new_from(run_id: str, history: History, line: Line, width: float, query: HistoriesQuery) -> float | None:
    """Return the x from which the owner of a mark needs new points: the begin of a bucket. None: everything
    is new.
    """
    known = query.marks.get(run_id, "")
    same, _, count = known.rpartition(":")
    if not count.isdigit() or same != _mark(history, width).rpartition(":")[0]:
        return None
    if not 0 < int(count) < len(history.points):
        return None
    at = int(np.searchsorted(line.x, history.earliest_after(query.x, int(count))))
    before = max(at - reach(query.smoothing), 0)
    return float(np.floor(line.x[before] / width) * width)


def _part(x: Floats, query: HistoriesQuery, from_x: float | None) -> tuple[int, int]:
    """Return the points of the range, and one on each side, so that lines reach its ends."""
    begin, end = 0, len(x)
    if query.first is not None:
        begin = max(int(np.searchsorted(x, query.first)) - 1, 0)
    if query.last is not None:
        end = min(int(np.searchsorted(x, query.last, side="right")) + 1, len(x))
    if from_x is not None:
        begin = max(begin, int(np.searchsorted(x, from_x)))
    return begin, max(begin, end)


def _bytes(values: Floats) -> bytes:
    return values.astype("<f8").tobytes()


def bucket_width(span: float, buckets: int) -> float:
    """Return the least power of two that cuts ``span`` into at most ``buckets``: the grid is stable while a
    history grows.
    """
    if span <= 0 or not math.isfinite(span):
        return 1.0
    # A span that is too small to be cut gets one bucket.
    return max(2.0 ** math.ceil(math.log2(span / buckets)), 2.0**-1000)


def chosen(x: Floats, y: Floats, width: float) -> Places:
    """Choose the points to draw: of each bucket the first, last, lowest, highest, first NaN and first
    infinities.

    The points are in order of ``x``. A line through the first, last, lowest and highest point of each column
    of pixels has the same pixels as one through all points. Source: M4 (Jugel, Jerzak, Hackenbroich, Markl:
    M4: A Visualization-Oriented Time Series Data Aggregation, VLDB 2014).
    """
    if len(x) < 5:
        return np.arange(len(x))
    bucket = np.floor(x / width)
    starts = np.concatenate(([0], np.flatnonzero(np.diff(bucket)) + 1))
    counts = np.diff(np.concatenate((starts, [len(x)])))
    numbers = np.repeat(np.arange(len(starts)), counts)
    finite = np.isfinite(y)
    kept = np.zeros(len(x), np.bool_)
    kept[starts] = True
    kept[starts + counts - 1] = True
    for reduce, none in ((np.minimum, np.inf), (np.maximum, -np.inf)):
        ends = reduce.reduceat(np.where(finite, y, none), starts)
        _keep_first(kept, finite & (y == ends[numbers]), numbers)
    if not finite.all():
        for special in (np.isnan(y), y == np.inf, y == -np.inf):
            _keep_first(kept, special, numbers)
    return np.flatnonzero(kept)


def _keep_first(kept: npt.NDArray[np.bool_], which: npt.NDArray[np.bool_], numbers: Places) -> None:
    """Keep the first point of ``which`` in each bucket."""
    places = np.flatnonzero(which)
    kept[places[np.diff(numbers[places], prepend=-1) != 0]] = True
