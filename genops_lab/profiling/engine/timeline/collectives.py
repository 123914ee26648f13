"""Which slices of several ranks are one and the same collective."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..columns import Columns, Int64
from ..kinds import Kind

#: Ends of one collective are no farther apart than this part of its length, or than clocks and hops of a ring differ.
_PART, _JITTER_NS, _SPREADS = 4, 20_000, 4


class Collective(NamedTuple):
    """A rank's slices of one name and size in the order of their ends."""

    slices: Int64
    ends: Int64


def collectives_of(columns: Columns) -> dict[str, Collective]:
    """A rank's, by name and size."""
    found = np.flatnonzero(columns.kind == Kind.COMMUNICATION)
    end = columns.ts[found] + columns.dur[found]
    size = np.zeros(len(found), np.int64)
    told = columns.sparse.get("group_size")
    if told is not None and len(found):
        at = np.minimum(np.searchsorted(found, told.index), len(found) - 1)
        mine = found[at] == told.index
        size[at[mine]] = told.value[mine]
    members: dict[str, list[Int64]] = {}
    for name in np.unique(columns.name[found]).tolist():
        called = columns.name[found] == name
        for each in np.unique(size[called]).tolist():
            key = f"{columns.names[name].partition('(')[0]} {each}"
            members.setdefault(key, []).append(np.flatnonzero(called & (size == each)))
    return {key: _ordered(found, end, np.concatenate(parts)) for key, parts in members.items()}


def same(
    own: Collective,
    place: int,
    other: Collective,
    ahead_ns: int,
    length_ns: int,
    others: Columns,
    spread_ns: int,
) -> int | None:
    """Which of the ``other`` rank's is the one at ``place``: the one that ends nearest, if none of this rank's ends
    nearer to it. None where the ends lie too far apart for what it took, and for what is known of the clocks.

    The other's times are to be moved by ``ahead_ns``; ``length_ns`` is how long it took on this rank.
    """
    ends = other.ends + ahead_ns
    end = int(own.ends[place])
    at = nearest(ends, end)
    if at is None or nearest(own.ends, int(ends[at])) != place:
        return None
    longest = max(length_ns, int(others.dur[other.slices[at]]))
    most = max(_JITTER_NS, longest // _PART, _SPREADS * spread_ns)
    return at if abs(int(ends[at]) - end) <= most else None


def nearest(rising: Int64, wanted: int) -> int | None:
    """The place of the nearest, of two as near the first; None of none."""
    if not len(rising):
        return None
    after = min(int(np.searchsorted(rising, wanted)), len(rising) - 1)
    before = max(after - 1, 0)
    return before if abs(int(rising[before]) - wanted) <= abs(int(rising[after]) - wanted) else after


def _ordered(found: Int64, end: Int64, members: Int64) -> Collective:
    order = members[np.argsort(end[members], kind="stable")]
    return Collective(found[order], end[order])
