"""The answer of a source of GPUs, and the owners of processes."""

from __future__ import annotations

import functools
import os
import pwd
from typing import Any, Dict, List, NamedTuple, Optional, Sequence

#: The process namespace of the machine itself; in another one a driver's process ids name other processes.
_FIRST_PID_NAMESPACE = "pid:[4026531836]"


class Found(NamedTuple):
    """The answer of one source. ``state``: "ok", "none" (nothing of this vendor, or no way to ask) or
    "error"."""

    state: str
    message: str = ""
    gpus: Sequence[Dict[str, Any]] = ()


NOTHING = Found("none")


def gpu(
    index: int,
    vendor: str,
    *,
    uuid: str = "",
    name: str = "",
    memory_total_bytes: Optional[int] = None,
    memory_used_bytes: Optional[int] = None,
    utilization_percent: Optional[float] = None,
    temperature_c: Optional[float] = None,
    power_w: Optional[float] = None,
    mig: Optional[List[Dict[str, Any]]] = None,
    processes: Optional[List[Dict[str, Any]]] = None,
) -> Dict[str, Any]:
    """Return one accelerator in the form of a reading. ``index`` counts the vendor's own devices, as its
    tools do."""
    return {
        "index": index,
        "uuid": uuid,
        "name": name or f"GPU {index}",
        "vendor": vendor,
        "memory_total_bytes": memory_total_bytes,
        "memory_used_bytes": memory_used_bytes,
        "utilization_percent": utilization_percent,
        "temperature_c": temperature_c,
        "power_w": power_w,
        "mig": mig or [],
        "processes": processes or [],
    }


def mig_slice(
    uuid: str, profile: str, total_bytes: Optional[int], used_bytes: Optional[int]
) -> Dict[str, Any]:
    """Return a slice of an NVIDIA GPU; ``profile`` such as ``1g.10gb``."""
    return {
        "uuid": uuid,
        "profile": profile,
        "memory_total_bytes": total_bytes,
        "memory_used_bytes": used_bytes,
    }


def process(pid: int, memory_bytes: Optional[int]) -> Dict[str, Any]:
    """Return a process that uses a GPU, with its owner where known."""
    return {"pid": pid, "user": owner(pid), "memory_bytes": memory_bytes}


def owner(pid: int) -> str:
    """Return the user of a process; empty where it is gone or hidden, or where process ids are a container's
    own."""
    if not all_processes_visible():
        return ""
    try:
        return _name_of(os.stat(f"/proc/{pid}").st_uid)
    except OSError:
        return ""


@functools.lru_cache(maxsize=1)
def all_processes_visible() -> bool:
    """Return whether process ids are the machine's own; those of a container are not."""
    try:
        return os.readlink("/proc/self/ns/pid") == _FIRST_PID_NAMESPACE
    except OSError:
        return False


@functools.lru_cache(maxsize=1024)
def _name_of(uid: int) -> str:
    """Return a user's name. Names may come from a directory service: each is requested once."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def listed(folder: str) -> List[str]:
    """Return the names in a folder of the kernel's; none where it is missing or hidden."""
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def text_of(path: str) -> str:
    """Return a file of the kernel's, empty without one: not every card has every file, and some return EINVAL
    while asleep."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def field(folder: str, name: str) -> str:
    """Return a file with one value."""
    return text_of(os.path.join(folder, name)).strip()
