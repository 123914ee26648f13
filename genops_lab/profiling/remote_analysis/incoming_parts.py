"""A trace that comes from a host in parts: each is checked before it counts."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterable
from typing import BinaryIO

import msgspec

from genops_lab.agent.transfer import MAX_PARCEL_BYTES, BadTransfer, Part, Receiver
from genops_lab.core.errors import Failed

from .engine_parts import Host

#: A header without a name and a time; the end of the last stream; a checksum and a length modulo 2**32.
_HEAD, _LAST, _TAIL = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x04\xff", b"\x03\x00", struct.Struct("<II")


class Step(msgspec.Struct, frozen=True):
    """A part is there, up to ``at`` of the file and ``to`` of the trace, which has the hash ``sha256`` up to there."""

    at: int
    to: int
    sha256: str


class IncomingTrace(Receiver):
    """Whole parts in the file ``stream``, which is gzip at the end. The methods block."""

    def __init__(self, stream: BinaryIO, host: Host) -> None:
        super().__init__(host.size, deflated=not host.packed)
        self._stream = stream
        self._host = host
        self._checksum = 0
        #: Told of each part once it is written.
        self.note: Callable[[Step], None] | None = None
        if not host.packed:
            stream.write(_HEAD)

    def go_on(self, host: Host) -> None:
        """Take what is behind ``done`` from a new connection. Raises Failed where the trace is another one now."""
        known = self._host
        if (host.size, host.changed_ns, host.packed) != (known.size, known.changed_ns, known.packed):
            raise self.changed()

    def add(self, part: Part) -> None:
        """Write a part that was checked. Raises OSError."""
        self._stream.write(part.payload)
        self._checksum = zlib.crc32(part.raw, self._checksum)
        if self.note is not None:
            self._stream.flush()
            self.note(Step(self._stream.tell(), self.done, self.sha256))

    def recall(self, steps: Iterable[Step]) -> list[Step]:
        """Take the parts that the stream has already, up to the first one that is not what it was, and cut off what
        follows; those that it has. Raises OSError."""
        at, found = self._stream.tell(), list[Step]()
        for step in steps:
            length = step.at - at
            try:
                self.take(self._stream.read(length) if 0 < length <= MAX_PARCEL_BYTES else b"")
                part = self.part({"to": step.to, "sha256": step.sha256})
            except BadTransfer:
                break
            self._checksum = zlib.crc32(part.raw, self._checksum)
            at = step.at
            found.append(step)
        self._stream.seek(at)
        self._stream.truncate()
        return found

    def finish(self) -> None:
        """All parts are there. Raises OSError."""
        if not self._host.packed:
            self._stream.write(_LAST + _TAIL.pack(self._checksum, self.done & 0xFFFFFFFF))
        self._stream.flush()

    def changed(self) -> Failed:
        """What is told of a trace that is not what it was."""
        return Failed(
            f"{self._host.path} changed on its host while it was brought.",
            hint="Fetch it again once nothing writes to it.",
            code="changed",
        )
