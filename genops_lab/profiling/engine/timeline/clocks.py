"""Match collectives of several ranks and align the ranks' clocks by them, because a collective ends at about
the same time on all its ranks.

If two ranks have collectives of one name and size, the differences between their ends cluster at the
difference of the clocks. The matching need not be known before, so an extra collective on one rank does no
harm. The spread of the differences around their median is the accuracy of the common clock.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

import msgspec
import numpy as np

from ..columns import Columns, Int64
from ..kinds import Kind

#: Ends of one collective differ by at most this part of its length, or by the usual differences of clocks and
#: ring hops.
_PART, _JITTER_NS, _SPREADS = 4, 20_000, 4


class Collective(NamedTuple):
    """A rank's slices of one name and size, sorted by end."""

    slices: Int64
    ends: Int64


def collectives_of(columns: Columns) -> dict[str, Collective]:
    """Return a rank's collectives by name and size."""
    found = np.flatnonzero(columns.kind == Kind.COMMUNICATION)
    end = columns.ts[found] + columns.dur[found]
    size = columns.values("group_size", found, 0)
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
    """Return the collective of the ``other`` rank that matches the one at ``place``: the nearest end, if no
    end of this rank is nearer to it. None where the ends differ by more than the collective's length and the
    accuracy of the clocks allow.

    ``ahead_ns`` is added to the other rank's times; ``length_ns`` is the length on this rank.
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
    """Return the place of the nearest value; the first of two at the same distance; None without values."""
    return int(_nearest(np.array([wanted]), rising)[0]) if len(rising) else None


def _ordered(found: Int64, end: Int64, members: Int64) -> Collective:
    order = members[np.argsort(end[members], kind="stable")]
    return Collective(found[order], end[order])


#: Fewer shared collectives prove nothing.
FEWEST = 3
#: Least share of matched collectives while both ranks were recorded, and of all shared ones.
AGREEING, OF_ALL = 0.6, 0.5
#: Later times count from 1970, so the ranks' clocks agree roughly; earlier times count from an arbitrary
#: start.
WALL_NS = 10**18
#: Most collectives per name, most in total, and the largest difference of their numbers.
_MOST_OF_A_NAME, _MOST, _FARTHEST = 256, 1024, 48
#: Other ranks that a rank is compared with before it counts as not aligned.
_MOST_OTHERS = 8
#: Ends that differ by more than this part of a typical collective do not match, because steps of nearly one
#: length would match wrongly. Clocks and ring hops always differ by some microseconds.
_PART, _JITTER_NS, _LEAST_NS = 4, 20_000, 1000

PlacedBy = Literal["reference", "collectives", "wall_clock", "start"]


@dataclass(frozen=True)
class Beats:
    """A rank's collectives. ``ends`` by name and size, sorted, in nanoseconds after ``origin_ns``."""

    rank: int
    origin_ns: int
    span_ns: int
    ends: dict[str, Int64]
    #: Median length of all collectives.
    length_ns: int


class RankClock(msgspec.Struct, frozen=True, kw_only=True):
    """The position of a rank's first event on the common clock, in nanoseconds after the first event of all
    ranks.

    ``placed_by`` is "reference" for the rank that others are aligned to, and "collectives" for an aligned
    rank. With too few ``matched`` of the ``common`` collectives, it is "wall_clock" where the host's clock
    gives the position. Otherwise it is "start": the rank begins with the reference. 90 % of the matched ends
    are within ``spread_ns`` of their expected time.
    """

    rank: int
    offset_ns: int
    placed_by: PlacedBy
    matched: int = 0
    common: int = 0
    spread_ns: int = 0


def beats_of(columns: Columns, rank: int) -> Beats:
    """Return the data of a rank that aligns its clock."""
    found = collectives_of(columns)
    lengths = [columns.dur[each.slices] for each in found.values()]
    return Beats(
        rank=rank,
        origin_ns=columns.origin_ns,
        span_ns=int(columns.end.max()) if len(columns) else 0,
        ends={key: each.ends for key, each in found.items()},
        length_ns=int(np.median(np.concatenate(lengths))) if lengths else 0,
    )


def aligned(ranks: list[Beats]) -> list[RankClock]:
    """Return the clocks of all ranks, in the given order; the first event of all ranks is at 0."""
    if not ranks:
        return []
    typical = int(np.median([each.length_ns for each in ranks if each.ends] or [0]))
    groups: list[dict[int, _Set]] = []
    left = list(range(len(ranks)))
    # Three tries, so that a first rank of another job does not leave the others unaligned.
    while left and len(groups) < 3:
        groups.append(_group(ranks, left, typical))
        left = [each for each in left if each not in groups[-1]]
    together = max(groups, key=len)
    reference = next(iter(together))
    clocks = [
        _clock(each, together[number], number == reference)
        if number in together
        else _alone(each, ranks[reference], ranks)
        for number, each in enumerate(ranks)
    ]
    first = min(each.offset_ns for each in clocks)
    return [msgspec.structs.replace(each, offset_ns=each.offset_ns - first) for each in clocks]


class _Set(NamedTuple):
    """The alignment of a rank: its offset to the reference's clock, and the evidence."""

    offset: int
    matched: int
    common: int
    spread: int


def _group(ranks: list[Beats], left: list[int], typical: int) -> dict[int, _Set]:
    """Return the first remaining rank with all ranks that can be aligned to it, directly or through
    others."""
    found = {left[0]: _Set(0, 0, 0, 0)}
    tried: dict[int, int] = dict.fromkeys(left[1:], 0)
    queue = [left[0]]
    while queue:
        one = queue.pop(0)
        for other in [each for each in tried if each not in found and tried[each] < _MOST_OTHERS]:
            tried[other] += 1
            match = _matched(ranks[one], ranks[other], typical)
            if match is not None:
                offset, spread = found[one].offset + match.offset, found[one].spread + match.spread
                found[other] = match._replace(offset=offset, spread=spread)
                queue.append(other)
    return found


def _clock(beats: Beats, by: _Set, is_reference: bool) -> RankClock:
    return RankClock(
        rank=beats.rank,
        offset_ns=by.offset,
        placed_by="reference" if is_reference else "collectives",
        matched=by.matched,
        common=by.common,
        spread_ns=by.spread,
    )


def _alone(beats: Beats, reference: Beats, ranks: list[Beats]) -> RankClock:
    """Return the clock of a rank that no other rank aligns: by the hosts' clocks where they agree roughly."""
    apart = beats.origin_ns - reference.origin_ns
    agree = _guess(reference, beats) is not None and abs(apart) <= 2 * max(each.span_ns for each in ranks)
    return RankClock(
        rank=beats.rank,
        offset_ns=apart if agree else 0,
        placed_by="wall_clock" if agree else "start",
        common=_common(reference, beats),
    )


def _guess(one: Beats, other: Beats) -> int | None:
    """Return the offset between two ranks by their hosts' clocks; None where they have none."""
    if min(one.origin_ns, other.origin_ns) < WALL_NS:
        return None
    return other.origin_ns - one.origin_ns


def _common(one: Beats, other: Beats) -> int:
    return sum(min(len(ends), len(other.ends.get(key, ()))) for key, ends in one.ends.items())


def _pairs(one: Beats, other: Beats) -> Iterator[tuple[Int64, Int64]]:
    """Yield the ends of shared names, the rarest names first, because they are the most specific."""
    shared = sorted((len(ends), key) for key, ends in one.ends.items() if key in other.ends)
    left = _MOST
    for number, key in shared:
        if left > 0:
            left -= number
            yield one.ends[key][:_MOST_OF_A_NAME], other.ends[key][:_MOST_OF_A_NAME]


def _matched(one: Beats, other: Beats, typical: int) -> _Set | None:
    """Return the offset of the other rank with which collectives end together; None without one."""
    pairs = list(_pairs(one, other))
    common = sum(min(len(a), len(b)) for a, b in pairs)
    if common < FEWEST:
        return None
    differences = np.sort(np.concatenate([each for a, b in pairs for each in _differences(a, b)]))
    guess = _guess(one, other)
    # Start with a narrow window, so that consecutive collectives are not confused.
    width, widest = max(_LEAST_NS, typical // 64), max(_JITTER_NS, typical // _PART)
    while True:
        offset = _densest(differences, width, guess)
        close = [_close(a, b + offset, width) for a, b in pairs]
        matched = sum(map(len, close))
        if matched >= max(FEWEST, OF_ALL * common, AGREEING * _overlapping(pairs, offset)):
            break
        if width >= widest:
            return None
        width = min(2 * width, widest)
    near = np.concatenate([_close(a, b + offset, widest) for a, b in pairs])
    middle = int(np.median(near))
    spread = int(np.percentile(np.abs(near - middle), 90))
    return _Set(offset + middle, len(near), _common(one, other), spread)


def _differences(a: Int64, b: Int64) -> Iterator[Int64]:
    for shift in range(-_FARTHEST, _FARTHEST + 1):
        length = min(len(a) - max(shift, 0), len(b) - max(-shift, 0))
        if length > 0:
            yield a[max(shift, 0) :][:length] - b[max(-shift, 0) :][:length]


def _densest(differences: Int64, width: int, guess: int | None) -> int:
    """Return the middle of the window with most differences. Among nearly equal windows, the one nearest
    to the guess wins, because a periodic job has one at each step."""
    count = np.searchsorted(differences, differences + width, side="right") - np.arange(len(differences))
    best = int(count.argmax())
    if guess is not None:
        good = np.flatnonzero(count >= 0.9 * count[best])
        distance = np.abs(differences[good] + width // 2 - guess)
        best = int(good[np.lexsort((-count[good], distance // width))[0]])
    return int(np.median(differences[best : best + count[best]]))


def _close(a: Int64, b: Int64, width: int) -> Int64:
    """Return the differences of mutually nearest ends, at most ``width``."""
    to_b, to_a = _nearest(a, b), _nearest(b, a)
    mutual = to_a[to_b] == np.arange(len(a))
    found: Int64 = (a - b[to_b])[mutual]
    return found[np.abs(found) <= width]


def _nearest(a: Int64, b: Int64) -> Int64:
    """Return, for each of ``a``, the place of the nearest of ``b``."""
    after = np.clip(np.searchsorted(b, a), 1, max(len(b) - 1, 1))
    after = np.minimum(after, len(b) - 1)
    before = np.maximum(after - 1, 0)
    nearest: Int64 = np.where(np.abs(a - b[before]) <= np.abs(b[after] - a), before, after)
    return nearest


def _overlapping(pairs: list[tuple[Int64, Int64]], offset: int) -> int:
    """Return the number of collectives while both ranks were recorded, on the rank that has more."""
    one, other = [a for a, _ in pairs], [b + offset for _, b in pairs]
    first = max(min(int(each[0]) for each in one), min(int(each[0]) for each in other))
    last = min(max(int(each[-1]) for each in one), max(int(each[-1]) for each in other))
    return max(
        sum(int(np.count_nonzero((each >= first - _LEAST_NS) & (each <= last + _LEAST_NS))) for each in side)
        for side in (one, other)
    )
