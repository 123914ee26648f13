"""Waits of the host that need not be: for the device, and for the next batch."""

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


def sync_item(case: Context) -> Iterable[Advice]:
    """``.item()``, ``float(tensor)``, ``if tensor:`` make the host wait for all work so far.

    Saving: idle time of the device in gaps that began in such a wait, with the launching that follows: without
    the wait it would have been launched ahead.
    """
    waits = _that_wait(case, case.host.named(_ITEM, Kind.OPERATOR))
    if not len(waits):
        return
    saving = _idle_after(case, waits, _WAIT)
    if case.worth(saving):
        waited = length_of(case, waits)
        yield case.advice(
            "sync_item",
            "Reading single values makes the host wait for the device",
            f"{counted(len(waits), 'time', 'times')} a value was read from the device (.item(), float(), if tensor):"
            f" the host waited {milliseconds(waited)}, and the device was idle afterwards for {milliseconds(saving)}"
            f" ({case.share(saving)} of the trace), for nothing was launched ahead.",
            Stake(saving, waits),
            "Keep values on the device (add up the loss as a tensor) and read them every so many steps.",
            "total += loss.detach()\nif step % 100 == 0:\n    print(total.item())",
        )


def sync_other(case: Context) -> Iterable[Advice]:
    """Explicit synchronisation, ``.cpu()`` and operators whose shapes depend on values.

    Saving: idle time of the device in gaps that began in such a wait, as for single values, and the copies that the
    host waits for as far as no kernel runs beside them.
    """
    items = _that_wait(case, case.host.named(_ITEM, Kind.OPERATOR))
    reads = _that_wait(case, case.host.named(_READS, Kind.OPERATOR))
    size = len(case.columns)
    calls = without(size, case.host.synchronizing, case.host.copying)
    explicit = calls[~_lies_in(case, calls, present(size, items, reads))]
    copies, back = _copies_back(case)
    waits = present(size, explicit, reads, back)
    if not len(waits):
        return
    idle = _idle_after(case, present(size, explicit, reads), _WAIT) + _idle_after(case, back, _COPY)
    by_itself = alone(case, waited_for(case, copies, back))
    saving = idle + by_itself
    if case.worth(idle) or case.worth(saving, SHARE):
        parts = (
            (explicit, "explicit synchronisation", "explicit synchronisations", ""),
            (reads, "operator that needs", "operators that need", " values (nonzero, masked_select, unique)"),
            (
                back,
                "copy",
                "copies",
                " to the host (.cpu(), .numpy(), print)" if case.uses_torch else " to the host",
            ),
        )
        made = ", ".join(counted(len(of), one, more) + what for of, one, more, what in parts if len(of))
        copied = f", and copied for {milliseconds(by_itself)} without any kernel"
        yield case.advice(
            "sync_other",
            "The host waits for the device",
            f"{made}: the device was idle afterwards for"
            f" {milliseconds(idle)}{copied if by_itself else ''} ({case.share(saving)} of the trace).",
            Stake(saving, waits),
            "Take synchronisation out of the loop; copy results back without blocking, a step later.",
            'y = y.to("cpu", non_blocking=True)',
        )


def _that_wait(case: Context, operators: Int64) -> Int64:
    """Outermost operators with a call inside that synchronises or copies: on the host's tensors there is none."""
    columns = case.columns
    operators = outermost(case, operators)
    copying = case.host.named(re.compile("Memcpy|runFunction"), Kind.RUNTIME)
    calls = present(len(columns), case.host.synchronizing, copying)
    lanes, lane_of_call = columns.lane[operators], columns.lane[calls]
    holds = np.zeros(len(operators), bool)
    for lane in present(len(columns.lanes), lanes).tolist():
        here = np.flatnonzero(lanes == lane)
        began = columns.ts[calls[lane_of_call == lane]]
        start = columns.ts[operators[here]]
        end = start + columns.dur[operators[here]]
        holds[here] = np.searchsorted(began, end) > np.searchsorted(began, start)
    return operators[holds]


def _lies_in(case: Context, slices: Int64, outer: Int64) -> Bools:
    covered = union(case.trace.intervals(outer))
    start = case.columns.ts[slices]
    inside: Bools = overlap(covered, start, start + 1) > 0
    return inside


def _copies_back(case: Context) -> tuple[Int64, Int64]:
    """Copies to the host and their calls, but for those that read single values."""
    copies = copies_named(case, FROM_DEVICE)
    copies = copies[case.trace.call[copies] >= 0]
    calls = case.trace.call[copies].astype(np.int64)
    others = ~_lies_in(case, calls, case.host.named(_ITEM, Kind.OPERATOR))
    return copies[others], calls[others]


def _idle_after(case: Context, waits: Int64, part: int) -> int:
    """Idle time of a kind in gaps that touch a wait, or the operator in which it lies."""
    if not len(waits):
        return 0
    around = case.trace.around[waits]
    within = np.where(around >= 0, around, waits)
    times = union(case.trace.intervals(present(len(case.columns), waits, within)))
    best = 0
    for gaps in case.gaps:
        touched = overlap(times, gaps.times.start - CLOCKS_DIFFER, gaps.times.end) > 0
        best = max(best, int(gaps.parts[touched, part].sum()))
    return best


#: The device must be idle so much of the trace because of it; on the CPU alone, the thread must wait so much.
IDLE_SHARE, CPU_SHARE = 0.03, 0.15


def dataloader_bound(case: Context) -> Iterable[Advice]:
    """The device has nothing to do while the thread that feeds it waits for data.

    Saving: all the waiting, for without it the host would be ahead by as much; not more than the device's idle
    time, for work does not get shorter.
    """
    waits = case.host.dataloading
    if not len(waits):
        return
    waits = outermost(case, waits)
    waiting = length_of(case, waits)
    on_device = bool(case.gaps)
    idle = case.idle_by("dataloader") if on_device else waiting
    saving = min(waiting, case.idle) if on_device else waiting
    if not case.worth(idle, IDLE_SHARE if on_device else CPU_SHARE):
        return
    meanwhile = (
        f"; meanwhile the device was idle for {milliseconds(idle)} ({case.share(idle)})" if on_device else ""
    )
    single = any("SingleProcess" in case.columns.names[name] for name in case.columns.name[waits].tolist())
    yield case.advice(
        "dataloader_bound",
        "The program waits for its data",
        f"{counted(len(waits), 'wait for the next batch takes', 'waits for the next batch take')} "
        f"{milliseconds(waiting)} ({case.share(waiting)} of the"
        f" trace){meanwhile}.{' The batches are made in the training process itself.' if single else ''}",
        Stake(saving, waits),
        "Load batches in worker processes, ahead of time; if there are workers, give more or make a sample cheaper.",
        "DataLoader(dataset, batch_size=..., num_workers=8, pin_memory=True, persistent_workers=True)",
    )
