"""Become the scoring process of a revision (``agent score FOLDER SCORER``).

This process takes the lock of the revision, which its interpreter then holds until it ends. So there is one process for
a revision, and anyone can see whether it runs. Nothing of the login is passed on but the variables of an allow-list
(:mod:`.model_variables`).
"""

from __future__ import annotations

import fcntl
import json
import os
import sys
import time
from pathlib import Path

from .deployment_files import write
from .processes import boot_id, start_time

#: Those that look whether the lock is held have it for a moment.
_LOOKS, _PAUSE_S = 20, 0.05


def main(folder: str, scorer: str) -> int:
    """Run the scorer with the interpreter of the revision. Return only if another process runs already."""
    place = Path(folder)
    lock = os.open(str(place / "run.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    if not _locks(lock):
        _say()
        return 0
    os.set_inheritable(lock, True)
    if os.getpgrp() != os.getpid():  # a unit of systemd may have made it the leader of a group already
        os.setsid()
    handle = json.loads((place / "process.json").read_bytes())
    variables = (place / "environment.json").read_bytes()
    (place / "environment.json").unlink()  # secrets may be among them
    pid = os.getpid()
    write(place / "pid.json", {"pid": pid, "start": start_time(pid), "boot": boot_id()})
    log = os.open(str(place / "log.txt"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    _say()
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    environment = {str(name): str(value) for name, value in json.loads(variables).items()}
    interpreter = str(handle["interpreter"])
    os.execve(interpreter, [interpreter, scorer, str(place / "spec.json")], environment)  # noqa: S606


def _locks(lock: int) -> bool:
    for _ in range(_LOOKS):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except OSError:
            time.sleep(_PAUSE_S)
    return False


def _say() -> None:
    sys.stdout.write("running\n")
    sys.stdout.flush()
