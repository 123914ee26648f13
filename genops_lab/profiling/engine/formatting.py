"""Numbers and ranks as people read them."""

from __future__ import annotations

from collections.abc import Iterable

#: So many are told one by one.
_ONE_BY_ONE = 8
#: A shorter row of numbers is no stretch.
_STRETCH = 3


def counted(number: int, one: str, more: str) -> str:
    """``1 call takes``, ``1,200 calls take``."""
    return f"{number:,} {one if number == 1 else more}"


def ranks_text(ranks: Iterable[int]) -> str:
    """``0, 2, 3``; of many ``0 to 63, 65 to 127``."""
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
    """``34 %``; one digit more below 10."""
    share = 100 * part / whole if whole else 0.0
    return f"{share:.0f} %" if share >= 10 else f"{share:.1f} %"
