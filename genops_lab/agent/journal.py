"""Write a unit's messages to disk before they are sent: numbered records in files of some MiB.

The journal is limited in size and age, and shrinks as a client acknowledges. A note in the journal reports
records that a limit cut. When the disk takes nothing more, the last records stay in a small memory and are
still sent, and notes report those that were dropped.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections import deque
from typing import Any, Callable, Deque, Iterator, List, Optional, Sequence, Set, Tuple

from . import records
from .reader import JournalReader
from .segments import Segment, found_in, write_parts

SEGMENT_BYTES = 8 * 1024 * 1024
MAX_BYTES = 512 * 1024 * 1024
MAX_AGE_S = 14 * 86400.0
#: Bytes of records that stay in memory while the disk takes none.
MAX_TAIL_BYTES = 16 * 1024 * 1024
_RETRY_S = 1.0
#: A keeper that died may have sent records that were never on disk: their numbers are not used again.
_SKIPPED_AFTER_CRASH = 1 << 20

#: Channel, timestamp, frames.
Message = Tuple[int, float, Sequence[Any]]
#: Number, bytes, and the pieces of a record.
Entry = Tuple[int, int, List[Any]]


class Cut:
    """The records that are missing since a client last acknowledged a note about them."""

    def __init__(self) -> None:
        self.first = self.last = self.messages = self.bytes = 0
        self.noted = 0

    def add(self, first: int, last: int, messages: int, size: int) -> None:
        """Add ``messages`` records of ``size`` bytes, numbered from ``first`` to ``last``."""
        self.first = min(self.first or first, first)
        self.last = max(self.last, last)
        self.messages += messages
        self.bytes += size


class Journal:
    """Records 1, 2, ... of one unit. One process writes it, and reads it through :meth:`reader`."""

    def __init__(
        self,
        folder: str,
        *,
        segment_bytes: int = SEGMENT_BYTES,
        max_bytes: int = MAX_BYTES,
        max_age_s: float = MAX_AGE_S,
        max_tail_bytes: int = MAX_TAIL_BYTES,
        thins: bool = True,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Open or make the journal in ``folder``; a record torn by a crash is cut off.

        ``thins``: above the limit the outputs of cells are dropped first; otherwise whole files, the oldest
        first. Raises OSError.
        """
        self._folder = folder
        self._segment_bytes = segment_bytes
        self._max_bytes = max_bytes
        self._max_age_s = max_age_s
        self._max_tail_bytes = max_tail_bytes
        self._thins = thins
        self._clock = clock
        self._descriptor = -1
        self._tail: Deque[Tuple[int, bytes]] = deque()
        self._tail_bytes = 0
        self._reported = False
        self._torn = False
        self._cut = Cut()
        self._lost = Cut()
        #: Sent, but neither on disk nor acknowledged.
        self._unsure = Cut()
        self._readers: Set["JournalReader"] = set()
        self._next_try = 0.0
        #: Whether a keeper that died may have cut records whose note no client has read, and which was cut since.
        self._unknown_cut = False
        self.acked_seq = 0
        self.last_seq = 0
        #: Why the disk takes nothing, or "".
        self.trouble = ""
        self.dirty = False
        self._syncing: Optional[threading.Thread] = None
        os.makedirs(folder, mode=0o700, exist_ok=True)
        self._segments = found_in(folder)
        self._open_last()

    def _open_last(self) -> None:
        if not self._segments:
            self._roll(1)
            return
        last = self._segments[-1]
        last.recover()
        self._descriptor = os.open(last.path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW)
        os.ftruncate(self._descriptor, last.end)
        self.last_seq = last.last

    @property
    def first_seq(self) -> int:
        """Return the oldest record that may still exist."""
        return self._segments[0].first if self._segments else self.last_seq + 1

    @property
    def size_bytes(self) -> int:
        """Return the bytes on disk."""
        return sum(segment.end for segment in self._segments)

    def skip_after_crash(self) -> None:
        """Skip the numbers that the last writer may have used, because it did not close the journal."""
        self._unknown_cut = True
        self.last_seq += _SKIPPED_AFTER_CRASH
        self._roll(self.last_seq + 1)

    def skip_to(self, seq: int) -> None:
        """Skip the numbers up to ``seq``: a client has these records, which were sent while the disk took
        none."""
        self.last_seq = max(self.last_seq, seq)

    # Writing

    def append(self, messages: Sequence[Message]) -> None:
        """Number the messages and store them. Never raises for a full disk: see ``trouble``."""
        if messages:
            self._append(messages)
            while self.size_bytes > self._max_bytes and len(self._segments) > 1:
                self._cut_oldest()
            if not self.trouble:
                self._note_lost()

    def note(self, kind: str, **fields: Any) -> None:
        """Append a note for the notebook's owner."""
        self.append([self._note(kind, **fields)])

    def _note(self, kind: str, **fields: Any) -> Message:
        now = self._clock()
        return records.NOTE, now, [json.dumps({"kind": kind, "at": now, **fields}).encode()]

    def _note_cut(self, reason: str, first: int, last: int, messages: int, size: int) -> None:
        """Add to the note about missing records. A note may be cut as well, so each reports all that is
        missing since a client acknowledged one."""
        cut = self._cut
        cut.add(self.acked_seq + 1 if self._unknown_cut else first, last, messages, size)
        note = self._note(
            "cut", reason=reason, from_seq=cut.first, to_seq=cut.last, messages=cut.messages, bytes=cut.bytes
        )
        self._append([note])
        cut.noted = self.last_seq

    def _append(self, messages: Sequence[Message]) -> None:
        entries = []
        for channel, timestamp, frames in messages:
            length = records.packed_size(frames)
            self.last_seq += 1
            if length > records.MAX_RECORD_BYTES or len(frames) > records.MAX_FRAMES:
                channel, timestamp, frames = self._note(
                    "cut",
                    reason="too_large",
                    from_seq=self.last_seq,
                    to_seq=self.last_seq,
                    messages=1,
                    bytes=length,
                )
                length = records.packed_size(frames)
            header = records.HEADER.pack(records.RECORD, self.last_seq, length)
            parts = [header, *records.pack_parts(channel, timestamp, frames)]
            entries.append((self.last_seq, records.HEADER.size + length, parts))
        if not self._write(entries):
            self._hold(entries)

    def _write(self, entries: Sequence[Entry]) -> bool:
        if self.trouble and not self._recovered():
            return False
        first, last = entries[0][0], entries[-1][0]
        try:
            if self._torn:
                os.ftruncate(self._descriptor, self._segments[-1].end)
                self._torn = False
            if self._segments[-1].end >= self._segment_bytes:
                self._roll(first)
            write_parts(self._descriptor, [part for _, _, parts in entries for part in parts])
        except OSError as error:
            self._disk_failed(error)
            return False
        segment = self._segments[-1]
        segment.appended(first, last, sum(size for _, size, _ in entries))
        segment.written_at = self._clock()
        self.dirty = True
        return True

    def _roll(self, first: int) -> None:
        segment = Segment(self._folder, first)
        descriptor = segment.create()
        segment.written_at = self._clock()
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = descriptor
        self._segments.append(segment)

    # A disk that takes nothing

    def _disk_failed(self, error: OSError) -> None:
        self.trouble = error.strerror or str(error)
        self._next_try = time.monotonic() + _RETRY_S
        try:
            os.ftruncate(self._descriptor, self._segments[-1].end)
        except OSError:  # the next write tries again
            self._torn = True

    def _hold(self, entries: Sequence[Entry]) -> None:
        """Keep records in memory, the newest ``max_tail_bytes`` of them; they are still sent."""
        for seq, size, parts in entries:
            self._tail.append((seq, b"".join(parts)))
            self._tail_bytes += size
        if not self._reported:
            self._reported = True
            self._append([self._note("disk_full", reason=self.trouble, from_seq=entries[0][0])])
        while self._tail_bytes > self._max_tail_bytes and len(self._tail) > 1:
            seq, data = self._tail.popleft()
            self._tail_bytes -= len(data)
            if seq > self.acked_seq:
                sent = any(reader.seq >= seq for reader in self._readers)
                (self._unsure if sent else self._lost).add(seq, seq, 1, len(data))

    def _recovered(self) -> bool:
        """Try the disk again, at most once a second: records in memory are written first."""
        if time.monotonic() < self._next_try:
            return False
        self.trouble = ""
        waiting = [(seq, len(data), [data]) for seq, data in self._tail]
        if waiting and not self._write(waiting):
            return False
        self._tail.clear()
        self._tail_bytes = 0
        self._reported = False
        return True

    def _note_lost(self) -> None:
        lost, self._lost = self._lost, Cut()
        if lost.messages:
            self._note_cut("disk_full", lost.first, lost.last, lost.messages, lost.bytes)

    # Reading

    def reader(self, after: int) -> "JournalReader":
        """Return a reader of the records above ``after``; the caller closes it."""
        if after < self._unsure.last:
            unsure, self._unsure = self._unsure, Cut()
            self._lost.add(max(unsure.first, after + 1), unsure.last, unsure.messages, unsure.bytes)
        self._note_lost()
        known = self._cut.first <= after + 1 <= self._cut.last
        if self.acked_seq <= after < self.first_seq - 1 and not known:
            # cut by a keeper that died before a client read its note
            self._note_cut("size", after + 1, self.first_seq - 1, 0, 0)
        reader = JournalReader(self, after)
        self._readers.add(reader)
        return reader

    def segments_after(self, seq: int) -> Iterator[Segment]:
        """For readers: return the segments that may have records above ``seq``, at least the newest."""
        for segment in self._segments[:-1]:
            if segment.last > seq:
                yield segment
        yield self._segments[-1]

    def held_after(self, seq: int, limit: int) -> Tuple[bytes, int]:
        """For readers: return records above ``seq`` in memory, up to ``limit`` bytes before the last one, and
        the last one's number."""
        pieces: List[bytes] = []
        size = 0
        for number, data in self._tail:
            if number > seq:
                pieces.append(data)
                size += len(data)
                seq = number
                if size >= limit:
                    break
        return b"".join(pieces), seq

    def reader_closed(self, reader: "JournalReader") -> None:
        """For readers."""
        self._readers.discard(reader)

    # Limits

    def acknowledge(self, seq: int) -> None:
        """Drop the records up to ``seq``: a client has them."""
        self.acked_seq = max(self.acked_seq, min(seq, self.last_seq))
        if self._cut.noted and self._cut.noted <= self.acked_seq:
            self._cut, self._unknown_cut = Cut(), False
        if self._unsure.last <= self.acked_seq:
            self._unsure = Cut()
        while self._tail and self._tail[0][0] <= self.acked_seq:
            self._tail_bytes -= len(self._tail.popleft()[1])
        while len(self._segments) > 1 and self._segments[1].first <= self.acked_seq + 1:
            self._segments.pop(0).delete()
            self._next_try = 0.0

    def _cut_oldest(self) -> None:
        thick = [segment for segment in self._segments[:-1] if self._thins and not segment.thinned]
        if thick:
            self._thin(thick[0])
        else:
            self._drop("size")

    def _thin(self, segment: Segment) -> None:
        try:
            first, last, messages, size = segment.thin()
        except OSError:  # no space for the thinner copy either
            segment.thinned = True
            return
        if messages:
            self._note_cut("size", first, last, messages, size)

    def _drop(self, reason: str) -> None:
        segment = self._segments.pop(0)
        messages = segment.count()
        segment.delete()
        if segment.last > self.acked_seq and segment.end:
            first = max(segment.first, self.acked_seq + 1)
            self._note_cut(reason, first, segment.last, messages, segment.end)

    def cut_old(self) -> None:
        """Drop records older than the limit. To be called now and then."""
        oldest = self._clock() - self._max_age_s
        if not self.trouble and self._segments[-1].end and self._segments[-1].written_at < oldest:
            try:
                self._roll(self.last_seq + 1)
            except OSError as error:
                self._disk_failed(error)
        while len(self._segments) > 1 and self._segments[0].written_at < oldest:
            self._drop("age")

    def sync_soon(self) -> None:
        """Flush the appended records to disk in a thread, which takes time."""
        if self._syncing is None or not self._syncing.is_alive():
            self.dirty = False
            descriptor = os.dup(self._descriptor)
            self._syncing = threading.Thread(target=_sync, args=(descriptor,), daemon=True)
            self._syncing.start()

    def close(self) -> None:
        """Close the files; the journal stays on disk."""
        for reader in list(self._readers):
            reader.close()
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _sync(descriptor: int) -> None:
    try:
        getattr(os, "fdatasync", os.fsync)(descriptor)
    except OSError:  # the next write reports the same error
        return
    finally:
        os.close(descriptor)
