"""Serve memory over time in the profiler's worker process: built once, then mapped; the last one stays
open."""

from __future__ import annotations

import threading
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING

from genops_lab.core.errors import InvalidRequest, NotFound

from ..backends.engine_files import kept_memory
from ..models import DeviceMemoryTimeline, MemoryMoment, MemoryMomentQuery, MemoryRange, MemoryTimelines

if TYPE_CHECKING:
    from ..engine.memory.memory_timeline import MemoryTimeline

OPEN_PROFILES = 4


class Memories:
    """The memory of all profiles. ``folder`` is a profile's; ``trace`` is read where its memory is not stored
    yet."""

    def __init__(self) -> None:
        self._open: OrderedDict[str, list[_Opened]] = OrderedDict()
        self._opening = threading.Lock()

    def describe(self, folder: str, trace: str) -> MemoryTimelines:
        """Return all devices over the whole recording. Raises NotFound, or InvalidRequest for a file that
        cannot be read."""
        devices = self._opened(folder, trace)
        return MemoryTimelines(devices=[each.timeline(MemoryRange()) for each in devices])

    def stretch(self, folder: str, trace: str, number: int, asked: MemoryRange) -> DeviceMemoryTimeline:
        """Return one device over a period. Raises NotFound for an unknown device or line, InvalidRequest."""
        return self._device(folder, trace, number).timeline(asked)

    def moment(self, folder: str, trace: str, number: int, asked: MemoryMomentQuery) -> MemoryMoment:
        """Return the memory of a device by owner at a moment. Raises NotFound."""
        return self._device(folder, trace, number).moment(asked)

    def _device(self, folder: str, trace: str, number: int) -> _Opened:
        devices = self._opened(folder, trace)
        if not 0 <= number < len(devices):
            raise NotFound(f"This profile has no device {number} with memory.", hint="Select another one.")
        return devices[number]

    def _opened(self, folder: str, trace: str) -> list[_Opened]:
        with self._opening:
            if folder not in self._open or not Path(folder).is_dir():
                found = kept_memory(Path(folder), Path(trace))
                self._open[folder] = [_Opened(timeline, number) for number, timeline in enumerate(found)]
            self._open.move_to_end(folder)
            while len(self._open) > OPEN_PROFILES:
                self._open.popitem(last=False)
            return self._open[folder]


class _Opened:
    def __init__(self, timeline: MemoryTimeline, number: int) -> None:
        from ..engine.memory.moments import bands_of

        self._held, self._number = timeline, number
        # The same lines in every period, so that they keep their colours.
        self._bands = bands_of(timeline)

    def timeline(self, asked: MemoryRange) -> DeviceMemoryTimeline:
        from ..engine.memory.moments import timeline_of

        end = self._held.moments - 1
        last = end if asked.last is None else min(asked.last, end)
        if asked.first > last:
            raise InvalidRequest(
                f"There are no events from {asked.first} to {last}.",
                hint=f"Ask for events from 0 to {end}.",
            )
        if asked.line is not None and asked.line >= len(self._held.lines):
            raise NotFound(f"There is no line {asked.line}.", hint="Give the number of a line from a moment.")
        more = [asked.line] if asked.line is not None and asked.line not in self._bands else []
        return timeline_of(self._held, self._number, self._bands + more, asked.first, last)

    def moment(self, asked: MemoryMomentQuery) -> MemoryMoment:
        from ..engine.memory.moments import moment_of

        timeline = self._held
        if asked.us is not None:
            return moment_of(timeline, timeline.moment_at(asked.us))
        return moment_of(timeline, timeline.peak if asked.at is None else min(asked.at, timeline.moments - 1))
