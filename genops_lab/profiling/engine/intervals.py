"""Exact arithmetic on half-open intervals of integer nanoseconds, as arrays of starts and ends."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .columns import Int64


class Intervals(NamedTuple):
    """Intervals from ``start[n]`` to ``end[n]``, in any order; they may overlap."""

    start: Int64
    end: Int64

    def __add__(self, other: object) -> Intervals:
        if not isinstance(other, Intervals):
            return NotImplemented
        return Intervals(np.concatenate([self.start, other.start]), np.concatenate([self.end, other.end]))


def union(intervals: Intervals) -> Intervals:
    """Return the union: sorted, disjoint intervals, none empty."""
    start, end = intervals
    if (start[1:] < start[:-1]).any():
        order = np.argsort(start, kind="stable")
        start, end = start[order], end[order]
    reach = np.maximum.accumulate(end)
    first = np.ones(len(start), bool)
    first[1:] = start[1:] > reach[:-1]
    begins = np.flatnonzero(first)
    ends = reach[np.append(begins[1:], len(start)) - 1] if len(start) else reach
    begins = start[begins]
    real = ends > begins
    return Intervals(begins[real], ends[real])


def union_length(intervals: Intervals) -> int:
    """Return the length of the union; overlaps count once."""
    start, end = union(intervals)
    return int((end - start).sum())


def exposed_length(intervals: Intervals, cover: Intervals) -> int:
    """Return the length of the union of ``intervals`` outside the union of ``cover``."""
    return union_length(intervals + cover) - union_length(cover)


def span(intervals: Intervals) -> int:
    """Return the time from the first start to the last end; 0 without intervals."""
    return int(intervals.end.max() - intervals.start.min()) if len(intervals.start) else 0


def gaps(intervals: Intervals) -> Intervals:
    """Return the gaps between the first start and the last end."""
    start, end = union(intervals)
    return Intervals(end[:-1], start[1:])
