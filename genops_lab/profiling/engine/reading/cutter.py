"""The events of a trace file that belong to a stretch of time, as they are written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from .counters import MOST_SERIES
from .parts import Part
from .pieces import TraceFile
from .times import UNUSABLE, all_nanoseconds

_ZERO, _NOTHING = msgspec.Raw(b"0"), msgspec.Raw(b"")
_METADATA, _COUNTER = b'"M"', b'"C"'
#: No counter's sample is longer.
_MOST_SAMPLE = 1 << 16
#: An event samples several series, not each time all of them: process, name, id, and which series.
_Sampled = tuple[bytes, bytes, bytes, frozenset[str]]


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
    """A batch of which the texts of some events are kept, and no columns."""

    kept: tuple[bytes, ...] = ()


class Cutter(TraceFile):
    """Between two moments, in nanoseconds."""

    def __init__(self, path: Path, first_ns: int, last_ns: int) -> None:
        super().__init__(path)
        self._first, self._last = first_ns, last_ns
        #: Some traces name their threads anew with every event.
        self._named: set[bytes] = set()
        self._held: dict[_Sampled, tuple[int, bytes]] = {}

    def texts(self) -> Iterator[tuple[bytes, ...]]:
        """Some events at a time, in the order of the file; at the end what counters held at the beginning.

        Raises what ``parts`` raises.
        """
        for part in self.parts():
            assert isinstance(part, _Cut)
            yield part.kept
        # What was sampled at the beginning itself has been given out.
        held = sorted(
            (each for each in self._held.values() if each[0] < self._first), key=lambda each: each[0]
        )
        yield tuple(self._at_the_beginning(text) for _, text in held)

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
        """A sample up to the beginning; of one moment the later one of the file holds."""
        try:
            told = _sample.decode(text)
        except msgspec.DecodeError:
            # It samples nothing that could be read.
            return
        key = (bytes(told.pid), bytes(told.name), bytes(told.id), frozenset(told.args))
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
