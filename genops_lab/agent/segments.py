"""Store one file of a journal: whole records in order, in their wire format."""

from __future__ import annotations

import os
import re
from bisect import bisect_right
from typing import Any, Iterator, List, Optional, Sequence, Tuple

from . import records
from .frames import ProtocolError

SUFFIX = ".rec"
_INDEX_EVERY_BYTES = 65536
_SCAN_BYTES = 262144
_WRITEV_PARTS = 512

#: Dropped first when a journal is above its limit: a client still gets each reply and each status.
_OUTPUTS = {
    b"stream",
    b"display_data",
    b"update_display_data",
    b"execute_result",
    b"clear_output",
    b"comm_open",
    b"comm_msg",
    b"comm_close",
}
_KEPT_BYTES = 65536
_MSG_TYPE = re.compile(rb'"msg_type"\s*:\s*"(\w+)"')


class Segment:
    """A file and its known state. ``end``: bytes of whole records."""

    def __init__(self, folder: str, first: int) -> None:
        self.first = first
        self.path = os.path.join(folder, f"{first:020d}{SUFFIX}")
        self.last = first - 1
        self.end = 0
        self.written_at = 0.0
        self.thinned = False
        #: Grows when positions in the file have changed.
        self.generation = 0
        self._index: Optional[List[Tuple[int, int]]] = None

    def create(self) -> int:
        """Make the file; return a descriptor to append with."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        self._index = []
        return os.open(self.path, flags, 0o600)

    def appended(self, first: int, last: int, size: int) -> None:
        """Note that records ``first`` to ``last``, ``size`` bytes in all, were appended."""
        if self._index is not None and (
            not self._index or self.end - self._index[-1][1] >= _INDEX_EVERY_BYTES
        ):
            self._index.append((first, self.end))
        self.last = last
        self.end += size

    def recover(self) -> None:
        """Read the file's headers; ``end`` excludes an incomplete last record."""
        self.last, self.end = self.first - 1, 0
        self._index = []
        size = os.path.getsize(self.path)
        for seq, offset, length in self._headers(size):
            self.appended(seq, seq, length)
            assert offset + length == self.end

    def position(self, after: int) -> int:
        """Return where the first record above ``after`` starts; the end when there is none."""
        if after >= self.last:
            return self.end
        if self._index is None:
            last, end = self.last, self.end
            self.recover()
            self.last, self.end = last, min(end, self.end)
        index = self._index or []
        found = bisect_right(index, (after + 1, self.end)) - 1
        start = index[found][1] if found >= 0 else 0
        for seq, offset, _ in self._headers(self.end, start):
            if seq > after:
                return offset
        return self.end

    def _headers(self, size: int, offset: int = 0) -> Iterator[Tuple[int, int, int]]:
        """Yield (number, offset, bytes with header) of each whole record from ``offset`` on."""
        previous = 0
        descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            chunk, base = b"", offset
            while offset + records.HEADER.size <= size:
                if offset - base + records.HEADER.size > len(chunk):
                    chunk, base = os.pread(descriptor, _SCAN_BYTES, offset), offset
                if len(chunk) - (offset - base) < records.HEADER.size:
                    return
                kind, seq, length = records.HEADER.unpack_from(chunk, offset - base)
                whole = records.HEADER.size + length
                if kind != records.RECORD or seq <= previous or offset + whole > size or seq < self.first:
                    return
                yield seq, offset, whole
                previous = seq
                offset += whole
        finally:
            os.close(descriptor)

    def count(self) -> int:
        """Return the number of records in the file."""
        return sum(1 for _ in self._headers(self.end))

    def thin(self) -> Tuple[int, int, int, int]:
        """Rewrite the file without outputs; replies, states and notes stay.

        Returns (first number dropped, last, how many, bytes); zeros when nothing was dropped.
        """
        self.thinned = True
        end = self.end
        kept: List[bytes] = []
        dropped: List[int] = []
        with open(self.path, "rb") as stream:
            for seq, _, length in list(self._headers(end)):
                data = stream.read(length)
                if is_output(data[records.HEADER.size :]) or length > _KEPT_BYTES:
                    dropped.append(seq)
                else:
                    kept.append(data)
        if not dropped:
            return 0, 0, 0, 0
        thin_path = self.path + ".thin"
        descriptor = os.open(thin_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            write_parts(descriptor, kept)
        finally:
            os.close(descriptor)
        os.replace(thin_path, self.path)
        self.end = sum(len(data) for data in kept)
        self._index = None
        self.generation += 1
        return dropped[0], dropped[-1], len(dropped), end - self.end

    def delete(self) -> None:
        """Remove the file; a reader that has it open may finish its record."""
        self.generation += 1
        try:
            os.unlink(self.path)
        except FileNotFoundError:
            return


def is_output(payload: bytes) -> bool:
    """Return whether a record's payload is an output of a cell on iopub."""
    try:
        channel, _, frames = records.unpack(payload)
        if channel != records.IOPUB:
            return False
        header = frames[frames.index(b"<IDS|MSG>") + 2]
    except (ProtocolError, ValueError, IndexError):
        return False
    found = _MSG_TYPE.search(header)
    return found is not None and found.group(1) in _OUTPUTS


def write_parts(descriptor: int, parts: Sequence[Any]) -> None:
    """Write all of ``parts``. Raises OSError with some of it written."""
    for start in range(0, len(parts), _WRITEV_PARTS):
        group = parts[start : start + _WRITEV_PARTS]
        missing = sum(len(part) for part in group)
        missing -= os.writev(descriptor, group)
        if missing:  # a signal, or the disk's last bytes: the next write reports it
            rest = memoryview(b"".join(group))[-missing:]
            while rest:
                rest = rest[os.write(descriptor, rest) :]


def found_in(folder: str) -> List[Segment]:
    """Return the segments in ``folder``, oldest first. The next one's first record gives their last one."""
    numbers = []
    for name in os.listdir(folder):
        stem, suffix = os.path.splitext(name)
        if suffix == SUFFIX and stem.isdigit():
            numbers.append(int(stem))
        elif name.endswith(".thin"):
            os.unlink(os.path.join(folder, name))
    numbers.sort()
    found = []
    for number in numbers:
        segment = Segment(folder, number)
        status = os.stat(segment.path)
        segment.end = status.st_size
        segment.written_at = status.st_mtime
        found.append(segment)
    for index, segment in enumerate(found[:-1]):
        segment.last = found[index + 1].first - 1
    return found
