"""Know until when the scoring process may run."""

from __future__ import annotations

import json
import time
from pathlib import Path

from .report import log


class Lease:
    """The time until which this process may run. Each request and each renewal by the Lab extends it."""

    def __init__(self, path: Path, seconds: float) -> None:
        self._path = path
        self._seconds = self._extends_s = seconds
        self._seen = 0
        self.until = 0.0
        self.read()

    def used(self) -> None:
        """Extend the lease after a request."""
        self.until = max(self.until, time.time() + self._extends_s)

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
                self.until = until if "warm_s" in found else max(self.until, until)
        except (OSError, ValueError, KeyError) as error:
            log(f"Cannot read the lease: {error}")

    @property
    def lapsed(self) -> bool:
        """Whether the lease has ended."""
        return time.time() > self.until
