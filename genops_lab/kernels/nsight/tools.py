"""Find NVIDIA's Nsight tools on this machine, and check whether they can be used."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from genops_lab.core.errors import Unavailable

from .models import NsightProduct, NsightTool

_NAMES: dict[NsightProduct, str] = {"systems": "nsys", "compute": "ncu"}
#: The first versions with the present report format (``.nsys-rep``, CUDA graphs by node; the set ``basic``).
LEAST_VERSIONS: dict[NsightProduct, tuple[int, int]] = {"systems": (2022, 1), "compute": (2022, 1)}
_PACKAGES: dict[NsightProduct, str] = {"systems": "nsight-systems-cli", "compute": "nsight-compute"}
#: NVIDIA's installers use these folders, and not all extend PATH.
_FOLDERS = (
    "/usr/local/cuda*/bin",
    "/opt/nvidia/nsight-systems*/*/bin",
    "/opt/nvidia/nsight-systems*/*/target-linux-*",
    "/opt/nvidia/nsight-compute*/*",
)
_VERSION = re.compile(r"version\s+v?(\d+(?:\.\d+)+)", re.IGNORECASE)
_ANSWERS_WITHIN_S = 20.0


def nsight_tools(env: Mapping[str, str]) -> list[NsightTool]:
    """Return Nsight Systems and Nsight Compute, with the reason where one cannot be used. Blocks: starts them
    for their version."""
    return [_examined("systems", env), _examined("compute", env)]


def usable(product: NsightProduct, env: Mapping[str, str]) -> NsightTool:
    """Return one of the tools. Blocks. Raises Unavailable where it is missing, broken or too old."""
    tool = _examined(product, env)
    if tool.trouble:
        raise Unavailable(
            tool.trouble,
            hint=f"Install it (package {_PACKAGES[product]}, or the CUDA toolkit), with {_NAMES[product]} on PATH.",
            code="nsight_missing",
        )
    return tool


def _examined(product: NsightProduct, env: Mapping[str, str]) -> NsightTool:
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
            product=product,
            path=str(path),
            trouble=f"{path} does not report its version: {said or 'no output'}.",
        )
    trouble = ""
    if _numbers(found[1])[:2] < LEAST_VERSIONS[product]:
        least = ".".join(map(str, LEAST_VERSIONS[product]))
        trouble = f"{path} is {title} {found[1]}, which is too old: {least} or newer is needed."
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
