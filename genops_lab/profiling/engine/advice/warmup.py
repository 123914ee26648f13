"""What happens once, counted as work."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ...models import Advice
from ..columns import Int64
from ..nesting import NOTHING
from ..sums.idle import REASONS, Gaps
from ..sums.steps import step_slices, warm_up
from .context import Context, Stake, length_of, milliseconds

SHARE = 0.05
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
    if case.worth(saving, SHARE):
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
