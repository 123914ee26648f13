"""Idle time that no other rule explains."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ...models import Advice
from ..intervals import Intervals
from ..sums.idle import REASONS
from .case import MOMENTS, Case, Stake, milliseconds
from .launches import launch_bound, pauses

SHARE = 0.1
_WORDS = {
    "python": "Python between operators",
    "other": "waits on the device or unknown",
    "communication": "waits for other ranks",
}


def gpu_idle(case: Case) -> Iterable[Advice]:
    """The device was idle while its host ran Python, or for reasons that the trace does not tell.

    Left out is what has its own advice: data loading, copies, synchronisation, launching. Saving: the rest.
    """
    launching = any(True for _ in launch_bound(case))
    best: dict[str, int] = {}
    slices, times = np.empty(0, np.int64), None
    for gaps in case.gaps:
        found = {code: int(gaps.parts[:, REASONS.index(code)].sum()) for code in _WORDS}
        if launching:
            found["python"] -= int(pauses(gaps).sum())
        if sum(found.values()) > sum(best.values()):
            unexplained = gaps.parts[:, [REASONS.index(code) for code in _WORDS]].sum(axis=1)
            most = np.argsort(-unexplained, kind="stable")
            best, slices = found, gaps.following[most[:100]]
            times = Intervals(gaps.times.start[most[:MOMENTS]], gaps.times.end[most[:MOMENTS]])
    idle = sum(best.values())
    if not case.worth(idle, SHARE):
        return
    parts = sorted((each for each in best.items() if each[1]), key=lambda each: -each[1])
    yield case.advice(
        "gpu_idle",
        f"The device is idle: {_WORDS[parts[0][0]]}",
        f"Idle for {milliseconds(idle)} ({case.share(idle)} of the trace) besides what other advice explains: "
        + ", ".join(f"{_WORDS[code]} {milliseconds(length)}" for code, length in parts)
        + ".",
        Stake(idle, np.sort(slices), times),
        "Move work of the host out of the loop (logging, metrics, preprocessing) or to another thread.",
    )
