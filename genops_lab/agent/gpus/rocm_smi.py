"""Read AMD's cards with ``rocm-smi``, where the kernel's own files are hidden. Each reading starts a process."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from typing import Any, Dict, Iterable, List, Optional

from .found import NOTHING, Found, gpu, process

PROGRAMS = ("rocm-smi", "/opt/rocm/bin/rocm-smi")
ARGUMENTS = (
    "--showid", "--showproductname", "--showuniqueid", "--showuse", "--showtemp", "--showpower", "--showpids",
    "--showmeminfo", "vram", "--json",
)  # fmt: skip
TIMEOUT_S = 15.0

_TEMPERATURES = ("Temperature (Sensor edge) (C)", "Temperature (Sensor junction) (C)")
_POWERS = ("Average Graphics Package Power (W)", "Current Socket Graphics Package Power (W)")
#: The names in releases 4 to 6. "Device Name" came last and has the same value.
_NAMES = ("Card series", "Card Series", "Device Name")


def find() -> Optional[str]:
    """Return the program, or None."""
    for name in PROGRAMS:
        path = shutil.which(name)
        if path is not None:
            return path
    return None


def read(program: str) -> Found:
    """Return all cards that the program reports."""
    try:
        done = subprocess.run(
            [program, *ARGUMENTS], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, timeout=TIMEOUT_S, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return Found("error", f"rocm-smi did not answer within {TIMEOUT_S:g} s.")
    except OSError as error:
        return Found("error", f"rocm-smi cannot be started: {error.strerror}.")
    return parse(done.stdout.decode("utf-8", "replace") or done.stderr.decode("utf-8", "replace"))


def parse(text: str) -> Found:
    """Parse ``rocm-smi --json``, releases 4 to 6."""
    start = text.find("{")  # warnings may come first
    try:
        reported = json.loads(text[start:]) if start >= 0 else None
    except ValueError:
        reported = None
    if not isinstance(reported, dict):
        said = " ".join(text.split())[:200]
        return Found("error", f"The answer of rocm-smi is invalid: {said or 'it was empty'}.")
    numbered = {}
    for key, fields in reported.items():
        card = re.fullmatch(r"card(\d+)", key)
        if card and isinstance(fields, dict):
            numbered[int(card.group(1))] = fields
    processes = _processes(reported.get("system"))
    cards = [
        _card(index, numbered[index], processes if len(numbered) == 1 else []) for index in sorted(numbered)
    ]
    return Found("ok", "", cards) if cards else NOTHING


def _card(index: int, fields: Dict[str, Any], processes: List[Dict[str, Any]]) -> Dict[str, Any]:
    total = _number(fields, ["VRAM Total Memory (B)"])
    used = _number(fields, ["VRAM Total Used Memory (B)"])
    unique = str(fields.get("Unique ID", "N/A"))
    return gpu(
        index,
        "amd",
        uuid=f"GPU-{unique[2:]}" if unique.startswith("0x") else "",
        name=next((str(fields[key]) for key in _NAMES if fields.get(key) not in (None, "N/A")), ""),
        memory_total_bytes=None if total is None else int(total),
        memory_used_bytes=None if used is None else int(used),
        utilization_percent=_number(fields, ["GPU use (%)"]),
        temperature_c=_number(fields, _TEMPERATURES),
        power_w=_number(fields, _POWERS),
        processes=processes,
    )


def _processes(system: Any) -> List[Dict[str, Any]]:
    """Return the processes of ``PID123: "name, cards, bytes, ..."``. It does not say which cards: used only
    for a single one."""
    found = []
    for key, value in (system if isinstance(system, dict) else {}).items():
        pid = re.fullmatch(r"PID(\d+)", key)
        parts = str(value).rsplit(", ", 4)
        if pid and len(parts) == 5 and parts[2].isdigit():
            found.append(process(int(pid.group(1)), int(parts[2])))
    return found


def _number(fields: Dict[str, Any], keys: Iterable[str]) -> Optional[float]:
    """Return the first of the fields that has a number."""
    for key in keys:
        try:
            return float(fields[key])
        except (KeyError, TypeError, ValueError):
            continue
    return None
