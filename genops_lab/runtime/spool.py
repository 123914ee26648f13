"""Keep a run's events on disk: write them first, read them for sending, delete the file when all are safe.

The file is the queue, so memory stays bounded while the Lab is away. Events of a killed process stay on disk,
and the Lab takes them.
"""

from __future__ import annotations

import json
import os
import threading
from collections import deque
from typing import Any, Deque, Dict, List, Optional, Tuple

from .paths import private_dir

MAX_BATCH_EVENTS = 500
MAX_BATCH_BYTES = 1_000_000
#: Events that stay in memory only, when the disk is full.
MAX_UNWRITTEN = 10_000

Event = Dict[str, Any]


class Spool:
    """Events of one run in the order of their ``seq`` (1, 2, ...). Threads may share it."""

    def __init__(self, run_key: str, process: Dict[str, Any]) -> None:
        self._lock = threading.Lock()
        self._seq = 0
        self._unwritten: Deque[bytes] = deque(maxlen=MAX_UNWRITTEN)
        self.trouble = ""
        self.path: Optional[str] = None
        self._write_fd = self._read_fd = -1
        self._end = self._offset = self._first = 0
        header = json.dumps({"run_key": run_key, "process": process}).encode() + b"\n"
        try:
            path = str(private_dir("spool") / f"{run_key}.jsonl")
            self._write_fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
            self.path = path
            self._read_fd = os.open(path, os.O_RDONLY)
            self._write(header)
            self._offset = self._first = len(header)
        except OSError as error:
            self._give_up_disk(error)

    @classmethod
    def left_behind(cls, path: str) -> "Tuple[Spool, Dict[str, Any]]":
        """Return the spool of an ended process, to be sent to its end, and its header.

        A torn last line ends it. Raises OSError, or ValueError if the file is not a spool.
        """
        spool = cls.__new__(cls)
        spool._lock = threading.Lock()
        spool._unwritten = deque()
        spool.trouble, spool.path, spool._write_fd = "", path, -1
        spool._read_fd = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
        try:
            with open(path, "rb") as stream:
                header = json.loads(stream.readline())
                spool._first = spool._offset = spool._end = stream.tell()
                spool._seq = 0
                for line in stream:
                    try:
                        spool._seq = int(json.loads(line)["seq"])
                    except (ValueError, KeyError, TypeError):
                        break
                    if not line.endswith(b"\n"):
                        break
                    spool._end += len(line)
            return spool, {"run_key": str(header["run_key"]), "process": dict(header["process"])}
        except (OSError, ValueError, KeyError, TypeError) as error:
            os.close(spool._read_fd)
            raise ValueError(f"{path} is not a spool: {error!r}") from error

    @property
    def last_seq(self) -> int:
        """The number of the newest event."""
        return self._seq

    def append(self, kind: str, timestamp: float, data: Dict[str, Any]) -> None:
        """Append an event. A full disk costs the spool's safety, never the training."""
        body = json.dumps({"kind": kind, "timestamp": timestamp, "data": data})
        with self._lock:
            self._seq += 1
            line = b'{"seq": %d, ' % self._seq + body[1:].encode() + b"\n"
            if not self.trouble:
                try:
                    self._write(line)
                    return
                except OSError as error:
                    self._give_up_disk(error)
            self._unwritten.append(line)

    def _write(self, line: bytes) -> None:
        written = os.write(self._write_fd, line)
        while written < len(line):
            written += os.write(self._write_fd, line[written:])
        self._end += len(line)

    def _give_up_disk(self, error: OSError) -> None:
        self.trouble = f"{self.path or 'the spool'}: {error.strerror or error}"
        if self._write_fd >= 0:
            os.ftruncate(self._write_fd, self._end)  # a torn line would end the reading of the file

    def next_batch(self) -> List[Event]:
        """Return the oldest events that are not acknowledged; the same ones until ``acknowledge``."""
        with self._lock:
            lines, _ = self._pending()
        return [json.loads(line) for line in lines]

    def _pending(self) -> Tuple[List[bytes], int]:
        lines: List[bytes] = []
        size = 0
        if self._read_fd >= 0 and self._offset < self._end:
            size_there = self._end - self._offset
            chunk = os.pread(self._read_fd, min(size_there, MAX_BATCH_BYTES), self._offset)
            while b"\n" not in chunk and len(chunk) < size_there:  # one event larger than a batch
                chunk = os.pread(self._read_fd, min(size_there, 4 * len(chunk)), self._offset)
            lines = chunk[: chunk.rfind(b"\n") + 1].splitlines(keepends=True)[:MAX_BATCH_EVENTS]
            return lines, len(lines)
        for line in self._unwritten:
            size += len(line)
            if lines and (size > MAX_BATCH_BYTES or len(lines) >= MAX_BATCH_EVENTS):
                break
            lines.append(line)
        return lines, 0

    def acknowledge(self, seq: int) -> None:
        """Mark the events up to ``seq`` as safe in MLflow."""
        with self._lock:
            while True:
                lines, from_file = self._pending()
                done = [line for line in lines if json.loads(line)["seq"] <= seq]
                if from_file:
                    self._offset += sum(len(line) for line in done)
                else:
                    for _ in done:
                        self._unwritten.popleft()
                if not done or len(done) < len(lines):
                    return

    def rewind(self) -> None:
        """Read from the first event again: the Lab has lost what it acknowledged."""
        with self._lock:
            self._offset = self._first

    @property
    def empty(self) -> bool:
        """Whether every event is acknowledged."""
        with self._lock:
            return self._offset >= self._end and not self._unwritten

    def close(self, *, delete: bool) -> None:
        """Close the file; ``delete`` it if all of it is safe."""
        with self._lock:
            for descriptor in (self._write_fd, self._read_fd):
                if descriptor >= 0:
                    os.close(descriptor)
            self._write_fd = self._read_fd = -1
            if delete and self.path and os.path.exists(self.path):
                os.unlink(self.path)
