"""Store the whole text of cells that print more than a page shows: one file per run, read in parts."""

from __future__ import annotations

import logging
import re
import shutil
import time
import zlib
from bisect import bisect_left
from collections.abc import Iterator
from pathlib import Path

from genops_lab.core.paths import private_dir
from genops_lab.core.recent import Recent

log = logging.getLogger("genops_lab")

MAX_FILE_BYTES = 2 * 1024**3
#: Bytes of all files together; the oldest are removed first.
MAX_BYTES = 10 * 1024**3
MAX_AGE_S = 30 * 86_400.0
BLOCK_BYTES = 65_536
#: Bytes of a line that are shown; the download has the whole line.
MAX_LINE_BYTES = 20_000
_INDEXES = 8


class OverflowFile:
    """The text of one run, in a file of this user's."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._size = 0

    @property
    def path(self) -> str:
        """The file's absolute path."""
        return str(self._file)

    def write(self, text: str) -> None:
        """Append text; text above 2 GiB is dropped."""
        data = text.encode("utf-8", errors="replace")
        if self._size + len(data) > MAX_FILE_BYTES:
            return
        try:
            private_dir(self._file.parent)
            self._file.touch(mode=0o600)
            with self._file.open("ab" if self._size else "wb") as stream:
                stream.write(data)
        except OSError as error:  # a full disk costs the rest of this file, not the notebook's outputs
            log.warning("The whole output was not stored in %s: %s", self._file, error)
            self._size = MAX_FILE_BYTES
        self._size += len(data)

    def restart(self) -> None:
        """Start again with the next text."""
        self._size = 0


class _Index:
    """An index of a growing file: the number of newlines before each whole block."""

    def __init__(self) -> None:
        self._before = [0]
        self._check = 0

    def update(self, file: Path, size: int) -> list[int]:
        """Return the numbers for the whole blocks of a file of ``size`` bytes."""
        done = len(self._before) - 1
        with file.open("rb") as stream:
            if done:
                stream.seek((done - 1) * BLOCK_BYTES)
                if zlib.crc32(stream.read(BLOCK_BYTES)) != self._check:  # the file was started again
                    self._before, done = [0], 0
                    stream.seek(0)
            before = list(self._before)
            for _ in range(done, size // BLOCK_BYTES):
                block = stream.read(BLOCK_BYTES)
                if len(block) < BLOCK_BYTES:
                    break
                before.append(before[-1] + block.count(b"\n"))
                self._check = zlib.crc32(block)
        self._before = before
        return before


class Text:
    """A file, and the text that is about to be appended to it, by lines. Blocks; for one answer."""

    def __init__(self, file: Path, before: list[int], more: bytes) -> None:
        self._file = file
        self._before = before
        self._rest_at = (len(before) - 1) * BLOCK_BYTES
        with file.open("rb") as stream:
            stream.seek(self._rest_at)
            self._rest = stream.read() + more
        self.size = self._rest_at + len(self._rest)
        newlines = before[-1] + self._rest.count(b"\n")
        self.total = newlines + (1 if self.size and not self._rest.endswith(b"\n") else 0)
        if not self._rest and self.size:
            self.total = newlines + (0 if self.read(self.size - 1, 1) == b"\n" else 1)
        self._at = (-1, [0])
        self.is_complete = self.size < MAX_FILE_BYTES * 0.99

    def lines(self, first: int, count: int) -> list[str]:
        """Return some lines, each up to MAX_LINE_BYTES."""
        found = []
        for number in range(first, min(first + count, self.total)):
            start, end = self._offset(number), self._offset(number + 1)
            data = self.read(start, min(end - start, MAX_LINE_BYTES))
            text = data.decode("utf-8", errors="replace").rstrip("\n")
            if end - start > MAX_LINE_BYTES:
                text += f" … {end - start - MAX_LINE_BYTES:,} bytes more in this line"
            found.append(text)
        return found

    def find(self, text: str, first: int) -> int | None:
        """Return the first line from ``first`` on that contains ``text`` (ASCII letters in either case);
        after the last line the search starts again."""
        wanted = re.compile(re.escape(text.encode()), re.IGNORECASE)
        start = self._offset(first)
        found = self._search(wanted, start, self.size)
        if found is None:
            found = self._search(wanted, 0, min(self.size, start + len(text.encode())))
        return found

    def _search(self, wanted: re.Pattern[bytes], start: int, end: int) -> int | None:
        overlap = len(wanted.pattern)
        for at in range(start, end, BLOCK_BYTES):
            match = wanted.search(self.read(at, min(BLOCK_BYTES + overlap, end - at)))
            if match:
                return self._line_at(at + match.start())
        return None

    def _line_at(self, offset: int) -> int:
        if offset >= self._rest_at:
            return self._before[-1] + self._rest.count(b"\n", 0, offset - self._rest_at)
        block = offset // BLOCK_BYTES
        begin = block * BLOCK_BYTES
        return self._before[block] + self.read(begin, offset - begin).count(b"\n")

    def _offset(self, line: int) -> int:
        """Return where a line begins; the end for a line that does not exist."""
        if line <= 0:
            return 0
        block = bisect_left(self._before, line) - 1
        if block < 0 or line > self._before[-1]:
            block = len(self._before) - 1
        ends = self._ends(block)
        nth = line - self._before[block]
        return ends[nth - 1] if nth <= len(ends) else self.size

    def _ends(self, block: int) -> list[int]:
        if self._at[0] != block:
            begin = block * BLOCK_BYTES
            is_rest = begin >= self._rest_at
            data = self._rest if is_rest else self.read(begin, BLOCK_BYTES)
            self._at = (block, [begin + match.end() for match in re.finditer(b"\n", data)])
        return self._at[1]

    def read(self, offset: int, size: int) -> bytes:
        """Return some bytes; none at the end."""
        found = b""
        if offset < self._rest_at:
            with self._file.open("rb") as stream:
                stream.seek(offset)
                found = stream.read(min(size, self._rest_at - offset))
        if len(found) < size:
            start = offset + len(found) - self._rest_at
            found += self._rest[start : start + size - len(found)]
        return found


class FullTexts:
    """The files of a data directory."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._indexes: Recent[Path, _Index] = Recent(_INDEXES)

    def file(self, kernel_id: str, msg_id: str) -> Path:
        """Return the path of a run's text, which may not exist."""
        return self._folder / _safe(kernel_id) / f"{_safe(msg_id)}.txt"

    def overflow(self, kernel_id: str, msg_id: str) -> OverflowFile:
        """Return the file for a run that starts."""
        return OverflowFile(self.file(kernel_id, msg_id))

    def open(self, kernel_id: str, msg_id: str, more: str) -> Text | None:
        """Return the text of a run, with ``more`` after the text on disk; None when it does not exist (any
        more)."""
        file = self.file(kernel_id, msg_id)
        index = self._indexes[file] = self._indexes.get(file) or _Index()
        try:
            before = index.update(file, file.stat().st_size)
            return Text(file, before, more.encode("utf-8", errors="replace"))
        except OSError:
            return None

    def forget(self, kernel_id: str, msg_id: str) -> None:
        """Remove the text of a cell that ran again."""
        self.file(kernel_id, msg_id).unlink(missing_ok=True)

    def prune(self) -> None:
        """Remove old files, and the oldest ones above the limit."""
        left = MAX_BYTES
        oldest = time.time() - MAX_AGE_S
        for changed, size, file in sorted(self._files(), reverse=True):
            left -= size
            if left < 0 or changed < oldest:
                file.unlink(missing_ok=True)
        for folder in self._folder.glob("*/"):
            if not any(folder.iterdir()):
                shutil.rmtree(folder, ignore_errors=True)

    def _files(self) -> Iterator[tuple[float, int, Path]]:
        for file in self._folder.glob("*/*.txt"):
            status = file.stat()
            yield status.st_mtime, status.st_size, file


def _safe(name: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in name[:100])
