"""Copies from the host to the device."""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np

from ...models import Advice
from ..columns import Int64
from ..idle import REASONS
from ..kinds import Kind
from ..nesting import NOTHING
from .case import Case, Stake, length_of, milliseconds

_TO_DEVICE = re.compile(
    r"HtoD|Host -> Device|Pageable -> Device|Pinned -> Device|CopyHostToDevice", re.IGNORECASE
)
_PAGEABLE = re.compile(r"Pageable -> Device", re.IGNORECASE)
_COPY = REASONS.index("copy")


def copies_to_device(case: Case, pattern: re.Pattern[str] = _TO_DEVICE) -> Int64:
    """Slices of copies from the host."""
    columns = case.columns
    fits = np.array([pattern.search(name) is not None for name in columns.names], bool)
    device = case.trace.device
    found: Int64 = device[(columns.kind[device] == Kind.COPY) & fits[columns.name[device]]]
    return found


def h2d_blocking(case: Case) -> Iterable[Advice]:
    """The device is idle because its host stands in a copy to the device.

    Saving: the idle time of gaps in which the host was inside such a copy, with the launching that follows.
    """
    copies = copies_to_device(case)
    calls = case.trace.call[copies]
    if not len(copies) or not (calls != NOTHING).any():
        return
    saving, seen = _idle_during(case, calls[calls != NOTHING])
    if case.worth(saving):
        yield case.advice(
            "h2d_blocking",
            "Copies to the device hold up the program",
            f"{len(copies)} copies from the host; around {seen} of them the device was idle, together for"
            f" {milliseconds(saving)} ({case.share(saving)} of the trace).",
            Stake(saving, copies),
            "Copy from pinned memory with non_blocking=True, one batch ahead of the work.",
            "x = x.to(device, non_blocking=True)  # from DataLoader(..., pin_memory=True)",
        )


def h2d_unpinned(case: Case) -> Iterable[Advice]:
    """Copies from pageable memory go through a buffer of the driver and block the call.

    Saving: the copies' length: pinned and asynchronous, they can run beside the work altogether.
    """
    copies = copies_to_device(case, _PAGEABLE)
    saving = length_of(case, copies)
    if not len(copies) or not case.worth(saving):
        return
    sizes = case.columns.sparse.get("bytes")
    rate = ""
    if sizes is not None:
        moved = int(sizes.value[np.isin(sizes.index, copies)].sum())
        rate = f" ({moved / 1e6:.0f} MB at {moved / saving:.1f} GB/s)" if moved else ""
    yield case.advice(
        "h2d_unpinned",
        "Copies to the device come from memory that is not pinned",
        f"{len(copies)} copies from pageable memory take {milliseconds(saving)}{rate}, {case.share(saving)} of the"
        " trace; pinned memory is copied faster and beside the work.",
        Stake(saving, copies),
        "Pin the batches' memory and copy without blocking.",
        "DataLoader(..., pin_memory=True)\nx = x.to(device, non_blocking=True)",
    )


def _idle_during(case: Case, calls: Int64) -> tuple[int, int]:
    """Idle time for copies in gaps that touch such a call or the operator around it; and how many of them."""
    around = case.trace.around[calls]
    slices = np.unique(np.where(around == NOTHING, calls, around))
    columns = case.columns
    start, end = columns.ts[slices], columns.ts[slices] + columns.dur[slices]
    saving = seen = 0
    for gaps in case.gaps:
        place = np.searchsorted(start, gaps.times.end, side="left") - 1
        touched = (place >= 0) & (end[np.maximum(place, 0)] > gaps.times.start)
        parts = gaps.parts[touched, _COPY]
        saving, seen = max((saving, seen), (int(parts.sum()), int((parts > 0).sum())))
    return saving, seen
