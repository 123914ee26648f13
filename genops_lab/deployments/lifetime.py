"""Find out whether a process of this machine outlives the Jupyter server that started it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_CONTAINER_CGROUP = re.compile(r"docker|kubepods|containerd|libpod|/lxc/|crio-")
_ENDS = "The deployment ends when this Jupyter server ends: {reason}."


@dataclass(frozen=True)
class Lifetime:
    """Whether a deployment outlives its server; ``warning`` says why not, and is empty if it does."""

    outlives_server: bool
    warning: str = ""


def lifetime(environ: Mapping[str, str] | None = None, root: Path = Path("/")) -> Lifetime:
    """Return what the platform does with a server's processes when the server ends.

    ``environ`` and ``root`` (the parent of ``proc``, ``run`` and ``etc``) default to those of this process.
    """
    environ = os.environ if environ is None else environ
    reason = _reason(environ, root)
    return Lifetime(False, _ENDS.format(reason=reason)) if reason else Lifetime(True)


def _reason(environ: Mapping[str, str], root: Path) -> str:
    if environ.get("KUBERNETES_SERVICE_HOST"):
        return "both run in one Kubernetes pod"
    cgroup = _read(root / "proc/self/cgroup")
    marked = (
        (root / ".dockerenv").exists() or (root / "run/.containerenv").exists() or environ.get("container")
    )
    if marked or _CONTAINER_CGROUP.search(cgroup + _read(root / "proc/1/cgroup")):
        return "both run in one container"
    if environ.get("JUPYTERHUB_SERVICE_PREFIX") or environ.get("JUPYTERHUB_API_URL"):
        return "the hub stops the processes of a server with it"
    return _systemd_reason(cgroup, root)


def _systemd_reason(cgroup: str, root: Path) -> str:
    """Processes end with their service or scope; those of a login session end if logind.conf says so."""
    lines = [
        line.rpartition(":")[2] for line in cgroup.splitlines() if line.startswith(("0::", "1:name=systemd"))
    ]
    unit = lines[0].rpartition("/")[2] if lines else ""
    if unit.endswith(".service") and not unit.startswith("user@"):
        return f"both run in the systemd service {unit}"
    if re.fullmatch(r"run-.*\.scope|jupyter.*\.scope", unit):
        return f"both run in the systemd scope {unit}"
    if re.fullmatch(r"session-.*\.scope", unit) and _kills_user_processes(root):
        return "systemd ends all processes of a user at logout (KillUserProcesses=yes)"
    return ""


def _kills_user_processes(root: Path) -> bool:
    folder = root / "etc/systemd"
    files = [folder / "logind.conf", *sorted((folder / "logind.conf.d").glob("*.conf"))]
    values = re.findall(r"^\s*KillUserProcesses\s*=\s*(\w+)", "\n".join(map(_read, files)), re.MULTILINE)
    return bool(values) and values[-1].lower() in ("yes", "true", "1", "on")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
