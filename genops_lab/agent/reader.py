"""Read a journal from a number on, while it grows: from disk, so that a slow client costs no memory."""

from __future__ import annotations

import os
import socket
import sys
from typing import TYPE_CHECKING, Optional

from . import records
from .segments import Segment

if TYPE_CHECKING:
    from .journal import Journal


_SENDFILE = sys.platform.startswith("linux")


class JournalReader:
    """``seq``: the last record that was read, completely or in part."""

    def __init__(self, journal: "Journal", after: int) -> None:
        self._journal = journal
        self.seq = after
        self._segment: Optional[Segment] = None
        self._generation = 0
        self._descriptor = -1
        self._offset = 0
        self._left = 0
        self._left_held = b""

    @property
    def at_boundary(self) -> bool:
        """Whether the bytes so far end with a whole record."""
        return not self._left and not self._left_held

    @property
    def behind(self) -> bool:
        """Whether there is more to read."""
        return not self.at_boundary or self.seq < self._journal.last_seq

    def read(self, limit: int) -> bytes:
        """Return the next bytes, at most about ``limit``: whole records, or a part of a larger one. ``b""``:
        no more."""
        if self._left:
            data = os.pread(self._descriptor, min(limit, self._left), self._offset)
            if not data:
                raise OSError(f"{self._segment and self._segment.path} ends within a record.")
            self._offset += len(data)
            self._left -= len(data)
            return data
        if self._left_held:
            data, self._left_held = self._left_held[:limit], self._left_held[limit:]
            return data
        if self.seq >= self._journal.last_seq:
            return b""
        return self._from_disk(limit) or self._from_memory(limit)

    def pass_on(self, sock: socket.socket, limit: int) -> int:
        """Let the system copy the rest of a large record to ``sock``; return the bytes taken. 0: :meth:`read`
        must be used.

        Raises BlockingIOError, OSError.
        """
        if not self._left or not _SENDFILE:
            return 0
        sent = os.sendfile(sock.fileno(), self._descriptor, self._offset, min(limit, self._left))
        self._offset += sent
        self._left -= sent
        return sent

    def _from_memory(self, limit: int) -> bytes:
        self._close_file()  # once the disk has these records too, the position in the file is another
        data, self.seq = self._journal.held_after(self.seq, limit)
        self._left_held = data[limit:]
        return data[:limit]

    def _from_disk(self, limit: int) -> bytes:
        segment = self._segment
        if segment is None or segment.generation != self._generation or self._offset >= segment.end:
            for segment in self._journal.segments_after(self.seq):
                self._open(segment)
                if self._offset < segment.end:
                    break
            else:
                return b""
        available = min(max(limit, records.HEADER.size), segment.end - self._offset)
        chunk = os.pread(self._descriptor, available, self._offset)
        whole = 0
        while whole + records.HEADER.size <= len(chunk):
            _, seq, length = records.HEADER.unpack_from(chunk, whole)
            size = records.HEADER.size + length
            if whole + size > len(chunk):
                if whole == 0:  # larger than a portion
                    self._left = size - len(chunk)
                    whole = len(chunk)
                    self.seq = seq
                break
            whole += size
            self.seq = seq
        self._offset += whole
        return chunk[:whole]

    def _open(self, segment: Segment) -> None:
        if segment is not self._segment or segment.generation != self._generation:
            self._close_file()
            self._descriptor = os.open(segment.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
            self._segment = segment
            self._generation = segment.generation
        self._offset = segment.position(self.seq)

    def _close_file(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
            self._segment = None

    def close(self) -> None:
        """Let go of the file."""
        self._close_file()
        self._journal.reader_closed(self)
