"""Know until when the scoring process may run."""

from __future__ import annotations

import json
import time
from pathlib import Path

from .report import log

#: The wall clock may differ by so much from its last look before the shown end follows it.
_SET_S = 1.0


class Lease:
    """The time for which this process may run. Each request and each renewal by the Lab extends it.

    The monotonic clock counts what is left: a wall clock that is set forward ends nothing, and one that is set back
    keeps nothing. ``until`` is the end by the wall clock (seconds since 1970), for people and other processes.
    """

    def __init__(self, path: Path, seconds: float) -> None:
        self._path = path
        self._seconds = self._extends_s = seconds
        self._seen = 0
        self._ends = 0.0
        self.until = 0.0
        self.read()

    def used(self) -> None:
        """Extend the lease after a request."""
        self._set(max(self._ends, time.monotonic() + self._extends_s))

    def extend(self, until: float) -> None:
        """Extend the lease to a time of the wall clock."""
        self._set(max(self._ends, self._at(until)))

    def read(self) -> None:
        """Read a renewal by the Lab."""
        try:
            modified = self._path.stat().st_mtime_ns
            if modified != self._seen:
                self._seen = modified
                found = json.loads(self._path.read_text())
                until = float(found["until"])
                # A revision that gets no requests any more stays for a shorter time.
                self._extends_s = float(found.get("warm_s") or self._seconds)
                ends = self._at(until)
                self._set(ends if "warm_s" in found else max(self._ends, ends))
        except (OSError, ValueError, KeyError) as error:
            log(f"Cannot read the lease: {error}")
        if abs(self._until() - self.until) > _SET_S:  # the wall clock was set
            self.until = self._until()

    @property
    def lapsed(self) -> bool:
        """Whether the lease has ended."""
        return time.monotonic() > self._ends

    def _at(self, until: float) -> float:
        return time.monotonic() + until - time.time()

    def _until(self) -> float:
        return time.time() + self._ends - time.monotonic()

    def _set(self, ends: float) -> None:
        if ends != self._ends:
            self._ends = ends
            self.until = self._until()
