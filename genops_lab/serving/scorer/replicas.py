"""Start further processes of this revision when the gateway asks for them, and end when it does not.

The gateway writes ``replicas.json`` of the revision: ``wanted`` has the numbers of replicas. Any process of the
revision starts a number that has no folder yet, with its own interpreter and variables: so no file has secrets, and
replicas start without a Lab. A replica holds the lock of its folder, ``replicas/NUMBER``, while it runs.
"""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from .report import log

#: As they were at the start: the model's code may change them.
_VARIABLES = dict(os.environ)
_children: list[subprocess.Popen[bytes]] = []


def look(spec: dict[str, Any], program: Path) -> bool:
    """Start what is asked for by ``program``. Return whether this process is a replica that is not asked for."""
    _children[:] = [each for each in _children if each.poll() is None]
    revision, own = Path(spec.get("revision_folder") or spec["folder"]), spec.get("replica")
    try:
        wanted = [int(each) for each in json.loads((revision / "replicas.json").read_bytes())["wanted"]]
    except FileNotFoundError:
        return own is not None
    except (OSError, ValueError, KeyError, TypeError):
        return False
    for number in wanted:
        folder = revision / "replicas" / str(number)
        if not folder.exists():
            try:
                _start(spec, program, revision, folder, number)
            except OSError as error:
                log(f"Cannot start replica {number}: {error}")
    return own is not None and own not in wanted


def _start(spec: dict[str, Any], program: Path, revision: Path, folder: Path, number: int) -> None:
    folder.parent.mkdir(mode=0o700, exist_ok=True)
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:  # another process of this revision starts it
        return
    own = {**spec, "folder": str(folder), "revision_folder": str(revision), "replica": number}
    for name, text in (("spec.json", json.dumps(own)), ("pid", "")):
        _write(folder / name, text)
    (folder / "lease.json").symlink_to(revision / "lease.json")  # a lease is the revision's
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with (folder / "log.txt").open("ab") as lines:
            child = subprocess.Popen(
                [sys.executable, str(program), str(folder / "spec.json")],
                cwd=folder, env=_VARIABLES, stdin=subprocess.DEVNULL, stdout=lines, stderr=subprocess.STDOUT,
                start_new_session=True, pass_fds=(lock,),
            )  # fmt: skip
    finally:
        os.close(lock)
    _children.append(child)
    _write(folder / "pid", str(child.pid))
    log(f"Replica {number} of this revision starts.")


def _write(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
