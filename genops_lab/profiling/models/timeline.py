"""Wire types of the timeline, the flame graph and the Perfetto UI. Times count from the trace's first event.
Arrays are little-endian; in JSON they are base64."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

Natural = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
Rank = Annotated[int, msgspec.Meta(ge=0, le=2**31)]
Microseconds = Annotated[float, msgspec.Meta(ge=0, le=1e15)]


class OpenedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A trace, a snapshot or a folder with the traces of several ranks. The path is relative to the server's
    folder."""

    path: str


class RankQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The rank whose trace is requested. Without it: the only trace, or all ranks together (for a flame
    graph, the first rank)."""

    rank: Rank | None = None


NO_RANK = RankQuery()


class CounterLane(msgspec.Struct, frozen=True, kw_only=True):
    """The range of a counter over the trace. ``unit`` is empty where the trace has none."""

    least: float
    most: float
    unit: str = ""


class TimelineLane(msgspec.Struct, frozen=True, kw_only=True):
    """A thread, a stream or a ``counter``. The slices of a counter are its samples; each lasts until the next
    one.

    ``rows`` is the depth of nested slices, at most 256.

    With several ranks, times of the lane and its tiles count from the first event of its ``rank``, which is
    at ``offset_us``. Times of slices, sums and moments count from the first event of all ranks. The slices of
    the rank are numbered from ``first_slice``.
    """

    lane: int
    group: str
    label: str
    device: str
    stream: str
    rows: int
    slices: int
    first_us: float
    last_us: float
    rank: int | None = None
    offset_us: float = 0.0
    first_slice: int = 0
    counter: CounterLane | None = None


class TimelineRank(msgspec.Struct, frozen=True, kw_only=True):
    """The position of a rank on the shared timeline, and its source.

    ``placed_by`` is "collectives" where ``matched`` of ``common`` collectives end together with those of the
    ``reference`` rank, or of ranks that were aligned to it; 90 % end within ``spread_us``. It is "wall_clock"
    where the position comes from the host's clock, and "start" where nothing is known and the rank begins
    with the reference.
    """

    rank: int
    offset_us: float
    placed_by: Literal["reference", "collectives", "wall_clock", "start"]
    matched: int
    common: int
    spread_us: float


class Timeline(msgspec.Struct, frozen=True, kw_only=True):
    """The lanes in display order. ``names`` may be shortened; ``kinds`` has an int8 for each name, see
    TimelineSlice.

    ``ranks`` are the ranks of the profile; empty where it has one trace. ``rank`` is the shown rank; None
    means the first ``together`` ranks, or the only trace.
    """

    span_us: float
    lanes: list[TimelineLane]
    names: list[str]
    kinds: bytes
    rank: int | None = None
    ranks: list[TimelineRank] = []
    together: int = 0


class TileKey(msgspec.Struct, frozen=True, kw_only=True):
    """A tile: the ``index``-th range of 512 cells of 2 ** ``level`` nanoseconds of a lane."""

    lane: Natural
    level: Natural
    index: Natural


class TilesQuery(msgspec.Struct, frozen=True, kw_only=True):
    """A request for 1 to 64 tiles."""

    tiles: list[TileKey]


class TimelineTile(msgspec.Struct, frozen=True, kw_only=True):
    """The items of a tile by row and start: slices, and runs of slices that are shorter than ``cell_ns``.

    All arrays have one length. ``start`` (nanoseconds after the tile's start), ``dur`` (nanoseconds) and
    ``covered`` are float32. ``covered`` is the share of ``dur`` that the slices of a run cover, 1 for a
    slice.

    ``name``, ``slice`` and ``count`` are int32. For a run, ``name`` is the position of the name with most
    time, ``slice`` the first slice and ``count`` the number of slices; for a slice, ``count`` is 1. ``row``
    is uint8.

    Each slice that begins in the tile is an item or part of a run. Slices that reach into the tile are items
    too. For a counter, ``low``, ``high`` and ``last`` (float64) are the least, largest and last value of each
    item, and ``name`` is -1.
    """

    lane: int
    level: int
    index: int
    cell_ns: int
    start: bytes
    dur: bytes
    covered: bytes
    name: bytes
    slice: bytes
    count: bytes
    row: bytes
    low: bytes = b""
    high: bytes = b""
    last: bytes = b""


class Tiles(msgspec.Struct, frozen=True, kw_only=True):
    """The requested tiles, in the order of the request."""

    tiles: list[TimelineTile]


class TimelineSlice(msgspec.Struct, frozen=True, kw_only=True):
    """One slice. ``kind``: operator, python, annotation, runtime, compute, communication, copy, ..."""

    slice: int
    lane: int
    row: int
    name: str
    kind: str
    start_us: float
    dur_us: float


class SliceArgument(msgspec.Struct, frozen=True, kw_only=True):
    """An argument of a slice in the trace, as text."""

    name: str
    value: str


class CounterMoment(msgspec.Struct, frozen=True, kw_only=True):
    """A sample of a counter, the sample before it, and the counter's range and mean over the trace."""

    value: float
    before: float | None
    mean: float
    least: float
    most: float
    samples: int
    unit: str = ""


class CollectivePart(msgspec.Struct, frozen=True, kw_only=True):
    """A rank's slice of a collective, and its start after the first slice."""

    rank: int
    slice: TimelineSlice
    late_us: float


class CollectiveMoment(msgspec.Struct, frozen=True, kw_only=True):
    """A collective on the ranks that have it, in order. 90 % of the collectives of these ranks end within
    ``trust_us`` of each other, so smaller differences have no order. ``missing``: ranks without the
    collective."""

    parts: list[CollectivePart]
    trust_us: float
    missing: list[int] = []


class SliceDetails(msgspec.Struct, frozen=True, kw_only=True):
    """The details of a slice.

    ``around`` are the slices around it, outermost first. ``launched_by`` and ``launched`` (at most 100 of
    ``launches``) come from the trace's correlation ids; ``launch_stack`` are the slices around the launch.

    ``backward`` (at most 100 of ``backwards``) are the operators of the backward pass that belong to the
    slice or to slices inside it. ``forward`` is the operator that a backward operator belongs to. Both come
    from autograd's sequence numbers. ``collective``: with several ranks, the same collective on each rank.
    """

    slice: TimelineSlice
    arguments: list[SliceArgument]
    around: list[TimelineSlice]
    launches: int = 0
    launched: list[TimelineSlice] = []
    launched_by: TimelineSlice | None = None
    launch_stack: list[TimelineSlice] = []
    previous: TimelineSlice | None = None
    next: TimelineSlice | None = None
    inside: TimelineSlice | None = None
    counter: CounterMoment | None = None
    backwards: int = 0
    backward: list[TimelineSlice] = []
    forward: TimelineSlice | None = None
    collective: CollectiveMoment | None = None


class SliceSearch(msgspec.Struct, frozen=True, kw_only=True):
    """A search for slices by name: ``text`` is a part of a name (case is ignored), or a regular expression
    (RE2). The answer is the next slice after ``after`` (-1: the first), or the previous one; the search wraps
    around."""

    text: str
    regex: bool = False
    after: Annotated[int, msgspec.Meta(ge=-1, le=2**53)] = -1
    backwards: bool = False


class FoundSlices(msgspec.Struct, frozen=True, kw_only=True):
    """The number of matching slices, and the ``place``-th (from 1) of them. ``names`` (int32) are the
    matching names."""

    count: int
    place: int
    slice: TimelineSlice | None
    names: bytes


class SumsQuery(msgspec.Struct, frozen=True, kw_only=True):
    """A period on some lanes."""

    first_us: Microseconds
    last_us: Microseconds
    lanes: list[Natural]


class NameSum(msgspec.Struct, frozen=True, kw_only=True):
    """All slices of a name, clipped to the period."""

    name: str
    kind: str
    count: int
    total_us: float


class Sums(msgspec.Struct, frozen=True, kw_only=True):
    """Sums by name, at most 200 names, most time first. ``busy_us`` is the time with any slice, summed over
    lanes."""

    slices: int
    busy_us: float
    names: list[NameSum]
    more_names: int = 0


class FlameNode(msgspec.Struct, frozen=True, kw_only=True):
    """All calls of one name with the same callers. Times are in microseconds and include nested calls.

    ``parent`` is the position of the caller's node, -1 for the outermost. A node without a name stands for
    all nodes that are too small to draw.
    """

    name: str
    kind: str
    parent: int
    count: int
    host_us: float
    device_us: float


class Flame(msgspec.Struct, frozen=True, kw_only=True):
    """A merged call tree; callers come before their callees. ``host_us`` and ``device_us`` are sums of the
    outermost nodes."""

    host_us: float
    device_us: float
    nodes: list[FlameNode]


class PerfettoUi(msgspec.Struct, frozen=True, kw_only=True):
    """The Perfetto UI. ``path`` is the path of its page below the server's base URL."""

    path: str
    version: str


class CutQuery(msgspec.Struct, frozen=True, kw_only=True):
    """A period and the selected slice, if any. Times count from the trace's first event.

    ``rank``: the rank whose trace is cut, where a profile has several.
    """

    first_us: Microseconds
    last_us: Microseconds
    slice: Natural | None = None
    rank: Rank | None = None


class CutSlice(msgspec.Struct, frozen=True, kw_only=True):
    """A slice as recorded in the trace. Times are nanoseconds as text, because a double cannot represent
    nanoseconds since 1970."""

    name: str
    ts_ns: str
    dur_ns: str


class TraceCut(msgspec.Struct, frozen=True, kw_only=True):
    """A cut trace. ``path`` is the path of its data below the server's base URL. ``first_s`` and ``last_s``
    are the requested period, in seconds of the trace's own clock.

    ``whole``: the cut has the whole trace. Otherwise it has the events between ``kept_first_us`` and
    ``kept_last_us``, counted as in the query; ``left_out`` events were over the limit. ``narrowed``: the
    requested period was too large.
    """

    path: str
    title: str
    first_s: float
    last_s: float
    whole: bool
    kept_first_us: float
    kept_last_us: float
    narrowed: bool
    left_out: int
    slice: CutSlice | None
