"""One launch as Nsight Compute measured it."""

from __future__ import annotations

from typing import Literal

import msgspec

from ...models import KernelRule


class Launch(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A measured launch. ``us`` is its time alone on the device. ``figures`` and ``stalls`` have the names of
    ``figures.py``.

    ``number`` is that of its result in the report; unreadable results have numbers too. A range, a CUDA graph
    or a command list that was measured as a whole has no grid. Only the longest launch of a kernel keeps its
    ``rules``. ``gains`` has, for each rule, the estimated saving in percent of the launch's time.
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
    """All launches of a report, in order, and a note on the measurement for users."""

    launches: list[Launch] = []
    note: str = ""
