"""Prepare memory over time for display: the largest lines as bands, and the owners at a moment."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from ...models import (
    CategoryBytes,
    DeviceMemoryTimeline,
    MemoryBand,
    MemoryChange,
    MemoryLine,
    MemoryMoment,
)
from ..columns import Int64, summed
from .memory_timeline import MemoryTimeline, kept
from .owners import CATEGORIES, site_of

#: Most lines with their own band; all others share one band.
BANDS = 10
#: Most lines of a moment.
MOST_LINES = 50
#: Points of a timeline. A bucket of the sum keeps four; each of the coarser buckets keeps the peak of every
#: band.
POINTS, SUM_BUCKETS = 2000, 280
#: Number of the line for memory outside known blocks.
NO_BLOCKS = -1


def bands_of(timeline: MemoryTimeline) -> list[int]:
    """Return the lines with the largest peaks in stacking order: steady lines are below short-lived ones.

    The order is by turnover: all memory that a line ever allocated, over its peak.
    """
    most = timeline.most_by_line
    asked = summed(timeline.line, timeline.bytes, len(timeline.lines))
    began = np.full(len(timeline.lines), timeline.moments, np.int64)
    np.minimum.at(began, timeline.line, timeline.begin)
    ranked = [each for each in np.argsort(-most, kind="stable")[:BANDS].tolist() if most[each] > 0]
    return sorted(ranked, key=lambda each: (round(float(asked[each] / most[each])), began[each]))


def timeline_of(
    timeline: MemoryTimeline, number: int, lines: list[int], first: int, last: int
) -> DeviceMemoryTimeline:
    """Return the sum and the bands of ``lines`` at the moments from ``first`` to ``last``, thinned out so
    that every peak is kept."""
    total = timeline.over(first, last)
    reserved = timeline.reserved[first : last + 1]
    chosen = (
        _chosen(total, _curves(timeline, lines, first, last), len(lines)) if len(total) > POINTS else None
    )
    places = np.arange(len(total)) if chosen is None else chosen
    at = places + first
    return DeviceMemoryTimeline(
        number=number,
        device=timeline.device,
        rank=timeline.rank,
        moments=timeline.moments,
        by_time=timeline.by_time,
        peak=int(timeline.total[timeline.peak]),
        peak_at=timeline.peak,
        failures=timeline.failures,
        at=at.astype("<i4").tobytes(),
        us=timeline.us[at].astype("<f8").tobytes() if len(timeline.us) else b"",
        held=total[places].astype("<f8").tobytes(),
        reserved=reserved[places].astype("<f8").tobytes() if len(reserved) else b"",
        bands=[
            MemoryBand(
                line=line,
                site=site_of(timeline.lines[line], int(timeline.most_by_line[line]), 0, ""),
                curve=curve[places].astype("<f8").tobytes(),
            )
            for line, curve in zip(lines, _curves(timeline, lines, first, last), strict=True)
        ],
    )


def moment_of(timeline: MemoryTimeline, moment: int) -> MemoryMoment:
    """Return the owners of the memory at a moment, largest first."""
    alive = timeline.at(moment)
    size = timeline.bytes[alive]
    kinds = len(CATEGORIES)
    key = timeline.line[alive].astype(np.int64) * kinds + timeline.category[alive]
    sums = np.zeros((len(timeline.lines), kinds), np.int64)
    np.add.at(sums.reshape(-1), key, size)
    blocks = np.bincount(key, minlength=sums.size).reshape(sums.shape)
    by_line, blocks_by_line = sums.sum(axis=1), blocks.sum(axis=1)
    ranked = [each for each in np.argsort(-by_line, kind="stable").tolist() if by_line[each] > 0]
    found = [
        MemoryLine(
            line=each,
            site=site_of(
                timeline.lines[each],
                int(by_line[each]),
                int(blocks_by_line[each]),
                CATEGORIES[int(sums[each].argmax())],
            ),
        )
        for each in ranked[:MOST_LINES]
    ]
    rest = int(timeline.rest[moment]) if len(timeline.rest) else 0
    if rest > 0:
        found.append(MemoryLine(line=NO_BLOCKS, site=site_of(timeline.rest_who, rest, 0, "")))
    whole = int(size.sum()) + rest
    by_kind, blocks_by_kind = sums.sum(axis=0), blocks.sum(axis=0)
    return MemoryMoment(
        at=moment,
        us=float(timeline.us[moment]) if len(timeline.us) else None,
        held=whole,
        reserved=int(timeline.reserved[moment]) if len(timeline.reserved) else None,
        blocks=len(size),
        lines=found,
        more_lines=max(len(ranked) - MOST_LINES, 0),
        more_bytes=whole - sum(each.site.bytes for each in found),
        categories=[
            CategoryBytes(
                category=CATEGORIES[each], bytes=int(by_kind[each]), blocks=int(blocks_by_kind[each])
            )
            for each in np.argsort(-by_kind, kind="stable").tolist()
            if by_kind[each] > 0
        ],
        change=_change(timeline, moment),
    )


def _change(timeline: MemoryTimeline, moment: int) -> MemoryChange | None:
    for sign, which in ((1, timeline.begin), (-1, timeline.end)):
        found = np.flatnonzero(which == moment)
        if len(found):
            block = int(found[0])
            return MemoryChange(
                bytes=sign * int(timeline.bytes[block]), name=timeline.lines[int(timeline.line[block])].name
            )
    return None


def _curves(timeline: MemoryTimeline, lines: list[int], first: int, last: int) -> Iterable[Int64]:
    # One line at a time, because all together would take a hundred bytes per event.
    return (timeline.over(first, last, timeline.line == line) for line in lines)


def _chosen(total: Int64, curves: Iterable[Int64], count: int) -> npt.NDArray[np.intp]:
    buckets = (POINTS - 4 * SUM_BUCKETS) // max(count, 1)
    edges = np.linspace(0, len(total), buckets + 1).astype(np.intp)
    places = [kept(total, SUM_BUCKETS)]
    places += [
        np.array([start + curve[start:end].argmax() for start, end in itertools.pairwise(edges)], np.intp)
        for curve in curves
    ]
    return np.unique(np.concatenate(places))
