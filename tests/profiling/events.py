"""Events of traces, as Kineto writes them, for tests that work out the answer by hand. Times in microseconds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from genops_lab.profiling import analyze

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


#: What a trace's head says of its device, and names of kernels.
H100: dict[str, Any] = {"deviceProperties": [{"id": 0, "name": "NVIDIA H100 80GB HBM3", "numSms": 132}]}
GEMM = "sm90_xmma_gemm_bf16bf16_bf16f32_f32_tn_n_tilesize128x128x64"
ADD = "void at::native::vectorized_elementwise_kernel<4, at::native::CUDAFunctor_add<c10::BFloat16> >"


def advised(folder: Path, events: list[Event], **top: Any) -> list[str]:
    """The codes of the advice on a trace, of an H100 where ``top`` says nothing."""
    summary = analyze(written(folder, events, **(top or H100)))
    return [each.code for each in summary.advice]


def busy(
    calls: list[tuple[str, list[Any], str, str, float]], *, concrete: list[str] | None = None, gap: float = 0
) -> list[Event]:
    """Operators (name, dims, type, kernel, length) launched far ahead, so that the device is never idle."""
    events, at = [], 10_000.0
    for number, (name, dims, dtype, kernel_name, length) in enumerate(calls, 1):
        start = 20.0 * number
        shapes: dict[str, Any] = {"Input Dims": dims, "Input type": [dtype if each else "" for each in dims]}
        if concrete:
            shapes["Concrete Inputs"] = concrete
        events += [
            operator(name, start, 15, **shapes),
            call("cudaLaunchKernel", start + 5, 5, number),
            kernel(kernel_name, at, length, number, grid=[1024, 1, 1]),
        ]
        at += length + gap
    return events
