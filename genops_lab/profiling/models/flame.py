"""Time by what called what."""

from __future__ import annotations

import msgspec


class FlameNode(msgspec.Struct, frozen=True, kw_only=True):
    """All calls of one name below the same callers. Times are with what lies below it, in microseconds.

    ``parent`` is the place of the node around it, -1 for the outermost. Without a name it stands for all that
    would be too small to be seen there.
    """

    name: str
    kind: str
    parent: int
    count: int
    host_us: float
    device_us: float


class Flame(msgspec.Struct, frozen=True, kw_only=True):
    """A merged call tree, callers before what they call. ``host_us``, ``device_us``: of all outermost nodes."""

    host_us: float
    device_us: float
    nodes: list[FlameNode]
