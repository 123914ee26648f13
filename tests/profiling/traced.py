"""Traces for tests: real profiles of torch on the CPU, and devices added to them.

No GPU is needed: ``with_device`` gives each innermost operator of a real CPU profile a launch and a kernel, as Kineto
writes them. Operators, stacks, markers and sequence numbers stay the real ones. Kernels of one kind are equally
long, products the longest: an operator's own length depends on what else the machine does.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

Trace = dict[str, Any]
_ONLY_VIEWS = {
    f"aten::{name}" for name in ("resolve_conj", "as_strided", "empty", "empty_strided", "view", "expand")
}
DEVICE = {"id": 0, "name": "NVIDIA H100 80GB HBM3", "totalGlobalMem": 85018279936, "numSms": 132}
#: One kernel on a device, several operators on the CPU.
_WHOLE = {"aten::addmm"}
_PRODUCTS = {"aten::addmm", "aten::mm"}
KERNEL_US, PRODUCT_US = 10, 100


def profiled(work: Callable[[], object], path: Path, *, stacks: bool = True) -> Trace:
    """The trace of ``work`` by torch's own profiler, also written to ``path``."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU], with_stack=stacks, record_shapes=True) as recorder:
        work()
    recorder.export_chrome_trace(str(path))
    trace: Trace = json.loads(path.read_text())
    return trace


def with_device(trace: Trace, *, backward_thread: bool = False) -> Trace:
    """``backward_thread``: the backward pass ran on a thread of autograd's, as it does with a device."""
    events = [event for event in trace["traceEvents"] if event.get("ph") == "X"]
    nodes = [event for event in events if event["name"].startswith("autograd::engine::evaluate_function")]
    operators = [
        event for event in events if event.get("cat") == "cpu_op" and event["name"] not in _ONLY_VIEWS
    ]
    whole = [event for event in operators if event["name"] in _WHOLE]
    operators = [event for event in operators if not any(_inside(event, other) for other in whole)]
    device: list[dict[str, Any]] = []
    end = max(event["ts"] + event["dur"] for event in events)
    for event in operators:
        if any(_inside(other, event) for other in operators) or event["dur"] <= 0:
            continue
        number = len(device) + 1
        common = {"correlation": number, "External id": event["args"]["External id"], "device": 0}
        launch = {"cat": "cuda_runtime", "name": "cudaLaunchKernel", "pid": event["pid"], "tid": event["tid"]}
        # Behind all that a whole operator calls: a first copy inside it may take most of its time.
        start, length = event["ts"] + event["dur"] * 15 / 16, event["dur"] / 32
        launch |= {"ph": "X", "ts": start, "dur": length, "args": common}
        kernel = {"cat": "kernel", "name": f"kernel of {event['name']}", "pid": 0, "tid": 7}
        length = PRODUCT_US if event["name"] in _PRODUCTS else KERNEL_US
        kernel |= {"ph": "X", "ts": end, "dur": length, "args": {**common, "stream": 7}}
        end += length
        device += [launch, kernel]
    if backward_thread:
        moved = [
            event
            for event in [*(event for event in events if event.get("cat") == "cpu_op"), *device]
            if any(_inside(event, node) for node in nodes)
        ]
        for event in [*nodes, *moved]:
            if event["cat"] != "kernel":
                event["tid"] = 999_999
    return {**trace, "deviceProperties": [DEVICE], "traceEvents": [*trace["traceEvents"], *device]}


def _inside(inner: dict[str, Any], outer: dict[str, Any]) -> bool:
    if inner is outer or inner["tid"] != outer["tid"] or inner["pid"] != outer["pid"]:
        return False
    start, end = outer["ts"], outer["ts"] + outer["dur"]
    return bool(start <= inner["ts"] and inner["ts"] + inner["dur"] <= end)
