"""The input of an advice rule, and the functions that build an ``Advice``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import NamedTuple

import numpy as np

from ...models import Advice, Moment, Place
from ..columns import Int64, present
from ..efficiency.accelerators import Speed, raised, speed_of
from ..formatting import percent
from ..intervals import Intervals, span, union_length
from ..kinds import Kind
from ..sums.devices import device_model, step_slices
from ..sums.host import Host
from ..sums.idle import REASONS, Gaps, explained_gaps, without_waits
from ..traces import Trace
from .groups import LARGE_BYTES, Group, work_groups

#: Maps slices to the lines of code that ran them, most time first.
PlacesOf = Callable[[Int64], list[Place]]
#: Least saving, as a share of the traced time, for an advice.
WORTH = 0.01
_TORCH = re.compile(r"\b(aten|at|c10d?|torch)(::|/|\.)|^ProfilerStep#")
MOMENTS = 5


class Stake(NamedTuple):
    """The saving in nanoseconds, as an upper bound, and the slices that show the problem. ``times`` replaces
    their times where those are not the moments to show."""

    saving: int
    slices: Int64
    times: Intervals | None = None


class Context:
    """One rank's trace, with the figures that rules share. Times are in nanoseconds."""

    def __init__(self, trace: Trace, host: Host | None = None, places_of: PlacesOf | None = None) -> None:
        self.trace = trace
        self.columns = trace.columns
        self.host = host or Host(trace)
        self._places_of = places_of

    @cached_property
    def traced(self) -> int:
        """Return the length that savings are a share of: the longest device span, else the host's work."""
        spans = [span(self.trace.intervals(members)) for members in self.trace.devices.values()]
        if spans:
            return max(spans)
        kinds = self.columns.kind
        return span(
            self.trace.intervals(np.flatnonzero((kinds == Kind.OPERATOR) | (kinds == Kind.ANNOTATION)))
        )

    @cached_property
    def gaps_of(self) -> dict[str, Gaps]:
        """Return the gaps of each device, by device key."""
        return {
            key: explained_gaps(self.trace, self.host, members) for key, members in self.trace.devices.items()
        }

    @cached_property
    def gaps(self) -> list[Gaps]:
        """Return the gaps of each device. Python that ran inside a wait counts as waiting."""
        return [without_waits(self.trace, self.host, each) for each in self.gaps_of.values()]

    @cached_property
    def idle(self) -> int:
        """Return the idle time of the device that was idle longest."""
        return max((int(each.lengths.sum()) for each in self.gaps), default=0)

    def idle_by(self, reason: str) -> int:
        """Return the idle time for a reason, on the device with the most."""
        part = REASONS.index(reason)
        return max((int(each.parts[:, part].sum()) for each in self.gaps), default=0)

    @cached_property
    def speed(self) -> Speed | None:
        """Return the speed of the first device; the devices of a process are alike. None: the speed is not
        known."""
        key = next(iter(self.trace.devices), "")
        found = speed_of(self.trace, device_model(self.trace, key))
        return self._at_least_as_seen(found) if found is not None and found.assumed else found

    @cached_property
    def uses_torch(self) -> bool:
        """Return whether the trace shows PyTorch: its operators, or kernels of its own library."""
        return any(_TORCH.search(name) for name in self.columns.names)

    @cached_property
    def is_amd(self) -> bool:
        """Return whether the device is AMD's, by its name or by the runtime calls."""
        model = self.speed.model if self.speed is not None else ""
        return model.startswith("Instinct") or self._calls_hip

    @cached_property
    def _calls_hip(self) -> bool:
        return any(name.startswith("hip") for name in self.columns.names)

    @cached_property
    def groups(self) -> list[Group]:
        """Return the operators grouped by name and shapes, with their device time."""
        return work_groups(self.trace)

    @cached_property
    def steps(self) -> int:
        """Return the number of steps in the trace, at least 1."""
        return max(1, len(step_slices(self.columns)))

    def worth(self, saving: int, share: float = WORTH) -> bool:
        """Return whether the saving is large enough for an advice."""
        return saving > 0 and saving >= share * self.traced

    def on_one(self, length: int) -> int:
        """Return the part of a time summed over devices that falls on one device."""
        return length // max(1, len(self.trace.devices))

    def share(self, length: int) -> str:
        """Return the share of the traced time as text, such as ``12 %``."""
        return percent(length, self.traced)

    def advice(
        self,
        code: str,
        title: str,
        evidence: str,
        stake: Stake,
        suggestion: str,
        code_hint: str = "",
    ) -> Advice:
        """Build an advice. Severity is by the share of the traced time: 10 % is high, 3 % is medium.
        ``code_hint`` is PyTorch code and is left out where the trace does not show PyTorch."""
        saving = min(stake.saving, self.traced)
        part = saving / self.traced if self.traced else 0.0
        return Advice(
            code=code,
            severity="high" if part >= 0.1 else "medium" if part >= 0.03 else "low",
            title=title,
            evidence=evidence,
            saving_us=saving / 1000,
            suggestion=suggestion,
            code_hint=code_hint if self.uses_torch else "",
            places=self._places_of(stake.slices) if self._places_of and len(stake.slices) else [],
            moments=_moments(stake.times or self.trace.intervals(stake.slices)),
            rank=self.trace.rank,
        )

    def _at_least_as_seen(self, speed: Speed) -> Speed:
        seen = [each for each in self.groups if each.work.family != "experts" and each.device_ns]
        # 8-bit operands are multiplied twice as fast.
        flops = max(
            (1e9 * each.work.flops / each.each_ns * min(1.0, each.work.bits / 16) for each in seen),
            default=0.0,
        )
        large = [each for each in seen if each.work.bytes >= LARGE_BYTES]
        bandwidth = max((1e9 * each.work.bytes / each.each_ns for each in large), default=0.0)
        return raised(speed, flops, bandwidth, self._calls_hip)


def _moments(times: Intervals) -> list[Moment]:
    shorter = times.start - times.end
    if len(shorter) > MOMENTS:
        # Partition first, so that only a few are sorted.
        few = np.flatnonzero(shorter <= np.partition(shorter, MOMENTS)[MOMENTS])
        longest = few[np.argsort(shorter[few], kind="stable")[:MOMENTS]]
    else:
        longest = np.argsort(shorter, kind="stable")
    found = sorted(zip(times.start[longest].tolist(), times.end[longest].tolist(), strict=True))
    return [Moment(start_us=start / 1000, end_us=end / 1000) for start, end in found]


Rule = Callable[[Context], Iterable[Advice]]


def length_of(context: Context, slices: Int64) -> int:
    """Return the time that the slices cover together, in nanoseconds."""
    return union_length(context.trace.intervals(slices))


def outermost(context: Context, slices: Int64) -> Int64:
    """Return the slices that are inside no other of them, per thread."""
    columns = context.columns
    kept = []
    for lane in present(len(columns.lanes), columns.lane[slices]).tolist():
        members = slices[columns.lane[slices] == lane]
        ends = np.maximum.accumulate(columns.ts[members] + columns.dur[members])
        kept.append(members[np.concatenate([[True], columns.ts[members[1:]] >= ends[:-1]])])
    return np.sort(np.concatenate(kept)) if kept else slices


def milliseconds(length: float) -> str:
    """Format nanoseconds, such as ``1.5 ms``."""
    if length >= 1e9:
        return f"{length / 1e9:.2f} s"
    return f"{length / 1e6:.1f} ms" if length >= 1e6 else f"{length / 1e3:.1f} µs"
