"""Kernels by name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from ...models import KernelTime
from ..columns import Columns, Int32, Int64
from ..kinds import Kind
from ..nesting import NOTHING
from ..positions import present
from ..traces import Trace

_KINDS: dict[int, str] = {
    Kind.COMPUTE: "compute",
    Kind.COMMUNICATION: "communication",
    Kind.COPY: "copy",
    Kind.FILL: "fill",
}

#: A table of so many pairs is small in any case.
LEAST_PAIRS = 1 << 16
#: Kernels by the key of their device.
Tables = dict[str, list[KernelTime]]


def kernels_and_others(trace: Trace) -> tuple[Tables, Tables]:
    """The kernels of each device; its copies and fills, which count as kernels of their own kind."""
    kind = trace.columns.kind
    tables: tuple[Tables, Tables] = {}, {}
    for key, members in trace.devices.items():
        computes = kind[members] <= Kind.COMMUNICATION
        for table, mine in zip(tables, (computes, ~computes), strict=True):
            table[key] = kernel_times(trace, members[mine])
    return tables


def kernel_times(trace: Trace, members: Int64) -> list[KernelTime]:
    """By total time, then name."""
    columns = trace.columns
    name, durations, size = columns.name[members], columns.lengths(members), len(columns.names)
    count = np.bincount(name, minlength=size)
    total = np.zeros(size, np.int64)
    np.add.at(total, name, durations)
    shortest = np.full(size, np.iinfo(np.int64).max)
    np.minimum.at(shortest, name, durations)
    longest = np.zeros(size, np.int64)
    np.maximum.at(longest, name, durations)
    kinds = np.zeros(size, np.int8)
    kinds[name] = columns.kind[members]
    launchers = _main_launchers(columns, name, trace.owner[members])
    found = [
        KernelTime(
            name=columns.names[each],
            count=int(count[each]),
            total_us=int(total[each]) / 1000,
            min_us=int(shortest[each]) / 1000,
            max_us=int(longest[each]) / 1000,
            operator=launchers.get(each, ""),
            kind=_KINDS[int(kinds[each])],  # type: ignore[arg-type]
        )
        for each in np.flatnonzero(count).tolist()
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


def _main_launchers(columns: Columns, name: Int32, owner: Int32) -> dict[int, str]:
    """For each kernel's name the operator that launched most of its slices."""
    known, size = owner != NOTHING, len(columns.names)
    name, operator = name[known], columns.name[owner[known]]
    kernels, operators = present(size, name), present(size, operator)
    # A table of all pairs has mostly not more places than there are slices.
    if len(kernels) * len(operators) <= len(name) + LEAST_PAIRS:
        numbers = np.zeros((2, size), np.int64)
        numbers[0, kernels], numbers[1, operators] = np.arange(len(kernels)), np.arange(len(operators))
        counts = np.bincount(numbers[0][name] * len(operators) + numbers[1][operator])
        pairs = np.flatnonzero(counts)
        count = counts[pairs]
        pairs = kernels[pairs // len(operators)] * size + operators[pairs % len(operators)]
    else:
        pairs, count = np.unique(name.astype(np.int64) * size + operator, return_counts=True)
    order = np.argsort(count, kind="stable")
    # The last of a name is the most frequent.
    return {pair // size: columns.names[pair % size] for pair in pairs[order].tolist()}
