"""Keep the received part of a trace in a folder next to the final path, so that the next server can continue.

``trace`` has complete parts. ``parts.jsonl`` describes the trace, and the end and checksum of each part. The
process that owns ``lock`` writes them; the lock ends with its process. All functions block.
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

#: A gzip header without a name and a time; the end of the last stream; a checksum and a length modulo 2**32.
_HEAD, _LAST, _TAIL = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x04\xff", b"\x03\x00", struct.Struct("<II")


class Step(msgspec.Struct, frozen=True):
    """A complete part: it ends at ``at`` in the file and at ``to`` in the trace, whose hash up to there is
    ``sha256``."""

    at: int
    to: int
    sha256: str


class IncomingTrace(Receiver):
    """The complete parts in the file ``stream``, which is a gzip file at the end. The methods block."""

    def __init__(self, stream: BinaryIO, host: Host) -> None:
        super().__init__(host.size, deflated=not host.packed)
        self._stream = stream
        self._host = host
        self._checksum = 0
        #: Called for each part after it is written.
        self.note: Callable[[Step], None] | None = None
        if not host.packed:
            stream.write(_HEAD)

    def go_on(self, host: Host) -> None:
        """Continue after ``done`` with a new connection. Raises Failed where the trace changed."""
        known = self._host
        if (host.size, host.changed_ns, host.packed) != (known.size, known.changed_ns, known.packed):
            raise self.changed()

    def add(self, part: Part) -> None:
        """Write a checked part. Raises OSError."""
        self._stream.write(part.payload)
        self._checksum = zlib.crc32(part.raw, self._checksum)
        if self.note is not None:
            self._stream.flush()
            self.note(Step(self._stream.tell(), self.done, self.sha256))

    def recall(self, steps: Iterable[Step]) -> list[Step]:
        """Read the parts of the stream up to the first damaged one, cut the rest off, and return the parts.
        Raises OSError."""
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
        """Finish the file when all parts are there. Raises OSError."""
        if not self._host.packed:
            self._stream.write(_LAST + _TAIL.pack(self._checksum, self.done & 0xFFFFFFFF))
        self._stream.flush()

    def changed(self) -> Failed:
        """Return the error for a trace that changed."""
        return Failed(
            f"{self._host.path} changed on its host during the transfer.",
            hint="Fetch the trace again when no program writes to it.",
            code="changed",
        )


_TRACE, _STEPS, _NEW_STEPS, _LOCK = "trace", "parts.jsonl", "parts.new", "lock"


class _Source(msgspec.Struct, frozen=True):
    """The trace on its host, as it was at the start of the transfer."""

    path: str
    size: int
    changed_ns: int
    packed: bool


class UnfinishedTrace:
    """A folder with one writer. End it with ``finish`` or ``leave``."""

    def __init__(self, folder: Path, lock: FileLock) -> None:
        self._folder = folder
        self._lock = lock
        self._open: list[BinaryIO] = []

    @classmethod
    def of(cls, trace: Path) -> UnfinishedTrace:
        """Open the folder that an ended server left for ``trace``, or a new one. Raises OSError."""
        found: UnfinishedTrace | None = None
        for folder in sorted(trace.parent.glob(f"{trace.name}.*.part")):
            lock = FileLock(folder / _LOCK)
            with contextlib.suppress(OSError):  # another thread is deleting it
                if not lock.try_acquire():
                    continue
                left = cls(folder, lock)
                if found is None and (folder / _STEPS).exists():
                    found = left
                else:
                    left.leave()
        if found is not None:
            return found
        # A new folder: a cancelled task may still be deleting its own.
        folder = trace.with_name(f"{trace.name}.{secrets.token_hex(4)}.part")
        folder.mkdir(mode=0o700)
        lock = FileLock(folder / _LOCK)
        lock.try_acquire()
        return cls(folder, lock)

    def incoming(self, host: Host) -> IncomingTrace:
        """Return the trace with its received parts; from the beginning where they belong to another trace.
        Raises OSError."""
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
        # Written first, so that a server that ends early leaves the notes of the earlier parts.
        beside.replace(self._folder / _STEPS)
        incoming.note = note
        return incoming

    def _steps(self, source: _Source) -> list[Step]:
        """Return the received parts; [] where they belong to another trace."""
        steps: list[Step] = []
        # The last line may be cut off.
        with contextlib.suppress(OSError, msgspec.DecodeError):
            lines = (self._folder / _STEPS).read_bytes().splitlines()
            if lines and msgspec.json.decode(lines[0], type=_Source) == source:
                for line in lines[1:]:
                    steps.append(msgspec.json.decode(line, type=Step))
        return steps

    def finish(self, trace: Path) -> None:
        """Move the complete file to ``trace``. Raises OSError."""
        self._close()
        (self._folder / _TRACE).replace(trace)
        self.leave()

    def leave(self, *, stays: bool = False) -> None:
        """Delete the folder, unless it ``stays`` for the next server."""
        self._close()
        if not stays:
            shutil.rmtree(self._folder, ignore_errors=True)
        self._lock.release()

    def _close(self) -> None:
        for stream in self._open:
            # An error of a full disk was raised where it occurred.
            with contextlib.suppress(OSError):
                stream.close()
        self._open.clear()
