"""Memory of a device's allocator. Sizes in bytes."""

from __future__ import annotations

import msgspec

from .lines import Place


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """What one line (or operator) holds at the peak."""

    name: str
    bytes: int
    blocks: int
    place: Place | None = None
    #: From the innermost frame outwards, cut.
    stack: list[str] = []


class MemoryPoint(msgspec.Struct, frozen=True, kw_only=True):
    """What was allocated after an event: its number, or its microseconds after the trace's first event."""

    at: float
    bytes: int


class OutOfMemory(msgspec.Struct, frozen=True, kw_only=True):
    """An allocation that failed."""

    device: int
    wanted: int
    free: int
    at_us: float | None = None
    holders: list[Site] = []


class DeviceMemory(msgspec.Struct, frozen=True, kw_only=True):
    """One device. The peak counts what was allocated while it was recorded; older blocks are ``before``."""

    device: int
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
    peak_event: int
    live_at_peak: int
    before: int
    sites: list[Site]
    #: Thinned so that no peak goes.
    timeline: list[MemoryPoint] = []
    retries: int = 0


class MemorySummary(msgspec.Struct, frozen=True, kw_only=True):
    """What a snapshot (``torch.cuda.memory._snapshot``) or a profile with memory events says."""

    devices: list[DeviceMemory]
    out_of_memory: list[OutOfMemory] = []
    damaged: str = ""
