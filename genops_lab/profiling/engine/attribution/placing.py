"""Lines of code that slices belong to, for what is said of some of them."""

from __future__ import annotations

import numpy as np

from ...models import Place
from ..columns import Int64
from ..kinds import Kind
from ..nesting import NOTHING
from ..traces import Trace
from .lines import Lines

TOLD = 3


class PlacesOf:
    """Asked for slices it says the lines with most of their time."""

    def __init__(self, trace: Trace, lines: Lines, device_line: Int64) -> None:
        """``device_line``: the line of each of ``trace.device``."""
        self.lines = lines
        self._trace, self._device_line = trace, device_line

    def line_of(self, slices: Int64) -> Int64:
        """The position in ``lines.places`` of each slice on a device; NOTHING where none is known."""
        found: Int64 = self._device_line[np.searchsorted(self._trace.device, slices)]
        return found

    def __call__(self, slices: Int64) -> list[Place]:
        """Of a slice on the host that of the moment when it began; on a device that of what launched it."""
        columns = self._trace.columns
        line = np.full(len(slices), NOTHING, np.int64)
        ran = columns.kind[slices] >= Kind.COMPUTE
        line[ran] = self.line_of(slices[ran])
        line[~ran] = self.lines.at(columns.lane[slices[~ran]], columns.ts[slices[~ran]])
        known = line != NOTHING
        time = np.zeros(len(self.lines.places), np.int64)
        np.add.at(time, line[known], columns.lengths(slices[known]))
        most = np.argsort(-time, kind="stable")[:TOLD]
        return [self.lines.places[each] for each in most.tolist() if time[each]]
