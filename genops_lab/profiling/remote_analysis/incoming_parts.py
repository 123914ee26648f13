"""A trace that comes from a host in parts: each is checked before it counts."""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Callable, Iterable
from typing import BinaryIO

import msgspec

from genops_lab.agent.file_parts import PART_BYTES
from genops_lab.core.errors import Failed

from .engine_parts import Host

_RAW_DEFLATE = -15
#: A header without a name and a time; the end of the last stream; a checksum and a length modulo 2**32.
_HEAD, _LAST, _TAIL = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x04\xff", b"\x03\x00", struct.Struct("<II")
#: Deflate makes nothing longer than by so much.
MAX_SENT_BYTES = PART_BYTES + PART_BYTES // 64


class BadPart(ValueError):
    """What came is no part of the trace."""


class Step(msgspec.Struct, frozen=True):
    """A part is there, up to ``at`` of the file and ``to`` of the trace, which has the CRC-32 ``crc`` up to there."""

    at: int
    to: int
    crc: int


class IncomingTrace:
    """Whole parts in the file ``stream``, which is gzip at the end. ``done``: how much of the trace is there, in bytes.

    The methods block.
    """

    def __init__(self, stream: BinaryIO, host: Host) -> None:
        self._stream = stream
        self._host = host
        self._digest = hashlib.sha256()
        self._checksum = 0
        self.done = 0
        #: Told of each part once it is written.
        self.note: Callable[[Step], None] | None = None
        if not host.packed:
            stream.write(_HEAD)

    @property
    def total(self) -> int:
        """The length of the trace on its host."""
        return self._host.size

    def go_on(self, host: Host) -> None:
        """Take what is behind ``done`` from a new connection. Raises Failed where the trace is another one now."""
        known = self._host
        if (host.size, host.changed_ns, host.packed) != (known.size, known.changed_ns, known.packed):
            raise self._changed()

    def add(self, payload: bytes, end: int) -> None:
        """The next part, which ends at ``end`` of the trace. Raises BadPart, Failed, OSError."""
        raw = self._raw(payload, end)
        self._stream.write(payload)
        self._count(raw, end)
        if self.note is not None:
            self._stream.flush()
            self.note(Step(self._stream.tell(), end, self._checksum))

    def recall(self, steps: Iterable[Step]) -> list[Step]:
        """Take the parts that the stream has already, up to the first one that is not what it was, and cut off what
        follows; those that it has. Raises OSError."""
        at, found = self._stream.tell(), list[Step]()
        for step in steps:
            length = step.at - at
            payload = self._stream.read(length) if 0 < length <= MAX_SENT_BYTES else b""
            try:
                raw = self._raw(payload, step.to)
            except (BadPart, Failed):
                break
            if zlib.crc32(raw, self._checksum) != step.crc:
                break
            self._count(raw, step.to)
            at = step.at
            found.append(step)
        self._stream.seek(at)
        self._stream.truncate()
        return found

    def _raw(self, payload: bytes, end: int) -> bytes:
        """The part of the trace. Raises BadPart, Failed."""
        raw = payload if self._host.packed else _inflated(payload)
        if not raw or end != self.done + len(raw):
            raise BadPart(f"{len(raw)} bytes behind {self.done} do not end at {end}")
        if end > self._host.size:
            raise self._changed()
        return raw

    def _count(self, raw: bytes, end: int) -> None:
        self._digest.update(raw)
        self._checksum = zlib.crc32(raw, self._checksum)
        self.done = end

    def finish(self, sha256: object) -> None:
        """All parts are there. Raises Failed where they are not what lies on the host, OSError."""
        if self.done != self._host.size or sha256 != self._digest.hexdigest():
            raise self._changed()
        if not self._host.packed:
            self._stream.write(_LAST + _TAIL.pack(self._checksum, self.done & 0xFFFFFFFF))
        self._stream.flush()

    def _changed(self) -> Failed:
        return Failed(
            f"{self._host.path} changed on its host while it was brought.",
            hint="Fetch it again once nothing writes to it.",
            code="changed",
        )


def _inflated(payload: bytes) -> bytes:
    inflater = zlib.decompressobj(_RAW_DEFLATE)
    try:
        raw = inflater.decompress(payload, PART_BYTES + 1)
    except zlib.error as error:
        raise BadPart(str(error)) from None
    if len(raw) > PART_BYTES or inflater.unconsumed_tail or inflater.eof:
        raise BadPart("it is longer than a part may be")
    return raw
