"""Read a trace file as a stream of decoded batches of events, up to any damage.

A trace is one JSON document of any size with its events in one array. The array is cut between events (``},
{``) into batches of some megabytes. A batch that decodes is balanced, so a cut inside a string or a nested
list cannot pass for one between events. Memory is bounded by a batch, not by the file.
"""

from __future__ import annotations

import json
import os
import re
import zlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from genops_lab.core.errors import InvalidRequest

from . import batches
from .helper_process import Range
from .helpers import Ahead, Helpers
from .kinds_of_files import no_trace
from .parts import Part

#: The text of a batch and the decoded events should fit into a core's cache.
BATCH_BYTES = 1 << 20
#: The last cut of a batch is searched in this much of its end first, then in all of it.
WINDOW_BYTES = 1 << 15
#: Largest event, and largest text before the events.
LIMIT_BYTES = 128 << 20
MAX_SKIPPED = 1000
#: After damage, this much text is decoded, then twice as much with each readable batch. So frequent damage
#: costs a look at its surroundings only, not at all text.
CAREFUL_BYTES = 1 << 13
#: Each damage costs a look at the text of a batch.
MAX_GAPS = 100
#: Cuts that are tried one by one before halving (an event may have lists of objects, which look alike).
CUTS = 16
#: Most nested brackets.
DEPTH = 200

_ARRAY = re.compile(rb'"traceEvents"\s*:\s*\[')
_BOUNDARY = re.compile(rb"\}\s*,\s*\{")
#: The same before a likely event, not before an object inside one.
_EVENT = re.compile(rb'\}\s*,\s*(?=\{\s*"(?:ph|cat|name|pid|tid|ts|dur|id|args|s|bp)"\s*:)')
_GAP = re.compile(rb"[\s,]*(?=\{)")
_TOKENS = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[{}\]]', re.DOTALL)
_PADDING = b"\0 \t\r\n"
_OFFSET = re.compile(r"\(byte (\d+)\)")

READ_BYTES = 1 << 20
_GZIP = b"\x1f\x8b"


class TraceFile:
    """A trace file. After ``parts`` is exhausted, the other attributes describe problems."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.head = b""
        self.tail = b""
        self.damage = ""
        self.skipped = 0
        self._stream = Stream(path)
        self._pieces = iter(self._stream)
        self._buffer = b""
        self._ended = False
        #: Places between two events without exactly one comma.
        self._gaps = 0
        #: Largest part of the text that is searched for a batch.
        self._reach = LIMIT_BYTES

    def parts(self, helpers: Helpers | None = None) -> Iterator[Part]:
        """Yield the events in file order. Raises InvalidRequest where there is no array of events."""
        self._find_array()
        for part in self._all(helpers):
            if part.events:
                yield part
        self.damage = self._stream.damage or self.damage

    @property
    def more(self) -> str:
        """Return a sentence where more events may follow after the list that was read."""
        if _ARRAY.search(self.tail) is not None:
            return "The file has a second list of events, which was not read."
        if not self.head:
            return "Data after the list of events was not read." if self.tail.strip(_PADDING) else ""
        return "" if self.damage else _after_the_document(self.tail)

    def no_trace(self, reason: str) -> InvalidRequest:
        """Return the error for ``reason``."""
        return no_trace(self.path, reason)

    def _all(self, helpers: Helpers | None) -> Iterator[Part]:
        if helpers is not None:
            yield from self._ahead(helpers)
        want = BATCH_BYTES
        while True:
            self._fill(want)
            taken = self._take()
            if taken is None:
                if self._ended:
                    return
                want = max(len(self._buffer), BATCH_BYTES) * 2
                if want > LIMIT_BYTES:
                    self.damage = (
                        f"An event is larger than {LIMIT_BYTES >> 20} MiB; it and later events were not read."
                    )
                    return
                continue
            want = BATCH_BYTES
            batch, done = taken
            if batch is not None:
                yield batch
            if done:
                self._keep_tail()
                return

    def _ahead(self, helpers: Helpers) -> Iterator[Part]:
        """Cut where events seem to end and let ``helpers`` read the batches, up to an unreadable one. There,
        the cut was wrong, or the array ends, or the text is unusual. The rest is read carefully."""
        if self._stream.packed:
            texts = Ahead(helpers, self._texts())
            yield from texts.parts()
            self._buffer = b",".join([*(text[1:-1] for text in texts.unread()), self._buffer])
        else:
            ranges = Ahead(helpers, self._ranges())
            yield from ranges.parts()
            unread = ranges.unread()
            if unread:
                self._go_back(unread[0].begin)

    def _texts(self) -> Iterator[bytes]:
        """Yield arrays of events."""
        while True:
            self._fill(BATCH_BYTES)
            cut = None if self._ended else _last_boundary(self._buffer, len(self._buffer))
            if cut is None:
                return
            yield _array_of(self._buffer, cut)
            self._buffer = self._buffer[cut + 1 :]

    def _ranges(self) -> Iterator[Range]:
        """Yield ranges of the file instead; this process reads only the surroundings of each cut."""
        begin = self._stream.position - len(self._buffer)
        with self.path.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            while begin + BATCH_BYTES < size:
                cut = _cut(stream, begin, min(WINDOW_BYTES, BATCH_BYTES)) or _cut(stream, begin, BATCH_BYTES)
                if cut is None:
                    break
                yield Range(self.path, begin, cut - begin)
                begin = cut + 1
        self._go_back(begin)

    def _go_back(self, begin: int) -> None:
        """Continue at an earlier position of an uncompressed file."""
        self._stream = Stream(self.path, begin)
        self._pieces, self._buffer, self._ended = iter(self._stream), b"", False

    def _fill(self, want: int) -> None:
        parts, size = [self._buffer], len(self._buffer)
        while size < want and not self._ended:
            piece = next(self._pieces, b"")
            if not piece:
                self._ended = True
            parts.append(piece)
            size += len(piece)
        self._buffer = b"".join(parts)

    def _find_array(self) -> None:
        while True:
            self._fill(max(2 * len(self._buffer), READ_BYTES))
            text = self._buffer.lstrip(b"\xef\xbb\xbf \t\r\n")
            if text.startswith(b"["):
                self._buffer = text[1:]
                return
            found = _ARRAY.search(text) if text.startswith(b"{") else None
            if found is not None:
                self.head, self._buffer = text[: found.start()], text[found.end() :]
                return
            if self._ended or (text and not text.startswith(b"{")) or len(text) > LIMIT_BYTES:
                if _is_lines(text):
                    raise InvalidRequest(
                        f"{self.path.name} is not a trace: it has one event per line (JSON Lines).",
                        hint="Put the events into one list: jq -s . FILE > events.json",
                    )
                cut = text.startswith(b"{") and not text.rstrip().endswith(b"}")
                damage = self._stream.damage or ("The file is cut off." if cut else "")
                raise self.no_trace(f"it has no list of events. {damage}".rstrip(". "))

    def _take(self) -> tuple[Part | None, bool] | None:
        """Decode a batch; return its events, and whether they were the last. None: more text is needed."""
        while True:
            taken = self._take_within(min(len(self._buffer), self._reach))
            if taken is not None:
                return taken
            if self._reach >= len(self._buffer):
                return self._finish() if self._ended else None
            self._reach *= 2

    def _take_within(self, limit: int) -> tuple[Part | None, bool] | None:
        """Decode a batch of at most ``limit`` bytes. None: no event ends there."""
        tries = 0
        bad: int | None = None
        while (cut := _last_boundary(self._buffer, limit)) is not None:
            text = _array_of(self._buffer, cut)
            batch, error = self._decode(text)
            if batch is not None:
                self._buffer = self._buffer[cut + 1 :]
                self._reach = min(2 * self._reach, LIMIT_BYTES)
                return batch, False
            offset = _offset(error)
            if _is_trailing(error) and offset is not None:
                return self._close(text, offset)
            if (end := self._comma_at_the_end(text, error, offset)) is not None:
                return end
            tries += 1
            limit = cut
            if offset is not None and offset - 1 < cut:
                # The error is not at the added bracket: the text itself is damaged.
                limit = bad = offset - 1
            if tries % CUTS == 0:
                limit //= 2
        return None if bad is None else self._take_first(bad)

    def _take_first(self, bad: int) -> tuple[Part | None, bool]:
        """The text is damaged at ``bad``: take the first event if it is before, or continue after the
        damage."""
        for boundary in islice(_BOUNDARY.finditer(self._buffer, 0, bad), CUTS):
            batch, _error = self._decode(b"[" + self._buffer[: boundary.start() + 1] + b"]")
            if batch is not None:
                self._buffer = self._buffer[boundary.end() - 1 :]
                return batch, False
        small = len(self._buffer) <= 2 * BATCH_BYTES and self._gaps < MAX_GAPS
        if small and (gap := _GAP.match(self._buffer, bad)) and gap.end():
            batch, _error = self._decode(b"[" + self._buffer[:bad].rstrip(b" \t\r\n,") + b"]")
            if batch is not None:
                self._gaps += 1
                self.damage = "The file is damaged: commas between its events are missing or doubled."
                self._buffer = self._buffer[gap.end() :]
                return batch, False
        following = _EVENT.search(self._buffer, bad)
        if following is None or self.skipped >= MAX_SKIPPED:
            self.damage = "The file is damaged; later events were not read."
            self._buffer = b""
            return None, True
        self.skipped += 1
        self._reach = CAREFUL_BYTES
        self._buffer = self._buffer[following.end() :]
        return None, False

    def _finish(self) -> tuple[Part | None, bool]:
        """Read the last event and the end of the array."""
        text = b"[" + self._buffer
        batch, error = self._decode(text)
        offset = len(text) if batch is not None else _offset(error)
        if batch is not None or _is_trailing(error):
            return self._close(text, offset or 0)
        if (end := self._comma_at_the_end(text, error, offset)) is not None:
            return end
        if offset is not None and offset < len(text.rstrip()):
            return self._take_first(offset - 1)
        # Chrome allows a list without its closing bracket; any other text was cut off.
        rest = self._buffer.rstrip(b" \t\r\n,")
        batch, error = self._decode(b"[" + rest + b"]")
        if batch is None or self.head:
            self.damage = self.damage or "The file is cut off; it was read up to its last complete event."
        self._buffer = b""
        return batch, True

    def _close(self, text: bytes, offset: int) -> tuple[Part | None, bool]:
        """Return whether ``text`` is a complete array up to about ``offset``."""
        end = text.rfind(b"]", 0, offset) + 1
        batch, _error = self._decode(text[:end])
        self._buffer = self._buffer[end - 1 :]
        return batch, True

    def _comma_at_the_end(
        self, text: bytes, error: str, offset: int | None
    ) -> tuple[Part | None, bool] | None:
        """Return the result of ``_take`` where ``text`` is a complete array except for a comma before its
        closing bracket."""
        if "trailing comma in array" not in error or offset is None:
            return None
        end = text.find(b"]", offset - 1)
        # A list inside an event does not end here.
        batch, _error = self._decode(text[: text.rfind(b",", 0, end)] + b"]")
        if batch is None:
            return None
        self._buffer = self._buffer[end:]
        return batch, True

    def _decode(self, text: bytes) -> tuple[Part | None, str]:
        try:
            return self._read(text), ""
        except msgspec.DecodeError as error:
            return None, str(error)
        except RecursionError:
            return None, f"nested too deep (byte {_too_deep(text)})"

    def _read(self, text: bytes) -> Part:
        return batches.read(text)

    def _keep_tail(self) -> None:
        self._fill(READ_BYTES)
        self.tail = self._buffer[:READ_BYTES]
        self._buffer = b""


def _after_the_document(tail: bytes) -> str:
    """Return a sentence where a document does not end after its events, or where data follows it. ``tail`` is
    the kept text after the events' closing bracket."""
    if len(tail) == READ_BYTES:
        return ""
    text = '{"":0' + tail.decode("utf-8", "replace")
    try:
        end = json.JSONDecoder().raw_decode(text)[1]
    except (ValueError, RecursionError):
        cut = not tail.rstrip(_PADDING).endswith(b"}")
        return "The file is cut off after its events." if cut else ""
    return "Data after the trace in the file was not read." if text[end:].strip(_PADDING.decode()) else ""


def _array_of(text: bytes, end: int) -> bytes:
    """Return the events up to ``end`` as an array, copied once."""
    return b"".join((b"[", memoryview(text)[:end], b"]"))


def _is_lines(text: bytes) -> bool:
    """Return whether the first line is an event and the next one begins with another."""
    line, _, rest = text[:READ_BYTES].partition(b"\n")
    return b'"ph"' in line and line.rstrip().endswith(b"}") and rest.lstrip().startswith(b"{")


def _too_deep(text: bytes) -> int:
    """Return the position where more than ``DEPTH`` brackets are open."""
    depth = 0
    for token in _TOKENS.finditer(text):
        first = text[token.start()]
        depth += (first in b"[{") - (first in b"]}")
        if depth > DEPTH:
            return token.start()
    return len(text)


def _cut(stream: BinaryIO, begin: int, window: int) -> int | None:
    """Return the last comma between two objects in the last ``window`` bytes of the batch from ``begin``."""
    first = begin + BATCH_BYTES - window
    stream.seek(first)
    found = _last_boundary(stream.read(window), window)
    return None if found is None else first + found


def _last_boundary(text: bytes, limit: int) -> int | None:
    """Return the last comma between two objects before ``limit``."""
    end = limit
    while True:
        comma = text.rfind(b",", 0, end)
        if comma < 0:
            return None
        before, after = text[max(0, comma - 256) : comma], text[comma + 1 : comma + 256]
        if after.lstrip()[:1] == b"{" and before.rstrip()[-1:] == b"}":
            return comma
        end = comma


def _offset(message: str) -> int | None:
    found = _OFFSET.search(message)
    return int(found.group(1)) if found else None


def _is_trailing(message: str) -> bool:
    return "trailing characters" in message


class Stream:
    """Yields the bytes in pieces, once; ``damage`` describes problems afterwards.

    ``begin`` is the start position in an uncompressed file.
    """

    def __init__(self, path: Path, begin: int = 0) -> None:
        self.path = path
        self.damage = ""
        self.packed = False
        #: Position up to which an uncompressed file has been read.
        self.position = begin

    def __iter__(self) -> Iterator[bytes]:
        with self.path.open("rb") as stream:
            stream.seek(self.position)
            first = stream.read(READ_BYTES)
            self.packed = self.position == 0 and first.startswith(_GZIP)
            if not self.packed:
                while first:
                    self.position += len(first)
                    yield first
                    first = stream.read(READ_BYTES)
                return
            library = _inflating()
            inflater = library.decompressobj(wbits=31)
            pending = first
            while pending:
                try:
                    piece = inflater.decompress(pending, READ_BYTES)
                except library.error:
                    self.damage = "The compressed file is corrupt; the part before was read."
                    return
                if piece:
                    yield piece
                pending = inflater.unconsumed_tail
                if inflater.eof:
                    # gzip files may be concatenated.
                    pending = inflater.unused_data or stream.read(READ_BYTES)
                    if not _GZIP.startswith(pending[:2]):
                        if pending.strip(b"\0"):
                            self.damage = "Data after the compressed trace was not read."
                        return
                    inflater = library.decompressobj(wbits=31)
                elif not pending:
                    pending = stream.read(READ_BYTES)
                    if not pending:
                        self.damage = "The compressed file is cut off; the part before was read."


def _inflating() -> Any:
    """Return a decompressor. ISA-L, where it is installed, is several times faster than zlib."""
    try:
        from isal import isal_zlib
    except ImportError:
        return zlib
    return isal_zlib
