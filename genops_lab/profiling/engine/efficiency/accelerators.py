"""What devices can do, by the names that their drivers give them (``accelerators.json``)."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import msgspec

_DATA = Path(__file__).with_name("accelerators.json")


class Accelerator(msgspec.Struct, frozen=True):
    """One device of a model: dense peaks in TFLOP/s by dtype, bandwidth of its memory in GB/s, number of
    its SMs or CUs."""

    model: str
    names: list[str]
    tflops: dict[str, float]
    gb_per_s: float
    processors: int
    source: str


class _Data(msgspec.Struct):
    devices: list[Accelerator]


@cache
def accelerators() -> list[Accelerator]:
    """All that are known."""
    return msgspec.json.decode(_DATA.read_bytes(), type=_Data).devices


def by_model(model: str) -> Accelerator:
    """One that is in the table, by its own name. Raises KeyError."""
    return {each.model: each for each in accelerators()}[model]


def find(name: str) -> Accelerator | None:
    """By a name like ``NVIDIA H100 80GB HBM3``; None for one that is not known."""
    name = name.strip()
    for each in accelerators():
        if any(re.search(pattern, name) for pattern in each.names):
            return each
    return None
