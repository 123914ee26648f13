"""Start processes that need neither this connection nor the login."""

from __future__ import annotations

import secrets
import subprocess
import threading
from typing import List

from . import survival

_READY_S = 30.0


class NotStarted(Exception):
    """The process ended, or said nothing in time; the message has its last words."""


def outliving(command: List[str], name: str) -> List[str]:
    """Return the command line of a process that goes on after the logout, as far as the system allows that."""
    if survival.look(prepare=True).through_systemd:
        return survival.in_own_unit(command, f"genops-{name}-{secrets.token_hex(4)}")
    return command


def reap(process: "subprocess.Popen[bytes]") -> None:
    """Wait for a process in a thread: an ended child that nobody waits for counts as one that is there."""
    threading.Thread(target=process.wait, daemon=True).start()


def start(command: List[str], folder: str) -> None:
    """Start a process in a session of its own, and wait for its first line. Raises NotStarted."""
    process = subprocess.Popen(
        command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None and process.stderr is not None
    late = threading.Timer(_READY_S, process.kill)
    late.daemon = True
    late.start()
    try:
        if not process.stdout.readline():
            words = process.stderr.read(4096).decode("utf-8", "replace").strip()
            raise NotStarted(words[-500:] or "It gave no answer.")
    finally:
        late.cancel()
        process.stdout.close()
        process.stderr.close()
        reap(process)
