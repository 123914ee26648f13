"""A batch of events as a part of columns, column by column.

What is written as profilers write it is taken here; a batch with anything odd in it (an id that is a text, a name that
is none) is left to ``singly``, which takes events one by one and gives the same columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from . import singly
from .columns import NO_ID, Int32, Int64
from .events import (
    ABSENT,
    ARGUMENTS,
    MISSING,
    NUMBERS,
    TEXTS,
    Begin,
    CallArguments,
    DeviceArguments,
    End,
    Instant,
    MemoryArguments,
    Metadata,
    Phase,
    Slice,
)
from .kinds import Kind, kind_of
from .parts import LaneKey, Numbering, Part
from .times import LARGEST, UNUSABLE, all_nanoseconds

_phases = msgspec.json.Decoder(list[Phase])
_arguments = {each: msgspec.json.Decoder(list[each]) for each in NUMBERS}  # type: ignore[valid-type]
_memory_arguments = msgspec.json.Decoder(list[MemoryArguments])
_PLAIN_TYPES = frozenset({int, str, type(None)})
#: So many pairs of category and name are looked at in a table, more by sorting.
_TABLE = 1 << 20


class _Odd(Exception):
    """The batch is to be taken one by one."""


def read(text: bytes) -> Part:
    """The part that a JSON array of events makes. Raises msgspec.DecodeError where it is none, RecursionError where
    it is nested too deep."""
    try:
        return _Batch(_phases.decode(text)).part()
    except (msgspec.ValidationError, _Odd):
        return singly.read(text)


class _Batch:
    def __init__(self, events: list[Any]) -> None:
        self.events = events
        self.names, self.texts = Numbering(), Numbering()
        self.lanes: dict[LaneKey, int] = {}
        self.sparse: dict[str, tuple[list[Int64], list[Int64]]] = {}

    def part(self) -> Part:
        events = self.events
        slices = [event for event in events if type(event) is Slice]
        ts = all_nanoseconds([event.ts for event in slices])
        dur = all_nanoseconds([event.dur for event in slices])
        usable = (ts != UNUSABLE) & (dur >= 0)
        name, kind = self._kinds(slices)
        unusable = 0
        if not usable.all():
            unusable = int((kind[~usable] != Kind.OTHER).sum())
            slices = [slices[place] for place in np.flatnonzero(usable).tolist()]
            ts, dur, name, kind = ts[usable], dur[usable], name[usable], kind[usable]
        lane, correlation, external = self._places_and_ids(slices, kind)
        memory, devices = self._memory()
        return Part(
            slices={
                "ts": ts,
                "dur": dur,
                "name": name,
                "lane": lane,
                "kind": kind,
                "correlation": correlation,
                "external": external,
            },
            names=list(self.names),
            lanes=list(self.lanes),
            sparse={
                column: _rising(np.concatenate(index), np.concatenate(values))
                for column, (index, values) in self.sparse.items()
            },
            texts=[text.decode("utf-8", "replace") for text in self.texts],
            memory=memory,
            memory_devices=devices,
            labels=singly.labels(
                [event for event in events if type(event) is Metadata and event.name == "thread_name"]
            ),
            events=len(events),
            unusable=unusable,
            pairs=[event for event in events if type(event) is Begin or type(event) is End],
        )

    def _kinds(self, slices: list[Slice]) -> tuple[Int32, npt.NDArray[np.int8]]:
        """Names and kinds. A kind is found once for each pair of category and name."""
        categories = Numbering()
        numbering = self.names
        name = np.array([numbering[event.name] for event in slices], np.int32)
        category = np.array([categories[event.cat] for event in slices], np.int64)
        code = category * len(numbering) + name
        if len(categories) * len(numbering) <= _TABLE:
            table = np.zeros(len(categories) * len(numbering), np.int8)
            table[code] = 1
            present, place = np.flatnonzero(table), None
        else:
            present, place = np.unique(code, return_inverse=True)
        all_names, all_categories = list(numbering), list(categories)
        kinds = np.array(
            [
                kind_of(all_categories[each // len(all_names)] or "", all_names[each % len(all_names)])
                for each in present.tolist()
            ],
            np.int8,
        )
        if place is not None:
            return name, kinds[place]
        table[present] = kinds
        return name, table[code]

    def _places_and_ids(self, slices: list[Slice], kind: npt.NDArray[np.int8]) -> tuple[Int32, Int64, Int64]:
        pairs = Numbering()
        pair = np.array(_numbered(pairs, [e.pid for e in slices], [e.tid for e in slices]), np.int32)
        threads = [(str(process), str(thread)) for process, thread in pairs]
        lane = np.full(len(slices), -1, np.int32)
        correlation = np.full(len(slices), NO_ID, np.int64)
        external = np.full(len(slices), NO_ID, np.int64)
        classes = {each: np.zeros(len(Kind), bool) for each in NUMBERS}
        for each, its_class in ARGUMENTS.items():
            classes[its_class][each] = True
        for its_class, its_kinds in classes.items():
            members = np.flatnonzero(its_kinds[kind])
            if not len(members):
                continue
            given = self._arguments(its_class, slices, members)
            correlation[members], external[members] = _ids(given)
            if its_class is DeviceArguments:
                lane[members] = self._device_lanes(given, pair[members], kind[members], threads)
            self._mark(its_class, given, members)
        host = lane < 0
        table = np.zeros(len(threads), np.int32)
        for each in np.unique(pair[host]).tolist():
            table[each] = self.lanes.setdefault((*threads[each], "", ""), len(self.lanes))
        lane[host] = table[pair[host]]
        return lane, correlation, external

    def _arguments(self, its_class: type[CallArguments], slices: list[Slice], members: Int64) -> list[Any]:
        """Raises msgspec.ValidationError where some have none."""
        if len(members) == len(slices):
            texts = [event.args for event in slices]
        else:
            texts = [slices[place].args for place in members.tolist()]
        given = _arguments[its_class].decode(b"[" + b",".join(texts) + b"]")
        if len(given) != len(members):
            raise _Odd
        return given

    def _device_lanes(
        self,
        given: list[DeviceArguments],
        pair: Int32,
        kind: npt.NDArray[np.int8],
        threads: list[tuple[str, str]],
    ) -> list[int]:
        keys = Numbering()
        works = (kind >= Kind.COMPUTE).tolist()
        devices = [each.device if work else MISSING for each, work in zip(given, works, strict=True)]
        number = _numbered(keys, devices, [each.stream for each in given], pair.tolist())
        lanes = []
        for device, stream, place in keys:
            process, thread = threads[place]
            on = "" if device == MISSING else process if device is None else str(device)
            key = (process, thread, on, "" if stream is None else str(stream))
            lanes.append(self.lanes.setdefault(key, len(self.lanes)))
        return [lanes[each] for each in number]

    def _mark(self, its_class: type[CallArguments], given: list[Any], members: Int64) -> None:
        for column in NUMBERS[its_class]:
            self._keep(column, members, _integers([getattr(each, column) for each in given]))
        if its_class is DeviceArguments:
            self._keep("occupancy", members, _per_mille([each.occupancy_percent for each in given]))
        for column in TEXTS[its_class]:
            texts = [getattr(each, column) for each in given]
            if texts.count(ABSENT) == len(texts):
                continue
            number, missing = self.texts, MISSING
            values = [missing if each is ABSENT else number[bytes(each)] for each in texts]
            found = np.array(values, np.int64)
            null = number.get(b"null")
            self._keep(column, members, found if null is None else np.where(found == null, MISSING, found))

    def _keep(self, column: str, members: Int64, values: Int64 | None) -> None:
        """Of the ``values``, those that are given."""
        if values is None:
            return
        given = np.abs(values) < LARGEST
        if given.any():
            index, kept = self.sparse.setdefault(column, ([], []))
            index.append(members[given])
            kept.append(values[given])

    def _memory(self) -> tuple[dict[str, npt.NDArray[Any]], list[str]]:
        found = [event for event in self.events if type(event) is Instant and event.name == "[memory]"]
        if not found:
            return {}, []
        ts = all_nanoseconds([event.ts for event in found])
        given = _memory_arguments.decode(b"[" + b",".join([event.args for event in found]) + b"]")
        if len(given) != len(found):
            raise _Odd
        if (ts == UNUSABLE).any():
            kept = np.flatnonzero(ts != UNUSABLE).tolist()
            found, given, ts = [found[place] for place in kept], [given[place] for place in kept], ts[kept]
        threads, devices = Numbering(), Numbering()
        lane = _numbered(threads, [event.pid for event in found], [event.tid for event in found])
        lanes = [
            self.lanes.setdefault((str(process), str(thread), "", ""), len(self.lanes))
            for process, thread in threads
        ]
        columns: dict[str, npt.NDArray[Any]] = {
            "ts": ts,
            "lane": np.array([lanes[each] for each in lane], np.int64),
            "device": np.array([devices[singly.memory_device(each.device)] for each in given], np.int64),
        }
        for column, otherwise in singly.MEMORY_NUMBERS.items():
            values = _integers([getattr(each, column) for each in given])
            columns[column] = (
                np.full(len(given), otherwise, np.int64)
                if values is None
                else np.where(np.abs(values) < LARGEST, values, otherwise)
            )
        return columns, list(devices)


def _numbered(numbering: Numbering, *columns: Sequence[Any]) -> list[int]:
    """The number of each row of ``columns``."""
    for column in columns:
        # True, 1 and 1.0 are one key of a dictionary, but not one name.
        if not _PLAIN_TYPES.issuperset(map(type, column)):
            raise _Odd
    return [numbering[row] for row in zip(*columns, strict=True)]


def _integers(values: list[Any]) -> Int64 | None:
    """None where all are missing."""
    if values.count(MISSING) == len(values):
        return None
    try:
        found = np.array(values)
    except (ValueError, OverflowError) as error:
        raise _Odd from error
    if found.dtype != np.int64 or found.ndim != 1:
        raise _Odd
    return found


def _per_mille(percents: list[Any]) -> Int64 | None:
    if percents.count(MISSING) == len(percents):
        return None
    if not {int, float}.issuperset(map(type, percents)):
        raise _Odd
    found = np.array(percents, np.float64) * 10
    return np.where(np.abs(found) < singly.LARGEST_PER_MILLE, np.rint(found), MISSING).astype(np.int64)


def _ids(given: Sequence[CallArguments]) -> tuple[Int64, Int64]:
    """Correlation and external ids."""
    correlation = _integers([each.correlation for each in given])
    external = _integers([each.external_id for each in given])
    old = _integers([each.external_id_old for each in given])
    if external is None:
        external = old
    elif old is not None:
        external = np.where(external == MISSING, old, external)
    return _positive(correlation, len(given)), _positive(external, len(given))


def _positive(ids: Int64 | None, size: int) -> Int64:
    if ids is None:
        return np.full(size, NO_ID, np.int64)
    return np.where((ids > 0) & (ids < LARGEST), ids, NO_ID)


def _rising(index: Int64, values: Int64) -> tuple[Int32, Int64]:
    order = np.argsort(index, kind="stable")
    return index[order].astype(np.int32), values[order]
