"""Read a batch of events into a part of columns.

``native`` reads events in the usual form of profilers, where it is built. ``slow_path`` reads all other
events, one by one, and gives the same columns.
"""

from __future__ import annotations

import codecs
import dataclasses
import re
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from ..columns import NO_ID, Bools, Int32, Int64
from ..kinds import Kind, may_name_a_device
from . import native, slow_path
from .events import ARGUMENTS, CALL, DEVICE, MISSING, SETS, Argument
from .locations import device_of, stream_of
from .native import Scanned
from .parts import LaneKey, Numbering, Part
from .slow_path import LARGEST_PER_MILLE, MEMORY_NUMBERS, memory_device, remembered_kind_of
from .times import LARGEST, UNUSABLE

#: The slices that have an argument, sorted, and its values.
Given = tuple[Int32, Int64]

#: The number of the slice's set of arguments, by kind.
_SET = np.array([SETS.index(ARGUMENTS[kind]) for kind in Kind], np.int8)
_value = msgspec.json.Decoder(str | int | None)


class _Row(NamedTuple):
    """A row that many slices share. Device and stream are as written."""

    category: str | None
    name: str
    process: Any
    thread: Any
    device: Any
    stream: Any

    def kind(self) -> Kind:
        kind = remembered_kind_of(self.category or "", self.name)
        return Kind.RUNTIME if self.device in (None, "") and may_name_a_device(self.category) else kind

    def lane(self, kind: int) -> LaneKey:
        process, thread = str(self.process), str(self.thread)
        if SETS[_SET[kind]] is not DEVICE:
            return process, thread, "", ""
        device = device_of(self.device, process) if kind >= Kind.COMPUTE else ""
        return process, thread, device, stream_of(self.stream)


class _Batch:
    def __init__(self, scanned: Scanned) -> None:
        self._scanned = scanned
        self._ts, self._dur, self._row = scanned.ts, scanned.dur, scanned.row
        self._arguments = dict(scanned.arguments)
        self._texts, self._lanes = Numbering(), Numbering()
        #: Number of the text of each token, after the first lookup.
        self._numbers = np.full(len(scanned.tokens), -1, np.int64)

    def part(self, others: Part) -> Part:
        rows = self._rows()
        names = Numbering()
        kinds = np.array([row.kind() for row in rows], np.int8)
        of_row = np.array([names[row.name] for row in rows], np.int32)
        unusable = self._leave_out_unusable(kinds)
        row = self._row
        kind = kinds[row]
        slices: dict[str, npt.NDArray[Any]] = {
            "ts": self._ts,
            "dur": self._dur,
            "name": of_row[row],
            "lane": self._lanes_of(rows, kinds)[row],
            "kind": kind,
            "correlation": self._ids("correlation"),
            "external": self._ids("external_id", "external_id_old"),
        }
        sparse = self._sparse(_SET[kind])
        memory, devices = self._memory()
        return dataclasses.replace(
            others,
            slices=slices,
            names=list(names),
            lanes=list(self._lanes),
            sparse=sparse,
            texts=[text.decode("utf-8", "replace") for text in self._texts],
            memory=memory,
            memory_devices=devices,
            events=self._scanned.events,
            unusable=others.unusable + unusable,
        )

    def _rows(self) -> list[_Row]:
        rows = self._scanned.rows
        value: dict[int, Any] = {each: self._written(each) for each in np.unique(rows).tolist()}
        return [
            _Row(value[category], value[name] or "", *(value[each] for each in places))
            for category, name, *places in rows.tolist()
        ]

    def _written(self, token: int) -> Any:
        return _value.decode(self._scanned.tokens[token]) if token >= 0 else None

    def _leave_out_unusable(self, kinds: npt.NDArray[np.int8]) -> int:
        """Leave out slices without a valid time; return how many of them would have counted."""
        usable: Bools = (self._ts != UNUSABLE) & (self._dur >= 0)
        if usable.all():
            return 0
        unusable = int((kinds[self._row[~usable]] != Kind.OTHER).sum())
        self._ts, self._dur, self._row = self._ts[usable], self._dur[usable], self._row[usable]
        place = np.cumsum(usable, dtype=np.int32) - 1
        for name, (index, values) in self._arguments.items():
            its = usable[index]
            self._arguments[name] = place[index[its]], values[its]
        return unusable

    def _lanes_of(self, rows: list[_Row], kinds: npt.NDArray[np.int8]) -> Int32:
        """Return the lanes of slices, by row."""
        lanes = np.full(len(rows), -1, np.int32)
        for number in np.unique(self._row).tolist():
            lanes[number] = self._lanes[rows[number].lane(kinds[number])]
        return lanes

    def _ids(self, *names: str) -> Int64:
        """Return the first of these arguments that a slice has."""
        found = np.full(len(self._ts), MISSING, np.int64)
        for name in reversed(names):
            if name in self._arguments:
                index, values = self._arguments[name]
                given = values != MISSING
                found[index[given]] = values[given]
        return np.where((found > 0) & (found < LARGEST), found, NO_ID)

    def _sparse(self, sets: npt.NDArray[np.int8]) -> dict[str, Given]:
        """Return, for each argument, the slices that have it, and its values. ``sets`` is the number of each
        slice's set."""
        found: dict[str, list[Given]] = {}
        for number, its_set in enumerate(SETS):
            chosen = sets == number
            if its_set is CALL or not chosen.any():
                continue
            for argument in its_set[len(CALL) :]:
                if argument.type is not str and argument.name in self._arguments:
                    given = self._given(argument, chosen)
                    if len(given[0]):
                        found.setdefault(argument.name, []).append(given)
        return {name: _rising(each) for name, each in found.items()}

    def _given(self, argument: Argument, chosen: Bools) -> Given:
        index, values = self._arguments[argument.name]
        its = chosen[index]
        if not its.all():
            index, values = index[its], values[its]
        if argument.type is float:
            values = self._per_mille(values)
            index, values = index[values != MISSING], values[values != MISSING]
        elif argument.type is not int:
            values = self._numbered(values)
        return index, values

    def _per_mille(self, tokens: Int64) -> Int64:
        """Return per mille; MISSING for an invalid percentage."""
        distinct, place = np.unique(tokens, return_inverse=True)
        found = np.array([float(self._scanned.tokens[each]) * 10 for each in distinct.tolist()], np.float64)
        whole = np.where(np.abs(found) < LARGEST_PER_MILLE, np.rint(found), MISSING).astype(np.int64)
        return whole[place.reshape(-1)]

    def _numbered(self, tokens: Int64) -> Int64:
        numbers = self._numbers
        for each in np.unique(tokens[numbers[tokens] < 0]).tolist():
            numbers[each] = self._texts[self._scanned.tokens[each]]
        found: Int64 = numbers[tokens]
        return found

    def _memory(self) -> tuple[dict[str, npt.NDArray[Any]], list[str]]:
        scanned = self._scanned
        if not len(scanned.memory_ts):
            return {}, []
        kept = scanned.memory_ts != UNUSABLE
        # Both tokens of a thread in one number.
        threads, thread = np.unique(scanned.memory_threads[kept].view(np.int64), return_inverse=True)
        tokens = threads.view(np.int32).reshape(-1, 2).tolist()
        lanes = [
            self._lanes[str(self._written(process)), str(self._written(thread)), "", ""]
            for process, thread in tokens
        ]
        devices = Numbering()
        numbers, number = np.unique(self._of_memory("device")[kept], return_inverse=True)
        keys = [devices[memory_device(each)] for each in numbers.tolist()]
        columns: dict[str, npt.NDArray[Any]] = {
            "ts": scanned.memory_ts[kept],
            "lane": np.array(lanes, np.int64)[thread.reshape(-1)],
            "device": np.array(keys, np.int64)[number.reshape(-1)],
        }
        for column, otherwise in MEMORY_NUMBERS.items():
            values = self._of_memory(column)[kept]
            columns[column] = np.where(np.abs(values) < LARGEST, values, otherwise)
        return columns, list(devices)

    def _of_memory(self, name: str) -> Int64:
        """Return an argument of each memory event; MISSING where it has none."""
        found = np.full(len(self._scanned.memory_ts), MISSING, np.int64)
        if name in self._scanned.memory_arguments:
            index, values = self._scanned.memory_arguments[name]
            found[index] = values
        return found


def _rising(found: list[Given]) -> Given:
    if len(found) == 1:
        index, values = found[0]
        return index.astype(np.int32, copy=False), values
    index = np.concatenate([each for each, _ in found])
    order = np.argsort(index, kind="stable")
    return index[order].astype(np.int32), np.concatenate([values for _, values in found])[order]


_SUSPECT = re.compile(rb"nan|inf|\\u[dD][89a-fA-F]", re.IGNORECASE)
_TOKEN = re.compile(
    rb'(?P<text>"[^"\\]*(?:\\.[^"\\]*)*(?:"|\Z))|-?(?:nan|inf(?:inity)?)\b', re.DOTALL | re.IGNORECASE
)
_ESCAPE = re.compile(
    rb"(?P<good>\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u(?![dD][89a-fA-F])|\\[^u])"
    rb"|\\u[dD][89a-fA-F][0-9a-fA-F]{2}",
    re.DOTALL,
)


def _as_question_marks(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return "?" * (error.end - error.start), error.end


# Each byte that is not UTF-8 becomes a question mark, so that positions stay the same.
_QUESTION = "genops-question"
codecs.register_error(_QUESTION, _as_question_marks)


def read(text: bytes | bytearray) -> Part:
    """Return the part of a JSON array of events. Raises msgspec.DecodeError for another text, RecursionError
    for deep nesting."""
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
    part = None if scanned is None else _of_scanned(scanned)
    return slow_path.read(text) if part is None else part


def _of_scanned(scanned: Scanned) -> Part | None:
    try:
        others = slow_path.read(b"[" + b",".join(scanned.others) + b"]")
    except msgspec.DecodeError:
        return None
    # Memory events from Python belong between those from ``native``.
    return None if others.memory else _Batch(scanned).part(others)


def _as_utf8(text: bytes | bytearray) -> bytes | bytearray:
    if not text.isascii():
        try:
            text.decode()
        except UnicodeDecodeError:
            return text.decode("utf-8", _QUESTION).encode()
    return text


def mended(text: bytes | bytearray) -> bytes | bytearray:
    """Return ``text`` with an empty text for ``NaN`` and ``Infinity``, and question marks for half a
    surrogate pair; the same object where there is neither."""
    if _SUSPECT.search(text) is None:
        return text
    found = _TOKEN.sub(_token, text)
    return text if found == text else found


def _token(token: re.Match[bytes]) -> bytes:
    whole = token[0]
    if token["text"] is None:
        return b'""'.ljust(len(whole))
    return _ESCAPE.sub(_escape, whole) if b"\\u" in whole else whole


def _escape(escape: re.Match[bytes]) -> bytes:
    return escape[0] if escape["good"] is not None else b"?" * len(escape[0])
