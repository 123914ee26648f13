"""Which GPUs this process sees, by name and driver."""

from __future__ import annotations

import shutil
import subprocess
from typing import Any, Dict, List

from .system import is_visible

_TIMEOUT_S = 10.0


def gpu_models() -> List[Dict[str, str]]:
    """``[{index, name, driver}]``; empty where there is none, or none that NVIDIA's tools know."""
    try:
        return _by_nvml()
    except ImportError:
        pass
    except Exception:  # NVML's errors share no base with ours; no driver is a normal state
        return []
    try:
        return _by_program()
    except (OSError, ValueError, subprocess.SubprocessError):
        return []


def _text(given: Any) -> str:
    return given.decode("utf-8", "replace") if isinstance(given, bytes) else str(given)


def _by_nvml() -> List[Dict[str, str]]:
    import pynvml

    nvml: Any = pynvml
    nvml.nvmlInit()
    driver = _text(nvml.nvmlSystemGetDriverVersion())
    found = []
    for index in range(nvml.nvmlDeviceGetCount()):
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
        if is_visible(str(index), _text(nvml.nvmlDeviceGetUUID(handle))):
            name = _text(nvml.nvmlDeviceGetName(handle))
            found.append({"index": str(index), "name": name, "driver": driver})
    return found


def _by_program() -> List[Dict[str, str]]:
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    answer = subprocess.run(
        [program, "--query-gpu=index,name,driver_version,uuid", "--format=csv,noheader"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, universal_newlines=True, timeout=_TIMEOUT_S, check=True,
    )  # fmt: skip
    rows = [[field.strip() for field in line.split(",")] for line in answer.stdout.splitlines()]
    return [
        {"index": index, "name": name, "driver": driver}
        for index, name, driver, uuid in rows
        if is_visible(index, uuid)
    ]
