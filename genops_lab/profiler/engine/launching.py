"""Which call of a runtime started which slice on a device."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .columns import NO_ID, Columns, Int64
from .kinds import Kind
from .nesting import NOTHING


@dataclass(frozen=True)
class First:
    """The first slice that has an id."""

    ids: Int64
    slices: Int64

    @staticmethod
    def of(column: Int64, among: Int64) -> First:
        given = among[column[among] != NO_ID]
        ids, first = np.unique(column[given], return_index=True)
        return First(ids, given[first])

    def find(self, wanted: Int64) -> Int64:
        """The slices, NOTHING where there is none."""
        if not len(self.ids):
            return np.full(len(wanted), NOTHING, np.int64)
        place = np.minimum(np.searchsorted(self.ids, wanted), len(self.ids) - 1)
        return np.where(self.ids[place] == wanted, self.slices[place], NOTHING)


def launching_calls(columns: Columns, device: Int64) -> Int64:
    """For each of the slices ``device`` the runtime's call that started it; NOTHING where that is not known.

    By correlation; traces without one tie both ends by the external id.
    """
    runtime = np.flatnonzero(columns.kind == Kind.RUNTIME)
    correlation, external = columns.correlation[device], columns.external[device]
    found = First.of(columns.correlation, runtime).find(correlation)
    by_external = First.of(columns.external, runtime).find(external)
    return np.where((found == NOTHING) & (correlation == NO_ID), by_external, found)
