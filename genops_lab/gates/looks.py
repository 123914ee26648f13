"""Count the looks at one plan: a second evaluation of the same pair is a second chance."""

from __future__ import annotations

import msgspec

#: Tag of a version: its looks as JSON. Its verdict: ``genops.gates``.
LOOKS_TAG, VERDICT_TAG = "genops.gates.looks", "genops.gates"
#: Looks that fit into the 5,000 characters of a tag.
MOST_LOOKS = 40
_SHORT = 12


class Look(msgspec.Struct, frozen=True, array_like=True):
    """A verdict by a gate file on one data set: the evaluation runs of both versions, and when."""

    plan: str
    data: str
    against: str
    run: str
    against_run: str
    at: int


def kept_looks(tag: str) -> list[Look]:
    """Return the looks in a tag; none if it cannot be read."""
    try:
        return msgspec.json.decode(tag or "[]", type=list[Look])
    except (msgspec.DecodeError, UnicodeEncodeError):
        return []


def tag_of(looks: list[Look]) -> str:
    """Return the value of the tag."""
    return msgspec.json.encode(looks[-MOST_LOOKS:]).decode()


def count(looks: list[Look], look: Look) -> tuple[int, Look | None, list[Look]]:
    """Return the how manieth look this is, the one before it, and all looks with this one.

    The same evaluation runs are the same look: a verdict may be asked for again. Data that grew are a new look at the
    same plan, so a data set counts by its name.

    >>> first = Look("aa", "holdout", "1", "r1", "r0", 1)
    >>> count([first], Look("aa", "holdout", "1", "r2", "r0", 2))[0]
    2
    """
    same = [
        each for each in looks if (each.plan, each.data, each.against) == (look.plan, look.data, look.against)
    ]
    for at, each in enumerate(same):
        if (each.run, each.against_run) == (look.run, look.against_run):
            return at + 1, same[at - 1] if at else None, looks
    return len(same) + 1, same[-1] if same else None, [*looks, look]


def look_at(plan: str, data: str, against: str, run: str, against_run: str, at: float) -> Look:
    """Return a look with shortened ids."""
    return Look(plan[:_SHORT], data[:60], against, run[:_SHORT], against_run[:_SHORT], int(at))
