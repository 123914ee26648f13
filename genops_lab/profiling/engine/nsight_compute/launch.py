"""One launch as Nsight Compute measured it."""

from __future__ import annotations

from typing import Literal

import msgspec

from ...models import KernelRule


class Launch(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """``us`` is its time alone on the device. ``figures`` and ``stalls`` under the names of ``figures.py``.

    ``number`` is that of its result in the report, where also results that could not be read have one. A range, a CUDA
    graph or a command list that was measured as a whole has no grid. ``rules`` are kept of the longest launch of a
    kernel alone, ``gains`` of each: the part of its time, in percent, that a rule estimates could be saved.
    """

    number: int
    name: str
    device: str
    us: float
    kind: Literal["kernel", "range", "graph", "cmdlist"] = "kernel"
    grid: str = ""
    block: str = ""
    figures: dict[str, float] = {}
    stalls: dict[str, float] = {}
    rules: list[KernelRule] = []
    gains: dict[str, float] = {}


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """All launches of a report, in their order, and how they were measured, for people."""

    launches: list[Launch] = []
    note: str = ""
