"""Read reports of Nsight Compute into columns.

Nsight Compute runs kernels one by one, several times each, and records only their length. So they are placed
end to end in launch order. A host slice that was open at a launch lasts as long as the kernels that were
launched in it. No host length and no gap is measured.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from msgspec import structs

from ...models import KernelRule
from ..attribution import frames, markers
from ..columns import NO_ID, Columns
from ..kinds import Kind, kind_of
from ..nsight_compute.figures import device_of, figures_of, is_wanted, nanoseconds, stalls_of
from ..nsight_compute.launch import Launch, Measured
from .ncu_report import Report, opened
from .ncu_results import Frame, Range, Result, metric_value, metrics_of, rules_of
from .nvtx import operator_of
from .parts import Builder
from .wire import Damaged

_DEVICE_NAME = "device__attribute_display_name"
_KEPT_CACHE, _KEPT_CLOCK = (
    re.compile(rf"--{option}[ =]none\b") for option in ("cache-control", "clock-control")
)
#: Named as in Kineto's ``deviceProperties``.
_PROPERTIES = {
    "device__attribute_total_memory": "totalGlobalMem",
    "device__attribute_multiprocessor_count": "numSms",
    "device__attribute_compute_capability_major": "computeMajor",
    "device__attribute_compute_capability_minor": "computeMinor",
}
#: Largest total time in nanoseconds that 64-bit sums can represent.
MOST_TIME = 1 << 62
#: Launches with the same values are one kernel; the longest launch keeps its rules.
_Key = tuple[str, str, str, str, tuple[str, ...]]


def read(path: Path, after: int = 0) -> Columns:
    """Read a report. ``after`` reads only blocks that begin at that byte or later, which a program has added.

    Raises OSError, and InvalidRequest for a file that is not a report, or one that ends before its first
    result.
    """
    with opened(path) as report:
        reading = _Reading(report)
        for result in report.results(after):
            reading.take(result)
        if not after:
            report.require_any()
        return reading.finish()


class _Open(NamedTuple):
    """A host slice that has not ended; ``key`` identifies it at the next launch."""

    key: object
    name: str
    kind: Kind
    start: int
    correlation: int = NO_ID
    sequence: int | None = None
    dims: str = ""
    stack: str = ""


class _Thread:
    """The open slices of a thread, outermost first, and the end of its last launch."""

    def __init__(self, lane: int) -> None:
        self.lane, self.end = lane, 0
        self.open: list[_Open] = []


class _Reading:
    def __init__(self, report: Report) -> None:
        self.report = report
        self._builder = Builder()
        self._threads: dict[tuple[int, str], _Thread] = {}
        self._launches: list[Launch] = []
        self._longest: dict[_Key, int] = {}
        self._names: dict[str, str] = {}
        self._locked: set[bool] = set()
        self._clock = self._untimed = self._odd = self._late = 0
        wanted = enumerate(report.outline.names)
        self._wanted = {number: name for number, name in wanted if is_wanted(name) or name == _DEVICE_NAME}

    def take(self, result: Result) -> None:
        """Add the next launch."""
        try:
            values, device_name = self._values(result)
            rules = list(rules_of(result))
        except Damaged:
            self._odd += 1
            return
        time = nanoseconds(values)
        length = max(1, round(time or 0))
        if self._clock + length > MOST_TIME:
            self._late += 1
            return
        self._untimed += time is None
        device = device_of(values)
        if device_name:
            self._names.setdefault(device, device_name)
        if result.locked is not None:
            self._locked.add(result.locked)
        figures = figures_of(values, time or 0.0)
        self._keep(result, device, length, figures, stalls_of(values), rules)
        self._on_the_host(result, length)
        lane = self._builder.lane(f"device {device}", f"stream {result.stream}", device, str(result.stream))
        kind = kind_of("kernel", result.name)
        number = self._builder.add(self._clock, length, result.name, lane, kind, len(self._launches))
        for column, text in (("grid", result.grid), ("block", result.block)):
            if text:
                self._builder.mark_text(number, column, text)
        for column, figure, scale in (
            ("registers", "registers", 1),
            ("shared_memory", "shared_memory_bytes", 1),
            ("occupancy", "occupancy_pct", 10),
        ):
            if 0 <= figures.get(figure, -1.0) < 2**40:
                self._builder.mark(number, column, round(scale * figures[figure]))
        self._builder.mark(number, "launch", len(self._launches) - 1)
        self._clock += length

    def finish(self) -> Columns:
        """Return the columns of all launches."""
        for thread in self._threads.values():
            self._leave(thread, 0)
        damage = [*self.report.outline.damage, *self.report.damage]
        if self._odd:
            damage.append(f"Results left out because their metrics cannot be read: {self._odd}.")
        if self._late:
            damage.append(f"Results left out because the total time before them is too long: {self._late}.")
        if self._untimed:
            damage.append(
                f"{self._untimed} of {len(self._launches)} results have no duration "
                "(gpu__time_duration.sum, of the section SpeedOfLight), or one of more than a week: they count as 0 s."
            )
        return self._builder.finish(
            events=len(self._launches),
            device_properties=self._devices(),
            damage=damage,
            incomplete=bool(self.report.outline.damage or self.report.damage),
            measured=Measured(launches=self._launches, note=self._note()) if self._launches else None,
        )

    def _values(self, result: Result) -> tuple[dict[str, float], str]:
        values: dict[str, float] = {}
        device_name = ""
        for number, metric in metrics_of(result):
            name = self._wanted.get(number)
            value = metric_value(metric) if name is not None else None
            if name == _DEVICE_NAME and isinstance(value, str):
                device_name = value
            elif name is not None and isinstance(value, (int, float)):
                values[name] = float(value)
        return values, device_name

    def _keep(
        self,
        result: Result,
        device: str,
        length: int,
        figures: dict[str, float],
        stalls: dict[str, float],
        rules: list[KernelRule],
    ) -> None:
        gains: dict[str, float] = {}
        for rule in rules:
            if rule.kind == "optimization" and rule.of == "kernel" and rule.speedup_pct:
                gains[rule.identifier] = max(gains.get(rule.identifier, 0.0), rule.speedup_pct)
        place = tuple(each.name for each in result.ranges if each.name.startswith(markers.BEGINNING))
        key = (result.name, device, result.grid, result.block, place)
        before = self._longest.get(key)
        if before is not None and self._launches[before].us * 1000 >= length:
            rules = []
        else:
            if before is not None:
                self._launches[before] = structs.replace(self._launches[before], rules=[])
            self._longest[key] = len(self._launches)
        self._launches.append(
            Launch(
                number=result.number,
                name=result.name,
                device=device,
                us=length / 1000,
                kind=result.kind,
                grid=result.grid,
                block=result.block,
                figures=figures,
                stalls=stalls,
                rules=rules,
                gains=gains,
            )
        )

    def _on_the_host(self, result: Result, length: int) -> None:
        """Return ranges, operators and the line around a launch, with a slice for the launch itself."""
        found = _python(result.frames)
        stack = ";".join(f"{each.file}({each.line}): {each.function}".replace(";", ",") for each in found)
        wanted = [_opened(each, self._clock) for each in result.ranges]
        line = _line_in_cell(result.ranges, found)
        if line:
            wanted.append(_Open(line, line, Kind.ANNOTATION, self._clock))
        number = len(self._launches)
        wanted.append(
            _Open(
                number, "launch", Kind.RUNTIME, self._clock, number, stack=stack
            )  # each launch has its own key
        )
        self._enter(self._thread(result.process, str(result.thread)), wanted, length)
        for number, ranges in result.others.items():
            # The line of autograd's own thread is inside the line that waits for it.
            opened = [_opened(each, self._clock) for each in ranges]
            self._enter(self._thread(result.process, str(number)), opened, length)
        self._cross(self._thread(result.process, "ranges"), result.crossing, length)

    def _thread(self, process: int, name: str) -> _Thread:
        key = (process, name)
        if key not in self._threads:
            self._threads[key] = _Thread(self._builder.lane(str(process), name))
        return self._threads[key]

    def _cross(self, thread: _Thread, now: list[Range], length: int) -> None:
        """Add ranges that may begin and end anywhere; they are in no thread's call tree."""
        ended = [number for number, each in enumerate(thread.open) if each.key not in now]
        for number in reversed(ended):
            self._close(thread, thread.open.pop(number))
        known = {each.key for each in thread.open}
        thread.open += [_opened(each, self._clock) for each in now if each not in known]
        thread.end = self._clock + length

    def _enter(self, thread: _Thread, wanted: list[_Open], length: int) -> None:
        same = 0
        for before, now in zip(thread.open, wanted, strict=False):
            if before.key != now.key:
                break
            same += 1
        self._leave(thread, same)
        thread.open += wanted[same:]
        thread.end = self._clock + length

    def _leave(self, thread: _Thread, kept: int) -> None:
        # Outermost first: of slices with one start and one length, the first is outside.
        for each in thread.open[kept:]:
            self._close(thread, each)
        del thread.open[kept:]

    def _close(self, thread: _Thread, ended: _Open) -> None:
        lasted = thread.end - ended.start
        number = self._builder.add(
            ended.start, lasted, ended.name, thread.lane, ended.kind, ended.correlation
        )
        if ended.sequence is not None:
            self._builder.mark(number, "sequence", ended.sequence)
        for column, text in (("dims", ended.dims), ("stack", ended.stack)):
            if text:
                self._builder.mark_text(number, column, text)

    def _devices(self) -> list[dict[str, Any]]:
        """Return devices by number: those of the session, and the names from launches."""
        devices = self.report.outline.devices
        numbers = {*(number for number in devices if number < 256), *map(int, self._names)}
        found: list[dict[str, Any]] = [{} for _ in range(max(numbers, default=-1) + 1)]
        for number in numbers:
            session = devices.get(number)
            attributes = session.attributes if session is not None else {}
            name = session.name if session is not None and session.name else self._names.get(str(number), "")
            found[number] = {"id": number, "name": name} | {
                word: attributes[attribute]
                for attribute, word in _PROPERTIES.items()
                if attribute in attributes
            }
        return found

    def _note(self) -> str:
        command = self.report.outline.command
        passes = [launch.figures["passes"] for launch in self._launches if "passes" in launch.figures]
        again = f", in up to {max(passes):.0f} passes" if passes else ""
        free = self._locked == {False} or _KEPT_CLOCK.search(command)
        clocks = "at unlocked clock rates" if free else "at the base clock rate"
        caches = "with warm caches" if _KEPT_CACHE.search(command) else "with flushed caches"
        return (
            f"Nsight Compute replayed each GPU kernel alone{again}, {clocks} and {caches}. Times are not those of a "
            "normal run, and the time between kernels is not measured."
        )


def _opened(opened: Range, now: int) -> _Open:
    operator = operator_of(opened.name)
    if operator is None:
        return _Open(opened, opened.name, Kind.ANNOTATION, now)
    return _Open(opened, operator.name, Kind.OPERATOR, now, sequence=operator.sequence, dims=operator.dims)


def _python(stack: Iterable[Frame]) -> list[Frame]:
    """Return Python frames, innermost first."""
    return [each for each in stack if each.line and each.file.endswith((".py", ">"))]


def _line_in_cell(ranges: list[Range], stack: list[Frame]) -> str:
    """Return the marker of the line at which the running cell was, by its frames; empty where no marker names
    the cell alone.

    Frames name a cell by a file of the session. The range gives the cell, the outermost frame its file.
    """
    marked = [marker for each in ranges if (marker := markers.parse(each.name)) is not None]
    if not marked or any(marker.line != markers.WHOLE_CELL for marker in marked):
        return ""
    cells = [each for each in stack if frames.is_cell(each.file)]
    if not cells:
        return ""
    innermost = next(each for each in cells if each.file == cells[-1].file)
    return markers.line_marker(marked[-1].name, innermost.line)
