"""Two profiles side by side: real pairs, and random ones whose sums must agree."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from genops_lab.core.errors import InvalidRequest
from genops_lab.profiling import analyze, diff
from genops_lab.profiling.engine.comparison.difference import Side, difference
from genops_lab.profiling.engine.traces import Trace
from genops_lab.profiling.models import (
    Advice,
    Attribution,
    CpuTime,
    DeviceTime,
    Difference,
    KernelTime,
    LineTime,
    Place,
    ProfileSummary,
    StepTime,
)
from tests.support.exhaustive import examples
from tests.support.golden import Sentences
from tests.support.real_traces import TRACES, analyzed

real = pytest.mark.skipif(not TRACES.is_dir(), reason="the real traces in ../shared/traces are not here")


def figures(found: Difference) -> dict[str, tuple[float, float]]:
    return {each.code: (each.before, each.after) for each in found.figures}


def launch(operator: str, kernel: str, ts: float, dur: float, shapes: Any = None) -> list[dict[str, Any]]:
    """An operator, its launch and its kernel."""
    number = round(ts) + 1
    arguments = {} if shapes is None else {"Input Dims": shapes, "Input type": ["float"] * len(shapes)}
    at = {"ph": "X", "pid": 1, "tid": 1}
    return [
        {**at, "cat": "cpu_op", "name": operator, "ts": ts, "dur": 5, "args": arguments},
        {
            **at,
            "cat": "cuda_runtime",
            "name": "cudaLaunchKernel",
            "ts": ts + 1,
            "dur": 2,
            "args": {"correlation": number},
        },
        {
            "ph": "X",
            "cat": "kernel",
            "name": kernel,
            "ts": ts + 3,
            "dur": dur,
            "pid": 0,
            "tid": 7,
            "args": {"correlation": number, "device": 0, "stream": 7},
        },
    ]


def write(path: Path, *events: list[dict[str, Any]]) -> Path:
    path.write_text(json.dumps({"traceEvents": [each for group in events for each in group]}))
    return path


@real
def test_the_nsys_pair() -> None:
    before, after = (TRACES / "nsys" / f"mfu_2gpu_{name}.sqlite" for name in ("before", "after"))
    found = diff(before, after)
    truths = [
        json.loads((TRACES / "truth" / f"nsys_mfu_2gpu_{name}.json").read_text())["devices"].values()
        for name in ("before", "after")
    ]
    shown = figures(found)
    for code in ("busy", "compute", "exposed_comm", "span"):
        expected = [sum(each[f"{code}_us"] for each in truth) for truth in truths]
        assert shown[code] == pytest.approx(expected, abs=0.01), code
    [flash] = [each for each in found.kernels if each.name == "flash_fwd_kernel"]
    assert (flash.state, flash.after_count) == ("both", 60)
    assert flash.after_us == pytest.approx(120358.06 + 120397.607, abs=0.01)
    assert found.warnings == []


@real
def test_more_workers_take_idle_time_away() -> None:
    paths = [TRACES / "kineto" / f"resnet50_num_workers_{count}.json.gz" for count in (0, 4)]
    found = diff(*paths)
    one, other = figures(found)["idle_share"]
    assert one > 0.35 and other < 0.25
    changes = {each.name: each for each in found.operators}
    loading = changes["enumerate(DataLoader)#_SingleProcessDataLoaderIter.__next__"]
    assert (loading.state, loading.after_us) == ("removed", 0)
    assert [name for name in changes if name.startswith("ProfilerStep")] == ["ProfilerStep"]
    summaries = [analyzed("kineto", path.name) for path in paths]
    steps = [max(len(summary.steps), 1) if found.a_step else 1 for summary in summaries]
    for side, summary in enumerate(summaries):
        [device] = summary.devices
        assert figures(found)["idle"][side] * steps[side] == pytest.approx(device.idle_us)
        kernels = sum((each.before_us, each.after_us)[side] for each in found.kernels)
        assert kernels * steps[side] >= device.busy_us, (
            "kernels overlap, so they are no less than their union"
        )


@real
def test_a_trace_against_itself_has_no_change() -> None:
    path = TRACES / "kineto" / "resnet50_num_workers_0.json.gz"
    found = diff(path, [path])
    assert all(each.before == each.after for each in found.figures)
    changes = [*found.operators, *found.kernels, *found.lines]
    assert changes and all(
        (each.before_us, each.before_count) == (each.after_us, each.after_count) for each in changes
    )
    assert {(each.state, each.instead_of) for each in changes} == {("both", "")}
    assert (found.advice_gone, found.advice_new, found.warnings) == ([], [], [])


@real
def test_ranks_against_ranks(sentences: Sentences) -> None:
    ranks = sorted((TRACES / "kineto" / "dlrm_8ranks").glob("*.json.gz"))
    found = diff(ranks[:2], ranks)
    one, other = figures(found)["busy"]
    assert one == pytest.approx(sum(each.busy_us for each in analyze(ranks[:2]).devices))
    assert other == pytest.approx(sum(each.busy_us for each in analyzed("kineto", "dlrm_8ranks").devices))
    sentences.check("a difference of ranks", found.warnings)


def test_a_kernel_that_stands_where_another_stood(tmp_path: Path) -> None:
    small, large = [[2, 3], [3, 4]], [[20, 30], [30, 40]]
    before = write(
        tmp_path / "before.json",
        launch("aten::mm", "sgemm_large", 0, 50, large),
        launch("aten::mm", "sgemm_small", 100, 9, small),
        launch("aten::add", "add", 200, 7),
        launch("aten::relu", "old_relu", 300, 7),
    )
    after = write(
        tmp_path / "after.json",
        launch("aten::mm", "bf16_large", 0, 20, large),
        launch("aten::mm", "bf16_small", 100, 4, small),
        launch("aten::add", "add", 200, 8),
        launch("aten::gelu", "gelu", 300, 8),
    )
    found = {each.name: each for each in diff(before, after).kernels}
    assert {name: each.instead_of for name, each in found.items() if each.instead_of} == {
        "bf16_large": "sgemm_large",
        "bf16_small": "sgemm_small",
    }
    assert {name: each.state for name, each in found.items()} == {
        **dict.fromkeys(("sgemm_large", "sgemm_small", "old_relu"), "removed"),
        **dict.fromkeys(("bf16_large", "bf16_small", "gelu"), "added"),
        "add": "both",
    }
    assert (found["add"].before_us, found["add"].after_us) == (7, 8)


def test_without_shapes_the_operator_tells(tmp_path: Path) -> None:
    before = write(tmp_path / "before.json", launch("aten::mm", "sgemm", 0, 50, [[2, 3]]))
    after = write(tmp_path / "after.json", launch("aten::mm", "bf16", 0, 20))
    found = {each.name: each.instead_of for each in diff(before, after).kernels}
    assert found == {"sgemm": "", "bf16": "sgemm"}


def test_a_damaged_trace_and_traces_that_have_nothing_in_common_are_told(
    tmp_path: Path, sentences: Sentences
) -> None:
    before = write(tmp_path / "before.json", launch("aten::mm", "sgemm", 0, 50))
    after = write(tmp_path / "after.json", launch("other", "else", 0, 20))
    after.write_text(after.read_text()[:-30])
    found = diff(before, after)
    whole = write(tmp_path / "whole.json", launch("other", "else", 0, 20))
    warnings = [*found.warnings, *diff(before, whole).warnings]
    sentences.check("a difference of a damaged trace, and of two with nothing in common", warnings)


def test_a_memory_snapshot_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "snapshot.json"
    path.write_text('{"segments": []}')
    with pytest.raises(InvalidRequest, match="is a memory snapshot"):
        diff(path, path)


def summary(**given: Any) -> ProfileSummary:
    device = DeviceTime(
        device="0",
        rank=0,
        span_us=100.0,
        busy_us=80.0,
        idle_us=20.0,
        compute_us=70.0,
        comm_us=10.0,
        exposed_comm_us=5.0,
        memory_us=4.0,
        kernels=6,
        top_kernels=[],
        model=given.pop("model", ""),
    )
    cpu = CpuTime(span_us=100, busy_us=50, idle_us=50)
    return ProfileSummary(
        **{"events": 1, "ranks": [0], "devices": [device], "cpu": cpu, "operators": [], **given}
    )


def steps(count: int) -> list[StepTime]:
    of_device = {"busy_us": 8.0, "idle_us": 2.0, "compute_us": 7.0, "comm_us": 1.0, "exposed_comm_us": 0.5}
    return [
        StepTime(
            rank=0, name=f"ProfilerStep#{each}", start_us=0, span_us=10, memory_us=0, kernels=1, **of_device
        )
        for each in range(count)
    ]


def test_kept_summaries_are_compared_a_step_where_both_have_steps(sentences: Sentences) -> None:
    kernels = [KernelTime(name="gemm", count=10, total_us=40.0, operator="aten::mm")]
    other = [KernelTime(name="bf16", count=10, total_us=10.0, operator="aten::mm")]
    found = difference(
        Side(summary(steps=steps(2), kernels=kernels)),
        Side(summary(steps=steps(5), kernels=other, model="H100")),
    )
    assert (found.a_step, found.before_steps, found.after_steps) == (True, 2, 5)
    assert figures(found)["busy"] == (40, 16)
    assert figures(found)["idle_share"] == (0.2, 0.2)
    assert [(each.name, each.before_us, each.after_us, each.instead_of) for each in found.kernels] == [
        ("gemm", 20, 0, ""),
        ("bf16", 0, 2, "gemm"),
    ]
    one_sided = difference(Side(summary(steps=steps(2))), Side(summary()))
    assert (one_sided.a_step, figures(one_sided)["busy"]) == (False, (80, 80))
    sentences.check("a difference of steps", [*found.warnings, *one_sided.warnings])


def lines(*found: tuple[str, int, float]) -> Attribution:
    """Lines of cells with their device time."""
    return Attribution(
        by="markers",
        **dict.fromkeys(("device_us", "attributed_us", "forward_us", "forward_attributed_us"), 1.0),
        lines=[
            LineTime(
                place=Place(file="a.ipynb", line=line, cell=cell),
                device_us=us,
                backward_us=0,
                cpu_us=0,
                kernels=3,
            )
            for cell, line, us in found
        ],
    )


def test_lines_advice_and_devices(sentences: Sentences) -> None:
    def advice(*codes: str) -> list[Advice]:
        return [Advice(code=code, severity="low", title="", evidence="", saving_us=1) for code in codes]

    before = summary(model="V100", attribution=lines(("x", 1, 5), ("x", 2, 9)), advice=advice("a", "b", "b"))
    after = summary(model="H100", attribution=lines(("x", 1, 4), ("y", 2, 1)), advice=advice("c", "b"))
    found = difference(Side(before), Side(after))
    places = [each.place for each in found.lines if each.place is not None]
    assert [(place.cell, place.line) for place in places] == [("x", 2), ("x", 1), ("y", 2)]
    assert [(each.before_us, each.after_us) for each in found.lines] == [(9, 0), (5, 4), (0, 1)]
    assert (found.advice_gone, found.advice_new, found.advice_kept) == (["a"], ["c"], ["b"])
    damaged = difference(Side(summary()), Side(replace(summary(), damaged="It ends early.")))
    sentences.check("a difference of devices, and of a damaged summary", [*found.warnings, *damaged.warnings])


work = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from(["k1", "k2", "k3", "k4"]), st.integers(0, 90)),
    min_size=1,
    max_size=12,
)


@settings(max_examples=examples(40))
@given(work, work)
def test_changes_of_kernels_sum_up_to_the_change_of_the_sum(
    tmp_path_factory: pytest.TempPathFactory, before: Any, after: Any
) -> None:
    folder = tmp_path_factory.mktemp("pair")
    paths = [
        write(
            folder / f"{name}.json",
            *(launch(by, kernel, 100 * at, dur, [[at % 2]]) for at, (by, kernel, dur) in enumerate(side)),
        )
        for name, side in (("before", before), ("after", after))
    ]
    found = diff(*paths)
    change = sum(dur for *_, dur in after) - sum(dur for *_, dur in before)
    assert sum(each.after_us - each.before_us for each in found.kernels) == pytest.approx(change)
    assert sum(each.after_count - each.before_count for each in found.kernels) == len(after) - len(before)
    gone = {each.name for each in found.kernels if each.state == "removed"}
    assert {each.instead_of for each in found.kernels} - {""} <= gone
    operators = sum(each.after_us - each.before_us for each in found.operators)
    assert operators == pytest.approx(change + 5 * (len(after) - len(before)))


def test_both_sides_share_the_call_tree_with_the_sums(tmp_path: Path) -> None:
    path = tmp_path / "trace.json"
    path.write_text(json.dumps({"traceEvents": launch("aten::mm", "gemm", 0, 10)}))
    watched: list[Trace] = []
    analyze(path, watch=lambda trace, _: watched.append(trace))
    # What the difference asks of a trace, the sums have found of the same one.
    assert {"device", "owner"} <= vars(watched[0]).keys()


@pytest.mark.parametrize(("unknown", "is_known"), [(900, True), (10, False)])
def test_flops_come_with_the_part_of_the_time_that_they_are_known_of(
    tmp_path: Path, unknown: float, is_known: bool, sentences: Sentences
) -> None:
    """A fused operator without a formula took the place of products: fewer FLOPs are known, not fewer done."""
    shapes = [[1024, 1024], [1024, 1024]]
    products = [launch("aten::mm", "gemm", 1000.0 * number, 90, shapes) for number in range(10)]
    before = write(tmp_path / "before.json", *products)
    after = write(
        tmp_path / "after.json",
        *(products[:1] if is_known else products),
        launch("my::fused", "fused", 20_000, unknown, [[1024, 1024]]),
    )
    found = diff(before, after)
    [flops] = [each for each in found.figures if each.code == "flops"]
    assert flops.covered_before == 1
    assert flops.covered_after == pytest.approx(90 / 990 if is_known else 900 / 910)
    assert [each.covered_before for each in found.figures if each.code == "busy"] == [None]
    assert any("FLOPs" in warning for warning in found.warnings) == is_known
    if is_known:
        sentences.check("a difference of what is known of FLOPs", found.warnings)


def test_flops_that_one_side_does_not_know_are_not_compared(tmp_path: Path) -> None:
    shapes = [[1024, 1024], [1024, 1024]]
    before = write(tmp_path / "before.json", launch("aten::mm", "gemm", 0, 90, shapes))
    after = write(tmp_path / "after.json", launch("aten::mm", "gemm", 0, 90))
    assert "flops" in figures(diff(before, before))
    assert "flops" not in figures(diff(before, after))
