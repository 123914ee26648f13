"""Device time by line, as a person sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...document import Column, Note, Row, Table, microseconds, share

if TYPE_CHECKING:
    from genops_lab.profiling.models import Attribution, Place

SHOWN_LINES = 15
SHOWN_UNATTRIBUTED = 3
#: Of a path so many characters are shown, its end.
PATH = 40
TEXT = 50


def lines(found: Attribution, *, measured: bool) -> list[Table | Note]:
    """The lines with most time, then what has none. ``measured``: it is of a report of Nsight Compute."""
    blocks: list[Table | Note] = []
    # Where a device worked, lines without a part in it are not of interest.
    shown = [each for each in found.lines if each.device_us or not found.device_us]
    if shown:
        rows: list[Row] = [
            [
                _place(each.place),
                microseconds(each.device_us),
                share(each.device_us, found.device_us),
                microseconds(each.backward_us) if each.backward_us else "",
                microseconds(each.cpu_us),
                str(each.kernels),
                ", ".join(each.operators),
            ]
            for each in shown[:SHOWN_LINES]
        ]
        columns = [
            Column("line"),
            *(Column(number, right=True) for number in ("device", "of all", "backward", "cpu", "kernels")),
            Column("most time in", shrinks=True),
        ]
        blocks.append(Table(columns, rows, title="Lines by device time"))
    if found.device_us:
        blocks.append(Note(_covered(found, measured), "dim"))
    return blocks


def _covered(found: Attribution, measured: bool) -> str:
    if found.by == "none" and measured:
        return (
            "The report tells no lines: use %%profile in a kernel with Nsight Compute, or ncu --call-stack."
        )
    if found.by == "none":
        return "The trace tells no lines: record it with %%profile, or with_stack=True."
    said = f"{share(found.attributed_us, found.device_us)} of the device time has a line"
    if found.unattributed:
        most = ", ".join(each.name for each in found.unattributed[:SHOWN_UNATTRIBUTED])
        said += f"; without one: {most}"
    return f"{said}."


def _place(place: Place) -> str:
    where = place.where if len(place.where) <= PATH else f"…{place.where[1 - PATH :]}"
    if place.whole_function:
        return f"{where} {place.function}()"
    text = place.text.strip()
    return f"{where}  {text if len(text) <= TEXT else f'{text[: TEXT - 1]}…'}" if text else where
