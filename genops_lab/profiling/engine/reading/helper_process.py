"""Run a helper process: read batches from standard input, write parts to standard output.

It imports as little as possible, because the first batch waits for all imports.
"""

from __future__ import annotations

import gc
import pickle
import struct
import sys
from pathlib import Path
from typing import IO, NamedTuple

import msgspec

from . import batches
from .parts import Part

_LENGTH = struct.Struct("<q")


class Range(NamedTuple):
    """A range of a file with events and the commas between them."""

    path: Path
    begin: int
    length: int

    def text(self) -> bytearray:
        """Return the events as an array. Raises OSError."""
        text = bytearray(self.length + 2)
        text[0], text[-1] = b"[]"
        with self.path.open("rb", buffering=0) as stream:
            stream.seek(self.begin)
            stream.readinto(memoryview(text)[1:-1])
        return text


def main() -> None:
    """Read and answer until the input ends."""
    gc.disable()
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    while (request := message(requests)) is not None:
        part = part_of(pickle.loads(request))  # noqa: S301 - of the process that started this one
        answer = pickle.dumps(part, pickle.HIGHEST_PROTOCOL)
        send(answers, answer)


def part_of(work: bytes | Range) -> Part | None:
    """Return the part of an array of events; None for another text."""
    try:
        return batches.read(work.text() if isinstance(work, Range) else work).packed()
    except (msgspec.DecodeError, RecursionError, OSError):
        return None


def send(stream: IO[bytes], text: bytes) -> None:
    """Write one message. Raises OSError."""
    stream.write(_LENGTH.pack(len(text)))
    stream.write(text)
    stream.flush()


def message(stream: IO[bytes]) -> bytes | None:
    """Return the next message; None at the end."""
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    text = stream.read(length)
    return text if len(text) == length else None
