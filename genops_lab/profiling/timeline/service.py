"""Answer requests about timelines; the work is done in the profiler's worker process."""

from __future__ import annotations

from genops_lab.core.errors import InvalidRequest

from ..models import (
    NO_RANK,
    FoundSlices,
    RankQuery,
    SliceDetails,
    SliceSearch,
    Sums,
    SumsQuery,
    Tiles,
    TilesQuery,
    Timeline,
)
from ..service import ProfilesService
from .backend import Timelines

SLICE_DIGITS = 12


class TimelineService:
    """The timelines of profiles, built on first use where the analysis did not store them."""

    def __init__(self, profiles: ProfilesService) -> None:
        self._profiles = profiles
        self._worker = profiles.worker

    async def get_timeline(self, profile_id: str, query: RankQuery = NO_RANK) -> Timeline:
        """Return the lanes of a profile's timeline and the names on it."""
        return await self._worker.call(Timelines.describe, *await self._place(profile_id, query))

    async def get_timeline_tiles(
        self, profile_id: str, body: TilesQuery, query: RankQuery = NO_RANK
    ) -> Tiles:
        """Return the drawn items of some lanes in some periods."""
        place = await self._place(profile_id, query)
        return Tiles(tiles=await self._worker.call(Timelines.tiles, *place, body.tiles))

    async def get_timeline_slice(
        self, profile_id: str, slice_number: str, query: RankQuery = NO_RANK
    ) -> SliceDetails:
        """Return one slice: its arguments, the slices around it, and its launches."""
        if not slice_number.isdecimal() or len(slice_number) > SLICE_DIGITS:
            raise InvalidRequest(f"{slice_number!r} is not a slice.", hint="Give the number of a slice.")
        place = await self._place(profile_id, query)
        return await self._worker.call(Timelines.slice, *place, int(slice_number))

    async def search_timeline(
        self, profile_id: str, body: SliceSearch, query: RankQuery = NO_RANK
    ) -> FoundSlices:
        """Search slices by name: return their number, and the next or the previous one."""
        return await self._worker.call(Timelines.search, *await self._place(profile_id, query), body)

    async def sum_timeline(self, profile_id: str, body: SumsQuery, query: RankQuery = NO_RANK) -> Sums:
        """Return counts and times by name, in a period on some lanes."""
        return await self._worker.call(Timelines.sums, *await self._place(profile_id, query), body)

    async def _place(self, profile_id: str, query: RankQuery) -> tuple[str, str, int | None]:
        return *await self._profiles.place(profile_id), query.rank
