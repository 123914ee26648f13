"""Too many small kernels for the host to launch in time, and what happens once, counted as work."""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np

from ...models import Advice
from ..columns import NOTHING, Bools, Int64
from ..formatting import percent
from ..intervals import Intervals
from ..kinds import Kind
from ..sums.devices import step_slices, warm_up
from ..sums.idle import REASONS, Gaps
from .context import Context, Stake, length_of, milliseconds

#: A longer part of a gap is one slow call (loading a module, allocating), not launching.
SLOW_CALL_NS = 1_000_000
#: Idle for launching, of the traced time; and kernels shorter than this on average.
SHARE, SHORT_NS = 0.1, 200_000
#: Python between two launches that is shorter belongs to launching one by one; longer, it is work of its own.
PAUSE_NS = 100_000
_LAUNCH, _PYTHON = REASONS.index("launch"), REASONS.index("python")
_OPTIMIZER = re.compile(r"Optimizer\.step#")
_GRAPH = re.compile("GraphLaunch")


def launch_bound(case: Context) -> Iterable[Advice]:
    """The device waits between kernels for the host to launch the next.

    Saving: the parts of gaps in which the host was launching, with the Python in between; a CUDA graph launches all
    at once. Pauses of a microsecond between kernels that wait already are the device's own.
    """
    best, python, stretch, times = 0, 0, None, None
    for gaps in case.gaps:
        parts = np.where(_waited_for_call(case, gaps), gaps.parts[:, _LAUNCH], 0)
        parts[parts > SLOW_CALL_NS] = 0
        between = pauses(gaps)
        total = int(parts.sum() + between.sum())
        if total > best:
            counted = parts + between > 0
            best, python, stretch = total, int(between.sum()), gaps.following[counted]
            times = Intervals(gaps.times.start[counted], gaps.times.end[counted])
    if stretch is None or not case.worth(best, SHARE):
        return
    columns = case.columns
    kernels = case.trace.device[columns.kind[case.trace.device] <= Kind.COMMUNICATION]
    if not len(kernels) or columns.dur[kernels].mean() > SHORT_NS:
        return
    calls = case.trace.call[kernels]
    known = calls != NOTHING
    shorter = int((columns.dur[kernels[known]] < columns.dur[calls[known]]).sum())
    steps = case.host.named(_OPTIMIZER, Kind.ANNOTATION, Kind.OPERATOR)
    in_optimizer = _launched_in(case, calls[known], steps)
    fused = ""
    if known.any() and in_optimizer >= 0.2 * known.sum():
        fused = f" {percent(in_optimizer, known.sum())} of the kernels are the optimizer's."
    yield case.advice(
        "launch_bound",
        "Many small kernels: the device waits for launches",
        f"{len(kernels):,} kernels of {milliseconds(float(np.median(columns.dur[kernels])))} (median);"
        f" {percent(shorter, max(1, int(known.sum())))} are shorter than the call that launched them. In"
        f" {len(stretch):,} gaps the device waited {milliseconds(best)} for launches ({case.share(best)} of the"
        f" trace){f', {milliseconds(python)} of it in {between_calls(case)}' if python else ''}.{fused}",
        Stake(best, stretch, times),
        f"Launch less: CUDA graphs{' or torch.compile' if case.uses_torch else ''}, larger batches"
        + (", and a fused optimizer." if fused else "."),
        'model = torch.compile(model, mode="reduce-overhead")'
        + ("\noptimizer = torch.optim.AdamW(model.parameters(), fused=True)" if fused else ""),
    )


def between_calls(case: Context) -> str:
    """What the host did where the trace has no operator and no call."""
    return "Python between operators" if case.uses_torch else "other code of the host between calls"


def pauses(gaps: Gaps) -> Int64:
    """Of each gap the Python that belongs to launching one by one, in nanoseconds."""
    python = gaps.parts[:, _PYTHON]
    found: Int64 = np.where(python <= PAUSE_NS, python, 0)
    return found


def _waited_for_call(case: Context, gaps: Gaps) -> Bools:
    """Gaps that began before the next call returned: else the work was there, and the pause is the device's."""
    calls = case.trace.call[gaps.following]
    late: Bools = (calls != NOTHING) & (case.columns.ts[calls] + case.columns.dur[calls] > gaps.times.start)
    return late & _begins_its_call(case, gaps.following)


def _begins_its_call(case: Context, slices: Int64) -> Bools:
    """Which slices are the first of what their call started: a graph's others were launched with it, however long
    its launch goes on beside them."""
    if not any(_GRAPH.search(name) for name in case.columns.names):
        return np.ones(len(slices), bool)
    device = case.trace.device
    begins = np.zeros(len(device), bool)
    begins[np.unique(case.trace.call[device], return_index=True)[1]] = True
    found: Bools = begins[np.searchsorted(device, slices)]
    return found


def _launched_in(case: Context, calls: Int64, outer: Int64) -> int:
    """How many calls began in one of the slices ``outer``."""
    columns = case.columns
    if not len(outer):
        return 0
    place = np.searchsorted(columns.ts[outer], columns.ts[calls], side="right") - 1
    inside = (place >= 0) & (
        columns.ts[calls] < (columns.ts[outer] + columns.dur[outer])[np.maximum(place, 0)]
    )
    return int(inside.sum())


WARMUP_SHARE = 0.05
#: A launch that lasts so long, and so much longer than the typical one, loads its module first.
LOADING_NS, LONGER = 500_000, 20


def warmup_counted(case: Context) -> Iterable[Advice]:
    """The first steps, or the first launches, have in them what happens once.

    Saving: how much longer they are than the typical later step; for launches that load code, the device's idle
    time in them.
    """
    columns = case.columns
    steps = step_slices(columns)
    warm = warm_up(columns, steps) if len(steps) else 0
    if warm:
        typical = float(np.median(columns.dur[steps[warm:]]))
        saving = int((columns.dur[steps[:warm]] - typical).sum())
        slices = steps[:warm]
        what = (
            f"The first {'step takes' if warm == 1 else f'{warm} steps take'} {milliseconds(length_of(case, slices))},"
            f" a later one {milliseconds(typical)}"
        )
    else:
        launched = np.zeros(len(columns), bool)
        by = case.trace.call[case.trace.device]
        launched[by[by != NOTHING]] = True
        calls = np.flatnonzero(launched)
        if not len(calls):
            return
        lengths = columns.dur[calls]
        slices = calls[lengths >= max(LOADING_NS, LONGER * float(np.median(lengths)))]
        slices = slices[~np.isin(slices, case.host.copying)]
        # A call that lasts because the device is busy loads nothing.
        saving = max((_idle_for(case, gaps, slices) for gaps in case.gaps), default=0)
        what = f"For {milliseconds(saving)} the device waited for slow launches, which load code at its first use"
    if case.worth(saving, WARMUP_SHARE):
        yield case.advice(
            "warmup_counted",
            "Warm-up is in the profile",
            f"{what}. Of the traced time {case.share(saving)} happens once and says nothing of the steps to come.",
            Stake(saving, slices),
            "Leave the first steps out of the profile.",
            # A trace of %%profile names its cells.
            "%%profile --warmup 5"
            if columns.cells
            else "torch.profiler.schedule(wait=1, warmup=2, active=5)",
        )


def _idle_for(case: Context, gaps: Gaps, calls: Int64) -> int:
    """Idle time for launching, in gaps that such calls ended."""
    ended = np.isin(case.trace.call[gaps.following], calls)
    return int(gaps.parts[ended, REASONS.index("launch")].sum())
