"""Communication that is not hidden, too many small messages, and ranks that others wait for."""

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
#: Below this size the latency of a ring is most of a collective (NCCL's low-latency protocols go to some 100 kB;
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


def collectives(case: Context) -> Int64:
    """Kernels that communicate, in order."""
    device = case.trace.device
    found: Int64 = device[case.columns.kind[device] == Kind.COMMUNICATION]
    return found


def exposed_comm(case: Context) -> Iterable[Advice]:
    """Communication while nothing is computed. Saving: all of it, as if it ran beside computation."""
    worst, slices = _exposed(case)
    if not case.worth(worst, SHARE):
        return
    total = length_of(case, slices)
    yield case.advice(
        "exposed_comm",
        "Communication is not hidden behind computation",
        f"{counted(len(slices), 'collective takes', 'collectives take')} {milliseconds(total)};"
        f" for {milliseconds(worst)} of it ({case.share(worst)} of the trace) the device computes nothing.",
        Stake(worst, slices),
        "Overlap it: "
        + ("gradients in buckets while backward runs (DDP), prefetching (FSDP), " if case.uses_torch else "")
        + "asynchronous collectives.",
        "work = dist.all_reduce(t, async_op=True)\n...  # compute\nwork.wait()",
    )


def _exposed(case: Context) -> tuple[int, Int64]:
    """Of the device with most of it: how long nothing was computed beside its communication, and that."""
    worst, slices = 0, np.empty(0, np.int64)
    for members in case.trace.devices.values():
        kinds = case.columns.kind[members]
        communication = members[kinds == Kind.COMMUNICATION]
        compute = case.trace.intervals(members[kinds == Kind.COMPUTE])
        exposed = exposed_length(case.trace.intervals(communication), compute)
        if exposed > worst:
            worst, slices = exposed, communication
    return worst, slices


def small_buckets(case: Context) -> Iterable[Advice]:
    """Many small collectives, each of which pays the latency.

    Saving: for each collective the length of a short one (the tenth percentile, its latency), but for as many
    as the same bytes would need in large buckets; where bytes are not told, for one in ten. Not more than is exposed:
    latency beside computation costs nothing.
    """
    columns = case.columns
    found = collectives(case)
    found = found[columns.named(_GRADIENTS)[columns.name[found]]] if len(found) else found
    a_step = len(found) / case.steps
    if a_step < MANY_A_STEP:
        return
    sizes = _sizes(case, found)
    typical = float(np.median(columns.dur[found]))
    if (len(sizes) and np.median(sizes) > SMALL_BYTES) or (not len(sizes) and typical > SHORT_NS):
        return
    latency = float(np.percentile(columns.dur[found], 10))
    needed = max(1.0, sizes.sum() / (25 << 20)) if len(sizes) else len(found) / 10
    saving = min(case.on_one(int(max(0.0, len(found) - needed) * latency)), _exposed(case)[0])
    if not case.worth(saving):
        return
    of = f" of {np.median(sizes) / 1e3:.0f} kB (median)" if len(sizes) else ""
    yield case.advice(
        "small_buckets",
        "Many small collectives",
        f"{a_step:.0f} collectives a step{of}, {milliseconds(typical)} each (median); about"
        f" {milliseconds(latency)} of each is latency, {milliseconds(saving)} together ({case.share(saving)}).",
        Stake(saving, found),
        f"Send larger buckets: {'raise bucket_cap_mb, ' if case.uses_torch else ''}group parameters, or coalesce"
        " collectives.",
        "DistributedDataParallel(model, bucket_cap_mb=100, gradient_as_bucket_view=True)",
    )


def _sizes(case: Context, slices: Int64) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Bytes of the collectives whose size the trace has."""
    columns = case.columns
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


#: Of the longest wait; shorter ones are no moments to look at.
TELLING = 0.1


class Collectives(NamedTuple):
    """A rank's collectives: name, length and end (nanoseconds) of each, in order."""

    rank: int
    names: list[str]
    lengths: Whole
    ends: Int64
    traced: int


def collectives_of(case: Context) -> Collectives:
    """What is kept of a rank to compare it with others."""
    found = collectives(case)
    columns = case.columns
    names = [columns.names[name].partition("(")[0] for name in columns.name[found].tolist()]
    length = columns.dur[found]
    return Collectives(case.trace.rank, names, length, columns.ts[found] + length, case.traced)


def straggler(ranks: list[Collectives]) -> Iterator[Advice]:
    """All ranks leave a collective together: who stays in it longest came first, and waits for the last.

    Compared are the collectives that all ranks have in the same order, so that clocks do not matter. A rank's
    wait is what each lasted longer than on the rank where it was shortest. Saving: the mean wait of the others
    for the rank that waits least, less what that rank itself waits. Moments are on its clock: from when the first of
    the others came to the end.
    """
    if len(ranks) < 2 or not ranks[0].names or any(each.names != ranks[0].names for each in ranks):
        return
    lengths = np.stack([each.lengths for each in ranks])
    waits = (lengths - lengths.min(axis=0)).sum(axis=1)
    last = int(waits.argmin())
    others = np.delete(waits, last)
    saving = int(others.mean() - waits[last])
    traced = max(each.traced for each in ranks)
    # Were waits spread evenly, no rank would be the one that is late.
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
        title=f"Rank {ranks[last].rank} is late, and the others wait for it",
        evidence=f"In {late} of {len(ranks[0].names)} collectives rank {ranks[last].rank} comes last. The others wait"
        f" {milliseconds(float(others.mean()))} each ({percent(float(others.mean()), traced)} of the trace); it"
        f" waits {milliseconds(float(waits[last]))} itself.",
        saving_us=saving / 1000,
        suggestion="Look at what that rank does more: its share of data (lengths, experts, tables), its host, its"
        " clock rate or neighbours.",
        moments=[
            Moment(start_us=start / 1000, end_us=end / 1000)
            for start, end in zip(starts.tolist(), ends.tolist(), strict=True)
        ],
        rank=ranks[last].rank,
    )
