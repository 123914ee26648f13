"""Start the gateway again if it was killed although it has a route to here: there may be no Lab that does."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from .report import log


def revive(gateway: dict[str, Any]) -> None:
    """Start the gateway of ``spec.json`` if it does not run.

    A gateway holds the lock of its folder while it runs. If several start at once, one stays.
    """
    import fcntl

    try:
        if not Path(gateway["route"]).exists():
            return
        with open(gateway["lock"], "rb") as lock:  # noqa: PTH123 - for its descriptor
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with Path(gateway["log"]).open("ab") as lines:
            subprocess.Popen(
                gateway["argv"],
                stdin=subprocess.DEVNULL,
                stdout=lines,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        log("The gateway had ended and was started again.")
    except OSError:
        return  # it runs, or there was none yet
