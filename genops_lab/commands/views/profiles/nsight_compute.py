"""What Nsight Compute measured, as a person sees it."""

from __future__ import annotations

from collections.abc import Iterable

from genops_lab.profiling.models import KernelMetrics, MeasuredKernel, Measurement

from ...document import Block, Column, Document, Note, Row, Table, microseconds, share

SHOWN_KERNELS = 15
#: Of a text that stands for a value, such as a list of metrics.
SHOWN_CHARACTERS = 60


def measured_blocks(found: Measurement, models: Iterable[str]) -> list[Block]:
    """The kernels with most time, and how they were measured. ``models``: of the devices, "" where not told."""
    of_ranks = len({each.rank for each in found.kernels}) > 1
    rows: list[Row] = [
        [
            *([str(each.rank)] if of_ranks else []),
            str(each.longest),
            each.name,
            each.place.where if each.place is not None else "",
            str(each.count),
            microseconds(each.total_us),
            share(each.total_us, found.total_us),
            _percent(each.compute_pct),
            _percent(each.memory_pct),
            _occupancy(each),
            each.bound,
        ]
        for each in found.kernels[:SHOWN_KERNELS]
    ]
    columns = [
        *([Column("rank", right=True)] if of_ranks else []),
        Column("number", right=True),
        Column("kernel", shrinks=True),
        Column("line"),
        *(Column(name, right=True) for name in ("count", "time", "share", "compute", "memory", "occupancy")),
        Column("bound by"),
    ]
    launches = "one launch" if found.launches == 1 else f"{found.launches:,} launches"
    kernels = len(found.kernels) + found.more_kernels
    if kernels > SHOWN_KERNELS:
        launches = f"{SHOWN_KERNELS} of {kernels:,}, {launches}; --json has {len(found.kernels):,}"
    named = sorted(set(filter(None, models)))
    on = f" on {' and '.join(named)}" if named else ""
    blocks: list[Block] = [Table(columns, rows, title=f"Measured kernels{on} ({launches})")]
    if found.note:
        blocks.append(Note(found.note, "dim"))
    return blocks


def metrics(found: KernelMetrics) -> Document:
    """``profile kernel``."""
    rows: list[Row] = [
        [each.name, _value(each.value), each.unit, str(each.instances) if each.instances else ""]
        for each in found.metrics
    ]
    columns = [
        Column("metric"),
        Column("value", right=True, shrinks=True),
        Column("unit"),
        Column("instances", right=True),
    ]
    return Document(
        [Table(columns, rows, empty="It has no such metric.", title=f"Launch {found.number}: {found.name}")]
    )


def _percent(value: float | None) -> str:
    return "" if value is None else share(value, 100)


def _occupancy(kernel: MeasuredKernel) -> str:
    if kernel.occupancy_pct is None:
        return ""
    of = kernel.theoretical_occupancy_pct
    return share(kernel.occupancy_pct, 100) + (f" of {share(of, 100)}" if of is not None else "")


def _value(value: float | str) -> str:
    if isinstance(value, str):
        return value if len(value) <= SHOWN_CHARACTERS else f"{value[: SHOWN_CHARACTERS - 1]}…"
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.6g}"
