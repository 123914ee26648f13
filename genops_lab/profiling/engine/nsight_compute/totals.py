"""Sum up the measured launches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from msgspec import structs

from ...models import MeasuredKernel, Measurement, OperatorWork, Peak, Place, Roofline, Stall
from ..attribution.lines import PlacesOf
from ..columns import NOTHING
from ..efficiency.accelerators import find
from ..efficiency.roofline import MOST_LISTED as MOST_OPERATORS
from ..efficiency.roofline import MOSTLY, worked
from ..traces import Trace
from .figures import FLOPS, LIMITS
from .launch import Launch

#: Most kernels in a summary, those with most time.
MOST_LISTED = 1000
#: The thresholds of Nsight Compute's "speed of light" rule.
LATENCY_PCT, BALANCED_PCT = 60.0, 10.0


@dataclass
class Group:
    """Launches of one kernel with one grid and block, from one line; ``numbers`` are those of the report."""

    name: str
    device: str
    rank: int
    model: str
    grid: str
    block: str
    place: Place | None
    launches: list[Launch] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)

    @property
    def us(self) -> float:
        """Return the time of all launches."""
        return sum(launch.us for launch in self.launches)

    def mean(self, figure: str) -> float | None:
        """Return the mean weighted by time, over the launches that have the figure."""
        known = [(launch.figures[figure], launch.us) for launch in self.launches if figure in launch.figures]
        time = sum(us for _, us in known)
        return sum(value * us for value, us in known) / time if time else None

    def total(self, figure: str) -> float | None:
        """Return the sum over all launches; None if one lacks the figure."""
        known = [launch.figures[figure] for launch in self.launches if figure in launch.figures]
        return sum(known) if len(known) == len(self.launches) else None

    def flops(self) -> dict[str, float]:
        """Return the FLOPs of all launches, by dtype."""
        names = {name for launch in self.launches for name in launch.figures if name.startswith(FLOPS)}
        found = {name.removeprefix(FLOPS): self.total(name) for name in sorted(names)}
        return {name: flops for name, flops in found.items() if flops is not None}


class MeasuredTally:
    """Launches over all added traces."""

    def __init__(self) -> None:
        self._groups: dict[tuple[object, ...], Group] = {}
        self._notes: list[str] = []

    def add(self, trace: Trace, places_of: PlacesOf) -> None:
        """Count the launches of a report."""
        columns = trace.columns
        numbers = columns.sparse.get("launch")
        if columns.measured is None or numbers is None:
            return
        if columns.measured.note not in self._notes:
            self._notes.append(columns.measured.note)
        lines = places_of.line_of(numbers.index.astype(np.int64)).tolist()
        models = {each.get("id"): str(each.get("name", "")) for each in columns.device_properties}
        for number, line in zip(numbers.value.tolist(), lines, strict=True):
            launch = columns.measured.launches[number]
            place = None if line == NOTHING else places_of.lines.places[line]
            key = (launch.name, launch.device, trace.rank, launch.grid, launch.block, place)
            if key not in self._groups:
                model = models.get(int(launch.device), "")
                self._groups[key] = Group(
                    launch.name, launch.device, trace.rank, model, launch.grid, launch.block, place
                )
            self._groups[key].launches.append(launch)
            self._groups[key].numbers.append(launch.number)

    def result(self) -> Measurement | None:
        """Return the measurement; None without launches."""
        groups = self._ranking()
        if not groups:
            return None
        return Measurement(
            kernels=[_kernel(group) for group in groups[:MOST_LISTED]],
            launches=sum(len(group.launches) for group in groups),
            total_us=sum(group.us for group in groups),
            note=" ".join(self._notes),
            more_kernels=max(0, len(groups) - MOST_LISTED),
        )

    def roofline(self) -> Roofline | None:
        """Return the roofline; None without launches."""
        return roofline(self._ranking())

    def _ranking(self) -> list[Group]:
        return sorted(self._groups.values(), key=lambda group: (-group.us, group.name))


def bound_of(
    compute: float | None, memory: float | None
) -> Literal["compute", "memory", "balanced", "latency", ""]:
    """Return the limit of a kernel that reaches these percentages of the device's peaks."""
    if compute is None or memory is None:
        return ""
    if max(compute, memory) < LATENCY_PCT:
        return "latency"
    if abs(compute - memory) < BALANCED_PCT:
        return "balanced"
    return "compute" if compute > memory else "memory"


def _kernel(group: Group) -> MeasuredKernel:
    longest = max(range(len(group.launches)), key=lambda each: group.launches[each].us)
    launch = group.launches[longest]
    compute, memory = group.mean("compute_pct"), group.mean("memory_pct")
    count, seconds = len(group.launches), group.us / 1e6
    longest_first = sorted(group.launches, key=lambda launch: -launch.us)
    flops, moved = group.flops(), group.total("dram_bytes")
    work = sum(flops.values()) if flops else None
    registers, shared = launch.figures.get("registers"), launch.figures.get("shared_memory_bytes")
    return MeasuredKernel(
        name=group.name,
        device=group.device,
        rank=group.rank,
        grid=group.grid,
        block=group.block,
        count=count,
        total_us=group.us,
        longest=group.numbers[longest],
        longest_us=launch.us,
        compute_pct=compute,
        memory_pct=memory,
        dram_pct=group.mean("dram_pct"),
        l1_pct=group.mean("l1_pct"),
        l2_pct=group.mean("l2_pct"),
        l1_hit_pct=group.mean("l1_hit_pct"),
        l2_hit_pct=group.mean("l2_hit_pct"),
        occupancy_pct=group.mean("occupancy_pct"),
        theoretical_occupancy_pct=group.mean("theoretical_occupancy_pct"),
        occupancy_limit=_limit(launch),
        registers=None if registers is None else round(registers),
        shared_memory_bytes=None if shared is None else round(shared),
        waves=group.mean("waves"),
        flops=None if work is None else work / count,
        dram_bytes=None if moved is None else moved / count,
        tflops=None if work is None or not seconds else work / seconds / 1e12,
        gb_per_s=None if moved is None or not seconds else moved / seconds / 1e9,
        bound=bound_of(compute, memory),
        stalls=_stalls(group.launches),
        rules=next((each.rules for each in longest_first if each.rules), []),
        place=group.place,
    )


def _limit(launch: Launch) -> str:
    """Return the limit of the theoretical occupancy; empty where it is 100 % or not known."""
    limits = [(launch.figures[name], words) for name, words in LIMITS.items() if launch.figures.get(name)]
    if not limits or launch.figures.get("theoretical_occupancy_pct", 0.0) >= 100:
        return ""
    return min(limits, key=lambda each: each[0])[1]


def _stalls(launches: list[Launch]) -> list[Stall]:
    sampled = [launch for launch in launches if launch.stalls]
    time = sum(launch.us for launch in sampled)
    cycles: dict[str, float] = {}
    for launch in sampled:
        for reason, value in launch.stalls.items():
            cycles[reason] = cycles.get(reason, 0.0) + value * launch.us / time if time else 0.0
    whole = sum(cycles.values())
    ranking = sorted((each for each in cycles.items() if each[1] > 0), key=lambda each: (-each[1], each[0]))
    return [Stall(reason=reason, cycles=value, pct=100 * value / whole) for reason, value in ranking]


#: A device by its rank and its number; a dtype.
_Peaks = dict[tuple[int, str, str], float]
_DRAM = "dram"


def roofline(groups: Sequence[Group]) -> Roofline | None:
    """Return the roofline; None without groups. Rows are kernels with counted FLOPs and bytes."""
    if not groups:
        return None
    peaks = _peaks(groups)
    rows = [row for group in groups if (row := _row(group, peaks)) is not None]
    whole = sum(group.us for group in groups)
    covered = sum(row.device_us for row in rows) / whole if whole else 0.0
    return Roofline(
        peaks=_listed_peaks(groups, peaks, {row.dtype for row in rows if row.flops}),
        flops=sum(row.flops for row in rows),
        mfu=None,
        covered=covered,
        operators=rows[:MOST_OPERATORS],
        missing=_missing(covered),
    )


def _row(group: Group, peaks: _Peaks) -> OperatorWork | None:
    counted, moved = group.flops(), group.total("dram_bytes")
    if moved is None or not counted or not group.us:
        return None
    dtype = _nearest(group, counted, peaks)
    found = worked(
        group.name,
        f"{group.grid} × {group.block}" if group.grid else "",
        dtype,
        len(group.launches),
        group.us,
        counted.get(dtype, 0.0),
        moved,
        seconds=group.us / 1e6,
        peak=peaks.get((group.rank, group.device, dtype), 0.0),
        bandwidth=peaks.get((group.rank, group.device, _DRAM), 0.0),
    )
    return structs.replace(found, flops=sum(counted.values()))


def _nearest(group: Group, counted: dict[str, float], peaks: _Peaks) -> str:
    """Return the dtype that reaches most of its peak, because each dtype has its own units. Where a peak is
    not known, return the dtype with most FLOPs, because it may be the one; "" without FLOPs."""
    done = {name: flops for name, flops in counted.items() if flops}
    if not done:
        return ""
    known = {name: peaks.get((group.rank, group.device, name), 0.0) for name in done}
    most = max(done, key=lambda name: done[name])
    if not known[most]:
        return most
    return max((name for name in done if known[name]), key=lambda name: done[name] / known[name])


def _peaks(groups: Sequence[Group]) -> _Peaks:
    """Return the peaks in TFLOP/s and GB/s: as measured (the mean by time), else from the data sheet."""
    measured: dict[tuple[int, str, str], list[tuple[float, float]]] = {}
    found: _Peaks = {}
    for group in groups:
        for launch in group.launches:
            for name, value in launch.figures.items():
                if name.startswith("peak_"):
                    key = (group.rank, group.device, name.removeprefix("peak_"))
                    measured.setdefault(key, []).append((value, launch.us))
        known = find(group.model)
        if known is not None:
            for dtype, tflops in known.tflops.items():
                # Tensor core work is a separate dtype here; fp16 in the data sheet is for tensor cores.
                words = dtype if dtype in ("fp32", "fp64") else f"{dtype} tensor"
                found[group.rank, group.device, words] = tflops
            found[group.rank, group.device, _DRAM] = known.gb_per_s
    for key, values in measured.items():
        time = sum(us for _, us in values)
        if time:
            scale = 1e9 if key[2] == _DRAM else 1e12
            found[key] = sum(value * us for value, us in values) / time / scale
    return found


def _listed_peaks(groups: Sequence[Group], peaks: _Peaks, used: set[str]) -> list[Peak]:
    """Return the peaks, each model once."""
    listed: dict[tuple[str, str], Peak] = {}
    for group in groups:
        bandwidth = peaks.get((group.rank, group.device, _DRAM))
        for dtype in sorted(used):
            peak = peaks.get((group.rank, group.device, dtype))
            if peak and bandwidth:
                listed.setdefault(
                    (group.model, dtype),
                    Peak(model=group.model, dtype=dtype, tflops=peak, gb_per_s=bandwidth),
                )
    return list(listed.values())


def _missing(covered: float) -> str:
    said = ["Nsight Compute measured one GPU kernel at a time, so the MFU of the program is not known."]
    if covered < MOSTLY:
        said.append(
            f"{100 * (1 - covered):.0f} % of the kernel time has no counted FLOPs and bytes: measure with"
            " --set full, or with the roofline sections."
        )
    return " ".join(said)
