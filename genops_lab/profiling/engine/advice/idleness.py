"""Idle time that no other rule explains."""

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
        "Move work of the host out of the loop (logging, metrics, preprocessing) or to another thread.",
    ),
    "launch": _Reason(
        "operators and calls of the host before the next launch",
        "Move what the host computes out of the loop, to another thread, or to the device.",
    ),
    "communication": _Reason(
        "waits for other ranks",
        "Look at what the other ranks did meanwhile: read the traces of all ranks together.",
    ),
    "other": _Reason(
        "launched work does not start, or its launch is not known",
        "Look at these moments in the timeline: other streams, devices and processes may hold the work up.",
    ),
}
_COLUMNS = [REASONS.index(code) for code in _REASONS]
_LAUNCH = list(_REASONS).index("launch")


def gpu_idle(case: Context) -> Iterable[Advice]:
    """The device was idle while its host ran Python, or for reasons that the trace does not tell.

    Left out is what has its own advice: data loading, copies, synchronisation, launching, warm-up, the allocator.
    Saving: the rest.
    """
    launching = any(True for _ in launch_bound(case))
    elsewhere = sum(1000 * each.saving_us for rule in (warmup_counted, alloc_retries) for each in rule(case))
    best, most, gaps = np.zeros(len(_REASONS)), np.empty(0, np.int64), None
    for each in case.gaps:
        parts = each.parts[:, _COLUMNS].astype(np.int64)
        # One launch after the other has its own advice, or is too little for it.
        parts[parts[:, _LAUNCH] <= SLOW_CALL_NS, _LAUNCH] = 0
        if launching:
            parts[:, 0] -= pauses(each)
        found = parts.sum(axis=0).astype(float)
        found[_LAUNCH] = max(0.0, found[_LAUNCH] - elsewhere)
        if found.sum() > best.sum():
            best, gaps, most = found, each, np.argsort(-parts.sum(axis=1), kind="stable")
    idle = int(best.sum())
    if gaps is None or not case.worth(idle, SHARE):
        return
    lengths = sorted(zip(best.tolist(), _REASONS, strict=True), key=lambda each: -each[0])
    first = _REASONS[lengths[0][1]]
    told = {code: each.title for code, each in _REASONS.items()} | {"python": between_calls(case)}
    title, suggestion, meanwhile = f": {told[lengths[0][1]]}", first.suggestion, ""
    if lengths[0][1] == "other" and (stood := _where_the_host_stood(case, gaps)):
        title, meanwhile = f" while the host stands in {stood.call}", f" Meanwhile {stood.evidence}."
        if stood.copies:
            suggestion = f"Copy back without blocking, and use the result a step later. {suggestion}"
    yield case.advice(
        "gpu_idle",
        f"The device is idle{title}",
        f"Idle for {milliseconds(idle)} ({case.share(idle)} of the trace) besides what other advice explains: "
        + ", ".join(
            f"{told[code]} {milliseconds(length)}" for length, code in lengths if length >= WORTH * idle
        )
        + f".{meanwhile}",
        Stake(
            idle,
            np.sort(gaps.following[most[:100]]),
            Intervals(gaps.times.start[most[:MOMENTS]], gaps.times.end[most[:MOMENTS]]),
        ),
        suggestion,
    )


class _Stood(NamedTuple):
    """``call``: its name with its operator's. ``copies``: it is a copy."""

    call: str
    evidence: str
    copies: bool


def _where_the_host_stood(case: Context, gaps: Gaps) -> _Stood | None:
    """The waiting call, by its name and the operator around it, in which a thread was for most of the time in which
    launched work did not start."""
    columns, around = case.columns, case.trace.around
    lengths = gaps.parts[:, REASONS.index("other")].astype(np.int64)
    mostly = 2 * lengths > gaps.lengths
    start, end = gaps.times.start[mostly], gaps.times.end[mostly]
    calls = present(len(columns), case.host.copying, case.host.synchronizing)
    began, ended = case.trace.intervals(calls)
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
    told = ", ".join(each for each in within if each and not each.startswith("ProfilerStep#"))
    length = length_of(case, mine)
    return _Stood(
        f"{call} ({operator_name})" if operator_name else call,
        f"the host stands {counted(len(mine), 'time', 'times')} in {call}{f' ({told})' if told else ''}, together for"
        f" {milliseconds(length)} ({case.share(length)} of the trace)",
        bool(np.isin(longest, case.host.copying)),
    )
