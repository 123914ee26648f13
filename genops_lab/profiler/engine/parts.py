"""A part of a trace as columns with numberings of their own, and many parts as one ``Columns``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from .columns import TEXTS, Allocations, Columns, Int32, Int64, Lane, Sparse

#: Process, thread, device, stream.
LaneKey = tuple[str, str, str, str]
_DTYPES = {
    **dict.fromkeys(("ts", "dur", "correlation", "external"), np.int64),
    **dict.fromkeys(("name", "lane"), np.int32),
    "kind": np.int8,
}
MEMORY = ("ts", "lane", "device", "bytes", "address", "allocated", "reserved")


@dataclass
class Part:
    """Slices in the order of the file. Times count from an origin that all parts of a trace share."""

    slices: dict[str, npt.NDArray[Any]]
    names: list[str]
    lanes: list[LaneKey]
    #: Slices of this part, rising, and their values (texts: positions in ``texts``).
    sparse: dict[str, tuple[Int32, Int64]] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)
    #: Columns of memory events, by ``MEMORY``.
    memory: dict[str, npt.NDArray[Any]] = field(default_factory=dict)
    memory_devices: list[str] = field(default_factory=list)
    labels: dict[tuple[str, str], str] = field(default_factory=dict)
    events: int = 0
    #: Events that could not be decoded, and those without a time.
    skipped: int = 0
    unusable: int = 0
    #: Begins and ends of slices, which may lie in several parts.
    pairs: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._length = len(self.slices["ts"])

    def __len__(self) -> int:
        return self._length

    def packed(self) -> Part:
        """The same with the narrowest columns that hold it; they are widened when parts are joined."""
        for columns in (self.slices, self.memory):
            for name, column in columns.items():
                columns[name] = _narrow(column)
        self.sparse = {name: (index, _narrow(value)) for name, (index, value) in self.sparse.items()}
        return self


def _narrow(column: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if len(column):
        least, most = int(column.min()), int(column.max())
        for dtype in (np.int8, np.int16, np.int32):
            if np.iinfo(dtype).min <= least and most <= np.iinfo(dtype).max:
                return column.astype(dtype)
    return column


class Numbering(dict[Any, int]):
    """Numbers things as they come: ``numbering[thing]``."""

    def __missing__(self, thing: Any) -> int:
        number = self[thing] = len(self)
        return number


def join(parts: list[Part], others: Mapping[str, Any] | None = None) -> Columns:
    """The columns of all ``parts``, in order; they are emptied on the way. ``others`` go to Columns."""
    names, lanes, texts, devices = Numbering(), Numbering(), Numbering(), Numbering()
    labels: dict[tuple[str, str], str] = {}
    maps: dict[str, list[Int32]] = {"name": [], "lane": [], "text": [], "device": []}
    for part in parts:
        for key, numbering, things in (
            ("name", names, part.names),
            ("lane", lanes, part.lanes),
            ("text", texts, part.texts),
            ("device", devices, part.memory_devices),
        ):
            maps[key].append(np.array([numbering[thing] for thing in things], np.int32))
        labels |= part.labels
    ts = _gather(parts, "ts")
    origin = int(ts.min()) if len(ts) else 0
    dur = _gather(parts, "dur")
    order = _order(ts, dur)
    sparse = _sparse(parts, order, maps["text"])
    # One column at a time, so that there are never two copies of all.
    columns: dict[str, Any] = {"ts": ts[order] - origin, "dur": dur[order]}
    del ts, dur
    for name in ("name", "lane", "kind", "correlation", "external"):
        columns[name] = _gather(parts, name, maps.get(name))[order]
    return Columns(
        **columns,
        names=list(names),
        lanes=[
            Lane(process, thread, labels.get((process, thread), ""), device, stream)
            for process, thread, device, stream in lanes
        ],
        sparse=sparse,
        texts=list(texts),
        origin_ns=origin,
        allocations=_allocations(parts, origin, maps["lane"], maps["device"], list(devices)),
        **(others or {}),
    )


def _gather(
    parts: Sequence[Part], name: str, maps: Sequence[Int32] | None = None, of: str = "slices"
) -> npt.NDArray[Any]:
    """A column of all parts, renumbered by each part's map. It is taken from them."""
    size = sum(len(getattr(part, of)[name]) for part in parts)
    whole = np.empty(size, _DTYPES[name] if of == "slices" else np.int64)
    at = 0
    for number, part in enumerate(parts):
        piece = getattr(part, of).pop(name)
        end = at + len(piece)
        whole[at:end] = maps[number][piece] if maps is not None else piece
        at = end
    return whole


def _order(ts: Int64, dur: Int64) -> npt.NDArray[np.intp]:
    """By start; of one start, the longer first; of one length, as in the file."""
    order = np.argsort(ts, kind="stable")
    ordered = ts[order]
    same = ordered[1:] == ordered[:-1]
    if same.any():
        tied = np.zeros(len(ts), bool)
        tied[1:] |= same
        tied[:-1] |= same
        places = np.flatnonzero(tied)
        members = order[places]
        order[places] = members[np.lexsort((-dur[members], ts[members]))]
    return order


def _sparse(
    parts: Sequence[Part], order: npt.NDArray[np.intp], text_maps: Sequence[Int32]
) -> dict[str, Sparse]:
    place = np.empty(len(order), np.int32)
    place[order] = np.arange(len(order), dtype=np.int32)
    starts = _starts([len(part) for part in parts])
    found = {}
    for name in dict.fromkeys(name for part in parts for name in part.sparse):
        index, values = [], []
        for part, start, texts in zip(parts, starts, text_maps, strict=True):
            where, what = part.sparse.pop(name, (None, None))
            if where is not None and what is not None:
                index.append(place[start : start + len(part)][where])
                values.append(texts[what] if name in TEXTS else what)
        where = np.concatenate(index)
        rising = np.argsort(where, kind="stable")
        found[name] = Sparse(where[rising], np.concatenate(values)[rising].astype(np.int64))
    return found


def _starts(lengths: Sequence[int]) -> list[int]:
    return [0, *np.cumsum(lengths).tolist()][:-1]


def _allocations(
    parts: Sequence[Part],
    origin: int,
    lanes: Sequence[Int32],
    devices: Sequence[Int32],
    device_names: list[str],
) -> Allocations | None:
    having = [number for number, part in enumerate(parts) if part.memory]
    if not having:
        return None
    taken = [parts[number] for number in having]
    maps: dict[str, Callable[[], Sequence[Int32]]] = {
        "lane": lambda: [lanes[number] for number in having],
        "device": lambda: [devices[number] for number in having],
    }
    found = {name: _gather(taken, name, maps[name]() if name in maps else None, "memory") for name in MEMORY}
    order = np.argsort(found["ts"], kind="stable")
    return Allocations(
        ts=found["ts"][order] - origin,
        lane=found["lane"][order].astype(np.int32),
        device=found["device"][order].astype(np.int8),
        bytes=found["bytes"][order],
        address=found["address"][order],
        allocated=found["allocated"][order],
        reserved=found["reserved"][order],
        devices=device_names,
    )
