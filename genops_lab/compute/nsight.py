"""NVIDIA's Nsight tools on this machine: where they are, whether they can be used, and a kernel under one of them.

Nsight Systems records only what it has started itself. A kernel is therefore started by ``nsys launch``, which
records nothing yet; ``%%profile`` in it begins and ends collections by the session's name.
"""

from __future__ import annotations

import re
import secrets
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from genops_lab.core.errors import Unavailable

from .models import NsightTool

#: What the kernel side reads (:mod:`genops_lab.kernel.profiling.nsight`).
NSYS_VARIABLE, SESSION_VARIABLE = "GENOPS_NSYS", "GENOPS_NSYS_SESSION"
#: The first with ``.nsys-rep`` reports and CUDA graphs by node.
LEAST_VERSION = (2022, 1)
_NAMES: dict[Literal["systems", "compute"], str] = {"systems": "nsys", "compute": "ncu"}
#: Where NVIDIA's installers put them; they do not all extend PATH.
_FOLDERS = (
    "/usr/local/cuda*/bin",
    "/opt/nvidia/nsight-systems*/*/bin",
    "/opt/nvidia/nsight-systems*/*/target-linux-*",
    "/opt/nvidia/nsight-compute*/*",
)
_VERSION = re.compile(r"version\s+v?(\d+(?:\.\d+)+)", re.IGNORECASE)
_ANSWERS_WITHIN_S = 20.0
#: CUDA and NVTX are what the views read; the operating system's calls would only slow the kernel.
_LAUNCH = ("--trace=cuda,nvtx", "--cuda-graph-trace=node", "--wait=primary")


def nsight_tools(env: Mapping[str, str]) -> list[NsightTool]:
    """Nsight Systems and Nsight Compute, each with what stands in its way. Blocks: it starts them for their version."""
    return [_examined("systems", env), _examined("compute", env)]


def usable_systems(env: Mapping[str, str]) -> NsightTool:
    """Nsight Systems. Blocks. Raises Unavailable where it is missing, broken or too old."""
    tool = _examined("systems", env)
    if tool.trouble:
        raise Unavailable(
            tool.trouble,
            hint="Install it (package nsight-systems-cli, or the CUDA toolkit), with nsys on PATH.",
            code="nsight_missing",
        )
    return tool


def under_systems(nsys: str, command: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """The command that starts ``command`` under nsys in a session of its own, and the variables that tell it so."""
    session = f"genops-{secrets.token_hex(6)}"
    launch = [nsys, "launch", f"--session-new={session}", *_LAUNCH, *command]
    return launch, {NSYS_VARIABLE: nsys, SESSION_VARIABLE: session}


def _examined(product: Literal["systems", "compute"], env: Mapping[str, str]) -> NsightTool:
    name, title = _NAMES[product], f"Nsight {product.capitalize()}"
    path = _located(name, env)
    if path is None:
        return NsightTool(product=product, trouble=f"{title} ({name}) is not installed on this machine.")
    try:
        answer = subprocess.run(
            [str(path), "--version"], env=dict(env), stdin=subprocess.DEVNULL, capture_output=True, text=True,
            errors="replace", timeout=_ANSWERS_WITHIN_S, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        return NsightTool(product=product, path=str(path), trouble=f"{path} does not answer: {error}.")
    found = _VERSION.search(answer.stdout + answer.stderr)
    if answer.returncode or found is None:
        said = (answer.stderr or answer.stdout).strip()[:200]
        return NsightTool(
            product=product, path=str(path), trouble=f"{path} does not tell its version: {said or 'silence'}."
        )
    trouble = ""
    if product == "systems" and _numbers(found[1])[:2] < LEAST_VERSION:
        least = ".".join(map(str, LEAST_VERSION))
        trouble = f"{path} is Nsight Systems {found[1]}, which is too old: {least} or newer is needed."
    return NsightTool(product=product, path=str(path), version=found[1], trouble=trouble)


def _located(name: str, env: Mapping[str, str]) -> Path | None:
    on_path = shutil.which(name, path=env.get("PATH", ""))
    if on_path:
        return Path(on_path)
    beside = [
        found / name
        for pattern in _FOLDERS
        for found in Path("/").glob(pattern.lstrip("/"))
        if shutil.which(name, path=str(found))
    ]
    return max(beside, key=lambda path: _numbers(str(path)), default=None)


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(each) for each in re.findall(r"\d+", text))
