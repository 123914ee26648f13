"""Advice on exposed communication, many small collectives, and late ranks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from ...models import Advice, Moment
from ..columns import Int64, Whole
from ..formatting import counted, percent
from ..intervals import exposed_length
from ..kinds import Kind
from .context import MOMENTS, Context, Stake, length_of, milliseconds

SHARE = 0.05
#: Below this size, latency is most of a ring collective (NCCL's low-latency protocols go to some 100 kB;
#: DDP's buckets have 25 MiB).
SMALL_BYTES = 1 << 20
SHORT_NS, MANY_A_STEP = 250_000, 50
_GRADIENTS = re.compile(r"all_?reduce|reduce_?scatter|all_?gather", re.IGNORECASE)
_BITS = {
    "float": 4,
    "half": 2,
    "bfloat16": 2,
    "double": 8,
    "long": 8,
    "int": 4,
    "byte": 1,
    "char": 1,
    "bool": 1,
}


def collectives(context: Context) -> Int64:
    """Return the communication kernels, in order."""
    device = context.trace.device
    found: Int64 = device[context.columns.kind[device] == Kind.COMMUNICATION]
    return found


def exposed_comm(context: Context) -> Iterable[Advice]:
    """Find communication while nothing is computed. Saving: all of it, as if it overlapped with
    computation."""
    worst, slices = _exposed(context)
    if not context.worth(worst, SHARE):
        return
    total = length_of(context, slices)
    yield context.advice(
        "exposed_comm",
        "Communication does not overlap with computation",
        f"{counted(len(slices), 'collective takes', 'collectives take')} {milliseconds(total)};"
        f" for {milliseconds(worst)} of that ({context.share(worst)} of the trace) the device computes nothing.",
        Stake(worst, slices),
        "Overlap communication with computation: "
        + (
            "gradient buckets during the backward pass (DDP), prefetching (FSDP), "
            if context.uses_torch
            else ""
        )
        + "asynchronous collectives.",
        "work = dist.all_reduce(t, async_op=True)\n...  # compute\nwork.wait()",
    )


def _exposed(context: Context) -> tuple[int, Int64]:
    """Return the longest exposed communication of a device, in nanoseconds, and its communication slices."""
    worst, slices = 0, np.empty(0, np.int64)
    for members in context.trace.devices.values():
        kinds = context.columns.kind[members]
        communication = members[kinds == Kind.COMMUNICATION]
        compute = context.trace.intervals(members[kinds == Kind.COMPUTE])
        exposed = exposed_length(context.trace.intervals(communication), compute)
        if exposed > worst:
            worst, slices = exposed, communication
    return worst, slices


def small_buckets(context: Context) -> Iterable[Advice]:
    """Find many small collectives, each of which pays the latency.

    Saving: the latency (the tenth percentile of the lengths) of each collective beyond the number that the
    same bytes need in large buckets. Where sizes are not known, one in ten is needed. The saving is at most
    the exposed communication, since overlapped latency costs nothing.
    """
    columns = context.columns
    found = collectives(context)
    found = found[columns.named(_GRADIENTS)[columns.name[found]]] if len(found) else found
    a_step = len(found) / context.steps
    if a_step < MANY_A_STEP:
        return
    sizes = _sizes(context, found)
    typical = float(np.median(columns.dur[found]))
    if (len(sizes) and np.median(sizes) > SMALL_BYTES) or (not len(sizes) and typical > SHORT_NS):
        return
    latency = float(np.percentile(columns.dur[found], 10))
    needed = max(1.0, sizes.sum() / (25 << 20)) if len(sizes) else len(found) / 10
    saving = min(context.on_one(int(max(0.0, len(found) - needed) * latency)), _exposed(context)[0])
    if not context.worth(saving):
        return
    of = f" of {np.median(sizes) / 1e3:.0f} kB (median)" if len(sizes) else ""
    yield context.advice(
        "small_buckets",
        "Many small collectives",
        f"{a_step:.0f} collectives per step{of}, {milliseconds(typical)} each (median); about"
        f" {milliseconds(latency)} of each is latency, {milliseconds(saving)} in total ({context.share(saving)}).",
        Stake(saving, found),
        f"Send larger buckets: {'raise bucket_cap_mb, ' if context.uses_torch else ''}group parameters, or coalesce"
        " collectives.",
        "DistributedDataParallel(model, bucket_cap_mb=100, gradient_as_bucket_view=True)",
    )


def _sizes(context: Context, slices: Int64) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return the bytes of the collectives whose size the trace has."""
    columns = context.columns
    elements, types = columns.sparse.get("elements"), columns.sparse.get("dtype")
    if elements is None or types is None:
        return np.empty(0)
    width = np.ones(len(columns))
    for number, text in enumerate(columns.texts):
        bits = _BITS.get(text.strip('"').lower())
        if bits is not None:
            width[types.index[types.value == number]] = bits
    mine = np.isin(elements.index, slices)
    return np.asarray(elements.value[mine] * width[elements.index[mine]], float)


#: Share of the longest wait; shorter waits are not worth a mark in the timeline.
TELLING = 0.1


class Collectives(NamedTuple):
    """A rank's collectives: the name, length and end (nanoseconds) of each, in order."""

    rank: int
    names: list[str]
    lengths: Whole
    ends: Int64
    traced: int


def collectives_of(context: Context) -> Collectives:
    """Return the part of a rank's trace that ``straggler`` compares with other ranks."""
    found = collectives(context)
    columns = context.columns
    names = [columns.names[name].partition("(")[0] for name in columns.name[found].tolist()]
    length = columns.dur[found]
    return Collectives(context.trace.rank, names, length, columns.ts[found] + length, context.traced)


def straggler(ranks: list[Collectives]) -> Iterator[Advice]:
    """Find the rank that the others wait for. All ranks leave a collective together, so the rank that stays
    longest came first and waited for the last.

    The rule compares collectives that all ranks have in the same order, so clocks do not matter. A rank's
    wait is the extra length of each collective over the rank where it was shortest.

    Saving: the mean wait of the other ranks, less the wait of the late rank itself. Moments are on its clock:
    from the arrival of the first of the others to the end.
    """
    if len(ranks) < 2 or not ranks[0].names or any(each.names != ranks[0].names for each in ranks):
        return
    lengths = np.stack([each.lengths for each in ranks])
    waits = (lengths - lengths.min(axis=0)).sum(axis=1)
    last = int(waits.argmin())
    others = np.delete(waits, last)
    saving = int(others.mean() - waits[last])
    traced = max(each.traced for each in ranks)
    # If waits were spread evenly, no rank would be late.
    is_late = lengths.argmin(axis=0) == last
    late = int(is_late.sum())
    if saving < SHARE * traced or late < 0.5 * len(ranks[0].names):
        return
    longest = lengths.max(axis=0)
    waited = np.where(is_late, longest - lengths[last], 0)
    worst = np.argsort(-waited, kind="stable")[:MOMENTS]
    worst = np.sort(worst[waited[worst] >= TELLING * waited[worst[0]]])
    ends = ranks[last].ends[worst]
    starts = np.maximum(ends - longest[worst], 0)
    yield Advice(
        code="straggler",
        severity="high" if saving >= 0.1 * traced else "medium",
        title=f"Rank {ranks[last].rank} is late, and the other ranks wait for it",
        evidence=f"In {late} of {len(ranks[0].names)} collectives rank {ranks[last].rank} comes last. The other"
        f" ranks wait {milliseconds(float(others.mean()))} each ({percent(float(others.mean()), traced)} of the trace);"
        f" rank {ranks[last].rank} waits {milliseconds(float(waits[last]))}.",
        saving_us=saving / 1000,
        suggestion="Compare that rank with the others: its share of the data (lengths, experts, tables), its host, its"
        " clock rate and other programs on its host.",
        moments=[
            Moment(start_us=start / 1000, end_us=end / 1000)
            for start, end in zip(starts.tolist(), ends.tolist(), strict=True)
        ],
        rank=ranks[last].rank,
    )
