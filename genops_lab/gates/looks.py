"""Count the looks at one plan: other predictions of the same pair are a second chance."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec
import numpy as np

if TYPE_CHECKING:
    from genops_lab.evaluations.predictions import Predictions

#: Tag of a version: its looks as JSON. Its verdict: ``genops.gates``.
LOOKS_TAG, VERDICT_TAG = "genops.gates.looks", "genops.gates"
#: Characters of a tag; MLflow takes 5,000.
MOST_TAG = 4_800
_SHORT = 12


class Look(msgspec.Struct, frozen=True, array_like=True):
    """A verdict by a gate file on one data set: fingerprints of both versions' predictions, and when.

    ``theirs`` is empty if the other version had no predictions yet.
    """

    plan: str
    data: str
    against: str
    mine: str
    theirs: str
    at: int


def fingerprint(found: Predictions | None) -> str:
    """Return a short hash of predictions, whatever their order; latencies, which differ each time, are left out."""
    if found is None:
        return ""
    digest = hashlib.sha256()
    order = np.argsort(found.ids.astype(str), kind="stable")
    for array in (
        found.ids,
        found.labels,
        found.predictions,
        *(found.scores[name] for name in sorted(found.scores)),
    ):
        values = array[order]
        digest.update("\0".join(map(str, values)).encode() if values.dtype == object else values.tobytes())
    return digest.hexdigest()[:_SHORT]


def kept_looks(tag: str) -> list[Look]:
    """Return the looks in a tag; none if it cannot be read."""
    try:
        return msgspec.json.decode(tag or "[]", type=list[Look])
    except (msgspec.DecodeError, UnicodeEncodeError):
        return []


def tag_of(looks: list[Look]) -> str:
    """Return the value of the tag, without the oldest looks if they do not fit."""
    while len(found := msgspec.json.encode(looks)) > MOST_TAG:
        looks = looks[1:]
    return found.decode()


def count(looks: list[Look], look: Look) -> tuple[int, Look | None, list[Look]]:
    """Return the how manieth look this is, the one before it, and all looks with this one.

    The same predictions are the same look: a verdict may be asked for again, also once the other version has
    predictions. Data that grew are a new look at the same plan, so a data set counts by its name.

    >>> first = Look("aa", "holdout", "1", "m1", "t1", 1)
    >>> count([first], Look("aa", "holdout", "1", "m2", "t1", 2))[0]
    2
    """
    same = [each for each in looks if same_plan(each, look)]
    for at, each in enumerate(same):
        if each.mine == look.mine and (each.theirs == look.theirs or not each.theirs or not look.theirs):
            fuller = look if look.theirs and not each.theirs else each
            return at + 1, same[at - 1] if at else None, [fuller if one is each else one for one in looks]
    return len(same) + 1, same[-1] if same else None, [*looks, look]


def same_plan(one: Look, other: Look) -> bool:
    """Return whether two looks are at the same plan: the gate file, the data and the other version."""
    return (one.plan, one.data, one.against) == (other.plan, other.data, other.against)


def look_at(plan: str, data: str, against: str, mine: str, theirs: str, at: float) -> Look:
    """Return a look with a shortened plan and name."""
    return Look(plan[:_SHORT], data[:60], against, mine, theirs, int(at))
