"""Format numbers and ranks for users."""

from __future__ import annotations

from collections.abc import Iterable

#: Most ranks that are listed one by one.
_ONE_BY_ONE = 8
#: A shorter run of numbers is not written as a range.
_STRETCH = 3


def counted(number: int, one: str, more: str) -> str:
    """Return ``1 call takes`` or ``1,200 calls take``."""
    return f"{number:,} {one if number == 1 else more}"


def ranks_text(ranks: Iterable[int]) -> str:
    """Return ``0, 2, 3``; many ranks as ``0 to 63, 65 to 127``."""
    found = sorted(set(ranks))
    if len(found) <= _ONE_BY_ONE:
        return ", ".join(map(str, found))
    rows: list[list[int]] = []
    for rank in found:
        if rows and rank == rows[-1][-1] + 1:
            rows[-1].append(rank)
        else:
            rows.append([rank])
    return ", ".join(
        f"{row[0]} to {row[-1]}" if len(row) >= _STRETCH else ", ".join(map(str, row)) for row in rows
    )


def percent(part: float, whole: float) -> str:
    """Return ``34 %``, with one more digit below 10."""
    share = 100 * part / whole if whole else 0.0
    return f"{share:.0f} %" if share >= 10 else f"{share:.1f} %"
