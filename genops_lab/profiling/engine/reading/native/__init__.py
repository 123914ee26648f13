"""Read events into columns in one pass over their text, with ``scan.c`` where it was built at installation.

Without it, Python reads everything, with the same result. It releases Python's lock, so threads scan in
parallel.
"""

from __future__ import annotations

import ctypes
import os
import pkgutil
import tempfile
import threading
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ...columns import Int32, Int64
from ..events import ALL, MEMORY_KEYS, MISSING, Argument, Raw

#: Most distinct texts and rows in a batch; a batch with more is left to Python.
_MOST_TOKENS = _MOST_ROWS = 1 << 15
#: Room for usual batches; larger ones (an event of this size) are left to Python.
_LEAST_BYTES, _MOST_BYTES = 2 << 20, 16 << 20
#: Least bytes of an event with a time and a name, which limits the events of a batch.
_SHORTEST = 24
#: Category, name, process, thread, device, stream.
ROW = 6
_TYPES: dict[Any, int] = {int: 0, float: 1, Raw: 2}
_PLACES = {"device": 3, "stream": 4}
_KEYS = (*ALL, *MEMORY_KEYS)


class Scanned(NamedTuple):
    """The content of an array of events. Tokens are bytes of JSON; rows are numbers of tokens or -1; times
    are nanoseconds. Argument values have the slices that they belong to; values that are not integers are
    tokens."""

    ts: Int64
    dur: Int64
    row: Int32
    rows: Int32
    tokens: list[bytes]
    arguments: dict[str, tuple[Int32, Int64]]
    #: For memory events, by their own numbers; ``memory_threads`` are tokens of process and thread.
    memory_ts: Int64
    memory_threads: Int32
    memory_arguments: dict[str, tuple[Int32, Int64]]
    #: Other events except flows, as written.
    others: list[bytes]
    events: int


class _Key(ctypes.Structure):
    _fields_ = [("text", ctypes.c_char_p), ("length", ctypes.c_int32), ("type", ctypes.c_int32)]


class _Tokens(ctypes.Structure):
    _fields_ = [
        ("begin", ctypes.c_void_p),
        ("length", ctypes.c_void_p),
        ("hash", ctypes.c_void_p),
        ("slots", ctypes.c_void_p),
        *((name, ctypes.c_int32) for name in ("capacity", "mask", "count", "unused")),
    ]


class _Rows(ctypes.Structure):
    _fields_ = [
        ("tokens", ctypes.c_void_p),
        ("slots", ctypes.c_void_p),
        *((name, ctypes.c_int32) for name in ("capacity", "mask", "count", "unused")),
    ]


class _Sparse(ctypes.Structure):
    _fields_ = [
        ("slice", ctypes.c_void_p),
        ("value", ctypes.c_void_p),
        ("count", ctypes.c_int32),
        ("unused", ctypes.c_int32),
    ]


class _Scan(ctypes.Structure):
    _fields_ = [
        ("keys", ctypes.c_void_p),
        ("arguments", ctypes.c_void_p),
        ("keys_count", ctypes.c_int32),
        ("memory_keys", ctypes.c_int32),
        ("capacity", ctypes.c_int32),
        ("memory", ctypes.c_int32),
        ("ts", ctypes.c_void_p),
        ("dur", ctypes.c_void_p),
        ("row", ctypes.c_void_p),
        ("memory_ts", ctypes.c_void_p),
        ("memory_thread", ctypes.c_void_p),
        ("tokens", _Tokens),
        ("rows", _Rows),
        ("other_begin", ctypes.c_void_p),
        ("other_length", ctypes.c_void_p),
        ("others_capacity", ctypes.c_int32),
        ("others", ctypes.c_int32),
        ("slices", ctypes.c_int32),
        ("events", ctypes.c_int32),
        ("missing", ctypes.c_int64),
    ]


def available() -> bool:
    """Return whether it was built here. GENOPS_NATIVE=0 switches it off."""
    return os.environ.get("GENOPS_NATIVE") != "0" and _library() is not None


def scan(text: bytes | bytearray) -> Scanned | None:
    """Return the content of an array of events in valid UTF-8; None where Python must read it."""
    if not available():
        return None
    scanner: _Scanner | None = getattr(_of_thread, "scanner", None)
    if scanner is None or scanner.room < len(text):
        if len(text) > _MOST_BYTES:
            return None
        scanner = _of_thread.scanner = _Scanner(max(_LEAST_BYTES, 2 * len(text)))
    return scanner.scan(text)


_of_thread = threading.local()


@cache
def _library() -> Any:
    path = Path(__file__).with_name("scan.so")
    try:
        if path.parent.is_dir():
            return loaded(path)
        # On hosts the engine is in a zip file. A loaded library stays after its file is deleted.
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / path.name
            copy.write_bytes(pkgutil.get_data(__name__, path.name) or b"")
            return loaded(copy)
    except OSError:  # it was not built, or was built for another machine
        return None


def loaded(path: Path) -> Any:
    """Load ``scan.c``, built to ``path``. Raises OSError, also for another version."""
    library = ctypes.CDLL(str(path))
    size = getattr(library, "genops_scan_size", None)
    if size is None or size() != ctypes.sizeof(_Scan):
        raise OSError(f"{path} is of another version: run scripts/build_native.py")
    library.genops_scan.argtypes = [ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p]
    library.genops_scan.restype = ctypes.c_int32
    return library


class _Scanner:
    """Room for the results of texts of up to ``room`` bytes. Pages that are not written take no memory."""

    def __init__(self, room: int) -> None:
        self.room = room
        most = room // _SHORTEST + 1
        self._ts, self._dur = np.empty(most, np.int64), np.empty(most, np.int64)
        self._row = np.empty(most, np.int32)
        self._memory_ts, self._memory_threads = np.empty(most, np.int64), np.empty((most, 2), np.int32)
        self._other_begin, self._other_length = np.empty(most, np.int32), np.empty(most, np.int32)
        self._token_begin, self._token_length = (np.empty(_MOST_TOKENS, np.int32) for _ in range(2))
        self._token_hash = np.empty(_MOST_TOKENS, np.uint64)
        self._token_slots, self._row_slots = (
            np.empty(2 * each, np.int32) for each in (_MOST_TOKENS, _MOST_ROWS)
        )
        self._rows = np.empty((_MOST_ROWS, ROW), np.int32)
        keys = [_Key(each.key.encode(), len(each.key.encode()), _type(each)) for each in _KEYS]
        self._values = [(np.empty(most, np.int32), np.empty(most, np.int64)) for _ in keys]
        self._keys = (_Key * len(keys))(*keys)
        self._arguments = (_Sparse * len(keys))(
            *(_Sparse(_at(one), _at(other)) for one, other in self._values)
        )
        self._scan = _Scan(
            keys=ctypes.addressof(self._keys),
            arguments=ctypes.addressof(self._arguments),
            keys_count=len(_KEYS),
            memory_keys=len(ALL),
            capacity=most,
            ts=_at(self._ts),
            dur=_at(self._dur),
            row=_at(self._row),
            memory_ts=_at(self._memory_ts),
            memory_thread=_at(self._memory_threads),
            tokens=_Tokens(
                _at(self._token_begin),
                _at(self._token_length),
                _at(self._token_hash),
                _at(self._token_slots),
                _MOST_TOKENS,
                2 * _MOST_TOKENS - 1,
            ),
            rows=_Rows(_at(self._rows), _at(self._row_slots), _MOST_ROWS, 2 * _MOST_ROWS - 1),
            other_begin=_at(self._other_begin),
            other_length=_at(self._other_length),
            others_capacity=most,
            missing=MISSING,
        )

    def scan(self, text: bytes | bytearray) -> Scanned | None:
        found = self._scan
        found.slices = found.memory = found.others = found.events = found.tokens.count = found.rows.count = 0
        for each in self._arguments:
            each.count = 0
        self._token_slots.fill(0)
        self._row_slots.fill(0)
        whole = np.frombuffer(text, np.uint8)
        if not _library().genops_scan(_at(whole), len(text), ctypes.byref(found)):
            return None
        slices, memory, tokens, others = found.slices, found.memory, found.tokens.count, found.others
        arguments = [
            (each.name, (index[: sparse.count].copy(), values[: sparse.count].copy()))
            if sparse.count
            else None
            for each, (index, values), sparse in zip(_KEYS, self._values, self._arguments, strict=True)
        ]
        return Scanned(
            ts=self._ts[:slices].copy(),
            dur=self._dur[:slices].copy(),
            row=self._row[:slices].copy(),
            rows=self._rows[: found.rows.count].copy(),
            tokens=_cut(text, self._token_begin[:tokens], self._token_length[:tokens]),
            arguments=dict(filter(None, arguments[: len(ALL)])),
            memory_ts=self._memory_ts[:memory].copy(),
            memory_threads=self._memory_threads[:memory].copy(),
            memory_arguments=dict(filter(None, arguments[len(ALL) :])),
            others=_cut(text, self._other_begin[:others], self._other_length[:others]),
            events=found.events,
        )


def _type(argument: Argument) -> int:
    return _PLACES[argument.name] if argument.type is str else _TYPES[argument.type]


def _at(column: npt.NDArray[Any]) -> int:
    return int(column.__array_interface__["data"][0])


def _cut(text: bytes | bytearray, begin: Int32, length: Int32) -> list[bytes]:
    return [bytes(text[at:end]) for at, end in zip(begin.tolist(), (begin + length).tolist(), strict=True)]
