"""Memory over time, by line. Sizes in bytes; arrays are little-endian, in base64 where it is JSON.

A moment is the number of an event of the device's allocator, from 0, and means what was held after it.
"""

from __future__ import annotations

import msgspec

from .memory import CategoryBytes, Site
from .timeline import Microseconds, Natural


class MemoryBand(msgspec.Struct, frozen=True, kw_only=True):
    """A line over time. ``site.bytes``: the most that it ever held. ``curve``: float64, at each point."""

    line: int
    site: Site
    curve: bytes


class HeldTimeline(msgspec.Struct, frozen=True, kw_only=True):
    """One device, by its ``number`` among those of the profile, at points that were chosen so that no peak goes.

    ``at`` (int32): the points' moments; ``held`` and ``reserved`` (float64): of all lines, and what the allocator had
    from the device; ``us`` (float64): after the first event. Those that are not told are empty. What the bands do
    not hold of ``held`` is of all other lines.
    """

    number: int
    #: -1: the host's memory.
    device: int
    rank: int | None
    moments: int
    #: Moments are shown at their times: those of a trace, after its first event.
    by_time: bool
    #: Of the whole recording, also with what is older.
    peak: int
    peak_at: int
    #: Moments at which an allocation failed.
    failures: list[int]
    at: bytes
    us: bytes
    held: bytes
    reserved: bytes
    #: The lines that ever held most, in the order to stack them: what comes and goes last, and then one asked for.
    bands: list[MemoryBand]


class HeldTimelines(msgspec.Struct, frozen=True, kw_only=True):
    """All devices whose memory a profile tells of."""

    devices: list[HeldTimeline]


class HeldStretch(msgspec.Struct, frozen=True, kw_only=True):
    """Moments, the last one included. ``line``: one that is to have a band, too."""

    first: Natural = 0
    last: Natural | None = None
    line: Natural | None = None


class HeldAt(msgspec.Struct, frozen=True, kw_only=True):
    """A moment by its number, or by its time; the peak without either."""

    at: Natural | None = None
    us: Microseconds | None = None


class HeldLine(msgspec.Struct, frozen=True, kw_only=True):
    """What a line held at a moment. ``line`` -1: what was held beside the blocks that are known."""

    line: int
    site: Site


class MemoryChange(msgspec.Struct, frozen=True, kw_only=True):
    """What an event did: a block more of the line ``name``, or (below 0) one less."""

    bytes: int
    name: str


class HeldMoment(msgspec.Struct, frozen=True, kw_only=True):
    """Who held a device's memory after the event ``at``. ``lines``: largest first, with all others in ``more_...``."""

    at: int
    us: float | None
    held: int
    reserved: int | None
    blocks: int
    lines: list[HeldLine]
    more_lines: int
    more_bytes: int
    categories: list[CategoryBytes]
    change: MemoryChange | None
