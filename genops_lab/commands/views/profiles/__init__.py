"""Profiles and traces, as a person sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...document import (
    SHORT_ID,
    Block,
    Column,
    Document,
    Facts,
    Note,
    Row,
    Table,
    microseconds,
    moment,
    share,
    size,
    state_cell,
)
from .advice import advice_blocks
from .lines import lines
from .nsight_compute import measured_blocks
from .pricing import price_words
from .roofline import roofline

if TYPE_CHECKING:
    from genops_lab.profiling.models import Profile, ProfileSummary

SHOWN_OPERATORS = 15


def profiles(found: list[Profile]) -> Document:
    """``profiles list``."""
    rows: list[Row] = []
    for each in found:
        first = each.summary.devices[0] if each.summary and each.summary.devices else None
        has_clock = each.summary is not None and each.summary.measured is None
        busy = share(first.busy_us, first.span_us) if first and has_clock else ""
        when = moment(each.created_at)
        rows.append([each.id, each.title, state_cell(each.state), when, busy, each.run_id[:SHORT_ID]])
    columns = [
        Column("profile"),
        Column("title", shrinks=True),
        Column("state"),
        Column("captured"),
        Column("device busy", right=True),
        Column("run"),
    ]
    return Document(
        [Table(columns, rows, empty="There are no profiles. Capture one with %%profile in a notebook.")]
    )


def profile(shown: Profile) -> Document:
    """``profiles show``."""
    facts = Facts(
        [
            ("profile", shown.id),
            ("title", shown.title),
            ("state", state_cell(shown.state)),
            ("captured", moment(shown.created_at)),
            ("run", shown.run_id),
            ("notebook", shown.notebook),
            ("trace", size(shown.size_bytes)),
            ("message", shown.message),
        ]
    )
    return Document([facts, *(summary(shown.summary).blocks if shown.summary else ())])


def summary(found: ProfileSummary) -> Document:
    """What a trace says: advice, devices, kernels, operators, lines, roofline."""
    blocks: list[Block] = []
    if found.damaged:
        blocks.append(Note(f"Not everything was read: {found.damaged}", "busy"))
    blocks += advice_blocks(found)
    if found.measured is not None:
        blocks += measured_blocks(found.measured, (each.model for each in found.devices))
    # Kernel by kernel, a device is neither busy nor idle.
    if found.measured is None or found.cpu.span_us:
        blocks.append(_devices(found))
    kernels: list[Row] = [
        [f"{device.device}", kernel.name, str(kernel.count), microseconds(kernel.total_us)]
        for device in found.devices
        for kernel in device.top_kernels
    ]
    if kernels and found.measured is None:
        columns = [
            Column("device"),
            Column("kernel", shrinks=True),
            Column("count", right=True),
            Column("total", right=True),
        ]
        blocks.append(Table(columns, kernels, title="Kernels by time"))
    if found.operators:
        operators: list[Row] = [
            [
                each.name,
                str(each.count),
                microseconds(each.self_us),
                microseconds(each.total_us),
                microseconds(each.device_us) if each.device_us else "",
            ]
            for each in found.operators[:SHOWN_OPERATORS]
        ]
        columns = [
            Column("operator", shrinks=True),
            *(Column(number, right=True) for number in ("count", "self", "total", "device")),
        ]
        blocks.append(Table(columns, operators, title="Operators by time"))
    if found.attribution:
        blocks += lines(found.attribution, measured=found.measured is not None)
    if found.roofline:
        blocks += roofline(found.roofline)
    if found.price:
        blocks.append(Note(price_words(found.price)))
    return Document(blocks)


def _devices(found: ProfileSummary) -> Table:
    rows: list[Row] = [
        [
            f"{device.device} (rank {device.rank})",
            microseconds(device.span_us),
            microseconds(device.busy_us),
            share(device.idle_us, device.span_us),
            microseconds(device.compute_us),
            microseconds(device.comm_us),
            microseconds(device.exposed_comm_us),
            microseconds(device.memory_us),
            str(device.kernels),
        ]
        for device in found.devices
    ]
    if found.cpu.span_us:
        cpu = found.cpu
        row = ["cpu", microseconds(cpu.span_us), microseconds(cpu.busy_us), share(cpu.idle_us, cpu.span_us)]
        rows.append([*row, "", "", "", "", ""])
    numbers = ("span", "busy", "idle", "compute", "comm", "exposed", "memory", "kernels")
    return Table(
        [Column("device"), *(Column(number, right=True) for number in numbers)],
        rows,
        empty="The trace holds no device and no operator.",
        title=f"{found.events:,} events",
    )
