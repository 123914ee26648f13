"""Cut a period out of a trace file: its events as written, as a smaller trace."""

from __future__ import annotations

import gzip
import json
import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from os import SEEK_END
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from genops_lab.core.errors import InvalidRequest

from ..columns import Columns
from .counters import MOST_SERIES
from .kinds_of_files import FileKind, kind_of_file
from .parts import Part
from .pieces import TraceFile
from .times import UNUSABLE, all_nanoseconds

#: Most bytes of JSON; a browser needs some seconds for them.
MOST_BYTES = 100 << 20
#: Factor for events that are longer than the trace's mean.
_OVER = 1.5
#: Traces shrink in gzip to between a fifth and a sixtieth, mostly to an eighteenth. The last bytes of the
#: file have the size modulo 4 GiB; they say nothing about a file that is cut off.
_PACKED, _LEAST_PACKED, _MOST_PACKED = 18, 5, 60
_WRAP = 1 << 32
_LEVEL = 1
#: Halvings of a period that is too long: to a millionth.
_HALVINGS = 20
_NONE: Mapping[str, str] = {}

_ZERO, _NOTHING = msgspec.Raw(b"0"), msgspec.Raw(b"")
_METADATA, _COUNTER = b'"M"', b'"C"'
#: Longest sample of a counter.
_MOST_SAMPLE = 1 << 16
#: An event samples several series, but not always all of them. The key is process, name, id, and the series.
_Sampled = tuple[bytes, bytes, bytes, frozenset[str]]


class Stretch(NamedTuple):
    """Nanoseconds after the columns' origin."""

    first: int
    last: int


class Written(NamedTuple):
    """The written events, and those over the limit."""

    events: int
    left_out: int


def json_bytes(trace: Path) -> int:
    """Return about the number of bytes of JSON; for most files, exactly. Raises InvalidRequest for an export
    of Nsight Systems, and the errors of :func:`kind_of_file`."""
    if kind_of_file(trace) is not FileKind.TRACE:
        raise InvalidRequest(
            f"{trace.name} is not a JSON trace, and the Perfetto UI here reads only JSON.",
            hint="Open it in the timeline, or in the program that wrote it.",
        )
    size = trace.stat().st_size
    with trace.open("rb") as stream:
        if stream.read(2) != b"\x1f\x8b":
            return size
        stream.seek(-min(size, 4), SEEK_END)
        unpacked = int.from_bytes(stream.read(4), "little")
    unpacked += max(round((size * _PACKED - unpacked) / _WRAP), 0) * _WRAP
    return min(max(unpacked, size * _LEAST_PACKED), size * _MOST_PACKED)


def narrowed(columns: Columns, stretch: Stretch, around: int, most: int) -> Stretch:
    """Return the period, or a part of it around ``around`` in which at most ``most`` slices are or reach
    into."""

    def of(share: float) -> Stretch:
        return Stretch(
            around - int((around - stretch.first) * share), around + int((stretch.last - around) * share)
        )

    def fits(share: float) -> bool:
        first, last = of(share)
        return int(((columns.ts <= last) & (columns.end >= first)).sum()) <= most

    if fits(1):
        return stretch
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return of(low)


def cut(
    trace: Path,
    target: Path,
    stretch: Stretch,
    origin_ns: int,
    most_bytes: int = MOST_BYTES,
    renamed: Mapping[str, str] = _NONE,
) -> Written:
    """Write the events that are in a period or reach into it, as gzipped JSON, with new names for some. The
    names of threads are included, and so is the last sample of each counter before the period, at its begin.

    Damaged files are read as far as possible. ``target`` is complete or absent. Raises the errors of reading
    a trace.
    """
    names = _Renaming(renamed)
    source = Cutter(trace, stretch.first + origin_ns, stretch.last + origin_ns)
    bound = int(most_bytes * _OVER)
    events = size = left_out = 0
    temporary = target.with_name(f"{target.name}.{secrets.token_hex(4)}.part")
    try:
        with gzip.open(temporary, "wb", compresslevel=_LEVEL) as stream:
            stream.write(b'{"traceEvents":[')
            for kept in source.texts():
                while kept and size + sum(map(len, kept)) > bound:
                    left_out += len(kept) - len(kept) // 2
                    kept = kept[: len(kept) // 2]
                if kept:
                    text = names.of(b",\n".join(kept))
                    stream.write((b",\n" if events else b"") + text)
                    events, size = events + len(kept), size + len(text)
            stream.write(b"]}\n")
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    return Written(events, left_out)


class _Renaming:
    """Renames events. The old names need no escapes in JSON."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = {
            json.dumps(before).encode(): json.dumps(after).encode() for before, after in names.items()
        }
        self._any = re.compile(
            rb'("name"\s*:\s*)(' + b"|".join(re.escape(name) for name in sorted(self._names)) + b")"
        )

    def of(self, text: bytes) -> bytes:
        """Return the same events with new names."""
        if not self._names:
            return text
        return self._any.sub(lambda found: found[1] + self._names[found[2]], text)


class _Mark(msgspec.Struct, gc=False):
    ph: msgspec.Raw = _NOTHING
    ts: msgspec.Raw = _ZERO
    dur: msgspec.Raw = _ZERO


class _Sample(msgspec.Struct, gc=False):
    pid: msgspec.Raw = _NOTHING
    name: msgspec.Raw = _NOTHING
    id: msgspec.Raw = _NOTHING
    args: dict[str, msgspec.Raw] = {}


_texts = msgspec.json.Decoder(list[msgspec.Raw])
_marks = msgspec.json.Decoder(list[_Mark])
_sample = msgspec.json.Decoder(_Sample)
_members = msgspec.json.Decoder(dict[str, msgspec.Raw])


@dataclass
class _Cut(Part):
    """A batch with the texts of some events, and no columns."""

    kept: tuple[bytes, ...] = ()


class Cutter(TraceFile):
    """Yields the events between two moments, in nanoseconds."""

    def __init__(self, path: Path, first_ns: int, last_ns: int) -> None:
        super().__init__(path)
        self._first, self._last = first_ns, last_ns
        #: Some traces name their threads again with every event.
        self._named: set[bytes] = set()
        self._held: dict[_Sampled, tuple[int, bytes]] = {}

    def texts(self) -> Iterator[tuple[bytes, ...]]:
        """Yield some events at a time, in file order; at the end, the counters at the begin.

        Raises the errors of ``parts``.
        """
        for part in self.parts():
            assert isinstance(part, _Cut)
            yield part.kept
        # A sample at the begin itself was already written.
        samples = sorted(
            (each for each in self._held.values() if each[0] < self._first), key=lambda each: each[0]
        )
        yield tuple(self._at_the_beginning(text) for _, text in samples)

    def _read(self, text: bytes) -> Part:
        texts, marks = _texts.decode(text), _marks.decode(text)
        ts = all_nanoseconds([mark.ts for mark in marks])
        dur = all_nanoseconds([mark.dur for mark in marks])
        usable = ts != UNUSABLE
        inside = (ts <= self._last) & (ts + np.maximum(dur, 0) >= self._first) & usable
        phases = [bytes(mark.ph) for mark in marks]
        metadata, counters = (
            np.array([phase == wanted for phase in phases], np.bool_) for wanted in (_METADATA, _COUNTER)
        )
        for place in np.flatnonzero(counters & usable & (ts <= self._first)).tolist():
            self._hold(int(ts[place]), texts[place])
        kept = tuple(bytes(texts[place]) for place in np.flatnonzero(inside & ~metadata).tolist())
        names = dict.fromkeys(bytes(texts[place]) for place in np.flatnonzero(metadata).tolist())
        kept = (*(name for name in names if name not in self._named), *kept)
        self._named.update(names)
        return _Cut(slices={"ts": ts[:0]}, names=[], lanes=[], events=len(texts), kept=kept)

    def _hold(self, ts: int, text: msgspec.Raw) -> None:
        """Keep a sample up to the begin; of one time, the later one in the file counts."""
        try:
            sample = _sample.decode(text)
        except msgspec.DecodeError:
            # The event has no valid sample.
            return
        key = (bytes(sample.pid), bytes(sample.name), bytes(sample.id), frozenset(sample.args))
        before = self._held.get(key)
        if before is None and len(self._held) >= MOST_SERIES:
            return
        if (before is None or before[0] <= ts) and len(bytes(text)) <= _MOST_SAMPLE:
            self._held[key] = (ts, bytes(text))

    def _at_the_beginning(self, text: bytes) -> bytes:
        members = _members.decode(text)
        micros, nanos = divmod(abs(self._first), 1000)
        sign = "-" if self._first < 0 else ""
        members["ts"] = msgspec.Raw(f"{sign}{micros}.{nanos:03d}".encode())
        return msgspec.json.encode(members)
