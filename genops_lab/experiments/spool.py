"""Read spool files: events that kernels keep on disk until the Lab acknowledges them. All functions block.

``<data>/spool/<run key>.jsonl``: the first line is a header ``{"run_key", "process"}``, each further line one
tracking event. A killed process leaves its file, perhaps with a torn last line.
"""

from __future__ import annotations

import contextlib
import json
import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from .limits import is_run_key
from .models import TrackedProcess, TrackingEvent

_UNFINISHED_S = 60.0
#: The kernel reads its start time without psutil, with an error of a clock tick of the boot time.
_TOLERANCE_S = 2.0
_EVENTS_PER_BATCH = 500

log = logging.getLogger("genops_lab")

T = TypeVar("T", bound=msgspec.Struct)


class Header(msgspec.Struct, frozen=True):
    """The first line of a spool file."""

    run_key: str
    process: TrackedProcess


class Leftover(msgspec.Struct, frozen=True):
    """A spool file whose process has ended."""

    path: Path
    header: Header

    def batches(self) -> Iterator[list[TrackingEvent]]:
        """Yield the events in portions, up to the end or to a torn last line.

        Raises ValueError after the last portion if a whole line cannot be read; later events are dropped.
        """
        portion: list[TrackingEvent] = []
        damaged = 0
        with self.path.open("rb") as stream:
            stream.readline()
            for number, line in enumerate(stream, 2):
                event = _decoded(line, TrackingEvent) if line.endswith(b"\n") else None
                if event is None:
                    damaged = number if line.endswith(b"\n") else 0
                    break
                portion.append(event)
                if len(portion) == _EVENTS_PER_BATCH:
                    yield portion
                    portion = []
        if portion:
            yield portion
        if damaged:
            raise ValueError(f"its line {damaged} cannot be read")

    def delete(self, spool: Path) -> None:
        """Remove the file, and the files in the spool that its events name."""
        for events in self.batches():
            for event in events:
                source = event.data.get("source")
                if event.kind == "file" and isinstance(source, str):
                    file = Path(source)
                    if file.parent.resolve().is_relative_to(spool.resolve()):
                        with contextlib.suppress(OSError):
                            file.unlink()
        self.path.unlink(missing_ok=True)


def leftovers(spool: Path) -> list[Leftover]:
    """Return spool files of ended processes, the earliest run first, so that a parent comes before its
    children.
    """
    found: list[tuple[float, Leftover]] = []
    for path in spool.glob("*.jsonl"):
        try:
            with path.open("rb") as stream:
                header = _decoded(stream.readline(), Header)
                first = _decoded(stream.readline(), TrackingEvent)
            changed_at = path.stat().st_mtime
        except OSError:  # a kernel just deleted its own; the others exist
            continue
        if header is None or not is_run_key(header.run_key):
            if time.time() - changed_at > _UNFINISHED_S:
                set_aside(path, "its first line cannot be read")
        elif is_gone(header.process, path):
            found.append((changed_at if first is None else first.timestamp, Leftover(path, header)))
    return [leftover for _, leftover in sorted(found, key=lambda one: one[0])]


def is_spooled(spool: Path, run_key: str) -> bool:
    """Return whether the spool may have events of this run."""
    return is_run_key(run_key) and file_of(spool, run_key).exists()


def file_of(spool: Path, run_key: str) -> Path:
    """Return the spool file of the run with this key (:func:`.limits.is_run_key`)."""
    return spool / f"{run_key}.jsonl"


def set_aside(path: Path, reason: str) -> None:
    """Rename a spool file, so that a user can look at it."""
    aside = path.with_suffix(".broken")
    path.rename(aside)
    log.warning("The spooled run in %s was not imported: %s. The file is kept as %s.", path, reason, aside)


def _decoded(line: bytes, kind: type[T]) -> T | None:
    try:
        return msgspec.json.decode(line, type=kind)
    except msgspec.DecodeError:
        try:  # Python's json writes NaN and Infinity, which JSON forbids
            return msgspec.convert(json.loads(line), kind)
        except (ValueError, msgspec.ValidationError):
            return None


def is_gone(process: TrackedProcess, path: Path | None = None) -> bool:
    """Return whether the process has ended, also if another process has its pid now.

    Start times differ for one process too: they move when the clock is set. So a process that has the spool file
    ``path`` open is the same one.
    """
    import psutil

    try:
        found = psutil.Process(process.pid)
        if found.status() == psutil.STATUS_ZOMBIE:
            return True
        if process.created is None or abs(found.create_time() - process.created) <= _TOLERANCE_S:
            return False
    except psutil.AccessDenied:
        return False
    except psutil.NoSuchProcess:
        return True
    try:
        return path is None or not any(Path(each.path) == path.resolve() for each in found.open_files())
    except (psutil.AccessDenied, psutil.NoSuchProcess):  # of another user, or it has just ended
        return True
