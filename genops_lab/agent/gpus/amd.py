"""Read AMD's cards from the kernel's files (amdgpu, and kfd for computing processes), without a process or
library."""

from __future__ import annotations

import functools
import os
import re
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from .found import NOTHING, Found, field, gpu, listed, process, text_of

AMD = "0x1002"
NAMES = ("/usr/share/libdrm/amdgpu.ids", "/opt/amdgpu/share/libdrm/amdgpu.ids")


class Places(NamedTuple):
    """The kernel's folders."""

    drm: str = "/sys/class/drm"
    kfd: str = "/sys/class/kfd/kfd"
    names: Tuple[str, ...] = NAMES


def read(places: Places = Places()) -> Found:  # noqa: B008 - a constant
    """Return all cards now, in ROCm's order."""
    nodes = _compute_nodes(places.kfd)
    cards = []
    for folder in _devices(places.drm):
        minor = _render_minor(folder)
        node, gpu_id = nodes.get(minor, (1 << 30, ""))
        cards.append((node, folder, gpu_id))
    cards.sort(key=lambda one: one[0])
    found = [_card(index, folder, gpu_id, places) for index, (_, folder, gpu_id) in enumerate(cards)]
    return Found("ok", "", found) if found else NOTHING


def _devices(drm: str) -> List[str]:
    """Return the device folders of AMD's cards, by the cards' numbers."""
    found = []
    for entry in listed(drm):
        numbered = re.fullmatch(r"card(\d+)", entry)
        folder = os.path.join(drm, entry, "device")
        if numbered and field(folder, "vendor") == AMD and _number(folder, "mem_info_vram_total"):
            found.append((int(numbered.group(1)), folder))
    return [folder for _, folder in sorted(found)]


def _card(index: int, folder: str, gpu_id: str, places: Places) -> Dict[str, Any]:
    unique = field(folder, "unique_id")
    busy = _number(folder, "gpu_busy_percent")
    temperature, power = _sensors(folder)
    return gpu(
        index,
        "amd",
        uuid=f"GPU-{unique}" if unique.strip("0") else "",
        name=_name(folder, places.names),
        memory_total_bytes=_number(folder, "mem_info_vram_total"),
        memory_used_bytes=_number(folder, "mem_info_vram_used"),
        utilization_percent=None if busy is None else float(busy),
        temperature_c=temperature,
        power_w=power,
        processes=_processes(places.kfd, gpu_id),
    )


def _sensors(folder: str) -> Tuple[Optional[float], Optional[float]]:
    """Return the temperature in Celsius (edge, or the first sensor) and the power in watts."""
    monitors = os.path.join(folder, "hwmon")
    for entry in listed(monitors):
        monitor = os.path.join(monitors, entry)
        degrees: Dict[str, int] = {}
        for number in range(1, 5):
            value = _number(monitor, f"temp{number}_input")
            if value is not None:
                degrees[field(monitor, f"temp{number}_label") or str(number)] = value
        warm = degrees.get("edge", next(iter(degrees.values()), None))
        power = _number(monitor, "power1_average")
        if power is None:
            power = _number(monitor, "power1_input")
        return (None if warm is None else warm / 1000.0, None if power is None else power / 1e6)
    return None, None


def _compute_nodes(kfd: str) -> Dict[int, Tuple[int, str]]:
    """Return by render device the node's number and id in the compute driver."""
    found = {}
    nodes = os.path.join(kfd, "topology", "nodes")
    for entry in listed(nodes):
        folder = os.path.join(nodes, entry)
        gpu_id = field(folder, "gpu_id")
        minor = re.search(r"^drm_render_minor (\d+)$", field(folder, "properties"), re.MULTILINE)
        if entry.isdigit() and gpu_id not in ("", "0") and minor:
            found[int(minor.group(1))] = (int(entry), gpu_id)
    return found


def _render_minor(folder: str) -> int:
    for entry in listed(os.path.join(folder, "drm")):
        if entry.startswith("renderD"):
            return int(entry[len("renderD") :])
    return -1


def _processes(kfd: str, gpu_id: str) -> List[Dict[str, Any]]:
    if not gpu_id:
        return []
    found = []
    folder = os.path.join(kfd, "proc")
    for entry in listed(folder):
        memory = _number(os.path.join(folder, entry), f"vram_{gpu_id}")
        if entry.isdigit() and memory:
            found.append(process(int(entry), memory))
    return sorted(found, key=lambda one: one["pid"])


def _name(folder: str, tables: Tuple[str, ...]) -> str:
    """Return the product's name, from the card's own memory or from the driver's table."""
    product = field(folder, "product_name")
    if product:
        return product
    device, revision = (field(folder, name)[2:].upper() for name in ("device", "revision"))
    for table in tables:
        named = _table(table).get((device, revision.zfill(2)))
        if named:
            return named
    return f"AMD GPU {device}" if device else "AMD GPU"


@functools.lru_cache(maxsize=4)
def _table(path: str) -> Dict[Tuple[str, str], str]:
    """Return the names in ``amdgpu.ids`` by device and revision."""
    found = {}
    for line in text_of(path).splitlines():
        parts = [part.strip() for part in line.split(",", 2)]
        if len(parts) == 3 and not line.startswith("#"):
            found[parts[0].upper(), parts[1].upper()] = parts[2]
    return found


def _number(folder: str, name: str) -> Optional[int]:
    try:
        return int(field(folder, name))
    except ValueError:
        return None
