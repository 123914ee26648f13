"""Hold the socket of a model that is unloaded, until the next request: scale to zero.

This program takes the place of the scoring process, with the same pid and port. It imports the standard library alone.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
from pathlib import Path
from typing import Any

from .lease import Lease
from .report import Report, log
from .revival import revive
from .succession import become

LOOK_S = 1.0


def main(spec_path: str, succession: str) -> int:
    """Sleep until a connection, which loads the model again, or until the end of the lease. Return 0."""
    spec: dict[str, Any] = json.loads(Path(spec_path).read_text(encoding="utf-8"))
    folder = Path(spec["folder"])
    listener = socket.socket(fileno=int(json.loads(succession)["socket"]))
    os.set_inheritable(listener.fileno(), False)
    report, lease = Report(folder / "state.json"), Lease(folder / "lease.json", float(spec["lease_s"]))
    report.go_on()
    report.asleep = True
    lease.extend(report.lease_until)
    report.lease_until = lease.until
    report.message = (
        "It sleeps, because nobody used it. The next request loads the model, and waits meanwhile."
    )

    def stop(_number: int, _frame: Any) -> None:
        report.end("stopped", "Stopped.")
        os._exit(0)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    log("sleeping: the model is unloaded until the next request")
    with contextlib.suppress(OSError):  # a full disk
        report.write()
    while not select.select([listener], [], [], LOOK_S)[0]:
        lease.read()
        if lease.lapsed:
            report.end(
                "ended", "It was not used: no request came, and nobody extended its time.", "Deploy it again."
            )
            return 0
        if spec.get("gateway"):
            revive(spec["gateway"])
    log("waking: a request has come")
    become(spec_path, listener)
