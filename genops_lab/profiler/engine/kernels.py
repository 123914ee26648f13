"""Kernels by name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from ..models import KernelTime
from .columns import Columns, Int64
from .kinds import Kind
from .nesting import NOTHING
from .traces import Trace

_KINDS: dict[int, str] = {
    Kind.COMPUTE: "compute",
    Kind.COMMUNICATION: "communication",
    Kind.COPY: "copy",
    Kind.FILL: "fill",
}


def kernel_times(trace: Trace, members: Int64) -> list[KernelTime]:
    """By total time, then name. Copies and fills among ``members`` count as kernels of their own kind."""
    columns = trace.columns
    names, place, count = np.unique(columns.name[members], return_inverse=True, return_counts=True)
    durations = columns.dur[members]
    total = np.zeros(len(names), np.int64)
    np.add.at(total, place, durations)
    shortest = np.full(len(names), np.iinfo(np.int64).max)
    np.minimum.at(shortest, place, durations)
    longest = np.zeros(len(names), np.int64)
    np.maximum.at(longest, place, durations)
    kinds = np.zeros(len(names), np.int8)
    kinds[place] = columns.kind[members]
    launchers = _main_launchers(columns, place, trace.owner[members].astype(np.int64), len(names))
    found = [
        KernelTime(
            name=columns.names[name],
            count=int(count[each]),
            total_us=int(total[each]) / 1000,
            min_us=int(shortest[each]) / 1000,
            max_us=int(longest[each]) / 1000,
            operator=launchers[each],
            kind=_KINDS[int(kinds[each])],  # type: ignore[arg-type]
        )
        for each, name in enumerate(names.tolist())
    ]
    return sorted(found, key=lambda each: (-each.total_us, each.name))


def merged(tables: Iterable[list[KernelTime]]) -> Iterator[KernelTime]:
    """Kernels of several devices and ranks, by name, in the order of their total time."""
    rows: dict[str, list[KernelTime]] = {}
    for table in tables:
        for kernel in table:
            rows.setdefault(kernel.name, []).append(kernel)
    together = [
        KernelTime(
            name=name,
            count=sum(each.count for each in same),
            total_us=sum(round(each.total_us * 1000) for each in same) / 1000,
            min_us=min(each.min_us for each in same),
            max_us=max(each.max_us for each in same),
            operator=max(same, key=lambda each: each.total_us).operator,
            kind=same[0].kind,
        )
        for name, same in rows.items()
    ]
    yield from sorted(together, key=lambda each: (-each.total_us, each.name))


def _main_launchers(columns: Columns, place: Int64, owner: Int64, names: int) -> list[str]:
    """For each name the operator that launched most of its slices."""
    launchers = [""] * names
    known = owner != NOTHING
    pairs = np.column_stack([place[known], columns.name[owner[known]]])
    if not len(pairs):
        return launchers
    present, count = np.unique(pairs, axis=0, return_counts=True)
    for each in np.argsort(count, kind="stable").tolist():
        launchers[int(present[each, 0])] = columns.names[int(present[each, 1])]
    return launchers
