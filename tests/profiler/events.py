"""Events of traces, as Kineto writes them, for tests that work out the answer by hand. Times in microseconds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

Event = dict[str, Any]


def slice_of(cat: str, name: str, ts: float, dur: float, tid: int = 1, **args: Any) -> Event:
    """A slice of the host's process 1."""
    return {
        "ph": "X",
        "cat": cat,
        "name": name,
        "ts": ts,
        "dur": dur,
        "pid": 1,
        "tid": tid,
        **({"args": args} if args else {}),
    }


def operator(name: str, ts: float, dur: float, tid: int = 1, **args: Any) -> Event:
    """A CPU operator."""
    return slice_of("cpu_op", name, ts, dur, tid, **args)


def call(name: str, ts: float, dur: float, correlation: int, tid: int = 1) -> Event:
    """A call of the runtime."""
    return slice_of("cuda_runtime", name, ts, dur, tid, correlation=correlation)


def kernel(
    name: str,
    ts: float,
    dur: float,
    correlation: int = 0,
    *,
    stream: int = 7,
    device: int = 0,
    cat: str = "kernel",
    **args: Any,
) -> Event:
    """A slice on a device."""
    return {
        "ph": "X",
        "cat": cat,
        "name": name,
        "ts": ts,
        "dur": dur,
        "pid": device,
        "tid": stream,
        "args": {"device": device, "stream": stream, "correlation": correlation, **args},
    }


def written(folder: Path, events: list[Event], name: str = "trace.json", **top: Any) -> Path:
    """The trace's file."""
    path = folder / name
    path.write_text(json.dumps({"schemaVersion": 1, "traceEvents": events, **top}))
    return path
