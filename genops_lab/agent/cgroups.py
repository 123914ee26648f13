"""Read the share of a machine that a container has: CPU quota and memory limit of cgroups, versions 1 and 2."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")
#: Version 1 writes "no limit" as the largest multiple of a page.
_NO_LIMIT = 1 << 60


@dataclass(frozen=True)
class Share:
    """The limits; None where there is none. ``cpu_seconds`` and ``memory_used`` belong to the same group as
    the limit."""

    cpu_count: float | None = None
    cpu_seconds: float | None = None
    memory_limit: int | None = None
    memory_used: int | None = None


def read_share(root: Path = ROOT, membership: Path = MEMBERSHIP) -> Share:
    """Return the tightest limits from this process's group up to the root."""
    try:
        lines = _text(membership).splitlines()
    except OSError:
        return Share()
    groups: dict[str, str] = {}
    for line in lines:
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            groups[controller] = path
    if (root / "cgroup.controllers").exists():
        return _version_2(list(_upwards(root, groups.get("", "/"))))
    return _version_1(
        list(_upwards(root / "cpu", groups.get("cpu", "/"))),
        list(_upwards(root / "memory", groups.get("memory", "/"))),
    )


def _upwards(mount: Path, group: str) -> Iterator[Path]:
    """Yield the group's folder and those above it. In a container the path may be the host's: the mount then
    shows the container's own group as its root."""
    folder = mount / group.lstrip("/")
    while folder != mount and mount in folder.parents:
        if folder.is_dir():
            yield folder
        folder = folder.parent
    yield mount


def _text(path: Path) -> str:
    """Return a file of the kernel, complete after one read. Six are read each second, which ``open`` would
    make much more expensive. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(descriptor, 65536).decode("utf-8", "replace")
    finally:
        os.close(descriptor)


def _number(path: Path) -> int | None:
    try:
        return int(_text(path).split()[0])
    except (OSError, ValueError, IndexError):
        return None


def _field(path: Path, name: str) -> int | None:
    try:
        for line in _text(path).splitlines():
            key, _, value = line.partition(" ")
            if key == name:
                return int(value)
    except (OSError, ValueError):
        return None
    return None


def _version_2(folders: list[Path]) -> Share:
    cpu: tuple[float, Path] | None = None
    memory: tuple[int, Path] | None = None
    for folder in folders:
        try:
            quota, period = _text(folder / "cpu.max").split()
            count = int(quota) / int(period)
            cpu = min(cpu, (count, folder)) if cpu else (count, folder)
        except (OSError, ValueError, ZeroDivisionError):
            pass  # "max", or a group without this controller
        limit = _number(folder / "memory.max")
        if limit is not None and (memory is None or limit < memory[0]):
            memory = (limit, folder)
    usage = _field(cpu[1] / "cpu.stat", "usage_usec") if cpu else None
    return Share(
        cpu_count=cpu[0] if cpu else None,
        cpu_seconds=None if usage is None else usage / 1e6,
        memory_limit=memory[0] if memory else None,
        memory_used=_used(memory[1], "memory.current", "inactive_file") if memory else None,
    )


def _version_1(cpu_folders: list[Path], memory_folders: list[Path]) -> Share:
    cpu: tuple[float, Path] | None = None
    for folder in cpu_folders:
        quota, period = _number(folder / "cpu.cfs_quota_us"), _number(folder / "cpu.cfs_period_us")
        if quota and period and quota > 0:
            cpu = min(cpu, (quota / period, folder)) if cpu else (quota / period, folder)
    memory: tuple[int, Path] | None = None
    for folder in memory_folders:
        limit = _number(folder / "memory.limit_in_bytes")
        if limit is not None and limit < _NO_LIMIT and (memory is None or limit < memory[0]):
            memory = (limit, folder)
    nanoseconds = _number(cpu[1] / "cpuacct.usage") if cpu else None
    return Share(
        cpu_count=cpu[0] if cpu else None,
        cpu_seconds=None if nanoseconds is None else nanoseconds / 1e9,
        memory_limit=memory[0] if memory else None,
        memory_used=(_used(memory[1], "memory.usage_in_bytes", "total_inactive_file") if memory else None),
    )


def _used(folder: Path, name: str, cache: str) -> int | None:
    """Return the used memory without unused file cache, which can be freed at once."""
    used = _number(folder / name)
    return None if used is None else max(0, used - (_field(folder / "memory.stat", cache) or 0))
