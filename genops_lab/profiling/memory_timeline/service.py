"""Answer requests about a profile's memory; the work is done in the profiler's worker process."""

from __future__ import annotations

from genops_lab.core.errors import InvalidRequest

from ..models import DeviceMemoryTimeline, MemoryMoment, MemoryMomentQuery, MemoryRange, MemoryTimelines
from ..service import ProfilesService
from .backend import Memories

DEVICE_DIGITS = 6


class MemoryService:
    """The memory of profiles over time, built on first use where the analysis did not store it."""

    def __init__(self, profiles: ProfilesService) -> None:
        self._profiles = profiles
        self._worker = profiles.worker

    async def get_memory(self, profile_id: str) -> MemoryTimelines:
        """Return the memory of each device of a profile over the recording, with its largest lines as
        bands."""
        return await self._worker.call(Memories.describe, *await self._profiles.place(profile_id))

    async def get_memory_stretch(
        self, profile_id: str, device: str, query: MemoryRange
    ) -> DeviceMemoryTimeline:
        """Return the memory of one device between two moments."""
        place = await self._profiles.place(profile_id)
        return await self._worker.call(Memories.stretch, *place, _number(device), query)

    async def get_memory_moment(self, profile_id: str, device: str, query: MemoryMomentQuery) -> MemoryMoment:
        """Return a device's memory at a moment, by line."""
        place = await self._profiles.place(profile_id)
        return await self._worker.call(Memories.moment, *place, _number(device), query)


def _number(device: str) -> int:
    if not device.isdecimal() or len(device) > DEVICE_DIGITS:
        raise InvalidRequest(f"{device!r} is not a device.", hint="Give the number of a device, from 0.")
    return int(device)
