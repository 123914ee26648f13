"""A batch of events as a part of columns, column by column.

What is written as profilers write it is taken here, by ``native`` where it is built and else by msgspec; a batch with
anything odd in it (an id that is a text, a name that is none) is left to ``slow_path``, which takes events one by one
and gives the same columns.
"""

from __future__ import annotations

import codecs
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from ..columns import NO_ID, Int32, Int64
from ..kinds import Kind, told_by_device
from . import decoded_slices, native, slow_path, spans
from .counters import Samples, all_arguments
from .decoded_slices import DecodedSlices, Odd, times
from .events import (
    ARGUMENTS,
    CALL,
    DEVICE,
    IN_NUMBERS,
    IN_TEXT,
    IN_WHOLE,
    MISSING,
    SETS,
    Begin,
    End,
    Metadata,
    Written,
)
from .lenient_json import mended
from .locations import device_of, stream_of
from .native_slices import ScannedSlices, memory_events
from .parts import LaneKey, Numbering, Part
from .slices import Given, Mask, MemoryEvents, Row, Slices, remembered_kind_of
from .times import LARGEST, UNUSABLE

_decoders = [
    (written, msgspec.json.Decoder(list[written.phase]))  # type: ignore[name-defined]
    for written in (IN_WHOLE, IN_NUMBERS, IN_TEXT)
]
#: The number of its set of arguments, by kind.
_SET = np.array([SETS.index(ARGUMENTS[kind]) for kind in Kind], np.int8)

_ASYNC = set(spans.PHASES)


def _as_question_marks(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return "?" * (error.end - error.start), error.end


# Bytes that are no UTF-8 become as many question marks: positions stay what they were.
_QUESTION = "genops-question"
codecs.register_error(_QUESTION, _as_question_marks)


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
    scanned = native.scan(text)
    if scanned is not None:
        part = _of_scanned(scanned)
        if part is not None:
            return part
    for written, decoder in _decoders:
        try:
            return _of_decoded(decoder.decode(text), written)
        except (msgspec.ValidationError, Odd):
            continue
    return slow_path.read(text)


def _of_scanned(scanned: native.Scanned) -> Part | None:
    others = b"[" + b",".join(scanned.others) + b"]"
    for written, decoder in _decoders:
        try:
            rest = decoder.decode(others)
            if decoded_slices.memory_events(_of(written.instant, rest), written) is not None:
                return None
            memory = memory_events(scanned)
            return _Batch(ScannedSlices(scanned), memory, rest, written, scanned.events).part()
        except (msgspec.DecodeError, Odd):
            continue
    return None


def _of_decoded(events: list[Any], written: Written) -> Part:
    others = [event for event in events if type(event) is not written.slice]
    slices = DecodedSlices(_of(written.slice, events), written)
    memory = decoded_slices.memory_events(_of(written.instant, others), written)
    return _Batch(slices, memory, others, written, len(events)).part()


def _of(its_type: type, events: list[Any]) -> list[Any]:
    return [event for event in events if type(event) is its_type]


def _as_utf8(text: bytes | bytearray) -> bytes | bytearray:
    if not text.isascii():
        try:
            text.decode()
        except UnicodeDecodeError:
            return text.decode("utf-8", _QUESTION).encode()
    return text


class _Batch:
    def __init__(
        self, slices: Slices, memory: MemoryEvents | None, others: list[Any], written: Written, events: int
    ) -> None:
        """``others``: events that are no slices, without those that are passed over; ``events``: how many in all."""
        self.slices, self.memory = slices, memory
        self.others, self.written, self.events = others, written, events
        self.names, self.texts = Numbering(), Numbering()
        self.lanes: dict[LaneKey, int] = {}

    def part(self) -> Part:
        types = set(map(type, self.others))
        tied = [e for e in self.others if type(e) in spans.PHASES] if types & _ASYNC else []
        marks, untimed = spans.marks(tied)
        rows = self.slices.rows()
        kinds = np.array([_kind_of_row(row) for row in rows], np.int8)
        names = np.array([self.names[row.name] for row in rows], np.int32)
        unusable = self._leave_out_unusable(kinds)
        row = self.slices.row
        kind = kinds[row]
        samples, late = self._samples() if self.written.counter in types else (Samples(), 0)
        slices: dict[str, npt.NDArray[Any]] = {
            "ts": self.slices.ts,
            "dur": self.slices.dur,
            "name": names[row],
            "lane": self._lanes_of(rows, kinds)[row],
            "kind": kind,
            "correlation": self._ids("correlation"),
            "external": self._ids("external_id", "external_id_old"),
        }
        sparse = self._sparse(_SET[kind])
        memory, devices = self._memory_columns()
        return Part(
            slices=slices,
            names=list(self.names),
            lanes=list(self.lanes),
            sparse=sparse,
            texts=[text.decode("utf-8", "replace") for text in self.texts],
            memory=memory,
            memory_devices=devices,
            sampled=samples.sampled(),
            counters=list(samples.series),
            labels=slow_path.labels(_of(Metadata, self.others)) if Metadata in types else {},
            events=self.events,
            unusable=unusable + late + untimed,
            marks=marks,
            pairs=[e for e in self.others if type(e) is Begin or type(e) is End]
            if types & {Begin, End}
            else [],
        )

    def _leave_out_unusable(self, kinds: npt.NDArray[np.int8]) -> int:
        """Slices without a usable time; how many of them would have counted."""
        usable: Mask = (self.slices.ts != UNUSABLE) & (self.slices.dur >= 0)
        if usable.all():
            return 0
        unusable = int((kinds[self.slices.row[~usable]] != Kind.OTHER).sum())
        self.slices.keep(usable)
        return unusable

    def _lanes_of(self, rows: list[Row], kinds: npt.NDArray[np.int8]) -> Int32:
        """By row, of those that slices have."""
        lanes = np.full(len(rows), -1, np.int32)
        for number in np.unique(self.slices.row).tolist():
            lanes[number] = self._lane(*_lane_key(rows[number], kinds[number]))
        return lanes

    def _lane(self, *key: str) -> int:
        process, thread, device, stream = key
        return self.lanes.setdefault((process, thread, device, stream), len(self.lanes))

    def _ids(self, *names: str) -> Int64:
        """The first of these arguments that a slice has."""
        found: Int64 | None = None
        for name in names:
            values = self.slices.whole(name)
            if found is None:
                found = values
            elif values is not None:
                found = np.where(found == MISSING, values, found)
        if found is None:
            return np.full(len(self.slices.ts), NO_ID, np.int64)
        return np.where((found > 0) & (found < LARGEST), found, NO_ID)

    def _sparse(self, sets: npt.NDArray[np.int8]) -> dict[str, tuple[Int32, Int64]]:
        """Of each argument the slices that have it, and its values. ``sets``: the number of each slice's set."""
        found: dict[str, list[Given]] = {}
        for number, its_set in enumerate(SETS):
            chosen = sets == number
            if its_set is CALL or not chosen.any():
                continue
            for argument in its_set[len(CALL) :]:
                given = (
                    None
                    if argument.type is str
                    else self.slices.given(argument, chosen, self.texts.__getitem__)
                )
                if given is not None and len(given.slices):
                    found.setdefault(argument.name, []).append(given)
        return {name: _rising(each) for name, each in found.items()}

    def _samples(self) -> tuple[Samples, int]:
        """Of counters, and how many events have no usable time."""
        found, late = Samples(), 0
        events = _of(self.written.counter, self.others)
        try:
            arguments = all_arguments([event.args for event in events])
        except msgspec.DecodeError as error:
            raise Odd from error
        at = times([event.ts for event in events], self.written).tolist()
        for ts, event, given in zip(at, events, arguments, strict=True):
            if ts == UNUSABLE:
                late += 1
            else:
                found.add(ts, str(event.pid), event.name, event.id, given)
        return found, late

    def _memory_columns(self) -> tuple[dict[str, npt.NDArray[Any]], list[str]]:
        if self.memory is None:
            return {}, []
        found = self.memory.timed()
        lanes = [self._lane(str(process), str(thread), "", "") for process, thread in found.threads]
        devices = Numbering()
        numbers, number = np.unique(found.arguments.get("device", -1), return_inverse=True)
        keys = [devices[slow_path.memory_device(each)] for each in numbers.tolist()]
        device = np.array(keys, np.int64)[number.reshape(-1)]
        columns: dict[str, npt.NDArray[Any]] = {
            "ts": found.ts,
            "lane": np.array(lanes, np.int64)[found.thread],
            "device": np.broadcast_to(device, len(found.ts)),
        }
        for column, otherwise in slow_path.MEMORY_NUMBERS.items():
            values = found.arguments.get(column)
            columns[column] = (
                np.full(len(found.ts), otherwise, np.int64)
                if values is None
                else np.where(np.abs(values) < LARGEST, values, otherwise)
            )
        return columns, list(devices)


def _kind_of_row(row: Row) -> Kind:
    kind = remembered_kind_of(row.category or "", row.name)
    return Kind.RUNTIME if row.device in (None, "") and told_by_device(row.category) else kind


def _lane_key(row: Row, kind: int) -> LaneKey:
    process, thread = str(row.process), str(row.thread)
    if SETS[_SET[kind]] is not DEVICE:
        return process, thread, "", ""
    return (
        process,
        thread,
        device_of(row.device, process) if kind >= Kind.COMPUTE else "",
        stream_of(row.stream),
    )


def _rising(found: list[Given]) -> tuple[Int32, Int64]:
    if len(found) == 1:
        return found[0].slices.astype(np.int32, copy=False), found[0].values
    index = np.concatenate([each.slices for each in found])
    order = np.argsort(index, kind="stable")
    return index[order].astype(np.int32), np.concatenate([each.values for each in found])[order]
