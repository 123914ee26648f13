"""Explain idle time of a device by the work of the thread that launched the next work."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ...models import IdleReason, IdleTime
from ..columns import NOTHING, Int32, Int64, Whole, present
from ..intervals import Intervals, union
from ..kinds import Kind
from ..traces import Trace
from .host import BLOCK, Activity, Host, overlap

#: Reasons, in the order of the parts of a gap.
REASONS = ("dataloader", "communication", "copy", "synchronization", "launch", "python", "other")
_PART = {code: number for number, code in enumerate(REASONS)}
#: A device's own pause between two queued kernels is shorter than this (nanoseconds).
BACK_TO_BACK = 10_000
#: After a launch has returned, its work starts within this time (real launches: within 20 µs), unless the
#: device waits.
LAUNCH_DELAY = 100_000
LONG = 1_000_000
#: A wait for the device may end this much before the device's work, because their clocks differ.
CLOCKS_DIFFER = 2_000
_LATE = {"copy": 0, "synchronization": CLOCKS_DIFFER}


class Gaps(NamedTuple):
    """The gaps of a device. ``parts[n]`` are the nanoseconds of gap n by reason, in the order of REASONS. The
    parts of one reason are contiguous in memory."""

    times: Intervals
    #: The first slice after each gap.
    following: Int64
    parts: Whole

    @property
    def lengths(self) -> Int64:
        return self.times.end - self.times.start


def explained_gaps(trace: Trace, host: Host, members: Int64) -> Gaps:
    """Return the gaps between ``members`` (one device's slices), each divided among its reasons without a
    remainder.

    Until the call of the next work returned, the reason is the activity of the calling thread. It is a wait
    for data, for other ranks, for copies or for the device, else operators and calls (launch), else Python.
    The time from the return to the start is launch when short. Otherwise it is a wait on the device:
    communication during a collective, or other.

    Launching after a wait counts as that wait if the gap began inside it, because without the wait the work
    would have been launched earlier.
    """
    columns = trace.columns
    times, following = _gaps(trace, members)
    parts = _no_parts(times)
    call = trace.call[following]
    returned = np.where(call == NOTHING, times.start, columns.ts[call] + columns.dur[call])
    until = np.clip(returned, times.start, times.end)
    lane = np.where(call == NOTHING, NOTHING, columns.lane[call])
    for thread in present(len(columns.lanes), lane[lane != NOTHING]).tolist():
        here = np.flatnonzero(lane == thread)
        doing = _together(host, thread)
        for begin in range(0, len(here), BLOCK):
            block = here[begin : begin + BLOCK]
            parts[block] = _host_parts(doing, Intervals(times.start[block], until[block]))
    delay = times.end - until
    parts[:, _PART["launch"]] += np.where((returned > times.start) & (delay <= LAUNCH_DELAY), delay, 0)
    _after_waits(host, times, lane, parts)
    _device_parts(trace, members, times, following, call, parts)
    return Gaps(times, following, parts)


def idle_times(rank: int, gaps: Mapping[str, Gaps]) -> Iterator[IdleTime]:
    """Return the gaps of a rank's devices. Times by reason are exact; a gap counts for its largest reason."""
    for key, found in gaps.items():
        lengths = found.lengths
        most = _largest(found.parts)
        totals = found.parts.sum(axis=0)
        yield IdleTime(
            device=key,
            rank=rank,
            gaps=len(lengths),
            total_us=int(lengths.sum()) / 1000,
            p50_us=float(np.median(lengths)) / 1000 if len(lengths) else 0.0,
            over_1ms=int((lengths > LONG).sum()),
            over_1ms_us=int(lengths[lengths > LONG].sum()) / 1000,
            reasons=sorted(
                (
                    IdleReason(
                        code=code,  # type: ignore[arg-type]
                        total_us=int(totals[part]) / 1000,
                        count=int((most == part).sum()),
                    )
                    for part, code in enumerate(REASONS)
                    if totals[part]
                ),
                key=lambda reason: -reason.total_us,
            ),
        )


def _no_parts(times: Intervals) -> Whole:
    longest = int((times.end - times.start).max(initial=0))
    dtype = np.int32 if longest <= np.iinfo(np.int32).max else np.int64
    return np.zeros((len(times.start), len(REASONS)), dtype, order="F")


def _largest(parts: Whole) -> npt.NDArray[np.int8]:
    """Return the first of the largest parts of each gap."""
    found = np.zeros(len(parts), np.int8)
    most = parts[:, 0]
    for part in range(1, len(REASONS)):
        found[parts[:, part] > most] = part
        most = np.maximum(most, parts[:, part])
    return found


def _gaps(trace: Trace, members: Int64) -> tuple[Intervals, Int64]:
    """Return the gaps and the slice after each. A slice of length 0 (a microsecond clock) splits a gap in
    two."""
    start, end = trace.intervals(members)
    reach = np.maximum.accumulate(end)
    after = np.flatnonzero(start[1:] > reach[:-1]) + 1
    return Intervals(reach[after - 1], start[after]), members[after]


def _together(host: Host, thread: int) -> list[Activity]:
    """Return the activities of a thread; each one includes all earlier ones, because these count where two
    overlap."""
    found: list[Activity] = []
    together = Intervals(np.empty(0, np.int64), np.empty(0, np.int64))
    for activity in host.activities(thread):
        if len(activity.times.start):
            together = union(together + activity.times)
            found.append(Activity(activity.code, together))
    return found


def _host_parts(doing: list[Activity], stretch: Intervals) -> Whole:
    parts = _no_parts(stretch)
    counted = np.zeros(len(stretch.start), np.int64)
    for activity in doing:
        so_far = overlap(activity.times, stretch.start, stretch.end)
        parts[:, _PART[activity.code]] = so_far - counted
        counted = so_far
    parts[:, _PART["python"]] = stretch.end - stretch.start - counted
    return parts


def _after_waits(host: Host, times: Intervals, lane: Int64, parts: Whole) -> None:
    """Move launching to the wait inside which the gap began."""
    launch = _PART["launch"]
    for activity, began in _began_in_waits(host, times, lane):
        parts[began, _PART[activity.code]] += parts[began, launch]
        parts[began, launch] = 0


def _began_in_waits(host: Host, times: Intervals, lane: Int64) -> Iterator[tuple[Activity, Int64]]:
    """Return, for each kind of wait, the gaps that began while the thread of their next call waited."""
    for thread in present(len(host.trace.columns.lanes), lane[lane != NOTHING]).tolist():
        here = np.flatnonzero(lane == thread)
        began = times.start[here]
        for activity in host.activities(thread):
            if activity.code in _LATE:
                inside = overlap(activity.times, began - _LATE[activity.code], began + 1) > 0
                yield activity, here[inside]


def without_waits(trace: Trace, host: Host, gaps: Gaps) -> Gaps:
    """Return the gaps with Python that follows a wait counted as the wait, up to the length of the waits.

    This is what the host could have done earlier, not what it did.
    """
    call = trace.call[gaps.following]
    lane = np.where(call == NOTHING, NOTHING, trace.columns.lane[call])
    parts, python = gaps.parts.copy("K"), _PART["python"]
    for activity, began in _began_in_waits(host, gaps.times, lane):
        ahead = _ahead(activity.times, gaps.times.start[began], parts[began, python])
        parts[began, _PART[activity.code]] += ahead
        parts[began, python] -= ahead
    return gaps._replace(parts=parts)


def _ahead(waits: Intervals, at: Int64, python: Whole) -> Int64:
    """Return how much of the Python after each of ``at`` would have overlapped with device work without the
    waits.

    Without waits, the host is ahead by the length of the waits, until its Python has used up this lead.
    """
    place = np.maximum(np.searchsorted(waits.start, at, side="right") - 1, 0)
    waited = np.maximum(at - waits.start[place], 0) if len(waits.start) else np.zeros(len(at), np.int64)
    gained = np.cumsum(waited - python)
    left = gained - np.minimum(np.minimum.accumulate(gained), 0)
    before = np.concatenate([[0], left[:-1]])
    found: Int64 = np.minimum(python, before + waited)
    return found


def _device_parts(
    trace: Trace, members: Int64, times: Intervals, following: Int64, call: Int32, parts: Whole
) -> None:
    """Divide gaps without an explanation on the host: the work was launched before, or its call is not
    known."""
    columns = trace.columns
    rest = times.end - times.start - parts.sum(axis=1)
    queued = call != NOTHING
    ends = columns.ts[members] + columns.dur[members]
    by_end = np.argsort(ends, kind="stable")
    last = np.maximum(np.searchsorted(ends[by_end], times.start, side="right") - 1, 0)
    before = members[by_end[last]] if len(members) else members
    beside = (columns.kind[following] == Kind.COMMUNICATION) | (columns.kind[before] == Kind.COMMUNICATION)
    short = queued & (rest <= BACK_TO_BACK)
    parts[:, _PART["launch"]] += np.where(short, rest, 0)
    parts[:, _PART["communication"]] += np.where(queued & ~short & beside, rest, 0)
    parts[:, _PART["other"]] += np.where(~short & ~(queued & beside), rest, 0)
