"""Which call of a runtime started which slice on a device."""

from __future__ import annotations

import numpy as np

from ..columns import NO_ID, Columns, Int64, Whole
from ..kinds import Kind
from ..nesting import NOTHING

#: Ids count up, so a table with a place for each is mostly not so many times longer than what is looked for in it.
DENSE = 8


def first(column: Whole, among: Int64, wanted: Whole) -> Int64:
    """For each id that is wanted the first slice ``among`` some that has it; NOTHING where there is none."""
    found = np.full(len(wanted), NOTHING, np.int64)
    given = wanted != NO_ID
    if not given.any():
        return found
    having, asked = column[among], wanted[given]
    least, most = int(asked.min()), int(asked.max())
    if most - least < DENSE * (len(having) + len(asked)):
        fits = np.flatnonzero((having >= least) & (having <= most))
        table = np.full(most - least + 1, NOTHING, np.int32)
        # Backwards, so that the first one stays.
        table[having[fits[::-1]] - least] = among[fits[::-1]]
        found[given] = table[asked - least]
        return found
    ids, place = np.unique(asked, return_inverse=True)
    at = np.searchsorted(ids, having)
    at[at == len(ids)] = 0
    fits = np.flatnonzero(ids[at] == having)
    earliest = np.full(len(ids), NOTHING, np.int64)
    earliest[at[fits[::-1]]] = among[fits[::-1]]
    found[given] = earliest[place]
    return found


def launching_calls(columns: Columns, device: Int64) -> Int64:
    """For each of the slices ``device`` the runtime's call that started it; NOTHING where that is not known.

    By correlation; traces without one tie both ends by the external id.
    """
    runtime = np.flatnonzero(columns.kind == Kind.RUNTIME)
    correlation, external = columns.correlation[device], columns.external[device]
    found = first(columns.correlation, runtime, correlation)
    process = _processes(columns)
    callers = np.unique(process[columns.lane[runtime]])
    if len(callers) > 1:
        works = process[columns.lane[device]]
        calls = {caller: runtime[process[columns.lane[runtime]] == caller] for caller in callers.tolist()}
        for work in np.unique(works).tolist():
            members = np.flatnonzero(works == work)
            own = _of_one_process(columns, device[members], calls, work)
            found[members] = np.where(own != NOTHING, own, found[members])
    unknown = (found == NOTHING) & (correlation == NO_ID)
    found[unknown] = first(columns.external, runtime, external[unknown])
    return found


def _processes(columns: Columns) -> Int64:
    """For each lane a number of its process."""
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(lane.process, len(numbers)) for lane in columns.lanes], np.int64)


def _of_one_process(columns: Columns, device: Int64, calls: dict[int, Int64], work: int) -> Int64:
    """The calls of the one process that started these slices, of several that number their calls alike (ranks in one
    file): the slices' own process, or else the one that has most of their calls, before them."""
    correlation = columns.correlation[device]
    if work in calls:
        return first(columns.correlation, calls[work], correlation)
    best, most = np.full(len(device), NOTHING, np.int64), 0
    for each in calls.values():
        found = first(columns.correlation, each, correlation)
        known = found != NOTHING
        before = int((columns.ts[found[known]] <= columns.ts[device[known]]).sum())
        if before > most:
            best, most = found, before
    return best
