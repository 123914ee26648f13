"""Which launches of two measurements are compared with which.

Nsight Compute's own baselines are set by hand, one launch against all others. Here a kernel with one grid and block
stands beside itself, what is left of its name in the order of the launches, as long as there are as many of both.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from .launched import Launched


class Pair(NamedTuple):
    """What one row compares: of one name. One of them may be empty."""

    name: str
    before: list[Launched]
    after: list[Launched]


def pairs(before: Iterable[Launched], after: Iterable[Launched]) -> list[Pair]:
    """Each of both once. They come in the order of their launches."""
    earlier, later = dict.fromkeys(before), dict.fromkeys(after)
    found = [Pair(each.name, [each], [each]) for each in later if each in earlier]
    old, new = (
        _by_name(each for each in one if each not in other)
        for one, other in ((earlier, later), (later, earlier))
    )
    for name in dict.fromkeys([*old, *new]):
        left, right = old.get(name, []), new.get(name, [])
        if len(left) == len(right):
            found += [Pair(name, [one], [other]) for one, other in zip(left, right, strict=True)]
        elif left and right:
            # Nothing tells which became which.
            found.append(Pair(name, left, right))
        else:
            found += [Pair(name, [each], []) for each in left]
            found += [Pair(name, [], [each]) for each in right]
    return found


def _by_name(launched: Iterable[Launched]) -> dict[str, list[Launched]]:
    found: dict[str, list[Launched]] = {}
    for each in launched:
        found.setdefault(each.name, []).append(each)
    return found
