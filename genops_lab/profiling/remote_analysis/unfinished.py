"""What has come of a trace, in a folder of its own beside where the trace will be: a server that ends leaves it to the
next one.

``trace`` holds whole parts, ``parts.jsonl`` says which trace they are of and where each ends, with its checksum. Who
holds ``lock`` writes them; it ends with its process. All functions block.
"""

from __future__ import annotations

import contextlib
import secrets
import shutil
import struct
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO

import msgspec

from genops_lab.agent.transfer import MAX_PARCEL_BYTES, BadTransfer, Part, Receiver
from genops_lab.core.errors import Failed
from genops_lab.core.locks import FileLock

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


_TRACE, _STEPS, _NEW_STEPS, _LOCK = "trace", "parts.jsonl", "parts.new", "lock"


class _Source(msgspec.Struct, frozen=True):
    """The trace on its host, as it was when it began to come."""

    path: str
    size: int
    changed_ns: int
    packed: bool


class UnfinishedTrace:
    """One folder, which nobody else writes to. Ends with ``finish`` or ``leave``."""

    def __init__(self, folder: Path, lock: FileLock) -> None:
        self._folder = folder
        self._lock = lock
        self._open: list[BinaryIO] = []

    @classmethod
    def of(cls, trace: Path) -> UnfinishedTrace:
        """What a server that ended left of ``trace``, or a new one. Raises OSError."""
        found: UnfinishedTrace | None = None
        for folder in sorted(trace.parent.glob(f"{trace.name}.*.part")):
            lock = FileLock(folder / _LOCK)
            with contextlib.suppress(OSError):  # somebody is removing it
                if not lock.try_acquire():
                    continue
                left = cls(folder, lock)
                if found is None and (folder / _STEPS).exists():
                    found = left
                else:
                    left.leave()
        if found is not None:
            return found
        # Of its own: who was cancelled may still be removing theirs.
        folder = trace.with_name(f"{trace.name}.{secrets.token_hex(4)}.part")
        folder.mkdir(mode=0o700)
        lock = FileLock(folder / _LOCK)
        lock.try_acquire()
        return cls(folder, lock)

    def incoming(self, host: Host) -> IncomingTrace:
        """The trace with what is there of it; from the beginning where that is of another one. Raises OSError."""
        source = _Source(host.path, host.size, host.changed_ns, host.packed)
        steps = self._steps(source)
        place = self._folder / _TRACE
        stream = place.open("r+b" if place.exists() else "w+b")
        self._open.append(stream)
        incoming = IncomingTrace(stream, host)
        steps = incoming.recall(steps)
        beside = self._folder / _NEW_STEPS
        noted = beside.open("wb")
        self._open.append(noted)

        def note(line: _Source | Step) -> None:
            noted.write(msgspec.json.encode(line) + b"\n")
            noted.flush()

        note(source)
        for step in steps:
            note(step)
        # A server that ends before has the notes of what came already.
        beside.replace(self._folder / _STEPS)
        incoming.note = note
        return incoming

    def _steps(self, source: _Source) -> list[Step]:
        """How far the trace has come; [] where it is another one."""
        steps: list[Step] = []
        # The last line may be cut off.
        with contextlib.suppress(OSError, msgspec.DecodeError):
            lines = (self._folder / _STEPS).read_bytes().splitlines()
            if lines and msgspec.json.decode(lines[0], type=_Source) == source:
                for line in lines[1:]:
                    steps.append(msgspec.json.decode(line, type=Step))
        return steps

    def finish(self, trace: Path) -> None:
        """It is whole, and ``trace`` from now on. Raises OSError."""
        self._close()
        (self._folder / _TRACE).replace(trace)
        self.leave()

    def leave(self, *, stays: bool = False) -> None:
        """Remove it, unless it ``stays`` for the next server."""
        self._close()
        if not stays:
            shutil.rmtree(self._folder, ignore_errors=True)
        self._lock.release()

    def _close(self) -> None:
        for stream in self._open:
            # A full disk has been told where it was met.
            with contextlib.suppress(OSError):
                stream.close()
        self._open.clear()
