"""Advice on the caching allocator: memory that is freed and allocated again, and fragmentation."""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np

from ...models import Advice
from ..columns import NO_ID
from ..formatting import percent
from ..kinds import Kind
from ..sums.devices import step_slices, warm_up
from .context import Context, Stake, length_of, milliseconds

_FREE = re.compile(r"^(cuda|hip)Free(Async)?$|^cuMemUnmap$|^cuMemRelease$")
_ALLOCATE = re.compile(r"^(cuda|hip)Malloc(Async)?$|^cuMemCreate$|^cuMemMap$")
#: Least free part of the reserved memory at the peak, and least reserved memory.
FREE_SHARE, LARGE_BYTES = 0.3, 1 << 30
RETRIES = 3


def alloc_retries(context: Context) -> Iterable[Advice]:
    """Find device memory that is returned to the driver and allocated again during the steps.

    The allocator does this when it finds no free block: it empties its cache, which waits for the device, and
    allocates again. A program that calls empty_cache does the same. Without steps, the rule counts from the
    first device work, and the frees must go on in the second half: a program that settles also frees once.

    Saving: the time in these calls, at most the device's idle time.
    """
    columns = context.columns
    frees, takes = context.host.named(_FREE, Kind.RUNTIME), context.host.named(_ALLOCATE, Kind.RUNTIME)
    steps, device = step_slices(columns), context.trace.device
    if not len(device):
        return
    if len(steps):
        settled = warm_up(columns, steps)
        begin = int(columns.ts[steps[min(settled, len(steps) - 1)]])
    else:
        begin = int(columns.ts[device[0]])
    frees, takes = frees[columns.ts[frees] >= begin], takes[columns.ts[takes] >= begin]
    # An allocation after the first free needs the freed memory again.
    again = takes[columns.ts[takes] > columns.ts[frees[0]]] if len(frees) else takes[:0]
    if min(len(frees), len(again)) < RETRIES:
        return
    if not len(steps) and 2 * columns.ts[frees[-1]] < begin + columns.ts[device[-1]]:
        return
    slices = np.union1d(frees, again)
    length = length_of(context, slices)
    saving = min(length, context.idle)
    when = " after warm-up" if len(steps) else ""
    if context.worth(saving):
        yield context.advice(
            "alloc_retries",
            "Device memory is freed and allocated again",
            f"{len(frees)} frees and {len(again)} allocations at the driver{when} took"
            f" {milliseconds(length)} ({context.share(length)} of the trace); each free waits for the device.",
            Stake(saving, slices),
            "Lower the peak (smaller batch, checkpointing), do not call empty_cache in the loop, and let segments grow."
            if context.uses_torch
            else "Allocate before the loop, or from a pool that keeps freed memory (cudaMallocAsync).",
            'os.environ["PYTORCH_CUDA_ALLOC_CONF"] = "expandable_segments:True"',
        )


def fragmentation(context: Context) -> Iterable[Advice]:
    """Find memory that was reserved although much reserved memory was free. It costs memory, not time: the
    saving is 0."""
    allocations = context.columns.allocations
    if allocations is None:
        return
    for number, device in enumerate(allocations.devices):
        mine = (
            (allocations.device == number)
            & (allocations.reserved != NO_ID)
            & (allocations.allocated != NO_ID)
        )
        if device == "cpu" or mine.sum() < 2:
            continue
        reserved, allocated = allocations.reserved[mine], allocations.allocated[mine]
        grew = np.flatnonzero(np.diff(reserved) > 0) + 1
        if not len(grew):
            continue
        free = reserved[grew - 1] - allocated[grew - 1]
        at = int(free.argmax())
        before = int(reserved[grew - 1][at])
        if before < LARGE_BYTES or free[at] < FREE_SHARE * before:
            continue
        yield context.advice(
            "fragmentation",
            f"Memory of device {device} is fragmented",
            f"With {before / 1e9:.1f} GB reserved and {free[at] / 1e9:.1f} GB of it free"
            f" ({percent(int(free[at]), before)}), more was reserved: no free block was large enough.",
            Stake(0, np.empty(0, np.int64)),
            "Let segments grow, allocate the largest shapes first, and pad lengths to few sizes.",
            'os.environ["PYTORCH_CUDA_ALLOC_CONF"] = "expandable_segments:True"',
        )
