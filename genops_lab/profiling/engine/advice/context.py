"""What a rule of advice gets, and how it says what it found."""

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

#: Lines of code that slices belong to, those with most first.
PlacesOf = Callable[[Int64], list[Place]]
#: So much of the traced time must be at stake for a word.
WORTH = 0.01
_TORCH = re.compile(r"\b(aten|at|c10d?|torch)(::|/|\.)|^ProfilerStep#")
MOMENTS = 5


class Stake(NamedTuple):
    """What is at stake: nanoseconds that could be saved at most, the slices that show it, and when to look where
    that is not while they ran."""

    saving: int
    slices: Int64
    times: Intervals | None = None


class Context:
    """One rank's trace, seen as what could be better. Times in nanoseconds."""

    def __init__(self, trace: Trace, host: Host | None = None, places_of: PlacesOf | None = None) -> None:
        self.trace = trace
        self.columns = trace.columns
        self.host = host or Host(trace)
        self._places_of = places_of

    @cached_property
    def traced(self) -> int:
        """The length of which savings are a part: of the device with the longest span, else of the host's work."""
        spans = [span(self.trace.intervals(members)) for members in self.trace.devices.values()]
        if spans:
            return max(spans)
        kinds = self.columns.kind
        return span(
            self.trace.intervals(np.flatnonzero((kinds == Kind.OPERATOR) | (kinds == Kind.ANNOTATION)))
        )

    @cached_property
    def gaps_of(self) -> dict[str, Gaps]:
        """The gaps of each device, by its key."""
        return {
            key: explained_gaps(self.trace, self.host, members) for key, members in self.trace.devices.items()
        }

    @cached_property
    def gaps(self) -> list[Gaps]:
        """The gaps of each device, with Python that waits held up told as waiting."""
        return [without_waits(self.trace, self.host, each) for each in self.gaps_of.values()]

    @cached_property
    def idle(self) -> int:
        """Of the device that was idle longest."""
        return max((int(each.lengths.sum()) for each in self.gaps), default=0)

    def idle_by(self, reason: str) -> int:
        """Idle time for a reason, of the device that has most of it."""
        part = REASONS.index(reason)
        return max((int(each.parts[:, part].sum()) for each in self.gaps), default=0)

    @cached_property
    def speed(self) -> Speed | None:
        """Of the first device; all of a process are alike. None: it is not known what it can do."""
        key = next(iter(self.trace.devices), "")
        found = speed_of(self.trace, device_model(self.trace, key))
        return self._at_least_as_seen(found) if found is not None and found.assumed else found

    @cached_property
    def uses_torch(self) -> bool:
        """Whether the trace shows PyTorch: its operators, or the kernels of its own library."""
        return any(_TORCH.search(name) for name in self.columns.names)

    @cached_property
    def is_amd(self) -> bool:
        """Whether the device is AMD's, by its name or the runtime's calls."""
        model = self.speed.model if self.speed is not None else ""
        return model.startswith("Instinct") or self._calls_hip

    @cached_property
    def _calls_hip(self) -> bool:
        return any(name.startswith("hip") for name in self.columns.names)

    @cached_property
    def groups(self) -> list[Group]:
        """Operators of one name and shapes with the device time they took."""
        return work_groups(self.trace)

    @cached_property
    def steps(self) -> int:
        """Steps that the trace has, at least 1."""
        return max(1, len(step_slices(self.columns)))

    def worth(self, saving: int, share: float = WORTH) -> bool:
        """Whether so much is at stake."""
        return saving > 0 and saving >= share * self.traced

    def on_one(self, length: int) -> int:
        """Of time that all devices spend together, what one spends: they run side by side."""
        return length // max(1, len(self.trace.devices))

    def share(self, length: int) -> str:
        """As people read it: part of the traced time."""
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
        """Severity is by the share of the traced time: 10 % high, 3 % medium. ``code_hint`` is PyTorch's, and left out
        where the trace shows none."""
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
        # Operands of 8 bits are multiplied twice as fast.
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
        # Few are sorted.
        few = np.flatnonzero(shorter <= np.partition(shorter, MOMENTS)[MOMENTS])
        longest = few[np.argsort(shorter[few], kind="stable")[:MOMENTS]]
    else:
        longest = np.argsort(shorter, kind="stable")
    found = sorted(zip(times.start[longest].tolist(), times.end[longest].tolist(), strict=True))
    return [Moment(start_us=start / 1000, end_us=end / 1000) for start, end in found]


Rule = Callable[[Context], Iterable[Advice]]


def length_of(case: Context, slices: Int64) -> int:
    """What slices cover together."""
    return union_length(case.trace.intervals(slices))


def outermost(case: Context, slices: Int64) -> Int64:
    """The slices that lie in no other of them, on their thread."""
    columns = case.columns
    kept = []
    for lane in present(len(columns.lanes), columns.lane[slices]).tolist():
        members = slices[columns.lane[slices] == lane]
        ends = np.maximum.accumulate(columns.ts[members] + columns.dur[members])
        kept.append(members[np.concatenate([[True], columns.ts[members[1:]] >= ends[:-1]])])
    return np.sort(np.concatenate(kept)) if kept else slices


def milliseconds(length: float) -> str:
    """Nanoseconds as people read them."""
    if length >= 1e9:
        return f"{length / 1e9:.2f} s"
    return f"{length / 1e6:.1f} ms" if length >= 1e6 else f"{length / 1e3:.1f} µs"
