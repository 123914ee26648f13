"""Read ranges of bytes within bounds: how much is read, unpacked and visited for one model."""

from __future__ import annotations

import os
import stat
from pathlib import Path

#: Bounds for one model. What is beyond them stays unread, and is said to be.
MAX_READ_BYTES = 128_000_000
MAX_UNPACKED_BYTES = 32_000_000
MAX_STEPS = 4_000_000
_CHUNK_BYTES = 4096
_MAX_CHUNK_BYTES = 1 << 18


class Damaged(ValueError):
    """A file is damaged, or built to mislead. The text is a sentence about the file."""


class TooLarge(ValueError):
    """A file is beyond the bounds. The text is a sentence about the file."""


class Budget:
    """Count what the files of one model cost: bytes read, bytes unpacked, and steps (entries, fields, strings)."""

    def __init__(self) -> None:
        self.read_bytes = 0
        self.unpacked_bytes = 0
        self.steps = 0

    def read(self, count: int) -> None:
        """Count bytes before they are read. Raises TooLarge."""
        if self.read_bytes + count > MAX_READ_BYTES:
            raise TooLarge(
                f"It was not read: {MAX_READ_BYTES // 1_000_000} MB of this model were read before."
            )
        self.read_bytes += count

    def unpack(self, count: int) -> None:
        """Count bytes before they are unpacked. Raises TooLarge."""
        if self.unpacked_bytes + count > MAX_UNPACKED_BYTES:
            raise TooLarge(
                f"It was not unpacked: {MAX_UNPACKED_BYTES // 1_000_000} MB of this model were unpacked before."
            )
        self.unpacked_bytes += count

    def step(self, count: int = 1) -> None:
        """Count work. Raises TooLarge."""
        self.steps += count
        if self.steps > MAX_STEPS:
            raise TooLarge("It has too many parts to look at.")


class Source:
    """Bytes with a known size. Subclasses implement ``_fetch``."""

    def __init__(self, size: int, budget: Budget) -> None:
        self.size = size
        self.budget = budget

    def read(self, offset: int, count: int) -> bytes:
        """Return exactly ``count`` bytes. Raises Damaged beyond the end, and TooLarge."""
        if offset < 0 or count < 0 or offset + count > self.size:
            raise Damaged("It ends too early.")
        found = self._fetch(offset, count)
        if len(found) != count:
            raise Damaged("It changed while it was read.")
        return found

    def head(self, count: int) -> bytes:
        """Return the first ``count`` bytes, fewer if the source is shorter."""
        return self.read(0, min(count, self.size))

    def _fetch(self, offset: int, count: int) -> bytes:
        raise NotImplementedError


class Memory(Source):
    """Bytes that were unpacked."""

    def __init__(self, content: bytes, budget: Budget) -> None:
        super().__init__(len(content), budget)
        self._content = content

    def _fetch(self, offset: int, count: int) -> bytes:
        return self._content[offset : offset + count]


class Part(Source):
    """A range of another source, such as a stored entry of an archive."""

    def __init__(self, whole: Source, offset: int, size: int) -> None:
        if offset < 0 or size < 0 or offset + size > whole.size:
            raise Damaged("It ends too early.")
        super().__init__(size, whole.budget)
        self._whole, self._offset = whole, offset

    def _fetch(self, offset: int, count: int) -> bytes:
        return self._whole.read(self._offset + offset, count)


class File(Source):
    """A plain file below a folder, opened without following a link. Use it as a context."""

    def __init__(self, root: Path, path: str, budget: Budget) -> None:
        """Raises Damaged if the file is a link or a special file by now, and OSError."""
        self._descriptor = _open_below(root, path)
        found = os.fstat(self._descriptor)
        super().__init__(found.st_size, budget)
        if not stat.S_ISREG(found.st_mode):
            self.close()
            raise Damaged("It is a special file.")

    def __enter__(self) -> File:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def _fetch(self, offset: int, count: int) -> bytes:
        self.budget.read(count)
        return os.pread(self._descriptor, count, offset)


def _open_below(root: Path, path: str) -> int:
    """Open a file step by step, so that no part of ``path`` can be a link."""
    *folders, name = path.split("/")
    current = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for folder in folders:
            inner = os.open(
                folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=current
            )
            os.close(current)
            current = inner
        # Without O_NONBLOCK a pipe would never open.
        return os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=current)
    finally:
        os.close(current)


class Cursor:
    """Read a source in order, with jumps. It reads ahead in chunks that grow while no jump leaves them."""

    def __init__(self, source: Source, offset: int = 0, end: int | None = None) -> None:
        self.source = source
        self.offset = offset
        self.end = source.size if end is None else end
        self._start = offset
        self._chunk = b""
        self._length = _CHUNK_BYTES

    def take(self, count: int) -> bytes:
        """Return the next bytes. Raises Damaged at the end."""
        if count < 0 or self.offset + count > self.end:
            raise Damaged("It ends too early.")
        at = self.offset - self._start
        if at < 0 or at + count > len(self._chunk):
            follows = 0 <= at <= len(self._chunk)
            self._length = min(self._length * 2, _MAX_CHUNK_BYTES) if follows else _CHUNK_BYTES
            self._start, at = self.offset, 0
            self._chunk = self.source.read(self.offset, max(count, min(self._length, self.end - self.offset)))
        self.offset += count
        return self._chunk[at : at + count]

    def skip(self, count: int) -> None:
        """Go on behind the next ``count`` bytes without reading them. Raises Damaged at the end."""
        if count < 0 or self.offset + count > self.end:
            raise Damaged("It ends too early.")
        self.offset += count

    def number(self, count: int) -> int:
        """Return the next unsigned little-endian number of ``count`` bytes."""
        return int.from_bytes(self.take(count), "little")

    def line(self, limit: int) -> bytes:
        """Return the next bytes up to a newline, without it. Raises Damaged if ``limit`` bytes have none."""
        start = self.offset
        found = self.take(min(limit, self.end - start))
        at = found.find(b"\n")
        if at < 0:
            raise Damaged("A line in it has no end.")
        self.offset = start + at + 1
        return found[:at]

    def long_line(self, limit: int) -> bytes:
        """Return at most the first ``limit`` bytes of the next line, and go on behind it."""
        first = b""
        while True:
            start = self.offset
            piece = self.take(min(_CHUNK_BYTES, self.end - start))
            if not piece:
                raise Damaged("It ends too early.")
            at = piece.find(b"\n")
            first = (first + (piece if at < 0 else piece[:at]))[:limit] if len(first) < limit else first
            if at >= 0:
                self.offset = start + at + 1
                return first
