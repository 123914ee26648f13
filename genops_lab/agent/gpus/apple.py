"""Read Apple's GPUs. macOS gives a user's process only their name; their memory is the machine's."""

from __future__ import annotations

import json
import os
import platform
import subprocess

from .found import NOTHING, Found, gpu

COMMAND = ["/usr/sbin/system_profiler", "SPDisplaysDataType", "-json"]
TIMEOUT_S = 15.0


def read() -> Found:
    """Return the chip's GPU. Starts a process; the answer does not change, so ask once."""
    if platform.system() != "Darwin":
        return NOTHING
    try:
        done = subprocess.run(
            COMMAND, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return Found("error", "system_profiler did not answer.")
    return parse(done.stdout.decode("utf-8", "replace"), _memory())


def _memory() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def parse(text: str, memory_bytes: int) -> Found:
    """Parse ``system_profiler SPDisplaysDataType -json``; GPUs of other makers are left out."""
    try:
        chips = json.loads(text)["SPDisplaysDataType"]
        names = [str(chip.get("sppci_model") or chip["_name"]) for chip in chips]
    except (ValueError, KeyError, TypeError, AttributeError):
        return Found("error", "The answer of system_profiler is invalid.")
    found = [name for name in names if name.startswith("Apple ")]
    cards = [
        gpu(index, "apple", name=name, memory_total_bytes=memory_bytes) for index, name in enumerate(found)
    ]
    return Found("ok", "", cards) if cards else NOTHING
