"""Keep why no answers come for the moment: the process that asks writes it, and the Lab shows it with the progress."""

from __future__ import annotations

import contextlib
from pathlib import Path

from genops_lab.core.paths import write_private

_FILE = "waits.txt"


def keep_waits(folder: Path, text: str) -> None:
    """Keep the reason why no answers come; it is empty while they come. Calls report a full disk."""
    path = folder / _FILE
    with contextlib.suppress(OSError):
        write_private(path, text) if text else path.unlink(missing_ok=True)


def kept_waits(folder: Path) -> str:
    """Return why no answers come; empty: they come."""
    with contextlib.suppress(FileNotFoundError):
        return (folder / _FILE).read_text(encoding="utf-8")
    return ""
