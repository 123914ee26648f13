"""Advice on avoidable waits of the host: for the device, and for the next batch."""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np

from ...models import Advice
from ..columns import Bools, Int64, present, without
from ..formatting import counted
from ..intervals import union
from ..kinds import Kind
from ..sums.host import overlap
from ..sums.idle import CLOCKS_DIFFER, REASONS
from .context import Context, Stake, length_of, milliseconds, outermost
from .copies import FROM_DEVICE, SHARE, alone, copies_named, waited_for

_ITEM = re.compile(r"^aten::(item|_local_scalar_dense|is_nonzero)$")
_READS = re.compile(r"^aten::(nonzero|masked_select|unique\w*|_unique2|equal)$")
_WAIT, _COPY = REASONS.index("synchronization"), REASONS.index("copy")


def sync_item(context: Context) -> Iterable[Advice]:
    """Find ``.item()``, ``float(tensor)`` and ``if tensor:``, which make the host wait for all queued work.

    Saving: the device's idle time in gaps that began in such a wait, with the launches that follow. Without
    the wait they would have been launched ahead.
    """
    waits = _waiting(context, context.host.named(_ITEM, Kind.OPERATOR))
    if not len(waits):
        return
    saving = _idle_after(context, waits, _WAIT)
    if context.worth(saving):
        waited = length_of(context, waits)
        yield context.advice(
            "sync_item",
            "Reading single values makes the host wait for the device",
            f"The program read a value from the device {counted(len(waits), 'time', 'times')} (.item(), float(), if"
            f" tensor): the host waited {milliseconds(waited)}, and the device was idle afterwards for"
            f" {milliseconds(saving)} ({context.share(saving)} of the trace), because nothing was launched ahead.",
            Stake(saving, waits),
            "Keep values on the device (sum the loss as a tensor) and read them only every 100 steps or so.",
            "total += loss.detach()\nif step % 100 == 0:\n    print(total.item())",
        )


def sync_other(context: Context) -> Iterable[Advice]:
    """Find explicit synchronisation, ``.cpu()`` and operators whose shapes depend on values.

    Saving: the device's idle time in gaps that began in such a wait, and the copies that the host waits for,
    as far as no kernel overlaps with them.
    """
    items = _waiting(context, context.host.named(_ITEM, Kind.OPERATOR))
    reads = _waiting(context, context.host.named(_READS, Kind.OPERATOR))
    size = len(context.columns)
    calls = without(size, context.host.synchronizing, context.host.copying)
    explicit = calls[~_inside(context, calls, present(size, items, reads))]
    copies, back = _copies_back(context)
    waits = present(size, explicit, reads, back)
    if not len(waits):
        return
    idle = _idle_after(context, present(size, explicit, reads), _WAIT) + _idle_after(context, back, _COPY)
    by_itself = alone(context, waited_for(context, copies, back))
    saving = idle + by_itself
    if context.worth(idle) or context.worth(saving, SHARE):
        parts = (
            (explicit, "explicit synchronisation", "explicit synchronisations", ""),
            (reads, "operator that needs", "operators that need", " values (nonzero, masked_select, unique)"),
            (
                back,
                "copy",
                "copies",
                " to the host (.cpu(), .numpy(), print)" if context.uses_torch else " to the host",
            ),
        )
        made = ", ".join(counted(len(of), one, more) + what for of, one, more, what in parts if len(of))
        copied = f", and copied for {milliseconds(by_itself)} without a kernel"
        yield context.advice(
            "sync_other",
            "The host waits for the device",
            f"{made}: the device was idle afterwards for"
            f" {milliseconds(idle)}{copied if by_itself else ''} ({context.share(saving)} of the trace).",
            Stake(saving, waits),
            "Move synchronisation out of the loop. Copy results back without blocking, a step later.",
            'y = y.to("cpu", non_blocking=True)',
        )


def _waiting(context: Context, operators: Int64) -> Int64:
    """Return the outermost operators that contain a synchronising or copying call. Operators on host tensors
    contain none."""
    columns = context.columns
    operators = outermost(context, operators)
    copying = context.host.named(re.compile("Memcpy|runFunction"), Kind.RUNTIME)
    calls = present(len(columns), context.host.synchronizing, copying)
    lanes, lane_of_call = columns.lane[operators], columns.lane[calls]
    holds = np.zeros(len(operators), bool)
    for lane in present(len(columns.lanes), lanes).tolist():
        here = np.flatnonzero(lanes == lane)
        began = columns.ts[calls[lane_of_call == lane]]
        start = columns.ts[operators[here]]
        end = start + columns.dur[operators[here]]
        holds[here] = np.searchsorted(began, end) > np.searchsorted(began, start)
    return operators[holds]


def _inside(context: Context, slices: Int64, outer: Int64) -> Bools:
    covered = union(context.trace.intervals(outer))
    start = context.columns.ts[slices]
    inside: Bools = overlap(covered, start, start + 1) > 0
    return inside


def _copies_back(context: Context) -> tuple[Int64, Int64]:
    """Return the copies to the host and their calls, except those that read single values."""
    copies = copies_named(context, FROM_DEVICE)
    copies = copies[context.trace.call[copies] >= 0]
    calls = context.trace.call[copies].astype(np.int64)
    others = ~_inside(context, calls, context.host.named(_ITEM, Kind.OPERATOR))
    return copies[others], calls[others]


def _idle_after(context: Context, waits: Int64, part: int) -> int:
    """Return the idle time of a kind, in gaps that touch a wait or the operator around it."""
    if not len(waits):
        return 0
    around = context.trace.around[waits]
    within = np.where(around >= 0, around, waits)
    times = union(context.trace.intervals(present(len(context.columns), waits, within)))
    best = 0
    for gaps in context.gaps:
        touched = overlap(times, gaps.times.start - CLOCKS_DIFFER, gaps.times.end) > 0
        best = max(best, int(gaps.parts[touched, part].sum()))
    return best


#: Least share of idle time that data loading causes; on the CPU alone, least share of waiting.
IDLE_SHARE, CPU_SHARE = 0.03, 0.15


def dataloader_bound(context: Context) -> Iterable[Advice]:
    """Find times when the device is idle while its thread waits for data.

    Saving: all the waiting, since the host would be ahead by as much. The saving is at most the device's idle
    time, since work does not get shorter.
    """
    waits = context.host.dataloading
    if not len(waits):
        return
    waits = outermost(context, waits)
    waiting = length_of(context, waits)
    on_device = bool(context.gaps)
    idle = context.idle_by("dataloader") if on_device else waiting
    saving = min(waiting, context.idle) if on_device else waiting
    if not context.worth(idle, IDLE_SHARE if on_device else CPU_SHARE):
        return
    meanwhile = (
        f"; meanwhile the device was idle for {milliseconds(idle)} ({context.share(idle)})"
        if on_device
        else ""
    )
    single = any(
        "SingleProcess" in context.columns.names[name] for name in context.columns.name[waits].tolist()
    )
    yield context.advice(
        "dataloader_bound",
        "The program waits for data",
        f"{counted(len(waits), 'wait for the next batch takes', 'waits for the next batch take')} "
        f"{milliseconds(waiting)} ({context.share(waiting)} of the"
        f" trace){meanwhile}.{' The training process loads the batches itself.' if single else ''}",
        Stake(saving, waits),
        "Load batches ahead in worker processes. If there are workers, use more of them, or make samples cheaper.",
        "DataLoader(dataset, batch_size=..., num_workers=8, pin_memory=True, persistent_workers=True)",
    )
