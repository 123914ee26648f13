"""Read the host's GPUs: NVIDIA (its library, or nvidia-smi), AMD (the kernel's files, or rocm-smi), Apple."""

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

#: Seconds until a source without an answer, or with an error, is asked again.
RETRY_S = 30.0
#: Seconds for which an answer that cost a process is valid.
PROCESS_FRESH_S = 2.0
PCI = "/sys/bus/pci/devices"
#: Exists where NVIDIA's kernel module is loaded, also in the host's containers.
DRIVER = "/proc/driver/nvidia/version"
DEVICES = "/dev/nvidia[0-9]*"


class GpuReader:
    """All vendors' GPUs. Safe for several threads; a hanging driver costs one thread and one timeout."""

    def __init__(self, sources: Optional[List[Callable[[], Found]]] = None) -> None:
        if sources is None:
            sources = [Nvidia().read, Amd().read, Apple().read]
        self._sources = [_Patient(source) for source in sources]
        self._ask = Guarded(self._read_all)

    def read(self, timeout_s: float = 3.0) -> Found:
        """Return all GPUs now. "error" with the reason where a driver fails and no other GPU is found."""
        try:
            return self._ask(timeout_s)
        except Unanswered as error:
            return Found(
                "error", f"The GPU driver does not answer: {error}. On the host, `nvidia-smi` may hang too."
            )

    def _read_all(self) -> Found:
        answers = [source.read() for source in self._sources]
        gpus = [gpu for answer in answers for gpu in answer.gpus]
        message = " ".join(answer.message for answer in answers if answer.message)
        if gpus:
            return Found("ok", message, gpus)
        return Found("error", message) if message else NOTHING


class _Patient:
    """A source that is not asked again at once after an empty answer."""

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
        """Return all cards now; an error where a card has no working driver."""
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
            return NOTHING  # a container without a card, though the bus shows the host's cards
        return self._lost_card("No NVIDIA driver is installed (libnvidia-ml.so.1 is missing).")

    def _failed(self, error: nvml.NvmlError) -> Found:
        self._nvml = None  # the next attempt may find another version of the library
        if error.code == nvml.LIB_RM_VERSION_MISMATCH:
            return Found(
                "error",
                f"Failed to initialize NVML: {error}. The driver was updated while the old one runs: "
                "restart the host, or reload its kernel modules.",
            )
        if error.code == nvml.DRIVER_NOT_LOADED:
            return self._lost_card("The NVIDIA driver's kernel module is not loaded.")
        return Found(
            "error", f"The NVIDIA driver does not answer: {error}. Run `nvidia-smi` on the host for more."
        )

    def _lost_card(self, why: str) -> Found:
        """Return an error where the machine has a card, nothing where it has none."""
        device = _nvidia_card(self._pci)
        return Found("error", f"The host has an NVIDIA GPU ({device}). {why}") if device else NOTHING


def _nvidia_card(pci: str) -> str:
    """Return the ids of the first NVIDIA display or 3D controller on the bus; empty without one."""
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
        """Return all cards now."""
        found = amd.read()
        if found.gpus:
            return found
        program = rocm_smi.find()
        return NOTHING if program is None else self._smi.read(program)


class Apple:
    """Apple's chip: read once, since its answer does not change."""

    def __init__(self) -> None:
        self._found: Optional[Found] = None if platform.system() == "Darwin" else NOTHING

    def read(self) -> Found:
        """Return the chip's GPU."""
        if self._found is None or self._found.state == "error":
            self._found = apple.read()
        return self._found


class _Kept:
    """An answer that cost a process, valid for a moment."""

    def __init__(self, ask: Callable[[str], Found]) -> None:
        self._ask = ask
        self._last: Optional[Tuple[float, Found]] = None

    def read(self, program: str) -> Found:
        now = time.monotonic()
        if self._last is None or now - self._last[0] >= PROCESS_FRESH_S:
            self._last = (now, self._ask(program))
        return self._last[1]
