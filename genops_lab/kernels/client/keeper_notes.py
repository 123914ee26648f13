"""What the keeper's notes mean to a person."""

from __future__ import annotations

import time
from typing import Any

_WHY_CUT = {
    "size": "the host keeps a limited amount for a Lab that is away, and it grew beyond that",
    "age": "the host keeps them for a limited time for a Lab that is away",
    "disk_full": "the host's disk was full",
    "too_large": "no single message may be so large",
}


def told_of(note: dict[str, Any], *, missed: bool) -> str:
    """A sentence for the notebook; empty for notes that nobody needs to read.

    ``missed``: whether messages did not come here; what was cut after it came is no loss.
    """
    kind, reason = note.get("kind"), str(note.get("reason", ""))
    if kind == "cut" and (missed or reason == "too_large"):
        count, size = note.get("messages"), note.get("bytes")
        what = "One message" if count == 1 else f"{count:,} messages" if count else "Messages"
        weight = f" ({size / 1024**2:,.1f} MiB)" if size else ""
        return f"Lost of this kernel: {what}{weight}, because {_WHY_CUT.get(reason, reason)}."
    if kind == "disk_full":
        return f"The disk of the kernel's host takes nothing more ({reason}): what comes now is kept in memory only."
    if kind == "idle":
        return str(note.get("text") or "")
    if kind == "lease":
        return str(note.get("text") or "Nobody was attached to this kernel for as long as its lease allows.")
    return ""


def ends_at(idle: dict[str, Any] | None) -> float | None:
    """When a kernel without work will be ended, in seconds since 1970, after a note or what a welcome says of it."""
    left = (idle or {}).get("ends_in_s")
    return time.time() + float(left) if isinstance(left, (int, float)) else None
