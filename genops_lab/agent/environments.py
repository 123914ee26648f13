"""Find GenOps Lab's environments on this host, and whether they are complete."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import platform
import re
import shutil
import socket
import sys
import sysconfig
from typing import Any, Dict, Mapping, NamedTuple, Optional

from .paths import private_folder, state_folder
from .recipes import python_in

#: An environment of ours has the first file from its start, and the second once it is complete.
UNFINISHED, WHOLE = "genops-building.json", "genops-environment.json"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}\Z")
_MAX_STAMP_BYTES = 65536


class Refused(Exception):
    """A folder cannot be used. ``code`` is for programs, ``message`` and ``hint`` are for users."""

    def __init__(self, code: str, message: str, hint: str) -> None:
        super().__init__(message)
        self.code, self.message, self.hint = code, message, hint


class Place(NamedTuple):
    """The folder of an environment, and the folder of the work on it."""

    folder: str
    work: str


def root() -> str:
    """Return the folder for environments without a given folder."""
    data = os.environ.get("XDG_DATA_HOME") or ""
    if not os.path.isabs(data):
        data = os.path.join(os.path.expanduser("~"), ".local", "share")
    return os.path.join(data, "genops-lab", "envs")


def digest_of(order: Mapping[str, Any]) -> str:
    """Return a hash of what an environment is made from."""
    python = order["python"] or ("" if order["source"]["kind"] == "uv" else platform.python_version())
    made_from = [order["source"], order["packages"], python]
    return hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()[:8]


def place_of(order: Mapping[str, Any]) -> Place:
    """Return where an order's environment goes. Raises Refused, OSError.

    Without a given folder or name, the hash of its contents names it, so that other contents never change an
    environment in which kernels run.
    """
    given, project = str(order.get("folder") or ""), str(order.get("project") or "python")
    if os.sep in given or given.startswith("~"):
        folder = os.path.normpath(os.path.expanduser(given))
        if not os.path.isabs(folder) or folder == os.sep:
            raise Refused(
                "invalid",
                f"{given} cannot be a folder for an environment.",
                "Give an absolute path, or a name.",
            )
    elif given:
        if not _NAME.match(given):
            raise Refused(
                "invalid",
                f"{given[:80]!r} is not a valid name of an environment.",
                "Use letters, digits, '.', '_' and '-'. Or give an absolute path.",
            )
        folder = os.path.join(root(), given)
    else:
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", project).strip("-._")[:60] or "python"
        folder = os.path.join(root(), f"{name}-{digest_of(order)}")
    return Place(folder, work_folder(folder))


def work_folder(folder: str) -> str:
    """Return the folder with the lock, the log and the files of the work on a folder. Raises OSError."""
    path = work_path(folder)
    private_folder(os.path.dirname(path))
    return private_folder(path)


def work_path(folder: str) -> str:
    """Return the path of :func:`work_folder`, which may not exist. Raises OSError."""
    state, _ = state_folder()
    key = hashlib.sha256(os.fsencode(os.path.realpath(folder))).hexdigest()[:16]
    return os.path.join(state, "builds", key)


def stamp(folder: str, name: str = WHOLE) -> Optional[Dict[str, Any]]:
    """Return the file that GenOps Lab wrote into its environment; None for another folder."""
    try:
        with open(os.path.join(folder, name), encoding="utf-8") as stream:
            found = json.loads(stream.read(_MAX_STAMP_BYTES))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def check_free(folder: str) -> None:
    """Raise Refused where something exists that GenOps Lab must not replace."""
    if os.path.exists(os.path.join(folder, UNFINISHED)):
        host = (stamp(folder, UNFINISHED) or {}).get("host", socket.gethostname())
        if host != socket.gethostname():
            raise Refused(
                "building",
                f"The host {host} is building {folder}, or left it unfinished.",
                "Wait for that build, give another name, or remove the folder.",
            )
    elif stamp(folder) is not None:
        raise Refused(
            "exists", f"{folder} is an environment with other contents.", "Give the new one another name."
        )
    elif os.path.lexists(folder) and (not os.path.isdir(folder) or os.listdir(folder)):
        raise Refused(
            "exists", f"{folder} exists already, and GenOps Lab did not make it.", "Give another name."
        )


def claim(folder: str, description: Mapping[str, Any]) -> None:
    """Make the folder ours, with only the file that marks it unfinished. Unfinished earlier contents are
    removed.

    After :func:`check_free`. Raises OSError.
    """
    remove(folder)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, UNFINISHED), "w", encoding="utf-8") as stream:
        json.dump({**description, "host": socket.gethostname()}, stream)


def finish(folder: str, description: Mapping[str, Any]) -> None:
    """Mark the environment complete: the last file that is written. Raises OSError."""
    part = os.path.join(folder, f"{WHOLE}.part")
    with open(part, "w", encoding="utf-8") as stream:
        json.dump(description, stream)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(part, os.path.join(folder, WHOLE))
    os.unlink(os.path.join(folder, UNFINISHED))


def note_use(prefix: str) -> None:
    """Record that an agent or a kernel runs in an environment of ours."""
    try:
        os.utime(os.path.join(prefix, WHOLE))
    except OSError:
        return  # not ours, or not writable


def remove(folder: str) -> bool:
    """Remove an unfinished environment of ours; False where it is none."""
    if not os.path.exists(os.path.join(folder, UNFINISHED)):
        return False
    # The mark goes last: the rest of an interrupted removal is still known as unfinished.
    for name in os.listdir(folder):
        path = os.path.join(folder, name)
        if name == UNFINISHED:
            continue
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path, ignore_errors=True)
        else:
            os.unlink(path)
    shutil.rmtree(folder, ignore_errors=True)
    return True


def made_before(folder: str, digest: str) -> Optional[Dict[str, Any]]:
    """Return the end of a build of this environment where it is already complete, with these contents."""
    made = stamp(folder)
    if made is None or made.get("digest") != digest:
        return None
    return {
        "state": "done",
        "folder": folder,
        "interpreter": python_in(folder),
        "reused": True,
        "version": str(made.get("python") or ""),
        "tool": str(made.get("tool") or ""),
    }


def own_environment() -> Dict[str, Any]:
    """Return what may be done to the environment of this agent. ``fixed`` says why it accepts no packages,
    empty where it accepts some."""
    packages = sysconfig.get_path("purelib")
    in_venv = sys.prefix != sys.base_prefix
    marker = os.path.join(sysconfig.get_path("stdlib"), "EXTERNALLY-MANAGED")
    fixed = ""
    if not in_venv and os.path.exists(marker):
        fixed = "the system's package manager owns it"
    elif not os.access(packages, os.W_OK):
        fixed = f"{packages} is not writable"
    return {
        "prefix": sys.prefix,
        "ours": stamp(sys.prefix) is not None,
        "fixed": fixed,
        "pip": importlib.util.find_spec("pip") is not None,
    }
