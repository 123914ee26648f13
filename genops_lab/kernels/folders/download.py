"""Write files that come from a host, and report the progress."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path

from genops_lab.agent.transfer import Receiver
from genops_lab.agent.tree import Incoming, Seen, Tree

from ...core.errors import Unavailable
from . import plan as plans
from .last_sync import Known, LastSync

_KEPT_FREE_BYTES = 256 * 1024**2


@dataclass
class Progress:
    """The progress of a transfer; written in the connections' thread, read from anywhere."""

    what: str = ""
    done: int = 0
    total: int = 0

    def came(self, count: int) -> None:
        """Add transferred bytes."""
        self.done += count

    @property
    def share(self) -> float | None:
        """Return the share from 0 to 1, where it is known."""
        return min(self.done / self.total, 1.0) if self.total else None


@dataclass
class Report:
    """The result of a transfer. ``failed``: path to reason; ``kept``: path to the name of the replaced file's
    copy."""

    root_there: str = ""
    done: dict[str, Seen] = field(default_factory=dict)
    new: set[str] = field(default_factory=set)
    deleted: list[str] = field(default_factory=list)
    conflicts: dict[str, Seen] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    kept: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    running: bool = False
    refused: bool = False

    @property
    def size(self) -> int:
        """Return the transferred bytes."""
        return sum(each.size for each in self.done.values())


@dataclass
class Coming:
    """A file that is being received, over as many channels as it takes. ``why``: the reason of a failure,
    while its bytes still come."""

    receiver: Receiver
    incoming: Incoming | None = None
    why: str = ""

    def abort(self) -> None:
        """Remove an unfinished file. Blocks."""
        if self.incoming is not None:
            self.incoming.abort()


class Download:
    """Writes received files, and records the results."""

    def __init__(
        self, tree: Tree, memory: LastSync, pull: plans.Pull, report: Report, progress: Progress
    ) -> None:
        self._tree, self._memory, self._pull, self._report = tree, memory, pull, report
        self.came = progress.came

    def begin(self, wanted: Seen) -> Incoming:
        """Return the writer of a file. Blocks; raises OSError."""
        expected = self._pull.bring[wanted.path]
        backup = Path(self._report.kept.get(wanted.path, "")).name
        state = None if expected is None else expected.state
        return self._tree.incoming(wanted, state, backup=backup, sync=True)

    def has(self, wanted: Seen, here: Seen, sha: str) -> None:
        """Record a received file."""
        self._memory.files[wanted.path] = known_of(here, sha, wanted.state)
        self._report.done[wanted.path] = wanted
        if self._pull.bring[wanted.path] is None:
            self._report.new.add(wanted.path)

    def lost(self, wanted: Seen, why: str) -> None:
        """Record a failed file."""
        self._report.failed[wanted.path] = why


def check_room(root: str, size: int) -> None:
    """Raise Unavailable where this many bytes would fill the disk."""
    free = shutil.disk_usage(root).free
    if size > max(free - _KEPT_FREE_BYTES, free // 2):
        raise Unavailable(
            f"The files have {size / 1024**2:,.0f} MiB, but {root} has only {free / 1024**2:,.0f} MiB free.",
            hint="Free some space, or pull only some files: genops pull PATHS",
        )


def known_of(here: Seen, sha: str, there: tuple[int, int]) -> Known:
    """Return the record of a file that is now the same on both sides."""
    return Known(here.size, here.mtime_ns, here.mode, sha, *there)
