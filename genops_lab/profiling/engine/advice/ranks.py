"""Ranks that others wait for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ...models import Advice, Moment
from ..columns import Int64, Whole
from ..formatting import percent
from .communication import collectives
from .context import MOMENTS, Context, milliseconds

SHARE = 0.05
#: Of the longest wait; shorter ones are no moments to look at.
TELLING = 0.1


class Collectives(NamedTuple):
    """A rank's collectives: name, length and end (nanoseconds) of each, in order."""

    rank: int
    names: list[str]
    lengths: Whole
    ends: Int64
    traced: int


def collectives_of(case: Context) -> Collectives:
    """What is kept of a rank to compare it with others."""
    found = collectives(case)
    columns = case.columns
    names = [columns.names[name].partition("(")[0] for name in columns.name[found].tolist()]
    length = columns.dur[found]
    return Collectives(case.trace.rank, names, length, columns.ts[found] + length, case.traced)


def straggler(ranks: list[Collectives]) -> Iterator[Advice]:
    """All ranks leave a collective together: who stays in it longest came first, and waits for the last.

    Compared are the collectives that all ranks have in the same order, so that clocks do not matter. A rank's
    wait is what each lasted longer than on the rank where it was shortest. Saving: the mean wait of the others
    for the rank that waits least, less what that rank itself waits. Moments are on its clock: from when the first of
    the others came to the end.
    """
    if len(ranks) < 2 or not ranks[0].names or any(each.names != ranks[0].names for each in ranks):
        return
    lengths = np.stack([each.lengths for each in ranks])
    waits = (lengths - lengths.min(axis=0)).sum(axis=1)
    last = int(waits.argmin())
    others = np.delete(waits, last)
    saving = int(others.mean() - waits[last])
    traced = max(each.traced for each in ranks)
    # Were waits spread evenly, no rank would be the one that is late.
    is_late = lengths.argmin(axis=0) == last
    late = int(is_late.sum())
    if saving < SHARE * traced or late < 0.5 * len(ranks[0].names):
        return
    longest = lengths.max(axis=0)
    waited = np.where(is_late, longest - lengths[last], 0)
    worst = np.argsort(-waited, kind="stable")[:MOMENTS]
    worst = np.sort(worst[waited[worst] >= TELLING * waited[worst[0]]])
    ends = ranks[last].ends[worst]
    starts = np.maximum(ends - longest[worst], 0)
    yield Advice(
        code="straggler",
        severity="high" if saving >= 0.1 * traced else "medium",
        title=f"Rank {ranks[last].rank} is late, and the others wait for it",
        evidence=f"In {late} of {len(ranks[0].names)} collectives rank {ranks[last].rank} comes last. The others wait"
        f" {milliseconds(float(others.mean()))} each ({percent(float(others.mean()), traced)} of the trace); it"
        f" waits {milliseconds(float(waits[last]))} itself.",
        saving_us=saving / 1000,
        suggestion="Look at what that rank does more: its share of data (lengths, experts, tables), its host, its"
        " clock rate or neighbours.",
        moments=[
            Moment(start_us=start / 1000, end_us=end / 1000)
            for start, end in zip(starts.tolist(), ends.tolist(), strict=True)
        ],
        rank=ranks[last].rank,
    )
