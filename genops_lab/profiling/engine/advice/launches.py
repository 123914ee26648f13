"""Advice on small kernels that the host launches too slowly, and on warm-up that is counted as work."""

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
#: Least share of idle time for launching, and the mean kernel length below which kernels are small.
SHARE, SHORT_NS = 0.1, 200_000
#: Shorter Python between two launches belongs to launching; longer Python is separate work.
PAUSE_NS = 100_000
_LAUNCH, _PYTHON = REASONS.index("launch"), REASONS.index("python")
_OPTIMIZER = re.compile(r"Optimizer\.step#")
_GRAPH = re.compile("GraphLaunch")


def launch_bound(context: Context) -> Iterable[Advice]:
    """Find times when the device waits for the host to launch the next kernel.

    Saving: the parts of gaps during which the host was launching, with the Python between launches; a CUDA
    graph launches all kernels at once. Pauses of a microsecond between queued kernels belong to the device
    and do not count.
    """
    best, python, stretch, times = 0, 0, None, None
    for gaps in context.gaps:
        parts = np.where(_waited_for_call(context, gaps), gaps.parts[:, _LAUNCH], 0)
        parts[parts > SLOW_CALL_NS] = 0
        between = pauses(gaps)
        total = int(parts.sum() + between.sum())
        if total > best:
            counted = parts + between > 0
            best, python, stretch = total, int(between.sum()), gaps.following[counted]
            times = Intervals(gaps.times.start[counted], gaps.times.end[counted])
    if stretch is None or not context.worth(best, SHARE):
        return
    columns = context.columns
    kernels = context.trace.device[columns.kind[context.trace.device] <= Kind.COMMUNICATION]
    if not len(kernels) or columns.dur[kernels].mean() > SHORT_NS:
        return
    calls = context.trace.call[kernels]
    known = calls != NOTHING
    shorter = int((columns.dur[kernels[known]] < columns.dur[calls[known]]).sum())
    steps = context.host.named(_OPTIMIZER, Kind.ANNOTATION, Kind.OPERATOR)
    in_optimizer = _launched_in(context, calls[known], steps)
    fused = ""
    if known.any() and in_optimizer >= 0.2 * known.sum():
        fused = f" {percent(in_optimizer, known.sum())} of the kernels belong to the optimizer."
    yield context.advice(
        "launch_bound",
        "Many small GPU kernels: the device waits for launches",
        f"{len(kernels):,} kernels of {milliseconds(float(np.median(columns.dur[kernels])))} (median);"
        f" {percent(shorter, max(1, int(known.sum())))} are shorter than the call that launched them. In"
        f" {len(stretch):,} gaps the device waited {milliseconds(best)} for launches ({context.share(best)} of the"
        f" trace){f', {milliseconds(python)} of it in {between_calls(context)}' if python else ''}.{fused}",
        Stake(best, stretch, times),
        f"Launch fewer kernels: CUDA graphs{' or torch.compile' if context.uses_torch else ''}, larger batches"
        + (", and a fused optimizer." if fused else "."),
        'model = torch.compile(model, mode="reduce-overhead")'
        + ("\noptimizer = torch.optim.AdamW(model.parameters(), fused=True)" if fused else ""),
    )


def between_calls(context: Context) -> str:
    """Return a name for the host's work where the trace has no operator and no call."""
    return "Python between operators" if context.uses_torch else "other host code between calls"


def pauses(gaps: Gaps) -> Int64:
    """Return the Python time of each gap that belongs to launching, in nanoseconds."""
    python = gaps.parts[:, _PYTHON]
    found: Int64 = np.where(python <= PAUSE_NS, python, 0)
    return found


def _waited_for_call(context: Context, gaps: Gaps) -> Bools:
    """Return which gaps began before the next call returned. In other gaps the work was queued, and the pause
    belongs to the device."""
    calls = context.trace.call[gaps.following]
    late: Bools = (calls != NOTHING) & (
        context.columns.ts[calls] + context.columns.dur[calls] > gaps.times.start
    )
    return late & _begins_its_call(context, gaps.following)


def _begins_its_call(context: Context, slices: Int64) -> Bools:
    """Return which slices are the first of their call. The other slices of a graph were launched with the
    first one, however long the launch takes."""
    if not any(_GRAPH.search(name) for name in context.columns.names):
        return np.ones(len(slices), bool)
    device = context.trace.device
    begins = np.zeros(len(device), bool)
    begins[np.unique(context.trace.call[device], return_index=True)[1]] = True
    found: Bools = begins[np.searchsorted(device, slices)]
    return found


def _launched_in(context: Context, calls: Int64, outer: Int64) -> int:
    """Return how many calls began in one of the slices ``outer``."""
    columns = context.columns
    if not len(outer):
        return 0
    place = np.searchsorted(columns.ts[outer], columns.ts[calls], side="right") - 1
    inside = (place >= 0) & (
        columns.ts[calls] < (columns.ts[outer] + columns.dur[outer])[np.maximum(place, 0)]
    )
    return int(inside.sum())


WARMUP_SHARE = 0.05
#: Least length of a launch that loads its module first, and least ratio to the typical launch.
LOADING_NS, LONGER = 500_000, 20


def warmup_counted(context: Context) -> Iterable[Advice]:
    """Find first steps, or first launches, that include one-time work.

    Saving: their extra length over the typical later step. For launches that load code: the device's idle
    time during them.
    """
    columns = context.columns
    steps = step_slices(columns)
    warm = warm_up(columns, steps) if len(steps) else 0
    if warm:
        typical = float(np.median(columns.dur[steps[warm:]]))
        saving = int((columns.dur[steps[:warm]] - typical).sum())
        slices = steps[:warm]
        what = (
            f"The first {'step takes' if warm == 1 else f'{warm} steps take'}"
            f" {milliseconds(length_of(context, slices))}, a later one {milliseconds(typical)}"
        )
    else:
        launched = np.zeros(len(columns), bool)
        by = context.trace.call[context.trace.device]
        launched[by[by != NOTHING]] = True
        calls = np.flatnonzero(launched)
        if not len(calls):
            return
        lengths = columns.dur[calls]
        slices = calls[lengths >= max(LOADING_NS, LONGER * float(np.median(lengths)))]
        slices = slices[~np.isin(slices, context.host.copying)]
        # A call that is long because the device is busy loads nothing.
        saving = max((_idle_for(context, gaps, slices) for gaps in context.gaps), default=0)
        what = f"For {milliseconds(saving)} the device waited for slow launches, which load code at first use"
    if context.worth(saving, WARMUP_SHARE):
        yield context.advice(
            "warmup_counted",
            "Warm-up is in the profile",
            f"{what}. {context.share(saving)} of the traced time is one-time work and does not represent later steps.",
            Stake(saving, slices),
            "Do not record the first steps.",
            # A trace of %%profile has cell names.
            "%%profile --warmup 5"
            if columns.cells
            else "torch.profiler.schedule(wait=1, warmup=2, active=5)",
        )


def _idle_for(context: Context, gaps: Gaps, calls: Int64) -> int:
    """Return the idle time for launching, in gaps that end with one of these calls."""
    ended = np.isin(context.trace.call[gaps.following], calls)
    return int(gaps.parts[ended, REASONS.index("launch")].sum())
