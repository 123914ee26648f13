"""Explain why the profiler could not record a device."""

from __future__ import annotations

import contextlib
import os
import tempfile
from typing import Iterator, List, Optional

_FORBIDDEN = ("ERR_NVGPUCTRPERM", "INSUFFICIENT_PRIVILEGES")
_BUSY = (
    "MULTIPLE_SUBSCRIBERS",
    "CUPTI_ERROR_MAX_LIMIT_REACHED",
    "CUPTI_ERROR_HARDWARE_BUSY",
    "profiler already in use",
)
_FULL = ("Exceeded max GPU buffer",)
_ABSENT = ("CUPTI initialization failed", "CUPTI_ERROR_NOT_INITIALIZED", "CUPTI_ERROR_NOT_COMPATIBLE")
#: Kineto adds a note on permissions to every failure of CUPTI.
_SUPPOSED = "If you see "


def named(said: str) -> str:
    """Return the cause and the remedy of messages of CUPTI, Kineto, nsys and ncu; empty if unknown."""
    said = "\n".join(line for line in said.splitlines() if _SUPPOSED not in line)
    if any(word in said for word in _FORBIDDEN):
        return (
            "The driver does not let this user profile the GPU (ERR_NVGPUCTRPERM). An administrator must set "
            "NVreg_RestrictProfilingToAdminUsers=0 for the nvidia module."
        )
    if any(word in said for word in _BUSY):
        return (
            "Another program profiles this GPU, and CUPTI serves one at a time. End Nsight Systems (nsys), ncu or "
            "DCGM's profiling (dcgmi profile --pause)."
        )
    if any(word in said for word in _FULL):
        return "The GPU's event buffer was full, so later events are missing. Record fewer steps (--steps)."
    if any(word in said for word in _ABSENT):
        return (
            "CUPTI, the library for the GPU's events, could not start. The container must have it, and its "
            "version must fit the driver."
        )
    return ""


def without_device_events(said: str, device: str) -> str:
    """Return the explanation for a recording without events of the requested device."""
    return named(said) or (
        f"The recording has no events of the {device} device. If the code used the device, restart the kernel and "
        "profile before other profilers run. In a container the driver's libcupti must be visible."
    )


class NativeMessages:
    """Collects what C++ code writes to standard error, and passes it on afterwards."""

    def __init__(self) -> None:
        self._said: List[str] = []

    @property
    def text(self) -> str:
        """All collected text."""
        return "".join(self._said)

    @contextlib.contextmanager
    def heard(self) -> Iterator[None]:
        """Listen to the process's standard error."""
        with _spare_file() as spare:
            if spare is None:
                yield
                return
            kept = os.dup(2)
            os.dup2(spare, 2)
            try:
                yield
            finally:
                os.dup2(kept, 2)
                os.close(kept)
                os.lseek(spare, 0, os.SEEK_SET)
                said = b"".join(iter(lambda: os.read(spare, 65536), b""))
                self._said.append(said.decode("utf-8", "replace"))
                if said:
                    os.write(2, said)


@contextlib.contextmanager
def _spare_file() -> "Iterator[Optional[int]]":
    try:
        stream = tempfile.TemporaryFile()  # noqa: SIM115 - closed below; only the opening is guarded
    except OSError:  # a full disk must not cost the recording
        yield None
        return
    with stream:
        yield stream.fileno()
