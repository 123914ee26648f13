"""The timeline of a trace, its flame graph, and what the Perfetto UI is opened with. Times count from its first event;
arrays are little-endian, in base64 where it is JSON."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

Natural = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
Rank = Annotated[int, msgspec.Meta(ge=0, le=2**31)]
Microseconds = Annotated[float, msgspec.Meta(ge=0, le=1e15)]


class OpenedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A trace, a snapshot, or a folder with the traces of several ranks, by its path below the server's folder."""

    path: str


class RankQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Whose trace is asked for; without it the only one's, or all ranks together (a flame graph: the first one's)."""

    rank: Rank | None = None


NO_RANK = RankQuery()


class CounterLane(msgspec.Struct, frozen=True, kw_only=True):
    """What a counter has over the trace. ``unit``: where the trace tells one."""

    least: float
    most: float
    unit: str = ""


class TimelineLane(msgspec.Struct, frozen=True, kw_only=True):
    """A thread or a stream, or a ``counter``, whose slices are its samples, each until the next one.

    ``rows``: of slices inside one another, at most 256.

    With several ranks together, times of the lane and of its tiles count from the first event of its ``rank``, which
    lies at ``offset_us``; those of slices, sums and moments from the first event of all. The slices of the rank are
    numbered from ``first_slice`` on.
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
    """Where a rank's first event lies after the first one of all, and how that is known.

    ``collectives``: ``matched`` of ``common`` ones end together, nine of ten within ``spread_us``, with those of the
    ``reference`` or of ranks that were set by it. ``wall_clock``: its host's clock says so; ``start``: nothing does,
    and it begins with the reference.
    """

    rank: int
    offset_us: float
    placed_by: Literal["reference", "collectives", "wall_clock", "start"]
    matched: int
    common: int
    spread_us: float


class Timeline(msgspec.Struct, frozen=True, kw_only=True):
    """The lanes in the order to show them. ``names`` may be cut; ``kinds`` has an int8 for each, see TimelineSlice.

    ``ranks``: those of the profile, none where it has one trace. ``rank``: whose timeline it is; None: that of the
    first ``together`` ones, or of the only trace.
    """

    span_us: float
    lanes: list[TimelineLane]
    names: list[str]
    kinds: bytes
    rank: int | None = None
    ranks: list[TimelineRank] = []
    together: int = 0


class TileKey(msgspec.Struct, frozen=True, kw_only=True):
    """The ``index``-th stretch of 512 cells of 2 ** ``level`` nanoseconds of a lane."""

    lane: Natural
    level: Natural
    index: Natural


class TilesQuery(msgspec.Struct, frozen=True, kw_only=True):
    """1 to 64 tiles."""

    tiles: list[TileKey]


class TimelineTile(msgspec.Struct, frozen=True, kw_only=True):
    """Items of a tile by row and start: slices, and runs of slices that are shorter than ``cell_ns``.

    ``start`` (after the tile's own start) and ``dur`` in nanoseconds and ``covered`` (the share of ``dur`` that the
    slices of a run take, 1 for a slice): float32. ``name`` (position among the names; of a run the one that takes
    most), ``slice`` (of a run its first) and ``count`` (1: a slice): int32. ``row``: uint8. All have one length.
    Each slice that begins in the tile is an item or is counted in a run; those that reach in are there too.
    Of a counter ``low``, ``high`` and ``last`` are the least, the most and the last value of each item, float64; the
    ``name`` of its items is -1.
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
    """The tiles that were asked for, in that order."""

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
    """What the trace says of a slice, as text."""

    name: str
    value: str


class CounterMoment(msgspec.Struct, frozen=True, kw_only=True):
    """A sample of a counter, the one before it, and what the counter has over the trace, its mean by time."""

    value: float
    before: float | None
    mean: float
    least: float
    most: float
    samples: int
    unit: str = ""


class CollectivePart(msgspec.Struct, frozen=True, kw_only=True):
    """A rank's slice of a collective, and how long after the first of all it began."""

    rank: int
    slice: TimelineSlice
    late_us: float


class CollectiveMoment(msgspec.Struct, frozen=True, kw_only=True):
    """A collective on the ranks that it was found on, in their order. Nine of ten collectives of these ranks end
    within ``trust_us`` of each other: what is closer has no order. ``missing``: ranks without it."""

    parts: list[CollectivePart]
    trust_us: float
    missing: list[int] = []


class SliceDetails(msgspec.Struct, frozen=True, kw_only=True):
    """``around``: the slices it lies in, the outermost first. ``launched_by`` and ``launched`` (at most 100 of
    ``launches``) are tied by the trace's correlation ids; ``launch_stack`` is what the launch lies in.

    ``backward`` (at most 100 of ``backwards``) are the operators of the backward pass that belong to an operator or to
    what lies in it, ``forward`` the operator that one of the backward pass belongs to, by autograd's numbers.
    ``collective``: with several ranks together, the same collective on each of them.
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
    """``text``: what a name holds, in upper or lower case, or a regular expression (RE2). The answer is the next
    slice after ``after`` (-1: the first), or before it; behind the last comes the first."""

    text: str
    regex: bool = False
    after: Annotated[int, msgspec.Meta(ge=-1, le=2**53)] = -1
    backwards: bool = False


class FoundSlices(msgspec.Struct, frozen=True, kw_only=True):
    """How many there are, and the ``place``-th (from 1) of them. ``names``: int32, the names that match."""

    count: int
    place: int
    slice: TimelineSlice | None
    names: bytes


class SumsQuery(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of time on some lanes."""

    first_us: Microseconds
    last_us: Microseconds
    lanes: list[Natural]


class NameSum(msgspec.Struct, frozen=True, kw_only=True):
    """All slices of a name, each as far as it lies in the stretch."""

    name: str
    kind: str
    count: int
    total_us: float


class Sums(msgspec.Struct, frozen=True, kw_only=True):
    """At most 200 names, those with most time first. ``busy_us``: of each lane the time with any slice, summed."""

    slices: int
    busy_us: float
    names: list[NameSum]
    more_names: int = 0


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


class PerfettoUi(msgspec.Struct, frozen=True, kw_only=True):
    """``path``: of its page, below the server's base URL."""

    path: str
    version: str


class CutQuery(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of time, and the slice that is selected in it, if any. Times count from the trace's first event.

    ``rank``: whose trace, where a profile has several.
    """

    first_us: Microseconds
    last_us: Microseconds
    slice: Natural | None = None
    rank: Rank | None = None


class CutSlice(msgspec.Struct, frozen=True, kw_only=True):
    """A slice as the trace has it: its times in nanoseconds, as text, for a double cannot hold those since 1970."""

    name: str
    ts_ns: str
    dur_ns: str


class TraceCut(msgspec.Struct, frozen=True, kw_only=True):
    """What was cut. ``path``: of its bytes, below the server's base URL. ``first_s`` and ``last_s``: the stretch that
    was asked for, in seconds of the trace's own clock. ``whole``: all of the trace is there; else what lies
    between ``kept_first_us`` and ``kept_last_us``, counted as in the question, and ``left_out`` events beyond the
    bound are not. ``narrowed``: the stretch that was asked for would have been too large."""

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
