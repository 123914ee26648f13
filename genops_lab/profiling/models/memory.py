"""Memory of a device's allocator. Sizes in bytes."""

from __future__ import annotations

from typing import Literal

import msgspec

from .lines import Place

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
