"""Read NVIDIA's cards with ``nvidia-smi``, where its library cannot be loaded. Each reading starts a process."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import Any, Dict, List, Optional, Tuple, Union

from .found import NOTHING, Found, gpu, mig_slice, process

#: In addition to PATH: the paths of WSL and GKE.
PROGRAMS = ("nvidia-smi", "/usr/lib/wsl/lib/nvidia-smi", "/usr/local/nvidia/bin/nvidia-smi")
TIMEOUT_S = 15.0

_CARD = re.compile(r"^GPU (\d+): .*\(UUID: ([^)]+)\)")
_SLICE = re.compile(r"^\s+MIG (\S+)\s+Device\s+(\d+): \(UUID: ([^)]+)\)")
Slices = Dict[Tuple[str, int], Tuple[str, str]]


def find() -> Optional[str]:
    """Return the program, or None."""
    for name in PROGRAMS:
        path = shutil.which(name)
        if path is not None:
            return path
    return None


def read(program: str) -> Found:
    """Return all cards that the program reports."""
    answer = _run(program, "-q", "-x")
    if isinstance(answer, Found):
        return answer
    if "<nvidia_smi_log>" not in answer:
        return refusal(answer)
    listing = ""
    if "<mig_device>" in answer:  # the XML lacks the slices' UUIDs
        printed = _run(program, "-L")
        listing = printed if isinstance(printed, str) else ""
    return parse(answer, listing)


def _run(program: str, *arguments: str) -> Union[str, Found]:
    try:
        done = subprocess.run(
            [program, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            timeout=TIMEOUT_S, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return Found("error", f"nvidia-smi did not answer within {TIMEOUT_S:g} s.")
    except OSError as error:
        return Found("error", f"nvidia-smi cannot be started: {error.strerror}.")
    text = done.stdout.decode("utf-8", "replace")
    if done.returncode != 0 or not text.strip():
        return refusal(text)
    return text


def refusal(text: str) -> Found:
    """Return the meaning of a text that comes in place of cards."""
    if "No devices were found" in text:
        return NOTHING
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return Found("error", " ".join(lines[:2]) or "nvidia-smi failed without a message.")


def parse(text: str, listing: str = "") -> Found:
    """Parse ``nvidia-smi -q -x``, schemas 10 to 13; ``listing`` is ``nvidia-smi -L`` for the slices' UUIDs."""
    import xml.etree.ElementTree as ElementTree  # unused on hosts that have the library

    try:
        root = ElementTree.fromstring(text)  # noqa: S314 - the host's own tool says it
    except ElementTree.ParseError as error:
        return Found("error", f"The answer of nvidia-smi is invalid: {error}.")
    slices = parse_listing(listing)
    cards = [_card(index, element, slices) for index, element in enumerate(root.findall("gpu"))]
    return Found("ok", "", cards) if cards else NOTHING


def parse_listing(listing: str) -> Slices:
    """Parse ``nvidia-smi -L``: card's UUID and slice's index -> profile, UUID."""
    found: Slices = {}
    card = ""
    for line in listing.splitlines():
        named, sliced = _CARD.match(line), _SLICE.match(line)
        if named:
            card = named.group(2)
        elif sliced:
            found[card, int(sliced.group(2))] = (sliced.group(1), sliced.group(3))
    return found


def _card(index: int, element: Any, slices: Slices) -> Dict[str, Any]:
    uuid = _text(element, "uuid")
    return gpu(
        index,
        "nvidia",
        uuid=uuid,
        name=_text(element, "product_name"),
        memory_total_bytes=_bytes(element, "fb_memory_usage/total"),
        memory_used_bytes=_bytes(element, "fb_memory_usage/used"),
        utilization_percent=_number(element, "utilization/gpu_util"),
        temperature_c=_number(element, "temperature/gpu_temp"),
        power_w=_power(element),
        mig=[_slice(uuid, one, slices) for one in element.findall("mig_devices/mig_device")],
        processes=_processes(element),
    )


def _power(element: Any) -> Optional[float]:
    """Return the power; schemas 11 to 13 renamed it."""
    for group in ("gpu_power_readings", "power_readings"):
        for field in ("power_draw", "instant_power_draw", "average_power_draw"):
            found = _number(element, f"{group}/{field}")
            if found is not None:
                return found
    return None


def _slice(card: str, element: Any, slices: Slices) -> Dict[str, Any]:
    profile, uuid = slices.get((card, int(_number(element, "index") or 0)), ("", ""))
    total = _bytes(element, "fb_memory_usage/total")
    return mig_slice(uuid, profile, total, _bytes(element, "fb_memory_usage/used"))


def _processes(element: Any) -> List[Dict[str, Any]]:
    using: Dict[int, Optional[int]] = {}
    for one in element.findall("processes/process_info"):
        pid = _number(one, "pid")
        if pid is not None and using.get(int(pid)) is None:
            using[int(pid)] = _bytes(one, "used_memory")
    return [process(pid, memory) for pid, memory in sorted(using.items())]


def _text(element: Any, path: str) -> str:
    return (element.findtext(path) or "").strip()


def _number(element: Any, path: str) -> Optional[float]:
    """Return a number without its unit; None for N/A and other words."""
    try:
        return float(_text(element, path).split()[0])
    except (ValueError, IndexError):
        return None


def _bytes(element: Any, path: str) -> Optional[int]:
    found = _number(element, path)
    return None if found is None else int(found * 1024 * 1024)
