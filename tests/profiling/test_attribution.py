"""Device time by line: real traces, real profiles of torch with devices added, and cases worked out by hand."""

from __future__ import annotations

import dataclasses
import gzip
import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from genops_lab.profiling import analyze
from genops_lab.profiling.engine.attribution import markers
from genops_lab.profiling.engine.attribution.totals import AttributionTally
from genops_lab.profiling.engine.columns import Columns, Sparse
from genops_lab.profiling.engine.reading import kineto
from genops_lab.profiling.engine.traces import Trace as OneRank
from genops_lab.profiling.models import Attribution, LineTime
from tests.support.real_traces import TRACES, analyzed

from .traced import Trace, profiled, with_device

real_traces = pytest.mark.skipif(
    not TRACES.is_dir(), reason="the real traces in ../shared/traces are not here"
)


def attribution(trace: Trace, path: Path) -> Attribution:
    path.write_text(json.dumps(trace))
    found = analyze(path).attribution
    assert found is not None
    return found


def by_function(found: Attribution) -> dict[str, LineTime]:
    return {each.place.function: each for each in found.lines if each.device_us}


@real_traces
@pytest.mark.parametrize(
    ("name", "file", "function"),
    [
        (
            "kineto/h100_owlv2",
            "moca/library/model_hub/huggingface/model/adapters/pipeline/model.py",
            "run_on_input",
        ),
        ("advice/gemm_01_compute_few_tiles", "generate_all_traces.py", "run_case"),
        ("advice/gemm_03_compute_misaligned", "generate_all_traces.py", "run_case"),
        ("advice/sdpa_01_long_seq_low_eff", "generate_sdpa_traces.py", "run_case"),
        ("advice/elem_01_add_poor_bw", "generate_elementwise_traces.py", "main"),
    ],
)
def test_real_traces_with_stacks_have_all_their_time_attributed(name: str, file: str, function: str) -> None:
    found = analyzed(f"{name}.json.gz").attribution
    assert found is not None
    assert found.by == "stacks"
    assert found.attributed_us > 0.99 * found.device_us
    assert found.forward_attributed_us > 0.99 * found.forward_us
    assert (found.lines[0].place.file, found.lines[0].place.function) == (file, function)
    assert found.lines[0].place.whole_function


@real_traces
@pytest.mark.parametrize("name", ["v100_2rank_nccl.json.gz", "mi250_toy.json.gz", "h800_deepseek_train.json"])
def test_without_stacks_all_time_is_told_as_unattributed(name: str) -> None:
    found = analyzed("kineto", name).attribution
    assert found is not None
    assert (found.by, found.attributed_us, found.lines) == ("none", 0, [])
    assert sum(each.device_us for each in found.unattributed) == pytest.approx(found.device_us)


def with_call_stacks(path: Path) -> Columns:
    """The columns with the ``Call stack`` of operators, taken from the JSON."""
    columns = kineto.read(path)
    events = json.loads(gzip.decompress(path.read_bytes()))["traceEvents"]
    stacks = {
        (event["ts"] * 1000 - columns.origin_ns, event["name"]): event["args"]["Call stack"]
        for event in events
        if "Call stack" in event.get("args", {})
    }
    rows = [
        (number, stacks[key])
        for number, (ts, name) in enumerate(zip(columns.ts.tolist(), columns.name.tolist(), strict=True))
        if (key := (ts, columns.names[name])) in stacks
    ]
    texts = list(dict.fromkeys(stack for _, stack in rows))
    place = {text: len(columns.texts) + number for number, text in enumerate(texts)}
    column = Sparse(
        np.array([number for number, _ in rows], np.int32), np.array([place[text] for _, text in rows])
    )
    return dataclasses.replace(
        columns, texts=[*columns.texts, *texts], sparse={**columns.sparse, "stack": column}
    )


@real_traces
@pytest.mark.parametrize("workers", [0, pytest.param(4, marks=pytest.mark.exhaustive)])
def test_call_stacks_of_old_traces_tell_the_calling_line(workers: int) -> None:
    columns = with_call_stacks(TRACES / "kineto" / f"resnet50_num_workers_{workers}.json.gz")
    tally = AttributionTally()
    tally.add(OneRank(columns, 0))
    found = tally.result()
    assert found is not None
    assert found.by == "stacks"
    assert found.forward_attributed_us > 0.99 * found.forward_us
    assert found.attributed_us > 0.99 * found.device_us
    [model, *_] = found.lines
    # outputs = model(inputs): its forward pass, and the backward pass of it.
    assert (model.place.file, model.place.line) == ("resnet50_profiler_api.py", 46)
    assert not model.place.whole_function
    assert 0.5 < model.backward_us / model.device_us < 0.8
    # What accumulates gradients has no number and no stack: told, not guessed.
    assert {each.name for each in found.unattributed} == {"aten::add_"}


def training() -> Callable[[], object]:
    import torch

    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = torch.nn.Linear(48, 48)

        def forward(self, x: Any) -> Any:
            return mixed(self.inner(x)).sum()

    def mixed(x: Any) -> Any:
        return (x @ x).relu()

    model = Model()
    optimizer = torch.optim.AdamW(model.parameters())
    data = torch.randn(48, 48)

    def train() -> None:
        for _ in range(3):
            loss = model(data)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()

    return train


@pytest.mark.parametrize("backward_thread", [False, True])
def test_a_training_step_with_stacks(tmp_path: Path, backward_thread: bool) -> None:
    """A real CPU profile; the devices are added."""
    path = tmp_path / "trace.json"
    trace = with_device(profiled(training(), path), backward_thread=backward_thread)
    found = attribution(trace, path)
    assert found.by == "stacks"
    assert found.attributed_us > 0.99 * found.device_us
    lines = by_function(found)
    # Each function's own work, forward and backward: the product and relu of ``mixed`` are not ``forward``'s.
    assert {"train", "forward", "mixed"} <= lines.keys()
    assert lines["mixed"].backward_us > 0
    assert lines["forward"].backward_us > 0
    assert "aten::mm" in lines["mixed"].operators
    assert all(each.place.whole_function for each in found.lines)
    # The optimizer's kernels and the accumulation of gradients belong to who called them.
    assert lines["train"].device_us > 0


def test_checkpointed_and_custom_functions(tmp_path: Path) -> None:
    """Recomputed kernels belong to their own frames; a custom backward to the forward line."""
    import torch
    from torch.utils.checkpoint import checkpoint

    class Double(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x * 2

        @staticmethod
        def backward(ctx: Any, grad: Any) -> Any:
            return grad.tanh()

    def block(x: Any) -> Any:
        return (x @ x).sigmoid()

    def caller(x: Any) -> Any:
        return Double.apply(x)  # type: ignore[no-untyped-call]

    def run() -> None:
        x = torch.randn(32, 32, requires_grad=True)
        y = checkpoint(block, x, use_reentrant=False)
        torch.autograd.backward([caller(y).sum()])

    path = tmp_path / "trace.json"
    found = attribution(with_device(profiled(run, path), backward_thread=False), path)
    lines = by_function(found)
    assert "backward" not in lines
    assert "aten::tanh" in lines["caller"].operators
    assert lines["block"].backward_us > lines["block"].device_us / 3
    assert found.attributed_us > 0.99 * found.device_us


@pytest.mark.parametrize("stacks", [False, True])
@pytest.mark.parametrize("backward_thread", [False, True])
def test_markers_tell_the_calling_line(tmp_path: Path, stacks: bool, backward_thread: bool) -> None:
    import torch
    from torch.profiler import record_function

    layer = torch.nn.Linear(48, 48)
    data = torch.randn(48, 48)

    def cell() -> None:
        with record_function(markers.cell_marker("abc-1")):
            with record_function(markers.line_marker("abc-1", 3)):
                y = layer(data)
            with record_function(markers.line_marker("abc-1", 4)):
                loss = (y @ y).sum()
            with record_function(markers.line_marker("abc-1", 5)):
                loss.backward()
            y.exp()

    path = tmp_path / "trace.json"
    trace = with_device(profiled(cell, path, stacks=stacks), backward_thread=backward_thread)
    found = attribution(trace, path)
    assert found.by == "markers"
    assert found.attributed_us > 0.99 * found.device_us
    lines = {(each.place.cell, each.place.line): each for each in found.lines if each.device_us}
    assert {("abc-1", 3), ("abc-1", 4)} <= lines.keys()
    assert "aten::addmm" in lines["abc-1", 3].operators
    assert lines["abc-1", 3].backward_us > 0
    assert lines["abc-1", 4].backward_us > 0
    # backward() itself: making the first gradient, and summing into .grad
    assert lines["abc-1", 5].device_us < found.device_us / 2
    if not stacks:
        # Outside of all lines, inside the cell.
        assert lines["abc-1", 0].operators == ["aten::exp"]


def test_an_operator_without_gradient_is_not_taken_for_the_forward_one(tmp_path: Path) -> None:
    """Both carry the number of the node that only the second makes."""
    import torch
    from torch.profiler import record_function

    weight = torch.ones(64, 64, requires_grad=True)
    constant = torch.ones(64, 64)

    def run() -> None:
        with record_function(markers.line_marker("c", 1)):
            constant.exp()
        with record_function(markers.line_marker("c", 2)):
            loss = weight.exp()
        with record_function(markers.line_marker("c", 3)):
            constant.exp()
        torch.autograd.backward([loss], [constant])

    path = tmp_path / "trace.json"
    found = attribution(with_device(profiled(run, path, stacks=False), backward_thread=True), path)
    backward = {each.place.line: each.backward_us for each in found.lines}
    assert backward[2] > 0
    assert (backward[1], backward[3]) == (0, 0)


def launch(correlation: int, ts: float, tid: int = 1, name: str = "cudaLaunchKernel") -> dict[str, Any]:
    place = {"ts": ts, "dur": 1, "pid": 1, "tid": tid}
    return {"ph": "X", "cat": "cuda_runtime", "name": name, **place, "args": {"correlation": correlation}}


def kernel(correlation: int, ts: float, dur: float, name: str = "k") -> dict[str, Any]:
    args = {"correlation": correlation, "device": 0, "stream": 7}
    return {"ph": "X", "cat": "kernel", "name": name, "ts": ts, "dur": dur, "pid": 0, "tid": 7, "args": args}


def frame(
    name: str, ts: float, dur: float, number: int, above: int | None = None, tid: int = 1
) -> dict[str, Any]:
    args, place = (
        {"Python id": number, "Python parent id": above},
        {"ts": ts, "dur": dur, "pid": 1, "tid": tid},
    )
    return {"ph": "X", "cat": "python_function", "name": name, **place, "args": args}


def test_all_kernels_of_a_cuda_graph_belong_to_its_launch(tmp_path: Path) -> None:
    """Written by hand: the trace of a graph has one launch for many kernels."""
    events = [
        frame("train.py(3): main", 0, 100, 1),
        frame("torch/cuda/graphs.py(88): replay", 10, 20, 2, 1),
        launch(5, 12, name="cudaGraphLaunch"),
        kernel(5, 40, 10),
        kernel(5, 50, 20, "other"),
        kernel(77, 80, 1, "orphan"),
    ]
    found = attribution({"traceEvents": events}, tmp_path / "trace.json")
    [line] = found.lines
    assert (line.place.file, line.place.line, line.device_us, line.kernels) == ("train.py", 3, 30, 2)
    assert [(each.name, each.device_us) for each in found.unattributed] == [("orphan", 1)]


def test_generated_code_of_a_compiler_is_not_the_users(tmp_path: Path) -> None:
    events = [
        frame("train.py(3): forward", 0, 100, 1),
        frame("torch/_dynamo/eval_frame.py(4): _fn", 1, 90, 2, 1),
        frame("/tmp/torchinductor_me/ab/cab.py(70): call", 10, 60, 3, 2),
        launch(5, 20, name="cuLaunchKernel"),
        kernel(5, 200, 9, "triton_poi_fused_0"),
    ]
    [line, *_] = attribution({"traceEvents": events}, tmp_path / "trace.json").lines
    assert (line.place.file, line.device_us) == ("train.py", 9)


def test_ids_tell_the_caller_where_times_do_not(tmp_path: Path) -> None:
    # Clocks let the second function begin inside the first, and outlast it; its caller is ``main``.
    events = [
        frame("a.py(1): main", 0, 100, 1),
        frame("a.py(10): first", 10, 30, 2, 1),
        frame("torch/x.py(9): g", 35, 30, 3, 1),
        launch(5, 38),
        kernel(5, 200, 9),
    ]
    [line, *_] = attribution({"traceEvents": events}, tmp_path / "trace.json").lines
    assert line.place.function == "main"


@pytest.mark.parametrize("above", [2, 3, "x", -7])
def test_ids_that_make_no_tree_do_no_harm(tmp_path: Path, above: Any) -> None:
    events = [
        frame("a.py(1): main", 0, 100, 1),
        frame("torch/x.py(9): g", 10, 30, 2, above),
        frame("torch/x.py(19): h", 20, 10, 3, 2),
        {
            "ph": "X",
            "cat": "cpu_op",
            "name": "o",
            "ts": 21,
            "dur": 4,
            "pid": 1,
            "tid": 1,
            "args": {"Python parent id": 1},
        },
        launch(5, 22),
        kernel(5, 200, 9),
    ]
    [line, *_] = attribution({"traceEvents": events}, tmp_path / "trace.json").lines
    assert line.place.function == "main"


def test_two_threads_that_could_have_called_backward_are_not_guessed_between(tmp_path: Path) -> None:
    node = "autograd::engine::evaluate_function: torch::autograd::AccumulateGrad"
    events = [
        frame("a.py(1): main", 0, 100, 1),
        {"ph": "X", "cat": "cpu_op", "name": node, "ts": 20, "dur": 9, "pid": 1, "tid": 3, "args": {}},
        launch(5, 22, tid=3),
        kernel(5, 200, 9),
    ]
    alone = attribution({"traceEvents": events}, tmp_path / "one.json")
    assert alone.attributed_us == 9
    both = [*events, frame("b.py(1): other", 0, 100, 2, tid=2)]
    found = attribution({"traceEvents": both}, tmp_path / "two.json")
    assert (found.attributed_us, found.forward_us) == (0, 0)


@pytest.mark.parametrize(
    "calls", ["torch/autograd/graph.py(8): _engine_run_backward", markers.line_marker("c", 7)]
)
def test_a_thread_that_waits_elsewhere_does_not_hide_the_one_that_called_backward(
    tmp_path: Path, calls: str
) -> None:
    """Such as a thread of the notebook's kernel, or of a logger."""
    node = "autograd::engine::evaluate_function: torch::autograd::AccumulateGrad"
    call = frame(calls, 10, 80, 3, 1)
    if calls.startswith("genops"):
        call |= {"cat": "user_annotation", "args": {}}
    events = [
        frame("a.py(1): main", 0, 100, 1),
        call,
        frame("b.py(1): other", 0, 100, 2, tid=2),
        {"ph": "X", "cat": "cpu_op", "name": node, "ts": 20, "dur": 9, "pid": 1, "tid": 3, "args": {}},
        launch(5, 22, tid=3),
        kernel(5, 200, 9),
    ]
    found = attribution({"traceEvents": events}, tmp_path / "trace.json")
    [line] = [each for each in found.lines if each.device_us]
    assert (line.device_us, line.place.line) == (9, 7 if calls.startswith("genops") else 1)
    assert line.place.function in ("main", "")


def test_the_function_line_is_where_the_function_begins(tmp_path: Path) -> None:
    path = tmp_path / "trace.json"
    run = training()
    found = attribution(with_device(profiled(run, path)), path)
    [train] = [each for each in found.lines if each.place.function == "train" and each.device_us]
    assert train.place.line == inspect.getsourcelines(run)[1]
    assert train.place.file.endswith("test_attribution.py")
