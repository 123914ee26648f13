"""Build a part of a trace from single events (``Builder``), with its own numbering, and join many parts to
``Columns``."""

from __future__ import annotations

import dataclasses
import json
import re
import tempfile
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .. import threads
from ..columns import NO_ID, TEXTS, Allocations, Columns, Counters, CounterSeries, Int32, Int64, Lane, Sparse
from ..kinds import Kind, kind_of_work
from .counters import Counted, Sampled
from .locations import device_of

#: Value in place of a thread.
ALL_THREADS = "\0"
#: Prefix of lanes without a thread; their category follows.
ASYNC = "\0async "
#: Process, thread, device, stream.
LaneKey = tuple[str, str, str, str]
#: The narrowest types of the columns of slices.
_DTYPES: dict[str, type[np.signedinteger[Any]]] = {
    "ts": np.int64,
    **dict.fromkeys(("dur", "name", "lane", "correlation", "external"), np.int32),
    "kind": np.int8,
}
#: Larger columns are kept in files.
MAPPED_BYTES = 1 << 20
#: Slices per block of a sum.
_CHUNK = 1 << 20
_UNEVEN = re.compile(r"[,:](?! \S)|[\[{]\s|\s[\]}]")
#: Narrow types with their ranges.
_NARROW = [(each, int(np.iinfo(each).min), int(np.iinfo(each).max)) for each in (np.int8, np.int16, np.int32)]
MEMORY = ("ts", "lane", "device", "bytes", "address", "allocated", "reserved")

_XLA, _XLA_STREAM = re.compile(r"/device:GPU:(\d+)(?: .*)?"), re.compile(r"Stream #(\d+)\b.*")
#: TensorFlow 1 writes each kernel twice: for all streams, and for its own stream. "/job:..." is work that the
#: host scheduled.
_TENSORFLOW = re.compile(r"/(?:device:)?gpu:(\d+)/(stream:all|memcpy) Compute", re.IGNORECASE)
_BEFORE_KINETO = "CUDA functions"
#: Names in converted exports of Nsight.
_NSIGHT, _NSIGHT_STREAM = re.compile(r"Device (\d+)"), re.compile(r"Stream (\d+)")
_ALIKE = re.compile(r"Ascend Hardware|/device:(?!CPU|CUSTOM)\w+:\d+.*|(?:\d+ )?GPU ?\d+")


@dataclass
class Part:
    """Slices in file order. Times count from an origin that all parts of a trace share."""

    slices: dict[str, npt.NDArray[Any]]
    names: list[str]
    lanes: list[LaneKey]
    #: Slices of this part, sorted, and their values (texts are positions in ``texts``).
    sparse: dict[str, tuple[Int32, Int64]] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)
    #: Columns of memory events, by ``MEMORY``.
    memory: dict[str, npt.NDArray[Any]] = field(default_factory=dict)
    memory_devices: list[str] = field(default_factory=list)
    #: Samples of counters; ``counters`` are their series.
    sampled: Sampled = field(default_factory=dict)
    counters: list[CounterSeries] = field(default_factory=list)
    #: Names by process and thread; those of processes are at ``ALL_THREADS``.
    labels: dict[tuple[str, str], str] = field(default_factory=dict)
    events: int = 0
    #: Events that could not be decoded, and those without a time.
    skipped: int = 0
    unusable: int = 0
    #: Entries of ``events`` that are not events: they have no phase.
    strange: int = 0
    #: Begins and ends of slices, which may be in several parts.
    pairs: list[Any] = field(default_factory=list)
    #: Begins and ends of async slices.
    marks: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._length = len(self.slices["ts"])

    def __len__(self) -> int:
        return self._length

    def packed(self) -> Part:
        """Return the part with the narrowest possible columns; they are widened when parts are joined."""
        for columns in (self.slices, self.memory):
            for name, column in columns.items():
                columns[name] = _narrow(column)
        self.sparse = {name: (index, _narrow(value)) for name, (index, value) in self.sparse.items()}
        return self


def _narrow(column: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if len(column):
        least, most = int(column.min()), int(column.max())
        for dtype, smallest, largest in _NARROW:
            if smallest <= least and most <= largest:
                return column.astype(dtype, copy=False)
    return column


class Numbering(dict[Any, int]):
    """Numbers things in the order of their first use: ``numbering[thing]``."""

    def __missing__(self, thing: Any) -> int:
        number = self[thing] = len(self)
        return number


class _Column:
    """A growing column that is as narrow as its values allow."""

    def __init__(self, values: npt.NDArray[Any] | None = None) -> None:
        self._bytes = bytearray()
        self._dtype: np.dtype[Any] = np.dtype(np.int8)
        if values is not None:
            self.add(values)

    def add(self, values: npt.NDArray[Any]) -> None:
        if not len(values):
            return
        if values.itemsize > self._dtype.itemsize:
            values = _narrow(values)
        if values.itemsize > self._dtype.itemsize:
            self._bytes = bytearray(self.taken().astype(values.dtype).tobytes())
            self._dtype = values.dtype
        self._bytes += values.astype(self._dtype, copy=False).data

    def taken(self) -> npt.NDArray[Any]:
        return np.frombuffer(self._bytes, self._dtype)


class Joined:
    """Joins many parts, added in file order, to one ``Columns``.

    It takes the memory of the narrow columns, and then of one wide column after the other, while the narrow
    ones are freed.
    """

    def __init__(self) -> None:
        self.events = self.skipped = self.unusable = self.strange = 0
        self.pairs: list[Any] = []
        self.marks: list[Any] = []
        self._slices = {name: _Column() for name in _DTYPES}
        self._memory = {name: _Column() for name in MEMORY}
        self._sparse: dict[str, tuple[_Column, _Column]] = {}
        self._counted = Counted()
        self._length = 0
        self._names, self._lanes, self._texts, self._devices = (Numbering() for _ in range(4))
        self._labels: dict[tuple[str, str], str] = {}

    def add(self, part: Part) -> None:
        self.events += part.events
        self.skipped += part.skipped
        self.unusable += part.unusable
        self.strange += part.strange
        self.pairs += part.pairs
        self.marks += part.marks
        self._labels |= part.labels
        lanes = _numbers(self._lanes, part.lanes)
        maps = {"name": _numbers(self._names, part.names), "lane": lanes}
        for name, column in part.slices.items():
            self._slices[name].add(maps[name][column] if name in maps else column)
        texts = _numbers(self._texts, [_evenly_spaced(text) for text in part.texts])
        for name, (index, values) in part.sparse.items():
            indices, kept = self._sparse.setdefault(name, (_Column(), _Column()))
            indices.add(index + np.int32(self._length))
            kept.add(texts[values] if name in TEXTS else values)
        maps = {"device": _numbers(self._devices, part.memory_devices), "lane": lanes}
        for name, column in part.memory.items():
            self._memory[name].add(maps[name][column] if name in maps else column)
        self._counted.add(part.counters, part.sampled)
        self._length += len(part)

    def find_devices(self) -> str:
        """Mark slices as device work where names of processes and threads show it, in a trace without
        categories of device work. Return a sentence where slices look like device work but nothing proves
        it."""
        kinds, lanes = self._slices["kind"].taken(), self._slices["lane"].taken()
        if (kinds >= Kind.COMPUTE).any():
            return ""
        kinds = kinds.copy()
        known: dict[int, Place] = {}
        alike: dict[int, str] = {}
        for number, (process, thread, _, stream) in enumerate(self._lanes):
            if stream or thread.startswith(ASYNC):
                continue
            name = self._labels.get((process, ALL_THREADS), "")
            if where := place_of(process, name, thread, self._labels.get((process, thread), "")):
                known[number] = where
            elif looks_like_a_device(name):
                alike[number] = name
        members = np.flatnonzero(np.isin(lanes, list(known)) & (kinds == Kind.OTHER))
        if len(members):
            names = list(self._names)
            works = np.array([kind_of_work(name) for name in names], np.int8)
            kinds[members] = works[self._slices["name"].taken()[members]]
            self._slices["kind"] = _Column(kinds)
            self._lanes = Numbering(
                {(*key[:2], *known.get(number, key[2:])): number for number, key in enumerate(self._lanes)}
            )
            return ""
        doubtful = np.isin(lanes, list(alike)) & (kinds == Kind.OTHER)
        if not doubtful.any():
            return ""
        listed = ", ".join(sorted({alike[lane] for lane in np.unique(lanes[doubtful]).tolist()})[:3])
        return (
            f"{int(doubtful.sum())} slices of {listed} look like device work, but their kind is not known: "
            "they are not counted."
        )

    @property
    def end(self) -> int:
        """Return the end of the last slice; 0 without any."""
        ts, dur = self._slices["ts"].taken(), self._slices["dur"].taken()
        ends = (
            int((ts[at : at + _CHUNK].astype(np.int64) + dur[at : at + _CHUNK]).max())
            for at in range(0, self._length, _CHUNK)
        )
        return max(ends, default=0)

    @property
    def damage(self) -> list[str]:
        """Return sentences on data that was left out."""
        return self._counted.damage

    def columns(self, **others: Any) -> Columns:
        """Return the columns. Call this once. ``others`` are passed to Columns."""
        found: dict[str, Any] = {}
        found["ts"], order = self._ordered()
        origin = int(found["ts"][0]) if self._length else self._counted.first or 0
        found["ts"] -= origin
        found["ts"] = _mapped(found["ts"])
        found |= self._in(order)
        place = np.empty(len(order), np.int32)
        place[order] = np.arange(len(order), dtype=np.int32)
        del order
        return Columns(
            **found,
            names=list(self._names),
            lanes=[
                Lane(process, thread, self._labels.get((process, thread), ""), device, stream)
                for process, thread, device, stream in self._lanes
            ],
            sparse=self._placed(place),
            texts=list(self._texts),
            origin_ns=origin,
            allocations=self._allocations(origin),
            counters=self._counters(origin),
            **others,
        )

    def _in(self, order: Int32) -> dict[str, npt.NDArray[Any]]:
        """Return all other columns of slices."""

        def ordered(name: str) -> npt.NDArray[Any]:
            column = self._slices.pop(name).taken()
            return _mapped(column[order].astype(np.promote_types(column.dtype, _DTYPES[name]), copy=False))

        names = [name for name in _DTYPES if name != "ts"]
        return dict(zip(names, threads.each(ordered, names), strict=True))

    def _placed(self, place: Int32) -> dict[str, Sparse]:
        """Return the sparse columns, with slices at their final positions."""
        names = list(self._sparse)
        sparse = threads.each(lambda name: _sparse(*self._sparse.pop(name), place), names)
        return dict(zip(names, sparse, strict=True))

    def _ordered(self) -> tuple[Int64, Int32]:
        """Return sorted starts and the order. With equal starts, the longer slice comes first; with equal lengths,
        the order of the file counts."""
        ts = self._slices.pop("ts").taken()
        order = np.argsort(ts, kind="stable").astype(np.int32)
        ordered = ts[order].astype(np.int64)
        same = ordered[1:] == ordered[:-1]
        if same.any():
            tied = np.zeros(len(ordered), bool)
            tied[1:] |= same
            tied[:-1] |= same
            places = np.flatnonzero(tied)
            members = order[places]
            length = self._slices["dur"].taken()[members].astype(np.int64)
            order[places] = members[np.lexsort((-length, ordered[places]))]
        return ordered, order

    def _allocations(self, origin: int) -> Allocations | None:
        ts = self._memory["ts"].taken().astype(np.int64)
        if not len(ts):
            return None
        order = np.argsort(ts, kind="stable")
        dtypes = {"lane": np.int32, "device": np.int32}
        found = {
            name: _mapped(self._memory.pop(name).taken()[order].astype(dtypes.get(name, np.int64)))
            for name in MEMORY
            if name != "ts"
        }
        return Allocations(**found, ts=_mapped(ts[order] - origin), devices=list(self._devices))

    def _counters(self, origin: int) -> Counters | None:
        found = self._counted.columns(origin)
        return found and replace(found, ts=_mapped(found.ts), value=_mapped(found.value))


def _numbers(numbering: Numbering, things: Sequence[Any]) -> npt.NDArray[Any]:
    """Return numbers in their narrow type, so that lookups in them stay narrow."""
    return _narrow(np.array([numbering[thing] for thing in things], np.int32))


def _evenly_spaced(text: str) -> str:
    """Return lists in Kineto's format, ``[[64, 3], []]``, however the file writes them, because they are
    compared as texts."""
    return _remembered(text) if len(text) < _LONG else _spaced(text)


def _spaced(text: str) -> str:
    if text[:1] not in ("[", "{") or "\\" in text or _UNEVEN.search(text) is None:
        return text
    try:
        return json.dumps(json.loads(text), ensure_ascii=False)
    except (ValueError, RecursionError):
        return text


#: A trace has some hundred such texts, each in many parts; longer texts are not cached.
_remembered = lru_cache(1 << 12)(_spaced)
_LONG = 1 << 9


def _sparse(indices: _Column, values: _Column, place: Int32) -> Sparse:
    where = place[indices.taken()]
    rising = np.argsort(where, kind="stable")
    return Sparse(_mapped(where[rising]), _mapped(values.taken()[rising].astype(np.int64)))


def _mapped(column: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Move a large column to a file without a name, so that memory has only the used pages; on a full disk it
    stays in memory."""
    if column.nbytes < MAPPED_BYTES:
        return column
    try:
        with tempfile.TemporaryFile() as stream:
            column.tofile(stream)
            return np.asarray(np.memmap(stream, column.dtype, "r"))
    except OSError:
        return column


class Place(NamedTuple):
    """A device and one of its streams."""

    device: str
    stream: str


def place_of(process: str, process_name: str, thread: str, thread_name: str) -> Place | None:
    """Return the device of a thread's slices; None where it is not certain."""
    if process == _BEFORE_KINETO:
        return Place(device_of(thread, thread), "")
    if (device := _XLA.fullmatch(process_name)) and (stream := _XLA_STREAM.fullmatch(thread_name)):
        return Place(device[1], stream[1])
    if (device := _NSIGHT.fullmatch(process)) and (stream := _NSIGHT_STREAM.fullmatch(thread)):
        return Place(device[1], stream[1])
    if device := _TENSORFLOW.fullmatch(process_name):
        return Place(device[1], device[2])
    return None


def looks_like_a_device(process_name: str) -> bool:
    """Return whether slices of a process may be device work."""
    return _ALIKE.fullmatch(process_name) is not None


class Builder:
    """Collects slices one by one. Times are in whole nanoseconds, from any origin."""

    def __init__(self) -> None:
        self._ts, self._dur = array("q"), array("q")
        self._name, self._lane = array("i"), array("i")
        self._kind = array("b")
        self._correlation, self._external = array("q"), array("q")
        self._sparse: dict[str, tuple[array[int], array[int]]] = {}
        self._memory: list[array[int]] = [array("q") for _ in MEMORY]
        self._names, self._texts = Numbering(), Numbering()
        self._lanes, self._devices = Numbering(), Numbering()

    def add(
        self,
        ts: int,
        dur: int,
        name: str,
        lane: int,
        kind: int,
        correlation: int = NO_ID,
        external: int = NO_ID,
    ) -> int:
        """Add a slice; return its number, for ``mark``."""
        self._ts.append(ts)
        self._dur.append(dur)
        self._name.append(self._names[name])
        self._lane.append(lane)
        self._kind.append(kind)
        self._correlation.append(correlation)
        self._external.append(external)
        return len(self._ts) - 1

    def mark(self, slice_number: int, column: str, value: int) -> None:
        """Set a value of a sparse column for the newest slice."""
        index, values = self._sparse.setdefault(column, (array("i"), array("q")))
        index.append(slice_number)
        values.append(value)

    def mark_text(self, slice_number: int, column: str, text: str) -> None:
        """Set a text for the newest slice."""
        self.mark(slice_number, column, self.text(text))

    def text(self, text: str) -> int:
        """Return the number of a text in a sparse column."""
        return self._texts[text]

    def lane(self, process: str, thread: str, device: str = "", stream: str = "") -> int:
        """Return the number of a thread or stream."""
        return self._lanes[process, thread, device, stream]

    def add_memory(
        self,
        ts: int,
        lane: int,
        device: str,
        size: int,
        address: int,
        allocated: int = NO_ID,
        reserved: int = NO_ID,
    ) -> None:
        """Add a memory event: ``size`` bytes were allocated on ``device``, or freed (negative), with the
        allocator's totals after it."""
        values = (ts, lane, self._devices[device], size, address, allocated, reserved)
        for column, value in zip(self._memory, values, strict=True):
            column.append(value)

    def part(self) -> Part:
        """Return the slices in the order of their addition."""
        return Part(
            slices={
                "ts": _taken(self._ts, np.int64),
                "dur": _taken(self._dur, np.int64),
                "name": _taken(self._name, np.int32),
                "lane": _taken(self._lane, np.int32),
                "kind": _taken(self._kind, np.int8),
                "correlation": _taken(self._correlation, np.int64),
                "external": _taken(self._external, np.int64),
            },
            names=list(self._names),
            lanes=list(self._lanes),
            sparse={
                column: (_taken(index, np.int32), _taken(values, np.int64))
                for column, (index, values) in self._sparse.items()
            },
            texts=list(self._texts),
            memory=(
                {name: _taken(column, np.int64) for name, column in zip(MEMORY, self._memory, strict=True)}
                if self._memory[0]
                else {}
            ),
            memory_devices=list(self._devices),
        )

    def finish(
        self,
        labels: Mapping[tuple[str, str], str] | None = None,
        allocations: Callable[[int], Allocations | None] | None = None,
        **others: Any,
    ) -> Columns:
        """Return the sorted columns. ``labels`` are those of lanes, by process and thread. ``allocations`` is
        called with the origin of all times. ``others`` are passed to Columns."""
        part = self.part()
        part.labels = dict(labels or {})
        joined = Joined()
        joined.add(part)
        columns = joined.columns(**others)
        if allocations is None:
            return columns
        return dataclasses.replace(columns, allocations=allocations(columns.origin_ns))


def _taken(values: array[int], dtype: Any) -> Any:
    return np.frombuffer(values, dtype=dtype) if len(values) else np.empty(0, dtype)
