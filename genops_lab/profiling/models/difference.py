"""Two profiles side by side. A change is ``after - before``: below zero is faster."""

from __future__ import annotations

from typing import Literal

import msgspec

from .lines import Place


class ComparedProfiles(msgspec.Struct, frozen=True, kw_only=True):
    """Which two, by their ids."""

    before: str
    after: str


class LaunchedWith(msgspec.Struct, frozen=True, kw_only=True):
    """A grid and a block, as JSON; empty for what was measured as a whole."""

    grid: str
    block: str


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One operator, kernel or line in both. Device time in microseconds a step.

    Of an operator it is the time of its own on the CPU and of the kernels that it launched; copies and fills count as
    kernels.
    """

    name: str
    before_us: float
    after_us: float
    before_count: float
    after_count: float
    state: Literal["both", "added", "removed"]
    place: Place | None = None
    #: Of a new kernel: the one that is gone and did the same work, by operator and shapes.
    instead_of: str = ""
    #: Of a kernel that was measured in both: which of its launches are compared with which.
    before_with: list[LaunchedWith] = []
    after_with: list[LaunchedWith] = []


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One sum in both. ``covered_before``, ``covered_after``: of FLOPs and what rests on them the part of the compute
    time that they are known of, 0 to 1."""

    code: str
    before: float
    after: float
    unit: Literal["us", "share", "count", "flops", "bytes"]
    covered_before: float | None = None
    covered_after: float | None = None


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """All times are a step where both have steps, else of the whole trace (``a_step`` tells), or of the kernels alone
    that Nsight Compute measured (``measured``: in both).

    They are sums over all devices of all ranks. Changes are in the order of their size.
    """

    a_step: bool
    before_steps: int
    after_steps: int
    figures: list[Figure]
    operators: list[Change]
    kernels: list[Change]
    lines: list[Change]
    measured: bool = False
    #: Problems by code: gone, new, and in both.
    advice_gone: list[str] = []
    advice_new: list[str] = []
    advice_kept: list[str] = []
    warnings: list[str] = []
    #: Whether one of them is ``incomplete``.
    incomplete: bool = False
