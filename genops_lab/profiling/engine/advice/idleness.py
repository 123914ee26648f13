"""Advice on idle time that no other rule explains."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from ...models import Advice
from ..columns import NOTHING, present
from ..formatting import counted
from ..intervals import Intervals
from ..kinds import Kind
from ..nesting import parents
from ..sums.host import overlap
from ..sums.idle import REASONS, Gaps
from .allocator import alloc_retries
from .context import MOMENTS, WORTH, Context, Stake, length_of, milliseconds
from .launches import SLOW_CALL_NS, between_calls, launch_bound, pauses, warmup_counted

SHARE = 0.1


class _Reason(NamedTuple):
    title: str
    suggestion: str


_REASONS = {
    "python": _Reason(
        "Python between operators",
        "Move host work (logging, metrics, preprocessing) out of the loop or to another thread.",
    ),
    "launch": _Reason(
        "host operators and calls before the next launch",
        "Move host computation out of the loop, to another thread, or to the device.",
    ),
    "communication": _Reason(
        "waits for other ranks",
        "Open the traces of all ranks together, and look at what the other ranks did meanwhile.",
    ),
    "other": _Reason(
        "launched work starts late, or its launch is not known",
        "Look at these moments in the timeline: other streams, devices or processes may delay the work.",
    ),
}
_COLUMNS = [REASONS.index(code) for code in _REASONS]
_LAUNCH = list(_REASONS).index("launch")


def gpu_idle(context: Context) -> Iterable[Advice]:
    """Find idle time while the host ran Python, or for reasons that the trace does not show.

    Reasons with their own advice do not count: data loading, copies, synchronisation, launching, warm-up, the
    allocator. Saving: the rest.
    """
    launching = any(True for _ in launch_bound(context))
    elsewhere = sum(
        1000 * each.saving_us for rule in (warmup_counted, alloc_retries) for each in rule(context)
    )
    best, most, gaps = np.zeros(len(_REASONS)), np.empty(0, np.int64), None
    for each in context.gaps:
        parts = each.parts[:, _COLUMNS].astype(np.int64)
        # Launching one by one has its own advice, or is too short for one.
        parts[parts[:, _LAUNCH] <= SLOW_CALL_NS, _LAUNCH] = 0
        if launching:
            parts[:, 0] -= pauses(each)
        found = parts.sum(axis=0).astype(float)
        found[_LAUNCH] = max(0.0, found[_LAUNCH] - elsewhere)
        if found.sum() > best.sum():
            best, gaps, most = found, each, np.argsort(-parts.sum(axis=1), kind="stable")
    idle = int(best.sum())
    if gaps is None or not context.worth(idle, SHARE):
        return
    lengths = sorted(zip(best.tolist(), _REASONS, strict=True), key=lambda each: -each[0])
    first = _REASONS[lengths[0][1]]
    titles = {code: each.title for code, each in _REASONS.items()} | {"python": between_calls(context)}
    title, suggestion, meanwhile = f": {titles[lengths[0][1]]}", first.suggestion, ""
    if lengths[0][1] == "other" and (stood := _waiting_call(context, gaps)):
        title, meanwhile = f" while the host waits in {stood.call}", f" Meanwhile {stood.evidence}."
        if stood.copies:
            suggestion = f"Copy back without blocking, and use the result a step later. {suggestion}"
    yield context.advice(
        "gpu_idle",
        f"The device is idle{title}",
        f"Idle for {milliseconds(idle)} ({context.share(idle)} of the trace) for reasons that no other advice covers: "
        + ", ".join(
            f"{titles[code]} {milliseconds(length)}" for length, code in lengths if length >= WORTH * idle
        )
        + f".{meanwhile}",
        Stake(
            idle,
            np.sort(gaps.following[most[:100]]),
            Intervals(gaps.times.start[most[:MOMENTS]], gaps.times.end[most[:MOMENTS]]),
        ),
        suggestion,
    )


class _WaitingCall(NamedTuple):
    """A waiting call. ``call`` is its name with its operator; ``copies`` says whether it is a copy."""

    call: str
    evidence: str
    copies: bool


def _waiting_call(context: Context, gaps: Gaps) -> _WaitingCall | None:
    """Return the waiting call, by its name and operator, that a thread was in for most of the time before
    launched work started."""
    columns, around = context.columns, context.trace.around
    lengths = gaps.parts[:, REASONS.index("other")].astype(np.int64)
    mostly = 2 * lengths > gaps.lengths
    start, end = gaps.times.start[mostly], gaps.times.end[mostly]
    calls = present(len(columns), context.host.copying, context.host.synchronizing)
    began, ended = context.trace.intervals(calls)
    inside = overlap(Intervals(start, end), began, ended)
    calls, inside = calls[inside > 0], inside[inside > 0]
    above = outermost = around[calls].astype(np.int64)
    while (climbing := above != NOTHING).any():
        outermost = np.where(climbing, above, outermost)
        above = np.where(climbing, around[above], NOTHING)
    operator = np.where(outermost == NOTHING, NOTHING, columns.name[outermost])
    alike = np.stack([columns.name[calls], operator])
    keys, which = np.unique(alike, axis=1, return_inverse=True)
    together = np.bincount(which.ravel(), inside)
    if not len(together) or 2 * together.max() < lengths.sum():
        return None
    most = int(together.argmax())
    mine = calls[which.ravel() == most]
    call, operator_name = (columns.names[each] if each != NOTHING else "" for each in keys[:, most].tolist())
    longest = mine[columns.dur[mine].argmax()]
    annotation = parents(columns, [Kind.ANNOTATION])[longest]
    within = [operator_name, "" if annotation == NOTHING else columns.names[columns.name[annotation]]]
    callers = ", ".join(each for each in within if each and not each.startswith("ProfilerStep#"))
    length = length_of(context, mine)
    return _WaitingCall(
        f"{call} ({operator_name})" if operator_name else call,
        f"the host waits {counted(len(mine), 'time', 'times')} in {call}{f' ({callers})' if callers else ''}, for"
        f" {milliseconds(length)} in total ({context.share(length)} of the trace)",
        bool(np.isin(longest, context.host.copying)),
    )
