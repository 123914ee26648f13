"""Find out whether a host has a folder of this machine itself, by a shared file system (the home of a cluster)."""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from genops_lab.agent.tree import PART_PREFIX
from genops_lab.core.paths import private_dir, write_private

from .link.state import RemoteError

if TYPE_CHECKING:
    from .link.connection import HostConnection

_YES, _NO = "yes", "no"


async def has_folder(link: HostConnection, folder: str) -> bool:
    """Return whether the host sees this machine's folder under the same path, in the connections' loop.

    A marker file lies in the folder meanwhile: the host must say what is in it. A folder in which no file can be
    made counts as not seen. Raises LinkError.
    """
    marker, text = Path(folder, PART_PREFIX + secrets.token_hex(12)), secrets.token_hex(16)
    try:
        await asyncio.to_thread(write_private, marker, text)
    except OSError:
        return False
    try:
        found = await link.call("folders.marker", {"folder": folder, "name": marker.name})
        return bool(found == text)
    except RemoteError as error:
        if error.code == "gone":  # the connection broke
            raise
        return False
    finally:
        await asyncio.to_thread(marker.unlink, missing_ok=True)


def remember(data_dir: Path, target: str, seen: bool) -> None:
    """Keep whether the target's hosts saw the last folder of this machine. Blocks."""
    write_private(_file(data_dir, target), _YES if seen else _NO)


def recall(data_dir: Path, target: str) -> bool | None:
    """Return what :func:`remember` kept; None for nothing. Blocks."""
    try:
        return _file(data_dir, target).read_text() == _YES
    except OSError:
        return None


def forget(data_dir: Path, target: str) -> None:
    """Drop what is kept of a target that was removed. Blocks."""
    _file(data_dir, target).unlink(missing_ok=True)


def _file(data_dir: Path, target: str) -> Path:
    return private_dir(data_dir / "remote") / f"{target}.shared-files"
