"""Copies between the host and the device."""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np

from ...models import Advice
from ..columns import NOTHING, Int64, common, present, without
from ..formatting import counted
from ..intervals import exposed_length, union
from ..kinds import Kind
from ..sums.host import overlap
from ..sums.idle import CLOCKS_DIFFER, REASONS
from .context import Context, Stake, length_of, milliseconds

_TO_DEVICE = re.compile(
    r"HtoD|H2D|Host -> Device|Pageable -> Device|Pinned -> Device|CopyHostToDevice", re.IGNORECASE
)
FROM_DEVICE = re.compile(r"DtoH|D2H|Device -> (Host|Pageable|Pinned)|CopyDeviceToHost", re.IGNORECASE)
_PAGEABLE = re.compile(r"Pageable -> Device", re.IGNORECASE)
_COPY = REASONS.index("copy")
#: Copies that the host waits for are told from this share on, the device's idleness around them from 1 % on.
SHARE = 0.03
#: Copies that nobody waits for, from this share on.
EXPOSED_SHARE = 0.1


def copies_named(case: Context, pattern: re.Pattern[str]) -> Int64:
    """Slices of copies on devices whose name has the pattern."""
    columns = case.columns
    device = case.trace.device
    found: Int64 = device[(columns.kind[device] == Kind.COPY) & columns.named(pattern)[columns.name[device]]]
    return found


def h2d_blocking(case: Context) -> Iterable[Advice]:
    """Nothing is computed because the host stands in a copy to the device.

    Saving: the idle time of gaps in which the host was inside such a copy, with the launching that follows, and the
    copies themselves as far as no kernel runs beside them, where the host waits for their end.
    """
    copies = copies_named(case, _TO_DEVICE)
    calls = case.trace.call[copies]
    if not len(copies) or not (calls != NOTHING).any():
        return
    idle, seen = _idle_during(case, calls[calls != NOTHING])
    waited = waited_for(case, copies[calls != NOTHING], calls[calls != NOTHING])
    by_itself = alone(case, waited)
    saving = idle + by_itself
    if case.worth(idle) or case.worth(saving, SHARE):
        held = f"; the host waited for the end of {len(waited)}, {milliseconds(by_itself)} without any kernel"
        yield case.advice(
            "h2d_blocking",
            "Copies to the device hold up the program",
            f"{counted(len(copies), 'copy', 'copies')} from the host; in"
            f" {counted(seen, 'gap', 'gaps')} around them the device was idle, together for"
            f" {milliseconds(idle)}{held if by_itself else ''} ({case.share(saving)} of the trace).",
            Stake(saving, copies),
            "Copy asynchronously from pinned memory, one batch ahead of the work.",
            "x = x.to(device, non_blocking=True)  # from DataLoader(..., pin_memory=True)",
        )


def h2d_unpinned(case: Context) -> Iterable[Advice]:
    """Copies from pageable memory go through a buffer of the driver and block the call.

    Saving: the copies' length: pinned and asynchronous, they can run beside the work altogether.
    """
    copies = copies_named(case, _PAGEABLE)
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
        f"{counted(len(copies), 'copy from pageable memory takes', 'copies from pageable memory take')}"
        f" {milliseconds(saving)}{rate}, {case.share(saving)} of the"
        " trace; pinned memory is copied faster and beside the work.",
        Stake(saving, copies),
        "Pin the memory of the batches and copy without blocking.",
        "DataLoader(..., pin_memory=True)\nx = x.to(device, non_blocking=True)",
    )


def exposed_copies(case: Context) -> Iterable[Advice]:
    """The device copies while it computes nothing, though the host waits for none of these copies.

    Left out is what has its own advice: copies from pageable memory, and those that the host waits for. Saving: the
    time of the copies without a kernel beside them.
    """
    to_device = without(len(case.columns), copies_named(case, _TO_DEVICE), copies_named(case, _PAGEABLE))
    copies = present(len(case.columns), to_device, copies_named(case, FROM_DEVICE))
    called = copies[case.trace.call[copies] != NOTHING]
    copies = without(len(case.columns), copies, waited_for(case, called, case.trace.call[called]))
    saving = alone(case, copies)
    if case.worth(saving, EXPOSED_SHARE):
        yield case.advice(
            "exposed_copies",
            "The device copies while it computes nothing",
            f"{counted(len(copies), 'copy', 'copies')} between host and device"
            f" {'takes' if len(copies) == 1 else 'take'} {milliseconds(length_of(case, copies))}; for"
            f" {milliseconds(saving)} of it ({case.share(saving)} of the trace) the device computes nothing.",
            Stake(saving, copies),
            "Copy on a stream of its own, one batch ahead of the work; copy less: keep on the device what does not"
            " change, and send smaller numbers.",
            "with torch.cuda.stream(copy_stream):\n    following = batch.to(device, non_blocking=True)  # pinned",
        )


def _idle_during(case: Context, calls: Int64) -> tuple[int, int]:
    """Idle time for copies in gaps that touch such a call or the operator around it; and how many of them."""
    columns = case.columns
    slices = present(len(columns), _with_operator(case, calls))
    start, end = columns.ts[slices], columns.ts[slices] + columns.dur[slices]
    saving = seen = 0
    covered = union(case.trace.intervals(slices))
    for gaps, told in zip(case.gaps, case.gaps_of.values(), strict=True):
        place = np.searchsorted(start, gaps.times.end, side="left") - 1
        touched = (place >= 0) & (end[np.maximum(place, 0)] > gaps.times.start)
        # Python that another wait held up (a copy back) is not theirs.
        began = overlap(covered, gaps.times.start, gaps.times.start + 1) > 0
        parts = np.where(began, gaps.parts[:, _COPY], told.parts[:, _COPY])[touched]
        saving, seen = max((saving, seen), (int(parts.sum()), int((parts > 0).sum())))
    return saving, seen


def _with_operator(case: Context, calls: Int64) -> Int64:
    """The operator around each call; the call where there is none."""
    around = case.trace.around[calls]
    found: Int64 = np.where(around == NOTHING, calls, around)
    return found


def waited_for(case: Context, copies: Int64, calls: Int64) -> Int64:
    """Copies that had ended when the host went on."""
    columns = case.columns
    outer = _with_operator(case, calls)
    went_on = columns.ts[outer] + columns.dur[outer]
    return copies[went_on >= columns.ts[copies] + columns.dur[copies] - CLOCKS_DIFFER]


def alone(case: Context, copies: Int64) -> int:
    """How long the copies ran without a kernel beside them, on the device that has most of it."""
    most = 0
    for members in case.trace.devices.values():
        kernels = members[case.columns.kind[members] <= Kind.COMMUNICATION]
        mine = case.trace.intervals(common(len(case.columns), members, copies))
        most = max(most, exposed_length(mine, case.trace.intervals(kernels)))
    return most
