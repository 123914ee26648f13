"""Read the end of a log file and its new lines, without reading the whole file. The Lab and the agent use it."""

from __future__ import annotations

from pathlib import Path
from typing import List, Optional

_CHUNK = 64 * 1024
_MOST = 4 * 1024 * 1024
_LINE_LENGTH = 4000


def tail(path: Path, lines: int) -> List[str]:
    """Return the last ``lines`` lines, from at most 4 MiB of the file and of its rotated part; empty without a file."""
    found = _lines(_end(path, lines))[-lines:]
    return (
        found
        if len(found) >= lines
        else _lines(_end(_earlier(path), lines - len(found)))[len(found) - lines :] + found
    )


def _earlier(path: Path) -> Path:
    """Return the path of the log's older lines (``core/loopback.py``, which the scoring process loads by its path)."""
    return path.with_name(path.name + ".1")


def _end(path: Path, lines: int, until: Optional[int] = None) -> bytes:
    """Return the last ``lines`` or more lines before the offset ``until`` (None: the end of the file)."""
    try:
        with path.open("rb") as stream:
            position = stream.seek(0, 2) if until is None else until
            content = b""
            while position > 0 and content.count(b"\n") <= lines and len(content) < _MOST:
                size = min(_CHUNK, position)
                position -= size
                stream.seek(position)
                content = stream.read(size) + content
    except FileNotFoundError:
        return b""
    return content


class LogFollower:
    """Read the lines that were added to a file."""

    def __init__(self, path: Path, after: Optional[int] = None) -> None:
        self._path = path
        self._offset = size_of(path) if after is None else after
        self._rest = b""

    @property
    def read_to(self) -> int:
        """The bytes of the file whose lines were returned. Another follower continues after them."""
        return max(self._offset - len(self._rest), 0)

    def earlier(self, lines: int) -> List[str]:
        """Return the last ``lines`` lines from before this follower began. Call it before :meth:`news`."""
        whole, newline, self._rest = _end(self._path, lines, self._offset).rpartition(b"\n")
        return _lines(whole + newline)[-lines:] if lines else []

    def news(self) -> List[str]:
        """Return the new whole lines. A file that became shorter is read from its start."""
        size = size_of(self._path)
        if size < self._offset:
            self._offset, self._rest = 0, b""
        if size == self._offset:
            return []
        with self._path.open("rb") as stream:
            self._offset = max(self._offset, size - _MOST)
            stream.seek(self._offset)
            content = self._rest + stream.read(size - self._offset)
            self._offset = stream.tell()
        whole, newline, self._rest = content.rpartition(b"\n")
        return _lines(whole + newline)


def size_of(path: Path) -> int:
    """Return the size of a file in bytes, 0 without a file."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _lines(content: bytes) -> List[str]:
    return [line[:_LINE_LENGTH] for line in content.decode("utf-8", "replace").splitlines()]
