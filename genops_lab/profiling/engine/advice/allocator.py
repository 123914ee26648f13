"""The caching allocator: blocks given back and taken again, and memory that nobody can use."""

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
#: So much of what is reserved must be free at the peak, and so much must be reserved.
FREE_SHARE, LARGE_BYTES = 0.3, 1 << 30
RETRIES = 3


def alloc_retries(case: Context) -> Iterable[Advice]:
    """Device memory is given back to the driver and taken again while steps run.

    The allocator does so only when it found no block: it frees its cache, which waits for the device, and asks
    again (or the program calls empty_cache). Without steps that counts from the first device work on, and must go on
    in the second half: a program that settles does so, too. Saving: the time in these calls, not more than the
    device's idle time.
    """
    columns = case.columns
    frees, takes = case.host.named(_FREE, Kind.RUNTIME), case.host.named(_ALLOCATE, Kind.RUNTIME)
    steps, device = step_slices(columns), case.trace.device
    if not len(device):
        return
    if len(steps):
        settled = warm_up(columns, steps)
        begin = int(columns.ts[steps[min(settled, len(steps) - 1)]])
    else:
        begin = int(columns.ts[device[0]])
    frees, takes = frees[columns.ts[frees] >= begin], takes[columns.ts[takes] >= begin]
    # An allocation after the first free: what was given back is wanted again.
    again = takes[columns.ts[takes] > columns.ts[frees[0]]] if len(frees) else takes[:0]
    if min(len(frees), len(again)) < RETRIES:
        return
    if not len(steps) and 2 * columns.ts[frees[-1]] < begin + columns.ts[device[-1]]:
        return
    slices = np.union1d(frees, again)
    length = length_of(case, slices)
    saving = min(length, case.idle)
    when = " after warm-up" if len(steps) else ""
    if case.worth(saving):
        yield case.advice(
            "alloc_retries",
            "Device memory is given back and taken again",
            f"{len(frees)} frees and {len(again)} allocations at the driver{when} take"
            f" {milliseconds(length)} ({case.share(length)} of the trace); each free waits for the device.",
            Stake(saving, slices),
            "Lower the peak (smaller batch, checkpointing), do not call empty_cache in the loop, and let segments grow."
            if case.uses_torch
            else "Allocate before the loop, or from a pool that keeps what is freed (cudaMallocAsync).",
            'os.environ["PYTORCH_CUDA_ALLOC_CONF"] = "expandable_segments:True"',
        )


def fragmentation(case: Context) -> Iterable[Advice]:
    """Much memory is reserved that was free when more had to be reserved. It costs memory, no time: saving is 0."""
    allocations = case.columns.allocations
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
        yield case.advice(
            "fragmentation",
            f"Memory of device {device} is fragmented",
            f"With {before / 1e9:.1f} GB reserved and {free[at] / 1e9:.1f} GB of it free"
            f" ({percent(int(free[at]), before)}), more had to be reserved: no free block was large enough.",
            Stake(0, np.empty(0, np.int64)),
            "Let segments grow, allocate the largest shapes first, and pad lengths to few sizes.",
            'os.environ["PYTORCH_CUDA_ALLOC_CONF"] = "expandable_segments:True"',
        )
