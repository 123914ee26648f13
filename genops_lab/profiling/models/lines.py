"""Wire types of times by line of the user's code."""

from __future__ import annotations

import re
from typing import Literal

import msgspec

#: A cell as the notebook shows it.
_NUMBERED = re.compile(r"\[\d{1,9}\]", re.ASCII)


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A line of code. For a notebook cell, ``cell`` is its id, and ``file`` is its number as the notebook
    shows it (``[2]``), or the notebook's name, or the id.

    ``line`` is 0 where only the cell is known.
    """

    file: str
    line: int
    function: str = ""
    cell: str = ""
    #: The text of the line, if it is known.
    text: str = ""
    #: True if the recording has only the function: ``line`` is the line where the function begins, or was at
    #: the start of the recording.
    whole_function: bool = False

    @property
    def where(self) -> str:
        """Return the place as text: ``[2] line 5``, ``train.py:12``."""
        if _NUMBERED.fullmatch(self.file) is not None:
            return f"{self.file} line {self.line}" if self.line else self.file
        if not self.cell:
            return f"{self.file}:{self.line}" if self.line else self.file
        name = f"cell {self.cell[:8]}" if self.file == self.cell else f"{self.file}, cell {self.cell[:8]}"
        return f"{name}, line {self.line}" if self.line else name


class LineTime(msgspec.Struct, frozen=True, kw_only=True):
    """The times of a line. ``device_us`` is the sum of the lengths of the kernels and copies that it started.

    ``backward_us`` is the part of it in the backward pass. ``cpu_us`` is the time on the host in the line,
    without lines that it calls.
    """

    place: Place
    device_us: float
    backward_us: float
    cpu_us: float
    kernels: int
    #: The operators in the line with most device time.
    operators: list[str] = []


class Unattributed(msgspec.Struct, frozen=True, kw_only=True):
    """Device time of an operator or a kernel without a line."""

    name: str
    device_us: float


class Attribution(msgspec.Struct, frozen=True, kw_only=True):
    """Device time with and without a line. Sums of lengths, in microseconds.

    ``forward_us`` is the part that the backward pass did not start; it includes the optimizer.
    """

    #: Source of the lines: markers of ``%%profile``, Python stacks, or none.
    by: Literal["markers", "stacks", "none"]
    device_us: float
    attributed_us: float
    forward_us: float
    forward_attributed_us: float
    lines: list[LineTime]
    #: Time without a line, by operator or kernel.
    unattributed: list[Unattributed] = []
