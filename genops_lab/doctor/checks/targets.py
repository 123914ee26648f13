"""Whether targets can be reached: the ssh program, what lies in ~/.ssh, and how their links were last; and whether
outputs of kernels are kept in this server, and how far."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Sequence
from pathlib import Path

from genops_lab.core.models import Check
from genops_lab.hosts.models import Target

_PRIVATE_KEY = b"PRIVATE KEY-----"
_HEAD = 64
_VERSION_TIMEOUT_S = 5
MAX_NAMED = 5


def examine(targets: Sequence[Target], folder: Path | None = None) -> list[Check]:
    """The ssh program, the user's ssh folder, the links. Names targets, but no hosts: it may be pasted anywhere."""
    folder = folder or Path("~/.ssh").expanduser()
    return [_program(), _folder(folder), _known_hosts(folder), _links(targets)]


def _program() -> Check:
    title = "SSH program"
    program = shutil.which("ssh")
    if program is None:
        return Check(
            id="ssh",
            title=title,
            state="info",
            detail="There is no ssh here: hosts are reached by paramiko alone.",
            hint="Keys on security tokens, ControlMaster and host certificates need OpenSSH's client.",
        )
    try:
        told = subprocess.run([program, "-V"], capture_output=True, text=True, timeout=_VERSION_TIMEOUT_S)
    except (OSError, subprocess.SubprocessError) as error:
        return Check(
            id="ssh",
            title=title,
            state="warning",
            detail=f"{program} does not run: {error}.",
            hint="Install OpenSSH's client again, or add targets with --carrier paramiko.",
        )
    return Check(
        id="ssh", title=title, state="ok", detail=f"{program}, {told.stderr.strip() or 'no version'}."
    )


def _folder(folder: Path) -> Check:
    title = "SSH folder"
    if not folder.is_dir():
        return Check(
            id="ssh_folder", title=title, state="info", detail=f"There is no {folder}, which is fine."
        )
    loose = [folder] if stat.S_IMODE(folder.stat().st_mode) & 0o022 else []
    try:
        loose += [path for path in sorted(folder.iterdir()) if _is_loose(path)]
    except OSError as error:
        return Check(
            id="ssh_folder",
            title=title,
            state="warning",
            detail=f"{folder} cannot be read: {error.strerror}.",
            hint=f"Make it yours: chmod 700 {folder}",
        )
    if loose:
        named = ", ".join(path.name for path in loose[:MAX_NAMED])
        more = f" and {len(loose) - MAX_NAMED} more" if len(loose) > MAX_NAMED else ""
        return Check(
            id="ssh_folder",
            title=title,
            state="warning",
            detail=f"Others may read or change what only you should: {named}{more}. OpenSSH refuses such files.",
            hint=f"chmod 700 {folder}; chmod 600 for the keys and the config in it.",
        )
    return Check(id="ssh_folder", title=title, state="ok", detail=f"{folder} is private.")


def _is_loose(path: Path) -> bool:
    """Whether it is a private key that others can read, or a configuration that others can write."""
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            return False
        if path.name in ("config", "authorized_keys", "known_hosts"):
            return bool(mode & 0o022)
        if not mode & 0o077:
            return False
        with path.open("rb") as file:
            return _PRIVATE_KEY in file.read(_HEAD)
    except OSError:
        return False


def _known_hosts(folder: Path) -> Check:
    title, file = "Known hosts", folder / "known_hosts"
    if not file.exists():
        detail = f"There is no {file}: a host's key is asked about at its first connection."
        return Check(id="known_hosts", title=title, state="info", detail=detail)
    if not file.is_file() or not os.access(file, os.R_OK):
        return Check(
            id="known_hosts",
            title=title,
            state="warning",
            detail=f"{file} cannot be read, so every host seems unknown.",
            hint=f"Make it a file that you can read: chmod 600 {file}",
        )
    return Check(id="known_hosts", title=title, state="ok", detail=f"{file} can be read.")


def _links(targets: Sequence[Target]) -> Check:
    title = "Targets"
    if not targets:
        return Check(id="targets", title=title, state="info", detail="There are no targets.")
    up = [each.name for each in targets if each.state == "up"]
    away = [each.name for each in targets if each.state in ("down", "failed")]
    detail = f"{len(targets)} in all, {len(up)} connected."
    if not away:
        return Check(id="targets", title=title, state="ok", detail=detail)
    return Check(
        id="targets",
        title=title,
        state="warning",
        detail=f"{detail} Could not be reached last time: {', '.join(away)}.",
        hint=f"What is wrong, and what to do, says: genops targets test {away[0]}",
    )


def examine_outputs(limits: list[str], in_server: bool) -> list[Check]:
    """What other extensions own, and what is left alone because of that."""
    title = "Outputs"
    if not in_server:
        detail = (
            "Kernels on targets go on without a JupyterLab; a running one tells how their outputs are kept."
        )
        return [Check(id="outputs", title=title, state="info", detail=detail)]
    if not limits:
        detail = "Outputs of kernels on targets come into their notebooks, with or without an open page."
        return [Check(id="outputs", title=title, state="ok", detail=detail)]
    return [
        Check(
            id="outputs",
            title=title,
            state="warning",
            detail=limit,
            hint="Another extension, or the server's configuration, has the say there.",
        )
        for limit in limits
    ]


def examine_local_kernels(not_kept: list[str]) -> Check:
    """Whether kernels of this machine are kept as the settings say."""
    title = "Kernels of this machine"
    if not not_kept:
        detail = "They are started through the agent: their outputs are kept, and they outlive a server that crashes."
        return Check(id="local-kernels", title=title, state="ok", detail=detail)
    return Check(
        id="local-kernels",
        title=title,
        state="warning",
        detail=f"Some are started by Jupyter itself, and end with it: {' '.join(not_kept)}",
        hint="Mend that and restart JupyterLab, or switch GenOpsLab.keep_local_kernels off.",
    )
