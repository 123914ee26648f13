"""Turn requests into figures. Latencies count from the time at which a request was due."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

from .client import Sent
from .schedule import Step

#: Share of requests that must be answered within the limit at the knee.
IN_TIME = 0.99
#: A client that sends its requests later than this (99 of 100 of them in time) is itself the bottleneck.
LATE_MS = 10.0


def quantile(values: list[float], q: float) -> float | None:
    """Return the smallest value that is at least as large as a share ``q`` of them; without values None.

    >>> quantile([1.0, 2.0, 3.0, 4.0], 0.5)
    2.0
    """
    return sorted(values)[max(math.ceil(q * len(values)) - 1, 0)] if values else None


def _spread(seconds: list[float], name: str) -> dict[str, float | None]:
    found = {}
    for word, q in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
        value = quantile(seconds, q)
        found[f"{name}{word}_ms"] = None if value is None else round(value * 1000, 3)
    return found


def of_step(step: Step, requests: list[Sent], limit_ms: float) -> dict[str, Any]:
    """Return the figures of a step: rates in requests a second, times in milliseconds."""
    answered = [each for each in requests if not each.failure]
    times = [each.ended - each.due for each in answered]
    in_time = sum(each * 1000 <= limit_ms for each in times)
    seconds = step.ends_s - step.begins_s
    late = quantile([each.sent - each.due for each in requests if each.sent], 0.99)
    streams = [each for each in answered if each.chunks]
    between = [
        later - earlier
        for each in streams
        for earlier, later in zip(each.chunks, each.chunks[1:], strict=False)
    ]
    return {
        "rate": step.rate,
        "seconds": seconds,
        "sent": len(requests),
        "answered": len(answered),
        "failed": len(requests) - len(answered),
        "in_time": in_time,
        "goodput": round(in_time / seconds, 3),
        **_spread(times, ""),
        **_spread([each.chunks[0] - each.due for each in streams], "first_"),
        **_spread(between, "between_"),
        "late_ms": round((late or 0.0) * 1000, 3),
    }


def knee(steps: list[dict[str, Any]]) -> float | None:
    """Return the highest rate up to which 99 of 100 requests were answered within the limit; None if none was."""
    found = None
    for step in steps:
        if not step["sent"]:
            continue  # a low rate for a short time: nothing was due
        if step["in_time"] < IN_TIME * step["sent"]:
            break
        found = step["rate"]
    return found


def failures(requests: list[Sent]) -> list[dict[str, Any]]:
    """Return what went wrong and how often, the most frequent first."""
    counted = Counter(each.failure for each in requests if each.failure)
    return [{"what": what, "count": count} for what, count in counted.most_common(10)]
