"""Keep the state of a folder's build: its order, and the process that a killed build left running."""

from __future__ import annotations

import errno
import json
import os
from typing import Any, Dict, Mapping

from .processes import end_orphans, start_time

LOG, STATE = "log", "build.json"


def write_state(work: str, order: Mapping[str, Any], child: int) -> None:
    """Record the order of this process and its running command (0: none). Raises OSError."""
    recorded = {
        "id": order["id"],
        "digest": order["digest"],
        "folder": order["folder"],
        "pid": os.getpid(),
        "child": child,
        "child_started": start_time(child) if child else "",
    }
    try:
        _write(work, recorded)
    except OSError as error:
        if not child or error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise


def write_removed(work: str, folder: str) -> None:
    """Record that the environment is being removed: its files may be next to ``folder`` for a while. Raises
    OSError."""
    _write(work, {"folder": folder, "removed": True})


def _write(work: str, recorded: Dict[str, Any]) -> None:
    path = os.path.join(work, STATE)
    with open(f"{path}.part", "w", encoding="utf-8") as stream:
        json.dump(recorded, stream)
    os.replace(f"{path}.part", path)


def read_state(work: str) -> Dict[str, Any]:
    """Return the last record of :func:`write_state`; empty without one."""
    try:
        with open(os.path.join(work, STATE), encoding="utf-8") as stream:
            found = json.load(stream)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def end_leftovers(work: str) -> None:
    """End the command that a killed build left running. The caller holds the lock."""
    left = read_state(work)
    if left.get("child"):
        end_orphans(int(left["child"]), str(left.get("child_started") or ""))
