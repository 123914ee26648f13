"""What devices can do, by the names that their drivers give them (``../accelerators.json``)."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import msgspec

_DATA = Path(__file__).parents[1] / "accelerators.json"


class Accelerator(msgspec.Struct, frozen=True):
    """One device of a model: dense peaks in TFLOP/s by dtype, bandwidth of its memory in GB/s."""

    model: str
    names: list[str]
    tflops: dict[str, float]
    gb_per_s: float
    source: str


class _Data(msgspec.Struct):
    devices: list[Accelerator]


@cache
def accelerators() -> list[Accelerator]:
    """All that are known."""
    return msgspec.json.decode(_DATA.read_bytes(), type=_Data).devices


def find(name: str) -> Accelerator | None:
    """By a name like ``NVIDIA H100 80GB HBM3``; None for one that is not known."""
    name = name.strip()
    for each in accelerators():
        if any(re.search(pattern, name) for pattern in each.names):
            return each
    return None
