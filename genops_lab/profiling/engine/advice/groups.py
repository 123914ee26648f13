"""Group operators by name and shapes, with their device time."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ..columns import NOTHING, Bools, Columns, Int64
from ..kinds import Kind
from ..traces import Trace
from .shapes import Call, Work, is_known, work_of

#: Smaller tensors stay in caches, which have another speed.
LARGE_BYTES = 32e6
_TRANSPOSES = re.compile(
    r"nchwTo?Nhwc|nhwcTo?Nchw|nchw2nhwc|nhwc2nchw|batched_transpose|transpose_(NCHW|NHWC)", re.IGNORECASE
)


@dataclass(frozen=True)
class Group:
    """Calls of one name and shapes: the ``operators`` and their device ``slices``, as positions in the
    columns."""

    call: Call
    work: Work
    operators: Int64
    slices: Int64
    device_ns: int
    kernels: list[str]

    @property
    def count(self) -> int:
        return len(self.operators)

    @property
    def each_ns(self) -> float:
        """Return the device time of one call."""
        return self.device_ns / max(1, self.count)

    @property
    def shapes(self) -> str:
        """Return the shapes as text, such as ``[4097, 4097] × [4097, 4097]``."""
        shown = [str(dims) for dims in self.call.dims if dims]
        return " × ".join(shown[:3])


def turn_tensors(columns: Columns, slices: Int64) -> Bools:
    """Return which slices are library kernels that convert NCHW to NHWC or back."""
    return columns.named(_TRANSPOSES)[columns.name[slices]]


def work_groups(trace: Trace) -> list[Group]:
    """Return the groups, most device time first. Device work belongs to the outermost operator with known
    work. Layout conversions of a convolution do not count (``conv_layout`` reports them)."""
    columns = trace.columns
    known = np.array([is_known(name) for name in columns.names], bool)
    shaped = columns.sparse.get("dims")
    if shaped is None or not known.any():
        return []
    fits = np.zeros(len(columns), bool)
    fits[shaped.index] = known[columns.name[shaped.index]]
    device = trace.device[columns.kind[trace.device] == Kind.COMPUTE]
    device = device[~turn_tensors(columns, device)]
    above = trace.owner[device].astype(np.int64)
    found = np.full(len(device), NOTHING, np.int64)
    while (climbing := above != NOTHING).any():
        found = np.where(climbing & fits[above], above, found)
        above = np.where(climbing, trace.around[above], NOTHING)
    slices, operators = device[found != NOTHING], found[found != NOTHING]
    if not len(operators):
        return []
    keys = [columns.name[operators].astype(np.int64)]
    keys += [columns.values(column, operators) for column in ("dims", "types", "concrete")]
    place = _numbered(_numbered(keys[0], keys[1]), _numbered(keys[2], keys[3]))
    order = np.argsort(place, kind="stable")
    cuts = np.append(np.flatnonzero(np.diff(place[order], prepend=-1)), len(order))
    texts = columns.texts
    groups = []
    for begin, end in pairwise(cuts.tolist()):
        mine = order[begin:end]
        name, *arguments = (int(key[mine[0]]) for key in keys)
        call = Call.of(columns.names[name], *(texts[each] if each != NOTHING else "" for each in arguments))
        work = work_of(call)
        if work is None or min(work.flops, work.bytes) <= 0:
            continue
        ran = slices[mine]
        groups.append(
            Group(
                call=call,
                work=work,
                operators=np.unique(operators[mine]),
                slices=ran,
                device_ns=int(columns.dur[ran].sum()),
                kernels=[columns.names[name] for name in np.unique(columns.name[ran]).tolist()],
            )
        )
    return sorted(groups, key=lambda group: -group.device_ns)


def _numbered(first: Int64, second: Int64) -> Int64:
    """Return one number for each distinct pair."""
    width = int(second.max()) + 2
    _present, place = np.unique(first * width + second + 1, return_inverse=True)
    return np.asarray(place, np.int64)
