"""Advice on copies between the host and the device."""

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
#: Least share of blocking copies; for idle time around copies, 1 % is enough.
SHARE = 0.03
#: Least share of copies that block nothing.
EXPOSED_SHARE = 0.1


def copies_named(context: Context, pattern: re.Pattern[str]) -> Int64:
    """Return the copy slices on devices whose name matches the pattern."""
    columns = context.columns
    device = context.trace.device
    found: Int64 = device[(columns.kind[device] == Kind.COPY) & columns.named(pattern)[columns.name[device]]]
    return found


def h2d_blocking(context: Context) -> Iterable[Advice]:
    """Find copies to the device that block the host, so that nothing is computed.

    Saving: the idle time of gaps during which the host was inside such a copy, with the launches that follow.
    Copies that the host waits for count too, as far as no kernel overlaps with them.
    """
    copies = copies_named(context, _TO_DEVICE)
    calls = context.trace.call[copies]
    if not len(copies) or not (calls != NOTHING).any():
        return
    idle, seen = _idle_during(context, calls[calls != NOTHING])
    waited = waited_for(context, copies[calls != NOTHING], calls[calls != NOTHING])
    by_itself = alone(context, waited)
    saving = idle + by_itself
    if context.worth(idle) or context.worth(saving, SHARE):
        blocked = (
            f"; the host waited for {len(waited)} of them, {milliseconds(by_itself)} of that without a kernel"
        )
        yield context.advice(
            "h2d_blocking",
            "Copies to the device block the program",
            f"{counted(len(copies), 'copy', 'copies')} from the host. The device was idle in"
            f" {counted(seen, 'gap', 'gaps')} around them, for"
            f" {milliseconds(idle)} in total{blocked if by_itself else ''} ({context.share(saving)} of the trace).",
            Stake(saving, copies),
            "Copy asynchronously from pinned memory, one batch ahead.",
            "x = x.to(device, non_blocking=True)  # from DataLoader(..., pin_memory=True)",
        )


def h2d_unpinned(context: Context) -> Iterable[Advice]:
    """Find copies from pageable memory. They go through a driver buffer and block the call.

    Saving: the length of the copies. Pinned and asynchronous copies can overlap with computation completely.
    """
    copies = copies_named(context, _PAGEABLE)
    saving = length_of(context, copies)
    if not len(copies) or not context.worth(saving):
        return
    sizes = context.columns.sparse.get("bytes")
    rate = ""
    if sizes is not None:
        moved = int(sizes.value[np.isin(sizes.index, copies)].sum())
        rate = f" ({moved / 1e6:.0f} MB at {moved / saving:.1f} GB/s)" if moved else ""
    yield context.advice(
        "h2d_unpinned",
        "Copies to the device come from pageable memory",
        f"{counted(len(copies), 'copy from pageable memory takes', 'copies from pageable memory take')}"
        f" {milliseconds(saving)}{rate}, {context.share(saving)} of the"
        " trace. Pinned memory is copied faster, and can overlap with computation.",
        Stake(saving, copies),
        "Pin the memory of the batches and copy without blocking.",
        "DataLoader(..., pin_memory=True)\nx = x.to(device, non_blocking=True)",
    )


def exposed_copies(context: Context) -> Iterable[Advice]:
    """Find times when the device copies and computes nothing, although the host waits for none of these
    copies.

    Copies with their own advice do not count: those from pageable memory, and those that the host waits for.
    Saving: the time of the copies without an overlapping kernel.
    """
    to_device = without(
        len(context.columns), copies_named(context, _TO_DEVICE), copies_named(context, _PAGEABLE)
    )
    copies = present(len(context.columns), to_device, copies_named(context, FROM_DEVICE))
    called = copies[context.trace.call[copies] != NOTHING]
    copies = without(len(context.columns), copies, waited_for(context, called, context.trace.call[called]))
    saving = alone(context, copies)
    if context.worth(saving, EXPOSED_SHARE):
        yield context.advice(
            "exposed_copies",
            "The device copies while it computes nothing",
            f"{counted(len(copies), 'copy', 'copies')} between host and device"
            f" {'takes' if len(copies) == 1 else 'take'} {milliseconds(length_of(context, copies))}; for"
            f" {milliseconds(saving)} of that ({context.share(saving)} of the trace) the device computes nothing.",
            Stake(saving, copies),
            "Copy on a separate stream, one batch ahead. Copy less: keep constant data on the device, and use smaller"
            " types.",
            "with torch.cuda.stream(copy_stream):\n    following = batch.to(device, non_blocking=True)  # pinned",
        )


def _idle_during(context: Context, calls: Int64) -> tuple[int, int]:
    """Return the idle time for copies, in gaps that touch such a call or its operator, and the number of
    these gaps."""
    columns = context.columns
    slices = present(len(columns), _with_operator(context, calls))
    start, end = columns.ts[slices], columns.ts[slices] + columns.dur[slices]
    saving = seen = 0
    covered = union(context.trace.intervals(slices))
    for gaps, rank_gaps in zip(context.gaps, context.gaps_of.values(), strict=True):
        place = np.searchsorted(start, gaps.times.end, side="left") - 1
        touched = (place >= 0) & (end[np.maximum(place, 0)] > gaps.times.start)
        # Python inside another wait (a copy back) does not count here.
        began = overlap(covered, gaps.times.start, gaps.times.start + 1) > 0
        parts = np.where(began, gaps.parts[:, _COPY], rank_gaps.parts[:, _COPY])[touched]
        saving, seen = max((saving, seen), (int(parts.sum()), int((parts > 0).sum())))
    return saving, seen


def _with_operator(context: Context, calls: Int64) -> Int64:
    """Return the operator around each call, or the call itself where there is none."""
    around = context.trace.around[calls]
    found: Int64 = np.where(around == NOTHING, calls, around)
    return found


def waited_for(context: Context, copies: Int64, calls: Int64) -> Int64:
    """Return the copies that had ended when the host continued."""
    columns = context.columns
    outer = _with_operator(context, calls)
    went_on = columns.ts[outer] + columns.dur[outer]
    return copies[went_on >= columns.ts[copies] + columns.dur[copies] - CLOCKS_DIFFER]


def alone(context: Context, copies: Int64) -> int:
    """Return how long the copies ran without an overlapping kernel, on the device with the most."""
    most = 0
    for members in context.trace.devices.values():
        kernels = members[context.columns.kind[members] <= Kind.COMMUNICATION]
        mine = context.trace.intervals(common(len(context.columns), members, copies))
        most = max(most, exposed_length(mine, context.trace.intervals(kernels)))
    return most
