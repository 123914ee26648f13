"""Time by the user's own code."""

from __future__ import annotations

import re
from typing import Literal

import msgspec

#: A cell as the notebook shows it.
_NUMBERED = re.compile(r"\[\d{1,9}\]", re.ASCII)


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A line of code. ``cell`` is a notebook cell's id; then ``file`` is its number as the notebook shows it
    (``[2]``), or the notebook's name, or the id again.

    ``line`` is 0 where only the cell is known.
    """

    file: str
    line: int
    function: str = ""
    cell: str = ""
    #: The line's text where it is known.
    text: str = ""
    #: The recording tells the function alone: ``line`` is where it begins (or stood when the recording began).
    whole_function: bool = False

    @property
    def where(self) -> str:
        """In words: ``[2] line 5``, ``train.py:12``."""
        if _NUMBERED.fullmatch(self.file) is not None:
            return f"{self.file} line {self.line}" if self.line else self.file
        if not self.cell:
            return f"{self.file}:{self.line}" if self.line else self.file
        name = f"cell {self.cell[:8]}" if self.file == self.cell else f"{self.file}, cell {self.cell[:8]}"
        return f"{name}, line {self.line}" if self.line else name


class LineTime(msgspec.Struct, frozen=True, kw_only=True):
    """What a line cost. ``device_us`` is the sum of the lengths of the kernels and copies that it started.

    ``backward_us``: of it, those of the backward pass that belong to it. ``cpu_us``: time on the host in the line,
    without that of lines inside it.
    """

    place: Place
    device_us: float
    backward_us: float
    cpu_us: float
    kernels: int
    #: The operators in it with most device time.
    operators: list[str] = []


class Unattributed(msgspec.Struct, frozen=True, kw_only=True):
    """Device time of an operator or a kernel that has no line."""

    name: str
    device_us: float


class Attribution(msgspec.Struct, frozen=True, kw_only=True):
    """How much device time has a line. Sums of lengths, in microseconds.

    ``forward_us``: of what the backward pass did not start (also the optimizer's).
    """

    #: What the lines were found by: markers of ``%%profile``, Python stacks, or nothing that the trace has.
    by: Literal["markers", "stacks", "none"]
    device_us: float
    attributed_us: float
    forward_us: float
    forward_attributed_us: float
    lines: list[LineTime]
    #: What has no line, by operator or kernel.
    unattributed: list[Unattributed] = []
