"""Memory of a device's allocator, also over time. Sizes in bytes.

Over time, a moment is the number of an event of the device's allocator, from 0, and means what was held after it.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from .lines import Place
from .timeline import Microseconds, Natural

#: What memory is, as far as the frames of its allocation tell: ``backward`` is what the backward pass made that is no
#: gradient of a parameter, ``autocast`` copies of another dtype. "": they do not tell.
Category = Literal["parameters", "activations", "gradients", "optimizer", "backward", "autocast", ""]


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """What one line (or operator) holds at the peak, or when memory was out."""

    name: str
    bytes: int
    blocks: int
    place: Place | None = None
    #: From the innermost frame outwards, cut.
    stack: list[str] = []
    category: Category = ""


class CategoryBytes(msgspec.Struct, frozen=True, kw_only=True):
    """What memory of one category holds at the peak."""

    category: Category
    bytes: int
    blocks: int


class MemoryPoint(msgspec.Struct, frozen=True, kw_only=True):
    """What was allocated after an event: its number, or its microseconds after the trace's first event."""

    at: float
    bytes: int


class OutOfMemory(msgspec.Struct, frozen=True, kw_only=True):
    """An allocation that failed, and who held the memory then."""

    device: int
    wanted: int
    #: As the device told it.
    free: int
    #: Microseconds after the first event of the recording.
    at_us: float | None = None
    #: The number of the failure among the device's events.
    event: int = 0
    #: All that was held, also what is older than the recording.
    held: int = 0
    holders: list[Site] = []
    #: The line that asked.
    asked: Site | None = None


class DeviceMemory(msgspec.Struct, frozen=True, kw_only=True):
    """One device. The peak counts what was allocated while it was recorded; older blocks are ``before``.

    Events tell the bytes that were asked for, blocks the bytes that were given, which are some more.
    """

    #: -1: the host's memory, in traces that tell it.
    device: int
    #: None in a snapshot, which is of one process.
    rank: int | None = None
    reserved: int
    allocated: int
    active: int
    segments: int
    blocks: int
    #: Of what is reserved, the part that nobody holds in segments that are partly used, 0 to 1.
    fragmentation: float
    largest_free: int
    events: int
    peak: int
    #: The number of the event that reached it, from 0; -1 without events.
    peak_event: int
    #: Blocks.
    live_at_peak: int
    #: Bytes that were held when the recording began.
    before: int
    #: Those that held most of it, as far as blocks that are held still tell it.
    before_sites: list[Site] = []
    #: Those that hold most at the peak.
    sites: list[Site]
    categories: list[CategoryBytes] = []
    #: Thinned so that no peak goes.
    timeline: list[MemoryPoint] = []
    retries: int = 0


class MemorySummary(msgspec.Struct, frozen=True, kw_only=True):
    """What a snapshot (``torch.cuda.memory._snapshot``) or a profile with memory events says."""

    devices: list[DeviceMemory]
    out_of_memory: list[OutOfMemory] = []
    damaged: str = ""


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
