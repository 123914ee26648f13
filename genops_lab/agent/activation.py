"""Turn a spare kernel into a kernel that somebody starts. Its source is part of the spare's command.

``mark`` and ``take`` are evaluated as user expressions of a silent, empty request: the history, the counter
and the user's names show nothing of it.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import tempfile
import time
from typing import Any, Dict, Optional

_marks: Dict[str, Optional[int]] = {}


def mark() -> None:
    """Record the environment that the kernel has read, once it is ready."""
    _marks.update(_look())


def _look() -> Dict[str, Optional[int]]:
    """Return the times of files that a kernel reads only at its start: packages' folders (.pth files),
    IPython's settings."""
    places = [path for path in sys.path if os.path.basename(path) in ("site-packages", "dist-packages")]
    profile = _shell().profile_dir.location
    places += [
        os.path.join(profile, name) for name in ("startup", "ipython_config.py", "ipython_kernel_config.py")
    ]
    return {path: _changed(path) for path in places}


def _changed(path: str) -> Optional[int]:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return None


def _shell() -> Any:
    return sys.modules["IPython"].get_ipython()


def take(text: str) -> None:
    """Become the kernel of an order (JSON): take its folder, its variables and its key."""
    if _look() != _marks:
        raise RuntimeError("stale: something was installed or set since this kernel was started")
    order = json.loads(text)
    os.chdir(order["cwd"])
    wanted = order["env"]
    for name in [name for name in os.environ if name not in wanted]:
        del os.environ[name]
    os.environ.update(wanted)
    time.tzset()
    tempfile.tempdir = None
    importlib.invalidate_caches()
    shell = _shell()
    cwd = os.getcwd()
    shell.starting_dir = cwd
    visited = shell.user_ns.get("_dh")
    if visited:
        visited[:] = [type(visited[0])(cwd)]
    shell.kernel.session.key = order["key"].encode()
    del sys.modules[__name__]
