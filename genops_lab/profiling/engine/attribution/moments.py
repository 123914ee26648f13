"""The lines of moments of threads: those of the forward pass also for what the backward pass does for them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..columns import Columns, Int32, Int64
from ..nesting import NOTHING
from ..positions import present
from .enclosing import Enclosing
from .lines import Lines

Bools = npt.NDArray[np.bool_]
#: So many moments are looked at together.
BLOCK = 1 << 17


def lines_of_moments(columns: Columns, lines: Lines, lane: Int32, ts: Int64) -> tuple[Int64, Bools]:
    """The line of each moment of a lane, and whether it lies in the backward pass."""
    found, in_backward = np.empty(len(ts), np.int64), np.empty(len(ts), bool)
    for begin in range(0, len(ts), BLOCK):
        block = slice(begin, begin + BLOCK)
        found[block], in_backward[block] = _lines_of_block(columns, lines, lane[block], ts[block])
    return found, in_backward


def _lines_of_block(columns: Columns, lines: Lines, lane: Int32, ts: Int64) -> tuple[Int64, Bools]:
    found = lines.at(lane, ts)
    passes, tree = lines.backward
    node = tree.around(lane, ts)
    between = np.flatnonzero((node == NOTHING) & np.isin(lane, passes.threads))
    node[between] = tree.before(lane[between], ts[between])
    mine = np.flatnonzero(node != NOTHING)
    if len(mine):
        found[mine] = _backward_lines(
            columns, lines, tree, passes.forward, passes.operators, node[mine], lane[mine], ts[mine]
        )
    return found, node != NOTHING


def _backward_lines(
    columns: Columns,
    lines: Lines,
    tree: Enclosing,
    forward: Int64,
    operators: Int64,
    node: Int64,
    lane: Int32,
    ts: Int64,
) -> Int64:
    operator = tree.members[node]
    # A checkpoint computes its forward pass again in here, in frames of its own.
    found = lines.inside(lane, ts, columns.ts[operator])
    gradient_of = forward[np.searchsorted(operators, operator)]
    rest = np.flatnonzero((found == NOTHING) & (gradient_of != NOTHING))
    made = gradient_of[rest]
    found[rest] = lines.at(columns.lane[made], columns.ts[made])
    rest = np.flatnonzero(found == NOTHING)
    found[rest] = lines.at(lane[rest], ts[rest])
    rest = np.flatnonzero(found == NOTHING)
    for number in present(len(columns.lanes), lane[rest]).tolist():
        here = rest[lane[rest] == number]
        process = columns.lanes[number].process
        together = [
            other for other, each in enumerate(columns.lanes) if each.process == process and not each.device
        ]
        found[here] = lines.waiting(together, number, ts[here])
    return found
