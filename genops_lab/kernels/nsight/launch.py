"""Start a kernel under one of Nsight's tools.

The tools record only what they have started themselves. ``nsys launch`` records nothing yet: ``%%profile``
starts and ends collections by the session's name. ``ncu --profile-from-start off`` measures between
cuProfilerStart and cuProfilerStop, and adds to its report while the kernel runs.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from genops_lab.core.errors import Unavailable

from .cleanup import Ending
from .kernelspecs import UnderNsight
from .models import SectionSet
from .tools import usable

#: The kernel side reads these (:mod:`genops_lab.runtime.profiling.nsight`, ``ncu``).
NSYS_VARIABLE, SESSION_VARIABLE = "GENOPS_NSYS", "GENOPS_NSYS_SESSION"
NCU_VARIABLE, NCU_SET_VARIABLE = "GENOPS_NCU_FOLDER", "GENOPS_NCU_SET"
#: ncu appends ``.ncu-rep``.
_REPORT, _LOG = "report", "ncu.log"
#: The views read CUDA and NVTX; the operating system's calls would only slow the kernel.
_LAUNCH = ("--trace=cuda,nvtx", "--cuda-graph-trace=node", "--wait=primary")
#: A kernelspec's command may be a wrapper of the kernel. Processes that the kernel starts measure nothing
#: unless they ask for it.
_MEASURE = ("--profile-from-start", "off", "--nvtx", "--target-processes", "all")
_ANSWERS_WITHIN_S = 20.0
_TRIED_WITHIN_S = 120.0
_FOLDER = "genops-ncu-"
#: Within this time the process' environment shows the kernel's name.
_STARTS_WITHIN_S = 300.0

log = logging.getLogger("genops_lab")


@dataclass(frozen=True)
class Start:
    """A command, the variables that tell its kernel about the tool, and the cleanup after its end."""

    command: list[str]
    variables: dict[str, str]
    ending: Ending


def started_under(wanted: UnderNsight, command: Sequence[str], env: Mapping[str, str]) -> Start:
    """Return the start of ``command`` under a tool. Blocks. Raises Unavailable where the tool cannot be used."""
    tool = usable(wanted.product, env)
    if wanted.product == "systems":
        return under_systems(tool.path, command, env)
    refuse_without_driver(tool.path, env)
    return under_compute(tool.path, command, env, wanted.section_set)


def under_systems(nsys: str, command: Sequence[str], env: Mapping[str, str]) -> Start:
    """Return the start under Nsight Systems, with a session of its own."""
    session = f"genops-{secrets.token_hex(6)}"
    variables = {NSYS_VARIABLE: nsys, SESSION_VARIABLE: session}
    shutdown = [nsys, "shutdown", "--kill=none", f"--session={session}"]
    ending = Ending([*command], variables, dict(env), shutdown, "")
    launch = [nsys, "launch", f"--session-new={session}", *_LAUNCH, *command]
    return Start(launch, variables, ending)


def under_compute(
    ncu: str, command: Sequence[str], env: Mapping[str, str], section_set: SectionSet = "basic"
) -> Start:
    """Return the start under Nsight Compute, with a report in a private folder that is removed with the
    kernel: the report has what its user computes. Blocks."""
    _remove_left_folders()
    folder = tempfile.mkdtemp(prefix=_FOLDER)
    options = [*_MEASURE, *_call_stack(ncu, env)]
    if section_set != "basic":
        # No option means this set, also in versions that give it another name.
        options += ["--set", section_set]
    files = ["-f", "-o", f"{folder}/{_REPORT}", "--log-file", f"{folder}/{_LOG}"]
    variables = {NCU_VARIABLE: folder, NCU_SET_VARIABLE: section_set}
    ending = Ending([*command], variables, dict(env), [], folder)
    return Start([ncu, *options, *files, *command], variables, ending)


def refuse_without_driver(ncu: str, env: Mapping[str, str]) -> None:
    """Let ncu start a program that does nothing: without a driver ncu starts none. Blocks. Raises
    Unavailable."""
    try:
        done = _asked([ncu, "--profile-from-start", "off", sys.executable, "-c", ""], env, _TRIED_WITHIN_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(
            f"{ncu} cannot start a program: {error}.",
            hint="Try it in a terminal: ncu true",
            code="nsight_fails",
        ) from error
    # ncu writes the reason to standard error, and the failure to standard output.
    said = [*done.stderr.splitlines(), *done.stdout.splitlines()]
    errors = [line for line in said if line.startswith("==ERROR==")]
    if not errors:
        return
    reason = errors[0].removeprefix("==ERROR==").strip()
    if "CUDA driver" in reason:
        raise Unavailable(
            "Nsight Compute finds no CUDA driver on this machine, and cannot start a kernel without one.",
            hint="Check that nvidia-smi lists a GPU.",
            code="nsight_no_driver",
        )
    raise Unavailable(
        f"Nsight Compute cannot start a program: {reason}",
        hint="Try it in a terminal: ncu true",
        code="nsight_fails",
    )


def _remove_left_folders() -> None:
    """Remove the reports of kernels that were left without a guard, see ``nsight_ends``."""
    import psutil

    used = set()
    for process in psutil.process_iter():
        # OSError: psutil passes FileNotFoundError on where a process ends while it is read.
        with contextlib.suppress(psutil.Error, OSError):
            used.add(process.environ().get(NCU_VARIABLE))
    for folder in Path(tempfile.gettempdir()).glob(f"{_FOLDER}*"):
        with contextlib.suppress(OSError):
            found = folder.lstat()
            ours = found.st_uid == os.getuid() and time.time() - found.st_mtime > _STARTS_WITHIN_S
            if ours and str(folder) not in used:
                shutil.rmtree(folder, ignore_errors=True)


def _call_stack(ncu: str, env: Mapping[str, str]) -> list[str]:
    """Return the option for Python's frames of each launch, for versions that have it; C++ frames alone would
    only cost time."""
    try:
        known = "--call-stack-type" in _asked([ncu, "--help"], env, _ANSWERS_WITHIN_S).stdout
    except (OSError, subprocess.TimeoutExpired):
        log.info("%s --help does not answer: Python's call stacks are left out.", ncu)
        return []
    return ["--call-stack", "--call-stack-type", "python"] if known else []


def _asked(command: list[str], env: Mapping[str, str], within_s: float) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, env=dict(env), stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
        timeout=within_s, check=False,
    )  # fmt: skip
