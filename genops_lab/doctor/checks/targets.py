"""Check SSH, the targets, and the recording of kernels' outputs."""

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
    """Check the ssh program, the user's ssh folder and the targets. The results name targets but no hosts."""
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
            detail="This machine has no ssh program: GenOps Lab connects with paramiko.",
            hint="Install OpenSSH's client for keys on security tokens, ControlMaster and host certificates.",
        )
    try:
        answer = subprocess.run([program, "-V"], capture_output=True, text=True, timeout=_VERSION_TIMEOUT_S)
    except (OSError, subprocess.SubprocessError) as error:
        return Check(
            id="ssh",
            title=title,
            state="warning",
            detail=f"{program} does not run: {error}.",
            hint="Install OpenSSH's client again, or add targets with --carrier paramiko.",
        )
    return Check(
        id="ssh", title=title, state="ok", detail=f"{program}, {answer.stderr.strip() or 'no version'}."
    )


def _folder(folder: Path) -> Check:
    title = "SSH folder"
    if not folder.is_dir():
        return Check(
            id="ssh_folder", title=title, state="info", detail=f"The folder {folder} does not exist."
        )
    loose = [folder] if stat.S_IMODE(folder.stat().st_mode) & 0o022 else []
    try:
        loose += [path for path in sorted(folder.iterdir()) if _is_loose(path)]
    except OSError as error:
        return Check(
            id="ssh_folder",
            title=title,
            state="warning",
            detail=f"Cannot read {folder}: {error.strerror}.",
            hint=f"Make the folder yours: chmod 700 {folder}",
        )
    if loose:
        named = ", ".join(path.name for path in loose[:MAX_NAMED])
        more = f" and {len(loose) - MAX_NAMED} more" if len(loose) > MAX_NAMED else ""
        return Check(
            id="ssh_folder",
            title=title,
            state="warning",
            detail=f"Other users can read or change these files: {named}{more}. OpenSSH refuses such files.",
            hint=f"Make them private: chmod 700 {folder}, and chmod 600 for the keys and the config in it.",
        )
    return Check(id="ssh_folder", title=title, state="ok", detail=f"{folder} is private.")


def _is_loose(path: Path) -> bool:
    """Return whether the file is a private key that others can read, or a configuration that others can write."""
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
        detail = f"{file} does not exist: GenOps Lab asks about the key of each host at the first connection."
        return Check(id="known_hosts", title=title, state="info", detail=detail)
    if not file.is_file() or not os.access(file, os.R_OK):
        return Check(
            id="known_hosts",
            title=title,
            state="warning",
            detail=f"{file} is not readable, so all hosts are unknown.",
            hint=f"Make the file readable: chmod 600 {file}",
        )
    return Check(id="known_hosts", title=title, state="ok", detail=f"{file} is readable.")


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
        detail=f"{detail} The last connection failed: {', '.join(away)}.",
        hint=f"Find the reason: genops targets test {away[0]}",
    )


def examine_outputs(limits: list[str], in_server: bool) -> list[Check]:
    """Report outputs that GenOps Lab does not record, because another extension handles them."""
    title = "Outputs"
    if not in_server:
        detail = "Kernels on targets keep running without JupyterLab. Start JupyterLab to check how it records outputs."
        return [Check(id="outputs", title=title, state="info", detail=detail)]
    if not limits:
        detail = "Outputs of kernels on targets are written into their notebooks, also without an open page."
        return [Check(id="outputs", title=title, state="ok", detail=detail)]
    return [
        Check(
            id="outputs",
            title=title,
            state="warning",
            detail=limit,
            hint="Another extension or the server's configuration decides this.",
        )
        for limit in limits
    ]


def examine_local_kernels(not_kept: list[str]) -> Check:
    """Check that GenOps Lab's agent runs the kernels of this machine, as the settings require."""
    title = "Kernels of this machine"
    if not not_kept:
        detail = (
            "GenOps Lab's agent runs them: it records their outputs, and they survive a crash of the server."
        )
        return Check(id="local-kernels", title=title, state="ok", detail=detail)
    return Check(
        id="local-kernels",
        title=title,
        state="warning",
        detail=f"Jupyter itself runs some of them, and they end with it: {' '.join(not_kept)}",
        hint="Correct this and restart JupyterLab, or switch GenOpsLab.keep_local_kernels off.",
    )
