"""Operators of one name and shapes, with the device time that they took."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..columns import Int64
from ..kinds import Kind
from ..nesting import NOTHING
from ..traces import Trace
from .shapes import Call, Work, is_known, work_of


@dataclass(frozen=True)
class Group:
    """``operators`` and what they ran (``slices``, on devices), as positions in the columns."""

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
        """Device time of one call."""
        return self.device_ns / max(1, self.count)

    @property
    def shapes(self) -> str:
        """As people read them: ``[4097, 4097] × [4097, 4097]``."""
        shown = [str(dims) for dims in self.call.dims if dims]
        return " × ".join(shown[:3])


def work_groups(trace: Trace) -> list[Group]:
    """Those with most device time first. Device work belongs to the outermost operator whose work is known."""
    columns = trace.columns
    dims, types, concrete = (_dense(trace, name) for name in ("dims", "types", "concrete"))
    known = np.array([is_known(name) for name in columns.names], bool)
    if not known.any():
        return []
    device = trace.device[columns.kind[trace.device] == Kind.COMPUTE]
    above = trace.owner[device].astype(np.int64)
    found = np.full(len(device), NOTHING, np.int64)
    while (climbing := above != NOTHING).any():
        fits = climbing & known[columns.name[above]] & (dims[above] != NOTHING)
        found = np.where(fits, above, found)
        above = np.where(climbing, trace.around[above], NOTHING)
    slices, operators = device[found != NOTHING], found[found != NOTHING]
    keys = np.column_stack(
        [columns.name[operators].astype(np.int64), dims[operators], types[operators], concrete[operators]]
    )
    if not len(keys):
        return []
    present, place = np.unique(keys, axis=0, return_inverse=True)
    order = np.argsort(place.ravel(), kind="stable")
    cuts = np.searchsorted(place.ravel()[order], np.arange(len(present) + 1))
    texts = columns.texts
    groups = []
    for number, key in enumerate(present.tolist()):
        call = Call.of(columns.names[key[0]], *(texts[each] if each != NOTHING else "" for each in key[1:]))
        work = work_of(call)
        if work is None:
            continue
        mine = order[cuts[number] : cuts[number + 1]]
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


def _dense(trace: Trace, column: str) -> Int64:
    """A sparse column for all slices; NOTHING where there is none."""
    dense = np.full(len(trace.columns), NOTHING, np.int64)
    sparse = trace.columns.sparse.get(column)
    if sparse is not None:
        dense[sparse.index] = sparse.value
    return dense
