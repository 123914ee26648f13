"""Split rows into those that an optimizer sees and those that judge its result."""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from genops_lab.core.errors import InvalidRequest
from genops_lab.genai.evaluations.duplicates import near_duplicates

#: The fewest rows of each side: one row has no interval.
_FEWEST = 2


class Split(NamedTuple):
    """The ids of both sides, and how many rows near-duplicates keep on one side."""

    training: list[str]
    held_out: list[str]
    together: int


def split(rows: Mapping[str, Mapping[str, Any]], columns: Collection[str], share: float, seed: int) -> Split:
    """Return a random split in which ``share`` of the rows is held out. Raises InvalidRequest.

    Rows whose ``columns`` say nearly the same are on one side. A side keeps the order of the rows.

    >>> rows = {"1": {"q": "Who wrote Faust?"}, "2": {"q": "Who wrote Hamlet?"}, "3": {"q": "who wrote faust"},
    ...         "4": {"q": "Who wrote Emma?"}}
    >>> sides = split(rows, ["q"], 0.5, 0)
    >>> len(sides.training), len(sides.held_out), ("1" in sides.training) == ("3" in sides.training)
    (2, 2, True)
    """
    texts = {id: "\n".join(str(row.get(name, "")) for name in columns) for id, row in rows.items()}
    groups = near_duplicates(texts)
    grouped = {id for group in groups for id in group}
    units = [*groups, *([id] for id in rows if id not in grouped)]
    random.Random(seed).shuffle(units)  # noqa: S311
    # Large groups first: the small ones then fill up to the share.
    units.sort(key=len, reverse=True)
    wanted = min(max(round(share * len(rows)), _FEWEST), len(rows) - _FEWEST)
    held_out: set[str] = set()
    for unit in units:
        if len(held_out) + len(unit) <= wanted:
            held_out.update(unit)
    found = Split(
        [id for id in rows if id not in held_out], [id for id in rows if id in held_out], len(grouped)
    )
    if min(len(found.training), len(found.held_out)) < _FEWEST:
        raise InvalidRequest(
            f"{len(rows):,} rows cannot be split: {len(found.training):,} would be training rows and "
            f"{len(found.held_out):,} held-out rows.",
            hint=f"Give at least {2 * _FEWEST} rows that are no near-duplicates of each other.",
        )
    return found
