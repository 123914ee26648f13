"""Report the state of the scoring process to the Lab."""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import sys
import tempfile
import time
from collections import deque
from pathlib import Path
from typing import Any


def log(line: str) -> None:
    """Write a line to the log of the deployment."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


class Report:
    """The state for the Lab: ``state.json``, replaced whole, at most every 0.3 s while requests arrive."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.began = time.monotonic()
        self.state = "starting"
        self.message = "Loading the model."
        self.hint = ""
        self.port = 0
        self.lease_until = 0.0
        self.requests = 0
        self.errors = 0
        self.loading_s = 0.0
        #: How often a model that hung, or used too much memory, was loaded again, and why the last time.
        self.reloads = 0
        self.reloaded = ""
        #: Whether the model is unloaded until the next request.
        self.asleep = False
        self.latencies_ms: deque[float] = deque(maxlen=200)

    def go_on(self, *, starting: bool = False) -> None:
        """Continue the counts of the process that this one takes the place of, at the same port.

        ``starting``: others answer meanwhile.
        """
        before: dict[str, Any] = json.loads(self._path.read_text(encoding="utf-8"))
        self.requests, self.errors = int(before["requests"]), int(before["errors"])
        self.port, self.state = int(before["port"]), "running"
        self.loading_s, self.lease_until = float(before["loading_s"]), float(before["lease_until"])
        self.reloads, self.reloaded = int(before.get("reloads", 0)), str(before.get("reloaded", ""))
        self.message = "Loading the model again. Requests wait meanwhile."
        if starting:
            self.state, self.message, self.loading_s = "starting", "Loading the model again.", 0.0

    def write(self) -> None:
        """Write the file. Raises OSError, such as for a full disk."""
        content = {
            "pid": os.getpid(),
            "written_at": time.time(),
            "state": self.state,
            "message": self.message,
            "hint": self.hint,
            "port": self.port,
            "lease_until": self.lease_until,
            "requests": self.requests,
            "errors": self.errors,
            "loading_s": round(self.loading_s, 1),
            "asleep": self.asleep,
            "reloads": self.reloads,
            "reloaded": self.reloaded,
            "latency_ms": round(statistics.median(self.latencies_ms), 3) if self.latencies_ms else None,
        }
        descriptor, temporary = tempfile.mkstemp(dir=self._path.parent, prefix=".state-")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
                json.dump(content, stream)
            Path(temporary).replace(self._path)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()
            raise

    def end(self, state: str, message: str, hint: str = "") -> None:
        """Report the final state; on a full disk only in the log."""
        self.state, self.message, self.hint = state, message, hint
        log(f"{state}: {message} {hint}".rstrip())
        with contextlib.suppress(OSError):
            self.write()
