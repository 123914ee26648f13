"""Work against what the device can do, as a person sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...document import Column, Note, Row, Table, microseconds, share

if TYPE_CHECKING:
    from genops_lab.profiling.models import Roofline

SHOWN_OPERATORS = 10


def roofline(found: Roofline) -> list[Table | Note]:
    """MFU, the operators with most time, and what is missing."""
    blocks: list[Table | Note] = []
    if found.operators:
        rows: list[Row] = [
            [
                each.name,
                each.shapes,
                each.dtype,
                str(each.count),
                microseconds(each.device_us),
                f"{each.tflops:.1f}" if each.flops else "",
                f"{each.gb_per_s:,.0f}",
                share(each.share, 1) if each.bound else "",
                each.bound,
            ]
            for each in found.operators[:SHOWN_OPERATORS]
        ]
        numbers = ("count", "device", "TFLOP/s", "GB/s", "of attainable")
        columns = [
            Column("operator"),
            Column("shapes", shrinks=True),
            Column("dtype"),
            *(Column(number, right=True) for number in numbers),
            Column("bound by"),
        ]
        blocks.append(Table(columns, rows, title="Roofline"))
    figures = [f"MFU {share(found.mfu, 1)}"] if found.mfu is not None else []
    figures += [
        f"{each.model} {each.dtype}: {each.tflops:g} TFLOP/s, {each.gb_per_s:,.0f} GB/s"
        for each in found.peaks
    ]
    if figures:
        blocks.append(Note(" · ".join(figures)))
    if found.missing:
        blocks.append(Note(found.missing, "dim"))
    return blocks
