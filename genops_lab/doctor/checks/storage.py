"""Check the folders, disks and files of GenOps Lab."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import stat
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from genops_lab.agent.paths import file_system_of
from genops_lab.core.errors import GenOpsError
from genops_lab.core.models import Check
from genops_lab.core.paths import on_network, runtime_dir

if TYPE_CHECKING:
    from genops_lab.core.store import LocalStore, Store
    from genops_lab.core.store.outbox import Outbox

LOW_BYTES, FULL_BYTES = 2 * 1024**3, 200 * 1024**2
SOCKET_PATH_LIMIT = 108
#: Longest name of a socket: ``lab-<pid>-<random>.sock`` and others.
SOCKET_NAME_LENGTH = 32
INTEGRITY_S = 3.0


def examine(data_dir: Path, store: LocalStore, outbox: Outbox) -> list[Check]:
    """Check the data folder, the disk, the two stores and the folder of sockets."""
    stores = [_store("store", "Store", store), _shared(outbox)]
    return [_data(data_dir), _disk(data_dir), *stores, *_set_aside(data_dir), _sockets()]


def _data(data_dir: Path) -> Check:
    title = "Data folder"
    try:
        with tempfile.TemporaryFile(dir=data_dir):
            kind = file_system_of(data_dir)
    except OSError as error:
        return Check(
            id="data",
            title=title,
            state="error",
            detail=f"Cannot write to {data_dir}: {error.strerror}.",
            hint="Make the folder writable, or set GenOpsLab.data_dir or JUPYTER_DATA_DIR to another folder.",
        )
    where = f"{data_dir} ({kind or 'unknown file system'})"
    if on_network(data_dir):
        return Check(
            id="data",
            title=title,
            state="warning",
            detail=f"{where} is a network file system, on which SQLite is slower and allows one writer at a time.",
            hint="Set GenOpsLab.data_dir to a folder on a local disk.",
        )
    return Check(id="data", title=title, state="ok", detail=where)


def _disk(data_dir: Path) -> Check:
    free = shutil.disk_usage(data_dir).free
    state: Literal["ok", "warning", "error"] = (
        "error" if free < FULL_BYTES else "warning" if free < LOW_BYTES else "ok"
    )
    hint = "" if state == "ok" else "Free some disk space, such as artifacts and profiles of old runs."
    return Check(id="disk", title="Disk", state=state, detail=f"{free / 1024**3:.1f} GiB free.", hint=hint)


def _shared(outbox: Outbox) -> Check:
    """Check the shared store and the changes that wait for it."""
    id, title, shared = "shared_store", "Shared store", outbox.shared
    if shared.path is not None and not shared.path.exists():
        return Check(id=id, title=title, state="ok", detail=f"{shared.path} is created at the first write.")
    check, waiting = _store(id, title, shared), outbox.waiting()
    if check.state != "error":
        return check
    detail = (
        f"{check.detail} Changes that wait for it in the data folder: {waiting}. All other functions work."
    )
    return Check(id=id, title=title, state="warning", detail=detail, hint=check.hint)


def _store(id: str, title: str, store: Store) -> Check:
    try:
        changes = sum(store.revisions().values())
    except GenOpsError as error:
        return Check(id=id, title=title, state="error", detail=error.message, hint=error.hint)
    if store.path is None:
        return Check(id=id, title=title, state="ok", detail=f"{store.place} answers.")
    with contextlib.closing(sqlite3.connect(f"file:{store.path}?mode=ro", uri=True)) as connection:
        journal = connection.execute("PRAGMA journal_mode").fetchone()[0]
    detail = (
        f"{store.path}, {store.path.stat().st_size // 1024} KiB, journal {journal}, {changes} changes so far."
    )
    if journal == "wal" and on_network(store.path.parent):
        return Check(
            id=id,
            title=title,
            state="warning",
            detail=detail + " A write-ahead log does not work between the hosts of a network file system.",
            hint="Stop all your JupyterLabs, then start one: it changes the journal.",
        )
    return Check(id=id, title=title, state="ok", detail=detail)


def _set_aside(data_dir: Path) -> list[Check]:
    found = [
        path.name for path in sorted(data_dir.glob("*.corrupt-*")) if not path.name.endswith(("-wal", "-shm"))
    ]
    if not found:
        return []
    return [
        Check(
            id="set_aside",
            title="Corrupt store",
            state="warning",
            detail=f"The store was corrupt and was renamed: {', '.join(found)}.",
            hint="Its deployments and profiles are not shown. Keep the file for a repair, or delete it.",
        )
    ]


def _sockets() -> Check:
    title = "Sockets"
    try:
        folder = runtime_dir()
    except GenOpsError as error:
        return Check(id="sockets", title=title, state="error", detail=error.message, hint=error.hint)
    if len(os.fsencode(folder)) + SOCKET_NAME_LENGTH >= SOCKET_PATH_LIMIT:
        return Check(
            id="sockets",
            title=title,
            state="error",
            detail=f"The path {folder} is too long for sockets, whose paths have at most 108 bytes.",
            hint="Set GENOPS_RUNTIME_DIR to a folder with a short path on a local disk.",
        )
    if on_network(folder):
        return Check(
            id="sockets",
            title=title,
            state="error",
            detail=f"{folder} is on a network file system, where sockets do not work.",
            hint="Set GENOPS_RUNTIME_DIR to a folder with a short path on a local disk.",
        )
    mode = stat.S_IMODE(folder.stat().st_mode)
    return Check(id="sockets", title=title, state="ok", detail=f"{folder}, mode {mode:04o}.")


def damage_of(path: Path) -> str | None:
    """Return the damage that SQLite's quick check finds within 3 s, or None."""
    deadline = time.monotonic() + INTEGRITY_S
    try:
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=1)) as connection:
            connection.set_progress_handler(lambda: int(time.monotonic() > deadline), 10_000)
            verdict = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
    except sqlite3.OperationalError as error:
        return None if "interrupted" in str(error) or "locked" in str(error) else str(error)
    except sqlite3.DatabaseError as error:
        return str(error)
    return None if verdict == "ok" else verdict
