"""Sets of positions in the columns, by marks: they are large and their range is known, so nothing is sorted.

``size`` is above all positions. Results rise and have each position once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .columns import Int64

Positions = npt.NDArray[np.signedinteger[Any]]


def present(size: int, *members: Positions) -> Int64:
    """Those that are in any of ``members``."""
    marks = np.zeros(size, bool)
    for each in members:
        marks[each] = True
    return np.flatnonzero(marks)


def without(size: int, members: Positions, others: Positions) -> Int64:
    """Those of ``members`` that are not in ``others``."""
    marks = np.zeros(size, bool)
    marks[members] = True
    marks[others] = False
    return np.flatnonzero(marks)


def common(size: int, members: Positions, others: Positions) -> Int64:
    """Those that are in both."""
    marks = np.zeros(size, bool)
    marks[others] = True
    return present(size, members[marks[members]])
