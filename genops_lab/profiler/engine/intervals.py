"""Exact arithmetic on half-open intervals of integer nanoseconds."""

from __future__ import annotations

from collections.abc import Iterable

Interval = tuple[int, int]


def union_length(intervals: Iterable[Interval]) -> int:
    """The length of what the intervals cover together; overlaps count once."""
    covered = 0
    reach: int | None = None
    for start, end in sorted(intervals):
        if reach is None or start > reach:
            covered += end - start
            reach = end
        elif end > reach:
            covered += end - reach
            reach = end
    return covered


def exposed_length(intervals: list[Interval], cover: list[Interval]) -> int:
    """The length of the union of ``intervals`` that lies outside the union of ``cover``."""
    return union_length([*intervals, *cover]) - union_length(cover)


def span(intervals: Iterable[Interval]) -> int:
    """From the first start to the last end; 0 without intervals."""
    first: int | None = None
    last = 0
    for start, end in intervals:
        if first is None:
            first, last = start, end
        else:
            first, last = min(first, start), max(last, end)
    return 0 if first is None else last - first
