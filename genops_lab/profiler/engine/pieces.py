"""A trace file as a stream of decoded batches of events, up to where it is damaged.

A trace is one JSON document of any size with its events in one array. The array is cut between events
(``}, {``) into batches of some megabytes: a batch that decodes is balanced, so a cut inside a string or a
nested list cannot pass for one between events. Memory is bounded by a batch, not by the file.
"""

from __future__ import annotations

import codecs
import re
import zlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from genops_lab.core.errors import InvalidRequest

READ_BYTES = 1 << 20
BATCH_BYTES = 8 << 20
#: One event, or what comes before the events, may be so large.
LIMIT_BYTES = 128 << 20
MAX_SKIPPED = 1000
#: So many cuts are tried one by one (an event may hold lists of objects, which look alike) before halving.
CUTS = 16

_ARRAY = re.compile(rb'"traceEvents"\s*:\s*\[')
_BOUNDARY = re.compile(rb"\}\s*,\s*\{")
_OFFSET = re.compile(r"\(byte (\d+)\)")


class Arguments(msgspec.Struct, gc=False):
    """The arguments of an event that the engine reads; all others are skipped undecoded."""

    name: Any = None
    device: Any = None
    stream: Any = None
    correlation: Any = None
    external_id: Any = msgspec.field(name="External id", default=None)
    external_id_old: Any = msgspec.field(name="external id", default=None)
    sequence: Any = msgspec.field(name="Sequence number", default=None)
    forward_thread: Any = msgspec.field(name="Fwd thread id", default=None)
    bytes: Any = None
    python_id: Any = msgspec.field(name="Python id", default=None)
    python_parent: Any = msgspec.field(name="Python parent id", default=None)
    elements: Any = msgspec.field(name="In msg nelems", default=None)
    group_size: Any = msgspec.field(name="Group size", default=None)
    graph: Any = msgspec.field(name="graph id", default=None)
    graph_node: Any = msgspec.field(name="graph node id", default=None)
    shared_memory: Any = msgspec.field(name="shared memory", default=None)
    registers: Any = msgspec.field(name="registers per thread", default=None)
    dims: msgspec.Raw = msgspec.field(name="Input Dims", default=msgspec.Raw(b""))
    strides: msgspec.Raw = msgspec.field(name="Input Strides", default=msgspec.Raw(b""))
    types: msgspec.Raw = msgspec.field(name="Input type", default=msgspec.Raw(b""))
    concrete: msgspec.Raw = msgspec.field(name="Concrete Inputs", default=msgspec.Raw(b""))
    grid: msgspec.Raw = msgspec.Raw(b"")
    block: msgspec.Raw = msgspec.Raw(b"")
    collective: msgspec.Raw = msgspec.field(name="Collective name", default=msgspec.Raw(b""))
    dtype: msgspec.Raw = msgspec.Raw(b"")
    memory_device: Any = msgspec.field(name="Device Id", default=None)
    memory_bytes: Any = msgspec.field(name="Bytes", default=None)
    address: Any = msgspec.field(name="Addr", default=None)
    allocated: Any = msgspec.field(name="Total Allocated", default=None)
    reserved: Any = msgspec.field(name="Total Reserved", default=None)


class Event(msgspec.Struct, gc=False):
    """An event as written; times stay text, for a double cannot hold nanoseconds since 1970."""

    ph: str = ""
    cat: str | None = None
    name: str = ""
    pid: Any = None
    tid: Any = None
    ts: msgspec.Raw = msgspec.Raw(b"")
    dur: msgspec.Raw = msgspec.Raw(b"")
    args: Arguments | None = None


def _as_question_marks(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return "?" * (error.end - error.start), error.end


# Bytes that are no UTF-8 become as many question marks: positions stay what they were.
_QUESTION = "genops-question"
codecs.register_error(_QUESTION, _as_question_marks)

_events = msgspec.json.Decoder(list[Event])
_event = msgspec.json.Decoder(Event)
_raws = msgspec.json.Decoder(list[msgspec.Raw])


class TraceFile:
    """One trace file. After ``batches`` is exhausted, the other attributes say what was met."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.head = b""
        self.tail = b""
        self.damage = ""
        self.skipped = 0
        self._pieces = self._read()
        self._buffer = b""
        self._ended = False

    def batches(self) -> Iterator[list[Event]]:
        """The events in the order of the file. Raises InvalidRequest where there is no array of events."""
        self._find_array()
        want = BATCH_BYTES
        while True:
            self._fill(want)
            taken = self._take()
            if taken is None:
                if self._ended:
                    return
                want = max(len(self._buffer), BATCH_BYTES) * 2
                if want > LIMIT_BYTES:
                    self.damage = (
                        f"An event is larger than {LIMIT_BYTES >> 20} MiB; what follows was not read."
                    )
                    return
                continue
            want = BATCH_BYTES
            batch, done = taken
            if batch:
                yield batch
            if done:
                self._keep_tail()
                return

    def _read(self) -> Iterator[bytes]:
        with self.path.open("rb") as stream:
            first = stream.read(READ_BYTES)
            if not first.startswith(b"\x1f\x8b"):
                while first:
                    yield first
                    first = stream.read(READ_BYTES)
                return
            inflater = zlib.decompressobj(wbits=31)
            pending = first
            while pending:
                try:
                    piece = inflater.decompress(pending, READ_BYTES * 4)
                except zlib.error:
                    self.damage = "The compressed file is corrupt; it was read up to there."
                    return
                if piece:
                    yield piece
                pending = inflater.unconsumed_tail
                if inflater.eof:
                    # gzip files may be concatenated
                    pending = inflater.unused_data or stream.read(READ_BYTES)
                    inflater = zlib.decompressobj(wbits=31)
                elif not pending:
                    pending = stream.read(READ_BYTES)
                    if not pending:
                        self.damage = "The compressed file is cut off; it was read up to there."

    def _fill(self, want: int) -> None:
        parts, size = [self._buffer], len(self._buffer)
        while size < want and not self._ended:
            piece = next(self._pieces, b"")
            if not piece:
                self._ended = True
            parts.append(piece)
            size += len(piece)
        self._buffer = b"".join(parts)

    def _find_array(self) -> None:
        while True:
            self._fill(len(self._buffer) + READ_BYTES)
            text = self._buffer.lstrip(b"\xef\xbb\xbf \t\r\n")
            if text.startswith(b"["):
                self._buffer = text[1:]
                return
            found = _ARRAY.search(text) if text.startswith(b"{") else None
            if found is not None:
                self.head, self._buffer = text[: found.start()], text[found.end() :]
                return
            if self._ended or (text and not text.startswith(b"{")) or len(text) > LIMIT_BYTES:
                raise InvalidRequest(
                    f"{self.path.name} is not a trace: it holds no list of events.",
                    hint="Give a Kineto or Chrome trace: JSON, or JSON in gzip, as torch.profiler exports it.",
                )

    def _take(self) -> tuple[list[Event], bool] | None:
        """Decode a batch: its events, and whether they were the last. None: more text is needed."""
        limit, tries = len(self._buffer), 0
        bad: int | None = None
        while (cut := _last_boundary(self._buffer, limit)) is not None:
            text = b"[" + self._buffer[:cut] + b"]"
            batch, error = self._decode(text)
            if batch is not None:
                self._buffer = self._buffer[cut + 1 :]
                return batch, False
            offset = _offset(error)
            if _is_trailing(error) and offset is not None:
                return self._close(text, offset)
            tries += 1
            limit = cut
            if offset is not None and offset - 1 < cut:
                # Not the bracket that was put there: the text itself is damaged.
                limit = bad = offset - 1
            if tries % CUTS == 0:
                limit //= 2
        if bad is not None:
            return self._take_first(bad)
        return self._finish() if self._ended else None

    def _take_first(self, bad: int) -> tuple[list[Event], bool]:
        """The text is damaged at ``bad``: take the first event if it lies before, or go on after the damage."""
        for boundary in islice(_BOUNDARY.finditer(self._buffer, 0, bad), CUTS):
            batch, _error = self._decode(b"[" + self._buffer[: boundary.start() + 1] + b"]")
            if batch is not None:
                self._buffer = self._buffer[boundary.end() - 1 :]
                return batch, False
        following = _BOUNDARY.search(self._buffer, bad)
        if following is None or self.skipped >= MAX_SKIPPED:
            self.damage = self.damage or "The file is damaged; what follows was not read."
            self._buffer = b""
            return [], True
        self.skipped += 1
        self._buffer = self._buffer[following.end() - 1 :]
        return [], False

    def _finish(self) -> tuple[list[Event], bool]:
        """The last event, and the end of the array."""
        text = b"[" + self._buffer
        batch, error = self._decode(text)
        offset = len(text) if batch is not None else _offset(error)
        if batch is not None or _is_trailing(error):
            return self._close(text, offset or 0)
        # Chrome allows a list without its closing bracket; everything else was cut off.
        rest = self._buffer.rstrip(b" \t\r\n,")
        batch, error = self._decode(b"[" + rest + b"]")
        if batch is None or self.head:
            self.damage = self.damage or "The file is cut off; it was read up to its last whole event."
        self._buffer = b""
        return batch or [], True

    def _close(self, text: bytes, offset: int) -> tuple[list[Event], bool]:
        """``text`` is a whole array up to about ``offset``."""
        end = text.rfind(b"]", 0, offset) + 1
        batch, _error = self._decode(text[:end])
        self._buffer = self._buffer[end - 1 :]
        return batch or [], True

    def _decode(self, text: bytes) -> tuple[list[Event] | None, str]:
        try:
            text.decode()
        except UnicodeDecodeError:
            text = text.decode("utf-8", _QUESTION).encode()
        try:
            try:
                return _events.decode(text), ""
            except msgspec.ValidationError:
                return self._decode_one_by_one(text), ""
        except msgspec.DecodeError as error:
            return None, str(error)

    def _decode_one_by_one(self, text: bytes) -> list[Event]:
        batch = []
        skipped = 0
        for raw in _raws.decode(text):
            try:
                batch.append(_event.decode(raw))
            except msgspec.ValidationError:
                skipped += 1
        self.skipped += skipped
        return batch

    def _keep_tail(self) -> None:
        self._fill(READ_BYTES)
        self.tail = self._buffer[:READ_BYTES]
        self._buffer = b""


def _last_boundary(text: bytes, limit: int) -> int | None:
    """The position of the last comma between two objects before ``limit``."""
    end = limit
    while True:
        comma = text.rfind(b",", 0, end)
        if comma < 0:
            return None
        before, after = text[max(0, comma - 256) : comma], text[comma + 1 : comma + 256]
        if after.lstrip()[:1] == b"{" and before.rstrip()[-1:] == b"}":
            return comma
        end = comma


def _offset(message: str) -> int | None:
    found = _OFFSET.search(message)
    return int(found.group(1)) if found else None


def _is_trailing(message: str) -> bool:
    return "trailing characters" in message
