"""A batch of events as a part of columns, column by column.

What is written as profilers write it is taken here; a batch with anything odd in it (an id that is a text, a name that
is none) is left to ``singly``, which takes events one by one and gives the same columns.
"""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from ..columns import NO_ID, Int32, Int64
from ..kinds import Kind, kind_of, told_by_device
from . import singly, spans
from .counted import Samples, all_arguments
from .events import (
    ABSENT,
    ARGUMENTS,
    CALL,
    DEVICE,
    FIELDS,
    IN_NUMBERS,
    IN_TEXT,
    IN_WHOLE,
    MISSING,
    SETS,
    Argument,
    Begin,
    End,
    Metadata,
    Written,
)
from .mending import mended
from .parts import LaneKey, Numbering, Part
from .places import device_of, stream_of
from .times import LARGEST, UNUSABLE, all_nanoseconds, of_numbers, of_whole_numbers

_decoders = [
    (written, msgspec.json.Decoder(list[written.phase]))  # type: ignore[name-defined]
    for written in (IN_WHOLE, IN_NUMBERS, IN_TEXT)
]
#: Names come again in every batch.
_kind_of = lru_cache(1 << 14)(kind_of)
#: The number of its set of arguments, by kind.
_SET = np.array([SETS.index(ARGUMENTS[kind]) for kind in Kind], np.int8)

_ASYNC = set(spans.PHASES)


def _as_question_marks(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return "?" * (error.end - error.start), error.end


#: No text of JSON has this byte, and the decoder refuses it.
BETWEEN = b"\0"
_NO_TEXT = (bytes(ABSENT), b"null")

# Bytes that are no UTF-8 become as many question marks: positions stay what they were.
_QUESTION = "genops-question"
codecs.register_error(_QUESTION, _as_question_marks)


class _Odd(Exception):
    """The batch is to be taken one by one."""


def read(text: bytes | bytearray) -> Part:
    """The part that a JSON array of events makes. Raises msgspec.DecodeError where it is none, RecursionError where
    it is nested too deep."""
    text = _as_utf8(text)
    try:
        return _read(text)
    except msgspec.DecodeError as error:
        whole = text if "trailing" in str(error) else mended(text)
        if whole is text:
            raise
        return _read(whole)


def _read(text: bytes | bytearray) -> Part:
    for written, decoder in _decoders:
        try:
            return _Batch(decoder.decode(text), written).part()
        except (msgspec.ValidationError, _Odd):
            continue
    return singly.read(text)


def _as_utf8(text: bytes | bytearray) -> bytes | bytearray:
    if not text.isascii():
        try:
            text.decode()
        except UnicodeDecodeError:
            return text.decode("utf-8", _QUESTION).encode()
    return text


class _Batch:
    def __init__(self, events: list[Any], written: Written) -> None:
        self.events, self.written = events, written
        self.names, self.texts = Numbering(), Numbering()
        self.lanes: dict[LaneKey, int] = {}
        self.sparse: dict[str, tuple[list[Int64], list[Int64]]] = {}

    def part(self) -> Part:
        types = set(map(type, self.events))
        tied = [e for e in self.events if type(e) in spans.PHASES] if types & _ASYNC else []
        marks, untimed = spans.marks(tied)
        slices = self._of(self.written.slice)
        arguments = [each.args for each in slices]
        ts, dur = self._times([each.ts for each in slices]), self._times([each.dur for each in slices])
        name, kind, pair, threads = self._told_by_place(slices)
        usable, unusable = (ts != UNUSABLE) & (dur >= 0), 0
        if not usable.all():
            unusable = int((kind[~usable] != Kind.OTHER).sum())
            arguments = [arguments[place] for place in np.flatnonzero(usable).tolist()]
            ts, dur, name, kind, pair = ts[usable], dur[usable], name[usable], kind[usable], pair[usable]
        lane, correlation, external = self._places_and_ids(arguments, kind, pair, threads)
        samples, late = self._samples() if self.written.counter in types else (Samples(), 0)
        memory, devices = self._memory() if self.written.instant in types else ({}, [])
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
            sampled=samples.sampled(),
            counters=list(samples.series),
            labels=singly.labels(self._of(Metadata)) if Metadata in types else {},
            events=len(self.events),
            unusable=unusable + late + untimed,
            marks=marks,
            pairs=[e for e in self.events if type(e) is Begin or type(e) is End]
            if types & {Begin, End}
            else [],
        )

    def _of(self, its_type: type) -> list[Any]:
        return [event for event in self.events if type(event) is its_type]

    def _times(self, times: Sequence[Any]) -> Int64:
        if self.written is IN_TEXT:
            return all_nanoseconds(times)
        found = of_whole_numbers(times) if self.written is IN_WHOLE else of_numbers(times)
        if found is None:
            raise _Odd
        return found

    def _told_by_place(
        self, slices: list[Any]
    ) -> tuple[Int32, npt.NDArray[np.int8], Int32, list[tuple[str, str]]]:
        """Of slices: the number of each name, its kind, the number of each pair of process and thread, and these pairs.
        What is together in many slices is looked at once."""
        rows, pairs = Numbering(), Numbering()
        row = np.array([rows[each.cat, each.name, each.pid, each.tid] for each in slices], np.int32)
        names = np.array([self.names[name] for _, name, _, _ in rows], np.int32)
        kinds = np.array([_kind_of(category or "", name) for category, name, _, _ in rows], np.int8)
        threads = np.array([pairs[str(process), str(thread)] for _, _, process, thread in rows], np.int32)
        kind = kinds[row]
        if any(map(told_by_device, {category for category, _, _, _ in rows})):
            for at, each in enumerate(slices):
                if told_by_device(each.cat) and each.args.device in (None, ""):
                    kind[at] = Kind.RUNTIME
        return names[row], kind, threads[row], list(pairs)

    def _places_and_ids(
        self,
        arguments: list[Any],
        kind: npt.NDArray[np.int8],
        pair: Int32,
        threads: list[tuple[str, str]],
    ) -> tuple[Int32, Int64, Int64]:
        lane = np.full(len(kind), -1, np.int32)
        sets = _SET[kind]
        for number, its_set in enumerate(SETS):
            members = np.flatnonzero(sets == number)
            if its_set is CALL or not len(members):
                continue
            given = [arguments[place] for place in members.tolist()]
            if its_set is DEVICE:
                lane[members] = self._device_lanes(given, pair[members], kind[members], threads)
            self._mark(its_set, given, members)
        host = lane < 0
        table = np.zeros(len(threads), np.int32)
        for each in np.unique(pair[host]).tolist():
            table[each] = self.lanes.setdefault((*threads[each], "", ""), len(self.lanes))
        lane[host] = table[pair[host]]
        return lane, *_ids(arguments)

    def _device_lanes(
        self,
        arguments: list[Any],
        pair: Int32,
        kind: npt.NDArray[np.int8],
        threads: list[tuple[str, str]],
    ) -> list[int]:
        keys = Numbering()
        number = [
            keys[each.device, each.stream, place, works]
            for each, place, works in zip(
                arguments, pair.tolist(), (kind >= Kind.COMPUTE).tolist(), strict=True
            )
        ]
        lanes = []
        for device, stream, place, works in keys:
            process, thread = threads[place]
            key = (process, thread, device_of(device, process) if works else "", stream_of(stream))
            lanes.append(self.lanes.setdefault(key, len(self.lanes)))
        return [lanes[each] for each in number]

    def _mark(self, its_set: tuple[Argument, ...], arguments: list[Any], members: Int64) -> None:
        for name, _, its_type in its_set[len(CALL) :]:
            if its_type is str:
                continue
            values = FIELDS[name](arguments)
            if its_type is int:
                self._keep(name, members, _integers(values))
            elif its_type is float:
                self._keep(name, members, _per_mille(values))
            else:
                self._keep(name, members, self._numbers(values))

    def _numbers(self, texts: Sequence[msgspec.Raw]) -> Int64 | None:
        """Of texts."""
        if texts.count(ABSENT) == len(texts):
            return None
        distinct = Numbering()
        number = [distinct[each] for each in _all_bytes(texts)]
        table = [MISSING if each in _NO_TEXT else self.texts[each] for each in distinct]
        return np.array(table, np.int64)[number]

    def _keep(self, column: str, members: Int64, values: Int64 | None) -> None:
        """Of the ``values``, those that are given."""
        if values is None:
            return
        given = np.abs(values) < LARGEST
        if given.any():
            index, kept = self.sparse.setdefault(column, ([], []))
            index.append(members[given])
            kept.append(values[given])

    def _samples(self) -> tuple[Samples, int]:
        """Of counters, and how many events have no usable time."""
        found, late = Samples(), 0
        events = self._of(self.written.counter)
        try:
            arguments = all_arguments([event.args for event in events])
        except msgspec.DecodeError as error:
            raise _Odd from error
        times = self._times([event.ts for event in events]).tolist()
        for ts, event, given in zip(times, events, arguments, strict=True):
            if ts == UNUSABLE:
                late += 1
            else:
                found.add(ts, str(event.pid), event.name, event.id, given)
        return found, late

    def _memory(self) -> tuple[dict[str, npt.NDArray[Any]], list[str]]:
        found = [event for event in self._of(self.written.instant) if event.name == "[memory]"]
        if not found:
            return {}, []
        ts = self._times([event.ts for event in found])
        if (ts == UNUSABLE).any():
            kept = np.flatnonzero(ts != UNUSABLE).tolist()
            found, ts = [found[place] for place in kept], ts[kept]
        given = [event.args for event in found]
        threads, devices, numbers = Numbering(), Numbering(), Numbering()
        thread = [threads[each.pid, each.tid] for each in found]
        lanes = [
            self.lanes.setdefault((str(process), str(thread), "", ""), len(self.lanes))
            for process, thread in threads
        ]
        number = [numbers[each.device] for each in given]
        keys = [devices[singly.memory_device(each)] for each in numbers]
        columns: dict[str, npt.NDArray[Any]] = {
            "ts": ts,
            "lane": np.array(lanes, np.int64)[thread],
            "device": np.array(keys, np.int64)[number],
        }
        for column, otherwise in singly.MEMORY_NUMBERS.items():
            values = _integers(FIELDS[column](given))
            columns[column] = (
                np.full(len(given), otherwise, np.int64)
                if values is None
                else np.where(np.abs(values) < LARGEST, values, otherwise)
            )
        return columns, list(devices)


def _all_bytes(texts: Sequence[msgspec.Raw]) -> list[bytes]:
    """Of each its bytes: one by one that takes four times as long as cutting all of them."""
    return BETWEEN.join(texts).split(BETWEEN)


def _integers(values: Sequence[int | None]) -> Int64 | None:
    """None where all are missing."""
    if _all_missing(values):
        return None
    try:
        return np.array(values, np.int64)
    except TypeError:
        return _integers([MISSING if each is None else each for each in values])
    except OverflowError as error:
        raise _Odd from error


def _all_missing(values: Sequence[Any]) -> bool:
    # Most often the first one tells that they are not.
    return not values or (values[0] == MISSING and values.count(MISSING) == len(values))


def _per_mille(percents: Sequence[float]) -> Int64 | None:
    if _all_missing(percents):
        return None
    found = np.array(percents, np.float64) * 10
    return np.where(np.abs(found) < singly.LARGEST_PER_MILLE, np.rint(found), MISSING).astype(np.int64)


def _ids(arguments: list[Any]) -> tuple[Int64, Int64]:
    """Correlation and external ids."""
    size = len(arguments)
    external = _integers([each.external_id for each in arguments])
    old = _integers([each.external_id_old for each in arguments])
    if external is None:
        external = old
    elif old is not None:
        external = np.where(external == MISSING, old, external)
    return _positive(_integers([each.correlation for each in arguments]), size), _positive(external, size)


def _positive(ids: Int64 | None, size: int) -> Int64:
    if ids is None:
        return np.full(size, NO_ID, np.int64)
    return np.where((ids > 0) & (ids < LARGEST), ids, NO_ID)


def _rising(index: Int64, values: Int64) -> tuple[Int32, Int64]:
    order = np.argsort(index, kind="stable")
    return index[order].astype(np.int32), values[order]
