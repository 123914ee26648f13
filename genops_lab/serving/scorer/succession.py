"""Give the listening socket and the pid to another program of this package."""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path
from typing import Any, NoReturn


def become(spec_path: str, listener: socket.socket, **given: Any) -> NoReturn:
    """Replace this program by that of ``__main__.py``: requests wait in the backlog of the socket meanwhile."""
    os.set_inheritable(listener.fileno(), True)
    succession = json.dumps({"socket": listener.fileno(), **given})
    program = str(Path(__file__).with_name("__main__.py"))
    os.execv(sys.executable, [sys.executable, program, spec_path, succession])  # noqa: S606 - without a shell
