"""Read the end of a log file and its new lines, without reading the whole file."""

from __future__ import annotations

from pathlib import Path

from genops_lab.serving.scorer.loopback import earlier

MAX_LOG_LINES = 5000
_CHUNK = 64 * 1024
_MOST = 4 * 1024 * 1024
_LINE_LENGTH = 4000


def tail(path: Path, lines: int) -> list[str]:
    """Return the last ``lines`` lines, from at most 4 MiB of the file and of its rotated part; empty without a file."""
    found = _lines(_end(path, lines))[-lines:]
    return (
        found
        if len(found) >= lines
        else _lines(_end(earlier(path), lines - len(found)))[len(found) - lines :] + found
    )


def _end(path: Path, lines: int, until: int | None = None) -> bytes:
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

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = size_of(path)
        self._rest = b""

    def earlier(self, lines: int) -> list[str]:
        """Return the last ``lines`` lines from before this follower began. Call it before :meth:`news`."""
        whole, newline, self._rest = _end(self._path, lines, self._offset).rpartition(b"\n")
        return _lines(whole + newline)[-lines:] if lines else []

    def news(self) -> list[str]:
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


def _lines(content: bytes) -> list[str]:
    return [line[:_LINE_LENGTH] for line in content.decode("utf-8", "replace").splitlines()]
