"""What the device's side of the profiler says when it cannot record, in words."""

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
#: Kineto says behind every failure of CUPTI what it would mean if it were one of permission.
_SUPPOSED = "If you see "


def named(said: str) -> str:
    """What is behind messages of CUPTI, Kineto, nsys and ncu, and what to do; empty where they tell nothing of it."""
    said = "\n".join(line for line in said.splitlines() if _SUPPOSED not in line)
    if any(word in said for word in _FORBIDDEN):
        return (
            "The driver does not let this user profile the GPU (ERR_NVGPUCTRPERM): an administrator sets "
            "NVreg_RestrictProfilingToAdminUsers=0 for the nvidia module."
        )
    if any(word in said for word in _BUSY):
        return (
            "Another program profiles this GPU (CUPTI takes one): end Nsight Systems (nsys), ncu or DCGM's profiling "
            "(dcgmi profile --pause)."
        )
    if any(word in said for word in _FULL):
        return (
            "The GPU's buffer of events was full: what came later is missing. Record fewer steps (--steps)."
        )
    if any(word in said for word in _ABSENT):
        return (
            "CUPTI, the library for the GPU's events, could not start: it must be visible in the container and fit the "
            "driver."
        )
    return ""


def without_device_events(said: str, device: str) -> str:
    """Why a recording that asked for a device has nothing of it."""
    return named(said) or (
        f"The recording has no events of the {device} device. If the code used it, restart the kernel and profile "
        "before other profilers run; in a container the driver's libcupti must be visible."
    )


class NativeMessages:
    """What C++ wrote to standard error meanwhile; it is passed on afterwards."""

    def __init__(self) -> None:
        self._said: List[str] = []

    @property
    def text(self) -> str:
        """All that was said."""
        return "".join(self._said)

    @contextlib.contextmanager
    def heard(self) -> Iterator[None]:
        """Listen to the process' standard error."""
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
