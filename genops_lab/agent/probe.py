"""Collect what a Lab needs to know about a host before it starts a kernel on it."""

from __future__ import annotations

import errno
import getpass
import importlib.util
import os
import platform
import shutil
import socket
import sys
import tempfile
import time
from typing import Any, Dict

from . import survival, version
from .environments import own_environment
from .paths import state_folder
from .recipes import find_uv


def distribution_version(distribution: str, module: str) -> str:
    """Return the version of an installed distribution; empty where its module cannot be found."""
    if importlib.util.find_spec(module) is None:
        return ""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    try:
        return installed(distribution)
    except PackageNotFoundError:
        return "unknown"


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


#: More than a file system reserves for a file's name: in a home without space for more, every kernel ends at
#: its start.
_HOME_WRITE = bytes(256 * 1024)


def _home_disk(home: str) -> Dict[str, Any]:
    """Return whether the home folder is writable, by a test write: free space says nothing about a quota."""
    found: Dict[str, Any] = {
        "home_writable": True,
        "home_full": False,
        "home_free_bytes": None,
        "home_bytes": None,
    }
    try:
        usage = shutil.disk_usage(home)
        found.update(home_free_bytes=usage.free, home_bytes=usage.total)
        with tempfile.TemporaryFile(dir=home) as file:
            file.write(_HOME_WRITE)
            file.flush()
            os.fsync(file.fileno())  # only now does a network's file server report that it has no space
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        found.update(home_writable=full and os.access(home, os.W_OK | os.X_OK), home_full=full)
    return found


def probe() -> Dict[str, Any]:
    """Return the facts about this host. Takes some tens of milliseconds; asks systemd where there is one."""
    home = os.path.expanduser("~")
    try:
        state, local = state_folder()
        disk_free = shutil.disk_usage(state).free
    except OSError:
        state, local, disk_free = "", None, 0
    survives = survival.look()
    environment = own_environment()
    return {
        "python": platform.python_version(),
        "executable": sys.executable,
        "ipykernel": distribution_version("ipykernel", "ipykernel"),
        "pyzmq": distribution_version("pyzmq", "zmq"),
        "platform": platform.system(),
        "machine": platform.machine(),
        "hostname": socket.gethostname(),
        "user": _user(),
        "uid": os.getuid(),
        "home": home,
        **_home_disk(home),
        "state_dir": state,
        "state_dir_local": local is not False,
        "disk_free_bytes": disk_free,
        "clock": time.time(),
        "mlflow": distribution_version("mlflow", "mlflow") or distribution_version("mlflow-skinny", "mlflow"),
        "uv": find_uv(),
        "pip": environment["pip"],
        "environment": environment,
        "survives_logout": survives.survives,
        "survives_reason": survives.reason,
        "agent_version": version(),
    }
