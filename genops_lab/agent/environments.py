"""Environments on this host: which are ours, whether they are whole, and where they lie."""

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

#: Lies in an environment of ours from its first moment on, and becomes the other when it is whole.
UNFINISHED, WHOLE = "genops-building.json", "genops-environment.json"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}\Z")
_MAX_STAMP_BYTES = 65536


class Refused(Exception):
    """A folder cannot be used. ``code`` is for programs, ``message`` and ``hint`` for people."""

    def __init__(self, code: str, message: str, hint: str) -> None:
        super().__init__(message)
        self.code, self.message, self.hint = code, message, hint


class Place(NamedTuple):
    """Where an environment lies, and where the work on it is kept."""

    folder: str
    work: str


def root() -> str:
    """Where environments lie that nobody named a folder for."""
    data = os.environ.get("XDG_DATA_HOME") or ""
    if not os.path.isabs(data):
        data = os.path.join(os.path.expanduser("~"), ".local", "share")
    return os.path.join(data, "genops-lab", "envs")


def digest_of(order: Mapping[str, Any]) -> str:
    """What an environment is made from, in a word."""
    python = order["python"] or ("" if order["source"]["kind"] == "uv" else platform.python_version())
    made_from = [order["source"], order["packages"], python]
    return hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()[:8]


def place_of(order: Mapping[str, Any]) -> Place:
    """Where an order's environment goes: the folder or name that it gives, else one named by what it is made from,
    so that another content never changes an environment that kernels run in. Raises Refused, OSError."""
    given, project = str(order.get("folder") or ""), str(order.get("project") or "python")
    if os.sep in given or given.startswith("~"):
        folder = os.path.normpath(os.path.expanduser(given))
        if not os.path.isabs(folder) or folder == os.sep:
            raise Refused(
                "invalid", f"{given} is no folder for an environment.", "Give an absolute path, or a name."
            )
    elif given:
        if not _NAME.match(given):
            raise Refused(
                "invalid",
                f"{given[:80]!r} cannot name an environment.",
                "Use letters, digits, '.', '_' and '-'; or give an absolute path.",
            )
        folder = os.path.join(root(), given)
    else:
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", project).strip("-._")[:60] or "python"
        folder = os.path.join(root(), f"{name}-{digest_of(order)}")
    return Place(folder, work_folder(folder))


def work_folder(folder: str) -> str:
    """Where the lock, the log and the files of the work on a folder are. Raises OSError."""
    path = work_path(folder)
    private_folder(os.path.dirname(path))
    return private_folder(path)


def work_path(folder: str) -> str:
    """The same, whether it is there or not. Raises OSError."""
    state, _ = state_folder()
    key = hashlib.sha256(os.fsencode(os.path.realpath(folder))).hexdigest()[:16]
    return os.path.join(state, "builds", key)


def stamp(folder: str, name: str = WHOLE) -> Optional[Dict[str, Any]]:
    """What we wrote into an environment of ours; None where it is none."""
    try:
        with open(os.path.join(folder, name), encoding="utf-8") as stream:
            found = json.loads(stream.read(_MAX_STAMP_BYTES))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def check_free(folder: str) -> None:
    """Raises Refused where something is there that is not ours to replace."""
    if os.path.exists(os.path.join(folder, UNFINISHED)):
        host = (stamp(folder, UNFINISHED) or {}).get("host", socket.gethostname())
        if host != socket.gethostname():
            raise Refused(
                "building",
                f"{folder} is being made from the host {host}, or was left unfinished by it.",
                "Wait for it, give another name, or remove that folder.",
            )
    elif stamp(folder) is not None:
        raise Refused(
            "exists", f"{folder} is an environment with other contents.", "Give the new one another name."
        )
    elif os.path.lexists(folder) and (not os.path.isdir(folder) or os.listdir(folder)):
        raise Refused(
            "exists", f"{folder} is there already, and GenOps Lab did not make it.", "Give another name."
        )


def claim(folder: str, told: Mapping[str, Any]) -> None:
    """Make the folder ours, empty but for the sign that it is unfinished. What was left unfinished there goes.

    After :func:`check_free`. Raises OSError.
    """
    remove(folder)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, UNFINISHED), "w", encoding="utf-8") as stream:
        json.dump({**told, "host": socket.gethostname()}, stream)


def finish(folder: str, told: Mapping[str, Any]) -> None:
    """The environment is whole: the last thing that is written. Raises OSError."""
    part = os.path.join(folder, f"{WHOLE}.part")
    with open(part, "w", encoding="utf-8") as stream:
        json.dump(told, stream)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(part, os.path.join(folder, WHOLE))
    os.unlink(os.path.join(folder, UNFINISHED))


def note_use(prefix: str) -> None:
    """An agent, or a kernel, runs in an environment; one of ours remembers that."""
    try:
        os.utime(os.path.join(prefix, WHOLE))
    except OSError:
        return  # none of ours, or one that cannot be written


def remove(folder: str) -> bool:
    """Remove an unfinished environment of ours; False where it is none."""
    if not os.path.exists(os.path.join(folder, UNFINISHED)):
        return False
    # The sign goes last: what a removal that is cut short leaves is still known as unfinished.
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
    """The end of a build of this environment where it is whole already, with these contents."""
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
    """What may be done to the environment that this agent runs in. ``fixed`` says why nothing may be installed there,
    empty where something may."""
    packages = sysconfig.get_path("purelib")
    in_venv = sys.prefix != sys.base_prefix
    marker = os.path.join(sysconfig.get_path("stdlib"), "EXTERNALLY-MANAGED")
    fixed = ""
    if not in_venv and os.path.exists(marker):
        fixed = "it is the system's own, which its package manager looks after"
    elif not os.access(packages, os.W_OK):
        fixed = f"{packages} cannot be written"
    return {
        "prefix": sys.prefix,
        "ours": stamp(sys.prefix) is not None,
        "fixed": fixed,
        "pip": importlib.util.find_spec("pip") is not None,
    }
