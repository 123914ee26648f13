"""Let a person's terminal beside a kernel tell the kernel's keeper that somebody is there.

A terminal holds a shared lock on a file in the kernel's folder. The system gives it back when the process ends, however
it ends.
"""

from __future__ import annotations

import fcntl
import os

_NAME = "terminals.lock"


def attend(folder: str) -> int:
    """Return a descriptor that marks the kernel of this folder as attended until it is closed. Raises OSError."""
    descriptor = os.open(os.path.join(folder, _NAME), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def attended(folder: str) -> bool:
    """Return whether a terminal is attached to the kernel of this folder."""
    try:
        descriptor = os.open(os.path.join(folder, _NAME), os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False
