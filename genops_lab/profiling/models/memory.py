"""Wire types of allocator memory and of memory over time. Sizes are in bytes.

A moment is the number of an event of the device's allocator, from 0. It means the memory in use after that
event.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from .lines import Place
from .timeline import Microseconds, Natural

#: The kind of memory, from the frames of its allocation. ``backward``: made by the backward pass, but not a
#: parameter gradient. ``autocast``: copies of another dtype. "": not known.
Category = Literal["parameters", "activations", "gradients", "optimizer", "backward", "autocast", ""]


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """The memory of one line (or operator) at the peak, or when memory ran out."""

    name: str
    bytes: int
    blocks: int
    place: Place | None = None
    #: From the innermost frame outwards, shortened.
    stack: list[str] = []
    category: Category = ""


class CategoryBytes(msgspec.Struct, frozen=True, kw_only=True):
    """The memory of one category at the peak."""

    category: Category
    bytes: int
    blocks: int


class MemoryPoint(msgspec.Struct, frozen=True, kw_only=True):
    """The memory in use after an event. ``at`` is the event's number, or its microseconds after the trace's
    first event."""

    at: float
    bytes: int


class OutOfMemory(msgspec.Struct, frozen=True, kw_only=True):
    """An allocation that failed, and the owners of the memory at that time."""

    device: int
    wanted: int
    #: Free memory, as the device reported it.
    free: int
    #: Microseconds after the first event of the recording.
    at_us: float | None = None
    #: The number of the failure among the device's events.
    event: int = 0
    #: All memory in use, also blocks from before the recording.
    held: int = 0
    holders: list[Site] = []
    #: The line that requested the memory.
    asked: Site | None = None


class DeviceMemory(msgspec.Struct, frozen=True, kw_only=True):
    """The memory of one device. The peak counts allocations during the recording; older blocks count in
    ``before``.

    Events have the requested bytes. Blocks have the allocated bytes, which are slightly more.
    """

    #: -1: the host's memory, in traces that record it.
    device: int
    #: None in a snapshot, which has one process.
    rank: int | None = None
    reserved: int
    allocated: int
    active: int
    segments: int
    blocks: int
    #: The free part of partly used segments, as a share of the reserved memory, 0 to 1.
    fragmentation: float
    largest_free: int
    events: int
    peak: int
    #: The number of the event that reached the peak, from 0; -1 without events.
    peak_event: int
    #: Number of blocks in use at the peak.
    live_at_peak: int
    #: Bytes in use when the recording began.
    before: int
    #: Largest owners of ``before``, from the blocks that are still in use.
    before_sites: list[Site] = []
    #: Largest owners at the peak.
    sites: list[Site]
    categories: list[CategoryBytes] = []
    #: Thinned out; every peak is kept.
    timeline: list[MemoryPoint] = []
    retries: int = 0


class MemorySummary(msgspec.Struct, frozen=True, kw_only=True):
    """The content of a snapshot (``torch.cuda.memory._snapshot``) or of a profile with memory events."""

    devices: list[DeviceMemory]
    out_of_memory: list[OutOfMemory] = []
    damaged: str = ""


class MemoryBand(msgspec.Struct, frozen=True, kw_only=True):
    """A line over time. ``site.bytes`` is its largest use. ``curve`` is float64, with a value at each
    point."""

    line: int
    site: Site
    curve: bytes


class DeviceMemoryTimeline(msgspec.Struct, frozen=True, kw_only=True):
    """The memory of one device over time; ``number`` is its place among the devices of the profile. The
    points are chosen so that every peak is kept.

    ``at`` (int32) has the moments of the points. ``held`` (float64) has the memory in use, ``reserved``
    (float64) the memory that the allocator had from the device, and ``us`` (float64) the time after the first
    event. Unknown arrays are empty. ``held`` minus the bands is the memory of all other lines.
    """

    number: int
    #: -1: the host's memory.
    device: int
    rank: int | None
    moments: int
    #: Whether moments have times, as in a trace: microseconds after its first event.
    by_time: bool
    #: Of the whole recording, with older blocks.
    peak: int
    peak_at: int
    #: Moments at which an allocation failed.
    failures: list[int]
    at: bytes
    us: bytes
    held: bytes
    reserved: bytes
    #: The lines with the largest peaks, in stacking order: short-lived lines last, then a requested one.
    bands: list[MemoryBand]


class MemoryTimelines(msgspec.Struct, frozen=True, kw_only=True):
    """All devices with memory in a profile."""

    devices: list[DeviceMemoryTimeline]


class MemoryRange(msgspec.Struct, frozen=True, kw_only=True):
    """A range of moments; ``last`` is included. ``line`` gets a band too."""

    first: Natural = 0
    last: Natural | None = None
    line: Natural | None = None


class MemoryMomentQuery(msgspec.Struct, frozen=True, kw_only=True):
    """A moment by its number or its time; the peak without either."""

    at: Natural | None = None
    us: Microseconds | None = None


class MemoryLine(msgspec.Struct, frozen=True, kw_only=True):
    """The memory of a line at a moment. ``line`` -1 is memory outside the known blocks."""

    line: int
    site: Site


class MemoryChange(msgspec.Struct, frozen=True, kw_only=True):
    """The change of an event: a new block of the line ``name``, or (negative bytes) a freed one."""

    bytes: int
    name: str


class MemoryMoment(msgspec.Struct, frozen=True, kw_only=True):
    """The memory by owner after the event ``at``. ``lines`` is sorted, largest first; all other lines are
    summed in ``more_...``."""

    at: int
    us: float | None
    held: int
    reserved: int | None
    blocks: int
    lines: list[MemoryLine]
    more_lines: int
    more_bytes: int
    categories: list[CategoryBytes]
    change: MemoryChange | None
