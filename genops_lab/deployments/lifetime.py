"""Whether a process started here goes on when its Jupyter server ends."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_CONTAINER_CGROUP = re.compile(r"docker|kubepods|containerd|libpod|/lxc/|crio-")
_ENDS = "It ends when this Jupyter server ends, for {reason}."


@dataclass(frozen=True)
class Lifetime:
    """``warning`` is for people, and empty where a deployment outlives its server."""

    outlives_server: bool
    warning: str = ""


def lifetime(environ: Mapping[str, str] | None = None, root: Path = Path("/")) -> Lifetime:
    """What the platform does with a server's processes when the server ends.

    ``environ`` and ``root`` (where ``proc``, ``run`` and ``etc`` are read) are this process's own by default.
    """
    environ = os.environ if environ is None else environ
    reason = _reason(environ, root)
    return Lifetime(False, _ENDS.format(reason=reason)) if reason else Lifetime(True)


def _reason(environ: Mapping[str, str], root: Path) -> str:
    if environ.get("KUBERNETES_SERVICE_HOST"):
        return "both live in one Kubernetes pod"
    cgroup = _read(root / "proc/self/cgroup")
    marked = (
        (root / ".dockerenv").exists() or (root / "run/.containerenv").exists() or environ.get("container")
    )
    if marked or _CONTAINER_CGROUP.search(cgroup + _read(root / "proc/1/cgroup")):
        return "both live in one container"
    if environ.get("JUPYTERHUB_SERVICE_PREFIX") or environ.get("JUPYTERHUB_API_URL"):
        return "the hub stops what a server started"
    return _systemd_reason(cgroup, root)


def _systemd_reason(cgroup: str, root: Path) -> str:
    """A unit's processes end with it; a login session's do where logind is told so."""
    lines = [
        line.rpartition(":")[2] for line in cgroup.splitlines() if line.startswith(("0::", "1:name=systemd"))
    ]
    unit = lines[0].rpartition("/")[2] if lines else ""
    if unit.endswith(".service") and not unit.startswith("user@"):
        return f"both live in the systemd service {unit}"
    if re.fullmatch(r"run-.*\.scope|jupyter.*\.scope", unit):
        return f"both live in the systemd scope {unit}"
    if re.fullmatch(r"session-.*\.scope", unit) and _kills_user_processes(root):
        return "systemd ends a user's processes at logout here (KillUserProcesses=yes)"
    return ""


def _kills_user_processes(root: Path) -> bool:
    folder = root / "etc/systemd"
    files = [folder / "logind.conf", *sorted((folder / "logind.conf.d").glob("*.conf"))]
    said = re.findall(r"^\s*KillUserProcesses\s*=\s*(\w+)", "\n".join(map(_read, files)), re.MULTILINE)
    return bool(said) and said[-1].lower() in ("yes", "true", "1", "on")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
