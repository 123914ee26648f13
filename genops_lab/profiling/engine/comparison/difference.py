"""Compare two profiles; device work is matched by kernel, and by the operators and shapes that launched
it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, NamedTuple, TypeVar

import numpy as np

from ...models import Change, Difference, Figure, KernelTime, LaunchedWith, Place, ProfileSummary
from ..columns import NOTHING, summed
from ..formatting import percent
from ..reading.kinds_of_files import LeftOut, Paths, paths_of, require_trace
from ..traces import Trace

#: An operator's name and the shapes of its inputs as in the trace; "" where it has none.
Launcher = tuple[str, str]


class Launched(NamedTuple):
    """A kernel with one grid and block."""

    name: str
    grid: str
    block: str


@dataclass
class Kernel:
    """All launches of one kernel (or of one kind of copy or fill)."""

    count: int = 0
    total_ns: int = 0
    #: Nanoseconds by operator and shapes of the launch, where they are known.
    launchers: dict[Launcher, int] = field(default_factory=dict)


class KernelTally:
    """Device work by name, over all added traces."""

    def __init__(self) -> None:
        self.kernels: dict[str, Kernel] = {}
        #: Nanoseconds and launches of work that was measured launch by launch, in the order of the first
        #: launches.
        self.launched: dict[Launched, tuple[int, int]] = {}

    @staticmethod
    def of(found: Iterable[KernelTime]) -> KernelTally:
        """Build the tally from a summary, which has one operator per kernel and no shapes."""
        tally = KernelTally()
        for each in found:
            total = round(each.total_us * 1000)
            launchers = {(each.operator, ""): total} if each.operator else {}
            tally.kernels[each.name] = Kernel(each.count, total, launchers)
        return tally

    def add(self, trace: Trace) -> None:
        """Count a trace's device work."""
        columns, device = trace.columns, trace.device
        owner = trace.owner[device].astype(np.int64)
        known = owner != NOTHING
        operator = np.where(known, columns.name[np.maximum(owner, 0)], NOTHING)
        shapes = np.where(known, columns.values("dims", owner), NOTHING)
        keys = np.column_stack([columns.name[device], operator, shapes])
        rows, place, counts = np.unique(keys, axis=0, return_inverse=True, return_counts=True)
        totals = summed(place.reshape(-1), columns.lengths(device), len(rows))
        for (name, by, dims), count, total in zip(
            rows.tolist(), counts.tolist(), totals.tolist(), strict=True
        ):
            kernel = self.kernels.setdefault(columns.names[name], Kernel())
            kernel.count += count
            kernel.total_ns += total
            if by != NOTHING:
                launcher = columns.names[by], columns.texts[dims] if dims != NOTHING else ""
                kernel.launchers[launcher] = kernel.launchers.get(launcher, 0) + total
        self._add_launched(trace)

    def _add_launched(self, trace: Trace) -> None:
        columns = trace.columns
        numbers = columns.sparse.get("launch")
        if columns.measured is None or numbers is None:
            return
        lengths = columns.lengths(numbers.index.astype(np.int64)).tolist()
        for number, length in zip(numbers.value.tolist(), lengths, strict=True):
            launch = columns.measured.launches[number]
            key = Launched(launch.name, launch.grid, launch.block)
            total, count = self.launched.get(key, (0, 0))
            self.launched[key] = total + length, count + 1


_Key = TypeVar("_Key")
Unit = Literal["us", "count"]
_STEP = re.compile(r"^ProfilerStep#\d+$")
#: A larger difference between the shares of compute time with known FLOPs makes these figures hard to
#: compare.
UNEVEN = 0.05


def diff(before: Paths, after: Paths) -> Difference:
    """Return the changes from one trace (or the traces of several ranks) to another.

    Raises the errors of ``analyze``, and InvalidRequest for a memory snapshot.
    """
    return difference(_read(before), _read(after))


def difference(before: Side, after: Side) -> Difference:
    """Return all changes, largest first. Times are sums over all devices of all ranks."""
    a_step = before.steps > 0 and after.steps > 0
    scale = (before.steps, after.steps) if a_step else (1, 1)
    return Difference(
        a_step=a_step,
        before_steps=before.steps,
        after_steps=after.steps,
        figures=list(_figures(before.summary, after.summary, scale)),
        operators=_operators(before.summary, after.summary, scale),
        kernels=_kernels(before.kernels, after.kernels, scale),
        lines=_lines(before.summary, after.summary, scale),
        measured=_measured(before.summary) and _measured(after.summary),
        warnings=list(_warnings(before, after)),
        incomplete=before.summary.incomplete or after.summary.incomplete,
        **_advice(before.summary, after.summary),
    )


class Side:
    """One of the two profiles. A stored summary has no shapes, so its kernels are matched by operator
    only."""

    def __init__(self, summary: ProfileSummary, kernels: KernelTally | None = None) -> None:
        self.summary = summary
        self.kernels = kernels if kernels is not None else KernelTally.of(summary.kernels)
        #: The largest peak of any rank.
        self.steps = max(
            (sum(step.rank == rank for step in summary.steps) for rank in summary.ranks), default=0
        )


def _read(paths: Paths) -> Side:
    from .. import analyze

    given = paths_of(paths)
    files, left_out = LeftOut.of(given)
    for path in left_out.by_kind(files)[1]:
        require_trace(path)
    kernels = KernelTally()
    return Side(analyze(given, watch=lambda trace, _: kernels.add(trace)), kernels)


def _figures(before: ProfileSummary, after: ProfileSummary, scale: tuple[int, int]) -> Iterable[Figure]:
    def summed(code: str, unit: Unit, of: Callable[[ProfileSummary], float]) -> Figure:
        return Figure(code=code, before=of(before) / scale[0], after=of(after) / scale[1], unit=unit)

    # Nsight Compute measures only kernels: the profile has no time between them and no host time.
    clocked = not _measured(before) and not _measured(after)
    for code in ("span", "busy", "idle", "compute", "comm", "exposed_comm", "memory"):
        if not clocked and code in ("span", "idle", "exposed_comm"):
            continue
        yield summed(code, "us", partial(_over_devices, f"{code}_us"))
    yield summed("kernels", "count", partial(_over_devices, "kernels"))
    one, other = _idle_share(before), _idle_share(after)
    if clocked and not math.isnan(one) and not math.isnan(other):
        yield Figure(code="idle_share", before=one, after=other, unit="share")
    if clocked:
        yield summed("cpu_busy", "us", lambda side: side.cpu.busy_us)
    one_work, other_work = before.roofline, after.roofline
    if one_work is not None and other_work is not None and one_work.covered and other_work.covered:
        of_known = partial(Figure, covered_before=one_work.covered, covered_after=other_work.covered)
        one, other = one_work.flops / scale[0], other_work.flops / scale[1]
        yield of_known(code="flops", before=one, after=other, unit="flops")
        if one_work.mfu is not None and other_work.mfu is not None:
            yield of_known(code="mfu", before=one_work.mfu, after=other_work.mfu, unit="share")
    if before.memory is not None and after.memory is not None:
        one, other = (
            max((each.peak for each in side.memory.devices if each.device >= 0), default=0)
            if side.memory
            else 0
            for side in (before, after)
        )
        yield Figure(code="peak_memory", before=one, after=other, unit="bytes")


def _measured(side: ProfileSummary) -> bool:
    return side.measured is not None


def _over_devices(name: str, side: ProfileSummary) -> float:
    return sum(float(getattr(each, name)) for each in side.devices)


def _idle_share(side: ProfileSummary) -> float:
    span = sum(each.span_us for each in side.devices)
    return sum(each.idle_us for each in side.devices) / span if span else math.nan


def _operators(before: ProfileSummary, after: ProfileSummary, scale: tuple[int, int]) -> list[Change]:
    def costs(side: ProfileSummary) -> dict[str, tuple[float, float]]:
        found: dict[str, tuple[float, float]] = {}
        for each in side.operators:
            # Old traces have steps among the operators; step numbers of two programs do not correspond.
            name = _STEP.sub("ProfilerStep", each.name)
            time, count = found.get(name, (0.0, 0.0))
            found[name] = time + each.self_us + each.device_us, count + each.count
        return found

    return _changes(costs(before), costs(after), scale, lambda name: name)


def _kernels(before: KernelTally, after: KernelTally, scale: tuple[int, int]) -> list[Change]:
    instead = replaced(before, after)
    if before.launched and after.launched:
        return _launched(before, after, scale, instead)
    return _changes(
        {name: (each.total_ns / 1000, each.count) for name, each in before.kernels.items()},
        {name: (each.total_ns / 1000, each.count) for name, each in after.kernels.items()},
        scale,
        lambda name: name,
        instead_of=lambda name: instead.get(name, ""),
    )


def _launched(
    before: KernelTally, after: KernelTally, scale: tuple[int, int], instead: dict[str, str]
) -> list[Change]:
    """Return kernels by grid and block."""
    found = dict(enumerate(pairs(before.launched, after.launched)))

    def costs(of: KernelTally, keys: dict[int, list[Launched]]) -> dict[int, tuple[float, float]]:
        tallies = {row: [of.launched[key] for key in each] for row, each in keys.items() if each}
        return {
            row: (sum(ns for ns, _ in each) / 1000, sum(count for _, count in each))
            for row, each in tallies.items()
        }

    return _changes(
        costs(before, {row: pair.before for row, pair in found.items()}),
        costs(after, {row: pair.after for row, pair in found.items()}),
        scale,
        lambda row: found[row].name,
        instead_of=lambda row: "" if found[row].before else instead.get(found[row].name, ""),
        launched=lambda row: (_with(found[row].before), _with(found[row].after)),
    )


def _with(keys: list[Launched]) -> list[LaunchedWith]:
    return [LaunchedWith(grid=each.grid, block=each.block) for each in keys]


def _lines(before: ProfileSummary, after: ProfileSummary, scale: tuple[int, int]) -> list[Change]:
    places: dict[tuple[str, str, int], Place] = {}

    def costs(side: ProfileSummary) -> dict[tuple[str, str, int], tuple[float, float]]:
        found: dict[tuple[str, str, int], tuple[float, float]] = {}
        for each in side.attribution.lines if side.attribution is not None else ():
            # A cell has another number each time it runs.
            key = each.place.cell, each.place.cell or each.place.file, each.place.line
            places[key] = each.place
            device_us, kernels = found.get(key, (0.0, 0.0))
            found[key] = device_us + each.device_us, kernels + each.kernels
        return found

    return _changes(
        costs(before), costs(after), scale, lambda key: places[key].where, place=lambda key: places[key]
    )


def _changes(
    before: dict[_Key, tuple[float, float]],
    after: dict[_Key, tuple[float, float]],
    scale: tuple[int, int],
    name: Callable[[_Key], str],
    place: Callable[[_Key], Place | None] = lambda _key: None,
    instead_of: Callable[[_Key], str] = lambda _key: "",
    launched: Callable[[_Key], tuple[list[LaunchedWith], list[LaunchedWith]]] = lambda _key: ([], []),
) -> list[Change]:
    """Return the changes of costs, each a total time and count."""
    found = []
    for key in dict.fromkeys([*before, *after]):
        one, other = before.get(key, (0.0, 0.0)), after.get(key, (0.0, 0.0))
        before_with, after_with = launched(key)
        found.append(
            Change(
                name=name(key),
                before_us=one[0] / scale[0],
                after_us=other[0] / scale[1],
                before_count=one[1] / scale[0],
                after_count=other[1] / scale[1],
                state="added" if key not in before else "removed" if key not in after else "both",
                place=place(key),
                instead_of=instead_of(key),
                before_with=before_with,
                after_with=after_with,
            )
        )
    return sorted(found, key=lambda each: (-abs(each.after_us - each.before_us), each.name))


def _advice(before: ProfileSummary, after: ProfileSummary) -> dict[str, Any]:
    one = list(dict.fromkeys(each.code for each in before.advice))
    other = list(dict.fromkeys(each.code for each in after.advice))
    return {
        "advice_titles": {each.code: each.title for each in (*before.advice, *after.advice)},
        "advice_gone": [code for code in one if code not in other],
        "advice_new": [code for code in other if code not in one],
        "advice_kept": [code for code in other if code in one],
    }


def _warnings(before: Side, after: Side) -> Iterable[str]:
    one, other = before.summary, after.summary
    models = [sorted({each.model for each in side.devices if each.model}) for side in (one, other)]
    if all(models) and models[0] != models[1]:
        yield f"The profiles ran on different devices: {', '.join(models[0])} and {', '.join(models[1])}."
    if _measured(one) != _measured(other):
        which = "before" if _measured(one) else "after"
        yield f"Nsight Compute measured the profile {which} one GPU kernel at a time: its times are not those of a run."
    if len(one.ranks) != len(other.ranks):
        yield f"The number of ranks differs: {len(one.ranks)} before, {len(other.ranks)} after. Times are sums."
    elif len(one.devices) != len(other.devices):
        yield (
            f"The number of devices differs: {len(one.devices)} before, {len(other.devices)} after."
            " Times are sums."
        )
    if (before.steps > 0) != (after.steps > 0):
        which = "before" if before.steps else "after"
        yield f"Only the profile {which} has steps, so whole traces are compared. They may contain different work."
    elif before.steps != after.steps:
        yield f"The number of steps differs: {before.steps} before, {after.steps} after. Times are per step."
    names = [set(side.kernels.kernels) for side in (before, after)]
    if all(names) and not names[0] & names[1]:
        yield "The profiles share no GPU kernel: they may come from different profilers or programs."
    known = [side.roofline.covered if side.roofline is not None else 0.0 for side in (one, other)]
    if all(known) and max(known) - min(known) > UNEVEN:
        yield (
            f"FLOPs are known for {percent(known[0], 1)} of the compute time before, {percent(known[1], 1)} after:"
            " FLOPs, MFU and advice on operators cover only these parts."
        )
    for which, side in (("before", one), ("after", other)):
        if side.damaged:
            yield f"The trace {which} could not be read completely. {side.damaged}"


class Pair(NamedTuple):
    """The two sides of one row, of one name. One side may be empty."""

    name: str
    before: list[Launched]
    after: list[Launched]


def pairs(before: Iterable[Launched], after: Iterable[Launched]) -> list[Pair]:
    """Return each kernel of both profiles once, in the order of the launches."""
    earlier, later = dict.fromkeys(before), dict.fromkeys(after)
    found = [Pair(each.name, [each], [each]) for each in later if each in earlier]
    old, new = (
        _by_name(each for each in one if each not in other)
        for one, other in ((earlier, later), (later, earlier))
    )
    for name in dict.fromkeys([*old, *new]):
        left, right = old.get(name, []), new.get(name, [])
        if len(left) == len(right):
            found += [Pair(name, [one], [other]) for one, other in zip(left, right, strict=True)]
        elif left and right:
            # The pairs are not known.
            found.append(Pair(name, left, right))
        else:
            found += [Pair(name, [each], []) for each in left]
            found += [Pair(name, [], [each]) for each in right]
    return found


def _by_name(launched: Iterable[Launched]) -> dict[str, list[Launched]]:
    found: dict[str, list[Launched]] = {}
    for each in launched:
        found.setdefault(each.name, []).append(each)
    return found


def replaced(before: KernelTally, after: KernelTally) -> dict[str, str]:
    """Return, by the name of a new kernel, the removed kernel that did the same work.

    Both were launched by the same operator with the same shapes, or by the same operator where a trace has no
    shapes. If several were removed, the one with most time in that operator counts.
    """
    gone = {name: kernel for name, kernel in before.kernels.items() if name not in after.kernels}
    new = {name: kernel for name, kernel in after.kernels.items() if name not in before.kernels}
    found = {}
    for name, kernel in new.items():
        shared = {other: _shared(old, kernel) for other, old in gone.items()}
        best = max(shared, key=lambda other: (shared[other], other), default="")
        if best and shared[best]:
            found[name] = best
    return found


def _shared(old: Kernel, new: Kernel) -> int:
    """Return the nanoseconds of the old kernel on work that the new one does."""
    return sum(spent for launcher, spent in old.launchers.items() if _does(new, launcher))


def _does(kernel: Kernel, launcher: Launcher) -> bool:
    operator, shapes = launcher
    return launcher in kernel.launchers or any(
        operator == other and not (shapes and others_shapes) for other, others_shapes in kernel.launchers
    )
