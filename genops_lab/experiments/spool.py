"""Spool files: what kernels keep on disk until the Lab has acknowledged it. All functions block.

``<data>/spool/<run key>.jsonl``: the first line is a header ``{"run_key", "process"}``, each further line one
tracking event. A process that was killed leaves its file, perhaps with a torn last line.
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
from .processes import is_gone

_UNFINISHED_S = 60.0
_EVENTS_PER_BATCH = 500

log = logging.getLogger("genops_lab")

T = TypeVar("T", bound=msgspec.Struct)


class Header(msgspec.Struct, frozen=True):
    """The first line of a spool file."""

    run_key: str
    process: TrackedProcess


class Leftover(msgspec.Struct, frozen=True):
    """A spool file whose process is gone."""

    path: Path
    header: Header

    def batches(self) -> Iterator[list[TrackingEvent]]:
        """The events in portions, up to the end or the first line that cannot be read."""
        portion: list[TrackingEvent] = []
        with self.path.open("rb") as stream:
            stream.readline()
            for line in stream:
                event = _decoded(line, TrackingEvent) if line.endswith(b"\n") else None
                if event is None:
                    break
                portion.append(event)
                if len(portion) == _EVENTS_PER_BATCH:
                    yield portion
                    portion = []
        if portion:
            yield portion

    def delete(self, spool: Path) -> None:
        """Remove the file, and the files in the spool that its events hand over."""
        for events in self.batches():
            for event in events:
                source = event.data.get("source")
                if event.kind == "file" and isinstance(source, str):
                    file = Path(source)
                    if file.parent.resolve().is_relative_to(spool.resolve()):
                        with contextlib.suppress(OSError):
                            file.unlink()
        self.path.unlink(missing_ok=True)

    def set_aside(self, reason: str) -> Path:
        """Keep the file under another name, for a person to look at."""
        return _set_aside(self.path, reason)


def leftovers(spool: Path) -> list[Leftover]:
    """Spool files of processes that are gone, the oldest first."""
    try:
        paths = sorted(spool.glob("*.jsonl"), key=lambda path: path.stat().st_mtime)
    except OSError:  # a kernel just deleted its own
        return []
    found = []
    for path in paths:
        try:
            with path.open("rb") as stream:
                header = _decoded(stream.readline(), Header)
            age_s = time.time() - path.stat().st_mtime
        except OSError:
            continue
        if header is None or not is_run_key(header.run_key):
            if age_s > _UNFINISHED_S:
                _set_aside(path, "its first line cannot be read")
        elif is_gone(header.process):
            found.append(Leftover(path, header))
    return found


def _set_aside(path: Path, reason: str) -> Path:
    aside = path.with_suffix(".broken")
    path.rename(aside)
    log.warning("The spooled run in %s was not taken over: %s. The file is kept as %s.", path, reason, aside)
    return aside


def _decoded(line: bytes, kind: type[T]) -> T | None:
    try:
        return msgspec.json.decode(line, type=kind)
    except msgspec.DecodeError:
        try:  # Python's json writes NaN and Infinity, which are no JSON
            return msgspec.convert(json.loads(line), kind)
        except (ValueError, msgspec.ValidationError):
            return None
