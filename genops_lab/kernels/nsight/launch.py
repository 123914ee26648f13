"""A kernel's start under one of Nsight's tools.

They record only what they have started themselves. ``nsys launch`` records nothing yet: ``%%profile`` begins and ends
collections by the session's name. ``ncu --profile-from-start off`` measures what lies between cuProfilerStart and
cuProfilerStop, and adds to its report while the kernel runs.
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

#: What the kernel side reads (:mod:`genops_lab.runtime.profiling.nsight`, ``ncu``).
NSYS_VARIABLE, SESSION_VARIABLE = "GENOPS_NSYS", "GENOPS_NSYS_SESSION"
NCU_VARIABLE, NCU_SET_VARIABLE = "GENOPS_NCU_FOLDER", "GENOPS_NCU_SET"
#: ncu puts ``.ncu-rep`` behind it.
_REPORT, _LOG = "report", "ncu.log"
#: CUDA and NVTX are what the views read; the operating system's calls would only slow the kernel.
_LAUNCH = ("--trace=cuda,nvtx", "--cuda-graph-trace=node", "--wait=primary")
#: A kernelspec's command may be a wrapper of the kernel; what a kernel starts measures nothing before it asks for it.
_MEASURE = ("--profile-from-start", "off", "--nvtx", "--target-processes", "all")
_ANSWERS_WITHIN_S = 20.0
_TRIED_WITHIN_S = 120.0
_FOLDER = "genops-ncu-"
#: A kernel is named by its process' environment by then.
_STARTS_WITHIN_S = 300.0

log = logging.getLogger("genops_lab")


@dataclass(frozen=True)
class Start:
    """A command, the variables that tell its kernel of the tool, and what is to be done when it has ended."""

    command: list[str]
    variables: dict[str, str]
    ending: Ending


def started_under(wanted: UnderNsight, command: Sequence[str], env: Mapping[str, str]) -> Start:
    """How ``command`` is started under a tool. Blocks. Raises Unavailable where it cannot be used."""
    tool = usable(wanted.product, env)
    if wanted.product == "systems":
        return under_systems(tool.path, command, env)
    refuse_without_driver(tool.path, env)
    return under_compute(tool.path, command, env, wanted.section_set)


def under_systems(nsys: str, command: Sequence[str], env: Mapping[str, str]) -> Start:
    """A session of its own."""
    session = f"genops-{secrets.token_hex(6)}"
    variables = {NSYS_VARIABLE: nsys, SESSION_VARIABLE: session}
    shutdown = [nsys, "shutdown", "--kill=none", f"--session={session}"]
    ending = Ending([*command], variables, dict(env), shutdown, "")
    launch = [nsys, "launch", f"--session-new={session}", *_LAUNCH, *command]
    return Start(launch, variables, ending)


def under_compute(
    ncu: str, command: Sequence[str], env: Mapping[str, str], section_set: SectionSet = "basic"
) -> Start:
    """A report in a private folder, which goes with the kernel: it holds what its user computes. Blocks."""
    _remove_left_folders()
    folder = tempfile.mkdtemp(prefix=_FOLDER)
    options = [*_MEASURE, *_call_stack(ncu, env)]
    if section_set != "basic":
        # Without a set it is that one, also in versions that call it otherwise.
        options += ["--set", section_set]
    files = ["-f", "-o", f"{folder}/{_REPORT}", "--log-file", f"{folder}/{_LOG}"]
    variables = {NCU_VARIABLE: folder, NCU_SET_VARIABLE: section_set}
    ending = Ending([*command], variables, dict(env), [], folder)
    return Start([ncu, *options, *files, *command], variables, ending)


def refuse_without_driver(ncu: str, env: Mapping[str, str]) -> None:
    """Have ncu start a program that does nothing: it starts none without a driver. Blocks. Raises Unavailable."""
    try:
        done = _asked([ncu, "--profile-from-start", "off", sys.executable, "-c", ""], env, _TRIED_WITHIN_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(
            f"{ncu} does not start a program: {error}.",
            hint="Try it in a terminal: ncu true",
            code="nsight_fails",
        ) from error
    # The reason stands on standard error, that nothing came of it on standard output.
    said = [*done.stderr.splitlines(), *done.stdout.splitlines()]
    errors = [line for line in said if line.startswith("==ERROR==")]
    if not errors:
        return
    reason = errors[0].removeprefix("==ERROR==").strip()
    if "CUDA driver" in reason:
        raise Unavailable(
            "Nsight Compute finds no CUDA driver here, and starts nothing without.",
            hint="Does nvidia-smi list a GPU?",
            code="nsight_no_driver",
        )
    raise Unavailable(
        f"Nsight Compute starts no program: {reason}",
        hint="Try it in a terminal: ncu true",
        code="nsight_fails",
    )


def _remove_left_folders() -> None:
    """Remove reports of kernels that were left with no guard, see ``nsight_ends``."""
    import psutil

    used = set()
    for process in psutil.process_iter():
        # OSError: psutil lets FileNotFoundError through where a process ends while it is read.
        with contextlib.suppress(psutil.Error, OSError):
            used.add(process.environ().get(NCU_VARIABLE))
    for folder in Path(tempfile.gettempdir()).glob(f"{_FOLDER}*"):
        with contextlib.suppress(OSError):
            found = folder.lstat()
            ours = found.st_uid == os.getuid() and time.time() - found.st_mtime > _STARTS_WITHIN_S
            if ours and str(folder) not in used:
                shutil.rmtree(folder, ignore_errors=True)


def _call_stack(ncu: str, env: Mapping[str, str]) -> list[str]:
    """Python's frames of each launch, for versions that know them; those of C++ alone would only cost."""
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
