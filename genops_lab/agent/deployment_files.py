"""Read and write the files of a revision on this host, and end its scoring process."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import time
from pathlib import Path
from typing import Any, Dict, List, Optional

from .processes import start_time


class Revision:
    """The folder of one revision."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def id(self) -> int:
        """The number that the Lab gave it."""
        return int(self.folder.name)

    @property
    def handle(self) -> Optional[Dict[str, Any]]:
        """The record of the revision; None before its files are complete."""
        return read(self.folder / "process.json")

    @property
    def written(self) -> bool:
        """Whether its files are complete."""
        return self.handle is not None

    @property
    def report(self) -> Dict[str, Any]:
        """The last report of its process; empty before the first."""
        return read(self.folder / "state.json") or {}

    @property
    def alive(self) -> bool:
        """Whether its process runs."""
        return is_locked(self.folder / "run.lock")

    @property
    def key(self) -> str:
        """The key of its process, which the gateway sends."""
        return (self.folder / "key").read_text(encoding="utf-8").strip()

    @property
    def leased(self) -> float:
        """The time until which its process may run at least."""
        return float((read(self.folder / "lease.json") or {}).get("until", 0.0))

    @property
    def is_warm(self) -> bool:
        """Whether it runs without requests, for a shorter time."""
        return bool((read(self.folder / "lease.json") or {}).get("warm_s"))

    def lease(self, until: float, *, warm_s: float = 0.0) -> None:
        """Write until when its process may run at least; with ``warm_s`` no longer, and so long after a request."""
        write(self.folder / "lease.json", {"until": until, "warm_s": warm_s} if warm_s else {"until": until})

    def unwanted(self) -> None:
        """Note that its process should end."""
        handle = self.handle
        if handle is not None:
            write(self.folder / "process.json", {**handle, "wanted": 0})

    def end(self, grace_s: float) -> None:
        """End its process: SIGTERM, then SIGKILL to it and its children after ``grace_s`` seconds."""
        pid = read(self.folder / "pid.json")
        runs = pid is not None and start_time(int(pid["pid"])) == pid["start"]
        if pid is not None and runs:
            self._signal(int(pid["pid"]), signal.SIGTERM)
        self.end_replicas(grace_s)
        if pid is None or not runs:
            return
        deadline = time.monotonic() + grace_s
        while start_time(int(pid["pid"])) == pid["start"]:
            if time.monotonic() > deadline:
                self._signal(int(pid["pid"]), signal.SIGKILL)
                deadline += grace_s
            time.sleep(0.05)

    # Replicas: further processes of this revision, which the gateway asks for ----------------------------------------

    @property
    def replicas(self) -> Optional[Dict[str, Any]]:
        """How many replicas get requests, of how many; None for a revision that is a single process."""
        found = read(self.folder / "replicas.json")
        if found is None or found.get("stopped") or (found["max"] == 1 and found["ready"] == 1):
            return None
        return {name: found[name] for name in ("ready", "asked", "min", "max", "why")}

    def replica_counts(self, name: str) -> int:
        """Return the sum of a count over the replicas, also over those that have ended.

        The processes of an engine have the gateway's counts, which are those of all replicas: their sum here is 0.
        """
        if (self.folder / "tokens.json").exists():
            return 0
        gone = (read(self.folder / "replicas.json") or {}).get("gone", {})
        reports = [read(each / "state.json") or {} for each in self._replicas()]
        return int(gone.get(name, 0)) + sum(int(each.get(name, 0)) for each in reports)

    def end_replicas(self, grace_s: float, *, forget: bool = False) -> None:
        """End the replicas as :meth:`end` ends the process; with ``forget`` remove their files."""
        if (self.folder / "replicas.json").exists():
            with contextlib.suppress(OSError):  # a stop must work on a full disk
                write(self.folder / "replicas.json", {"wanted": [], "stopped": True})
            number, deadline = int(signal.SIGTERM), time.monotonic() + grace_s
            running = [each for each in self._replicas() if is_locked(each / "lock")]
            while running:
                for each in running if number else ():
                    with contextlib.suppress(OSError, ValueError):
                        self._signal(int((each / "pid").read_text()), number)
                number = 0
                time.sleep(0.05)
                running = [each for each in running if is_locked(each / "lock")]
                if time.monotonic() > deadline:
                    number, deadline = signal.SIGKILL, deadline + grace_s
        if forget:
            shutil.rmtree(self.folder / "replicas", ignore_errors=True)
            with contextlib.suppress(FileNotFoundError):
                (self.folder / "replicas.json").unlink()

    def _replicas(self) -> List[Path]:
        inside = self.folder / "replicas"
        return [each for each in inside.iterdir() if each.name.isdigit()] if inside.is_dir() else []

    def _signal(self, pid: int, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if number == signal.SIGKILL:
                os.killpg(pid, number)
            else:
                os.kill(pid, number)

    def remove(self) -> None:
        """Remove its files."""
        with contextlib.suppress(FileNotFoundError):
            (self.folder / "process.json").unlink()
        shutil.rmtree(self.folder, ignore_errors=True)


def is_locked(path: Path) -> bool:
    """Return whether a process holds this lock. A shared lock for the look: two that look do not see each other."""
    try:
        with path.open("rb") as stream:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def read(path: Path) -> Optional[Dict[str, Any]]:
    """Return the object in a JSON file; None if it is missing or no such content."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def write(path: Path, content: Any) -> None:
    """Write a file that this user alone may read (0600), whole: text as it is, else as JSON. Raises OSError."""
    text = content if isinstance(content, str) else json.dumps(content)
    beside = path.with_name(f".{path.name}-{os.getpid()}-{time.monotonic_ns()}")
    try:
        descriptor = os.open(str(beside), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
        os.replace(str(beside), str(path))
    except BaseException:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise
