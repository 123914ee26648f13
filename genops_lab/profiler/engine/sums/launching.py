"""Which call of a runtime started which slice on a device."""

from __future__ import annotations

import numpy as np

from ..columns import NO_ID, Columns, Int64
from ..kinds import Kind
from ..nesting import NOTHING


def first(column: Int64, among: Int64, wanted: Int64) -> Int64:
    """For each id that is wanted the first slice ``among`` some that has it; NOTHING where there is none."""
    found = np.full(len(wanted), NOTHING, np.int64)
    given = wanted != NO_ID
    if not given.any():
        return found
    ids, place = np.unique(wanted[given], return_inverse=True)
    having = column[among]
    at = np.searchsorted(ids, having)
    at[at == len(ids)] = 0
    asked = np.flatnonzero(ids[at] == having)
    earliest = np.full(len(ids), NOTHING, np.int64)
    # Backwards, so that the first one stays.
    earliest[at[asked[::-1]]] = among[asked[::-1]]
    found[given] = earliest[place]
    return found


def launching_calls(columns: Columns, device: Int64) -> Int64:
    """For each of the slices ``device`` the runtime's call that started it; NOTHING where that is not known.

    By correlation; traces without one tie both ends by the external id.
    """
    runtime = np.flatnonzero(columns.kind == Kind.RUNTIME)
    correlation, external = columns.correlation[device], columns.external[device]
    found = first(columns.correlation, runtime, correlation)
    unknown = (found == NOTHING) & (correlation == NO_ID)
    found[unknown] = first(columns.external, runtime, external[unknown])
    return found
