"""The host's GPUs: NVIDIA (its library, else nvidia-smi), AMD (the kernel's files, else rocm-smi), Apple."""

from __future__ import annotations

import glob
import os
import platform
import time
from typing import Any, Callable, List, Optional, Tuple

from ..timeouts import Guarded, Unanswered
from . import amd, apple, nvidia_smi, nvml, rocm_smi
from .found import NOTHING, Found, all_processes_visible, field, listed

__all__ = ["Found", "GpuReader"]

#: After nothing or a failure a source is left alone for this long.
RETRY_S = 30.0
#: How long an answer that cost a process is good.
PROCESS_FRESH_S = 2.0
PCI = "/sys/bus/pci/devices"
#: There where NVIDIA's kernel module is loaded, in the host's containers too.
DRIVER = "/proc/driver/nvidia/version"
DEVICES = "/dev/nvidia[0-9]*"


class GpuReader:
    """All vendors' GPUs. Safe for several threads; a driver that hangs costs one thread and one timeout."""

    def __init__(self, sources: Optional[List[Callable[[], Found]]] = None) -> None:
        if sources is None:
            sources = [Nvidia().read, Amd().read, Apple().read]
        self._sources = [_Patient(source) for source in sources]
        self._ask = Guarded(self._read_all)

    def read(self, timeout_s: float = 3.0) -> Found:
        """All GPUs now. "error" with the reason where a driver fails and nothing else is found."""
        try:
            return self._ask(timeout_s)
        except Unanswered as error:
            return Found("error", f"The GPU's driver gives {error}. On the host, `nvidia-smi` may hang too.")

    def _read_all(self) -> Found:
        answers = [source.read() for source in self._sources]
        gpus = [gpu for answer in answers for gpu in answer.gpus]
        message = " ".join(answer.message for answer in answers if answer.message)
        if gpus:
            return Found("ok", message, gpus)
        return Found("error", message) if message else NOTHING


class _Patient:
    """A source that is not asked at once again when there was nothing to hear."""

    def __init__(self, source: Callable[[], Found]) -> None:
        self._source = source
        self._last: Optional[Tuple[float, Found]] = None

    def read(self) -> Found:
        now = time.monotonic()
        if self._last is not None and now - self._last[0] < RETRY_S:
            return self._last[1]
        found = self._source()
        self._last = None if found.state == "ok" else (now, found)
        return found


class Nvidia:
    """NVIDIA's cards."""

    def __init__(self, load: Callable[[], Any] = nvml.load, pci: str = PCI) -> None:
        self._load = load
        self._pci = pci
        self._nvml: Optional[nvml.Nvml] = None
        self._smi = _Kept(nvidia_smi.read)

    def read(self) -> Found:
        """All cards now; says so where there is a card and no driver that works."""
        if self._nvml is None:
            library = self._load()
            if library is None:
                return self._without_library()
            self._nvml = nvml.Nvml(library)
        try:
            found = self._nvml.read()
        except nvml.NvmlError as error:
            return self._failed(error)
        return found if found.gpus else self._lost_card("The NVIDIA driver does not show it.")

    def _without_library(self) -> Found:
        program = nvidia_smi.find()
        if program is not None:
            return self._smi.read(program)
        if os.path.exists(DRIVER) and not glob.glob(DEVICES) and not all_processes_visible():
            return NOTHING  # a container that was given none of the host's cards, which the bus shows all the same
        return self._lost_card("No NVIDIA driver is installed (libnvidia-ml.so.1 is missing).")

    def _failed(self, error: nvml.NvmlError) -> Found:
        self._nvml = None  # another version of the library may lie there next time
        if error.code == nvml.LIB_RM_VERSION_MISMATCH:
            return Found(
                "error",
                f"Failed to initialize NVML: {error}. The driver was updated while the old one runs: "
                "restart the host, or reload its kernel modules.",
            )
        if error.code == nvml.DRIVER_NOT_LOADED:
            return self._lost_card("The NVIDIA driver's kernel module is not loaded.")
        return Found("error", f"The NVIDIA driver does not answer: {error}. `nvidia-smi` tells more.")

    def _lost_card(self, why: str) -> Found:
        """An error where the machine has a card, nothing to say where it has none."""
        device = _nvidia_card(self._pci)
        return Found("error", f"There is an NVIDIA GPU ({device}). {why}") if device else NOTHING


def _nvidia_card(pci: str) -> str:
    """Ids of the first NVIDIA display or 3D controller on the bus; empty without one."""
    for name in listed(pci):
        vendor, kind, device = (
            field(os.path.join(pci, name), each) for each in ("vendor", "class", "device")
        )
        if vendor == "0x10de" and kind.startswith("0x03"):
            return f"10de:{device[2:]}"
    return ""


class Amd:
    """AMD's cards."""

    def __init__(self) -> None:
        self._smi = _Kept(rocm_smi.read)

    def read(self) -> Found:
        """All cards now."""
        found = amd.read()
        if found.gpus:
            return found
        program = rocm_smi.find()
        return NOTHING if program is None else self._smi.read(program)


class Apple:
    """Apple's chip: asked once, for its answer does not change."""

    def __init__(self) -> None:
        self._found: Optional[Found] = None if platform.system() == "Darwin" else NOTHING

    def read(self) -> Found:
        """The chip's GPU."""
        if self._found is None or self._found.state == "error":
            self._found = apple.read()
        return self._found


class _Kept:
    """An answer that cost a process, good for a moment."""

    def __init__(self, ask: Callable[[str], Found]) -> None:
        self._ask = ask
        self._last: Optional[Tuple[float, Found]] = None

    def read(self, program: str) -> Found:
        now = time.monotonic()
        if self._last is None or now - self._last[0] >= PROCESS_FRESH_S:
            self._last = (now, self._ask(program))
        return self._last[1]
