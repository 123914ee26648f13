"""Find out whether a process of this user outlives the connection, and start one that does."""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
from typing import Callable, List, NamedTuple, Sequence

_TIMEOUT_S = 3.0
Runner = Callable[[Sequence[str]], "tuple[int, str]"]


class Survival(NamedTuple):
    """``survives``: "yes", "no" or "unknown". ``through_systemd``: start kernels as units of the user's
    manager."""

    survives: str
    reason: str
    through_systemd: bool


def run_command(command: Sequence[str]) -> "tuple[int, str]":
    """Return exit code and output; -1 when the command cannot run or takes too long."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_TIMEOUT_S,
        )
    except (OSError, subprocess.SubprocessError):
        return -1, ""
    return done.returncode, done.stdout.decode("utf-8", "replace").strip()


def look(run: Runner = run_command, root: str = "/", *, prepare: bool = False) -> Survival:
    """Ask the system. With ``prepare``, for a kernel that starts now, lingering is switched on where needed.

    ``run`` and ``root`` replace the system in tests.
    """
    try:
        with open(os.path.join(root, "proc/self/cgroup"), encoding="utf-8") as stream:
            groups = stream.read()
    except OSError:
        groups = ""
    # proctrack/linuxproc makes no control group: there, a unit of systemd would leave the job.
    if "slurm" in groups or "SLURM_JOB_ID" in os.environ:
        return Survival("no", "This login belongs to a Slurm job: its processes end with the job.", False)
    if not os.path.isdir(os.path.join(root, "run/systemd/system")):
        return Survival(
            "yes", "Nothing on this host ends processes at logout (it does not run systemd).", False
        )
    user = getpass.getuser()
    manager = os.path.exists(os.path.join(root, f"run/user/{os.getuid()}/systemd/private"))
    lingers = os.path.exists(os.path.join(root, "var/lib/systemd/linger", user))
    kills = _kills_at_logout(run)
    if prepare and not lingers and kills != "no":
        lingers = run(["loginctl", "--no-ask-password", "enable-linger"])[0] == 0
    if lingers and manager and shutil.which("systemd-run"):
        return Survival(
            "yes", "Kernels are units of your systemd, which keeps running after logout (lingering).", True
        )
    if kills == "no":
        return Survival("yes", "systemd leaves processes alone at logout (KillUserProcesses=no).", False)
    if kills == "yes":
        asked = f"ask an administrator for `loginctl enable-linger {user}`"
        if prepare or not manager:
            return Survival("no", f"systemd ends processes at logout: {asked}.", False)
        reason = (
            "systemd ends processes at logout; the first kernel asks it to keep yours "
            f"(lingering). Otherwise {asked}."
        )
        return Survival("unknown", reason, False)
    return Survival("unknown", "It is unknown whether systemd ends processes at logout.", False)


def _kills_at_logout(run: Runner) -> str:
    code, printed = run(
        [
            "busctl",
            "get-property",
            "org.freedesktop.login1",
            "/org/freedesktop/login1",
            "org.freedesktop.login1.Manager",
            "KillUserProcesses",
        ]
    )
    if code == 0 and printed in ("b true", "b false"):
        return "yes" if printed == "b true" else "no"
    return "unknown"


def in_own_unit(command: List[str], unit: str) -> List[str]:
    """Return the command line that runs ``command`` as a unit of the user's manager, with these standard
    streams."""
    return [
        "systemd-run",
        "--user",
        "--quiet",
        "--collect",
        "--pipe",
        f"--unit={unit}",
        "--property=KillMode=mixed",
        "--property=OOMPolicy=continue",
        "--",
        *command,
    ]
