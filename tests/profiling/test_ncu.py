"""Reports of Nsight Compute: attribution, sums, advice, roofline, all metrics, and files that are no whole reports."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from genops_lab.core.errors import NotFound
from genops_lab.profiling import analyze, kernel_metrics
from genops_lab.profiling.engine import column_files
from genops_lab.profiling.engine.attribution.markers import cell_marker, line_marker
from genops_lab.profiling.engine.kinds import Kind
from genops_lab.profiling.engine.reading import ncu
from genops_lab.profiling.engine.reading.kinds_of_files import FileKind, kind_of_file
from genops_lab.profiling.models import MeasuredKernel, ProfileSummary

from ..support.ncu_reports import Kernel, Rule, Writer, kernel, report

CELL = "/tmp/ipykernel_77/123456.py"
FULL = {
    "dram__bytes_read.sum": 3e6,
    "dram__bytes_write.sum": 1e6,
    "dram__bytes.sum.peak_sustained": 1000.0,
    "dram__cycles_elapsed.avg.per_second": 1e9,
    "smsp__cycles_elapsed.avg.per_second": 1e9,
    "sm__sass_thread_inst_executed_op_ffma_pred_on.sum.peak_sustained": 5000.0,
    "smsp__sass_thread_inst_executed_op_fadd_pred_on.sum": 1e6,
    "smsp__sass_thread_inst_executed_op_fmul_pred_on.sum": 2e6,
    "smsp__sass_thread_inst_executed_op_ffma_pred_on.sum.per_cycle_elapsed": 100.0,
}


def written(folder: Path, *kernels: Kernel, name: str = "r.ncu-rep") -> Path:
    path = folder / name
    path.write_bytes(report(kernels))
    return path


def measured(summary: ProfileSummary) -> list[MeasuredKernel]:
    assert summary.measured is not None
    return summary.measured.kernels


def test_kernels_lie_end_to_end_and_nothing_is_said_of_what_is_between(tmp_path: Path) -> None:
    path = written(tmp_path, kernel("a", us=100), kernel("b", us=50, stream=9), kernel("a", us=200))
    assert kind_of_file(path) is FileKind.NSIGHT_COMPUTE
    columns = ncu.read(path)
    device = columns.kind >= Kind.COMPUTE
    assert columns.ts[device].tolist() == [0, 100_000, 150_000]
    assert columns.dur[device].tolist() == [100_000, 50_000, 200_000]
    found = analyze(path)
    (one,) = found.devices
    assert (one.span_us, one.busy_us, one.idle_us, one.kernels) == (350, 350, 0, 3)
    assert one.model == "NVIDIA Test GPU"
    assert (found.idle, found.launches, found.steps, found.cpu.span_us) == ([], [], [], 0)
    assert found.events == 3 and found.damaged == ""
    assert found.measured is not None
    assert (found.measured.launches, found.measured.total_us) == (3, 350)
    assert "not measured" in found.measured.note


def test_no_idle_time_comes_of_devices_that_took_turns(tmp_path: Path) -> None:
    other = {"launch__device_id": 1.0}
    found = analyze(written(tmp_path, kernel("a"), kernel("b", metrics=other), kernel("a")))
    assert [(each.device, each.span_us, each.idle_us) for each in found.devices] == [
        ("0", 200, 0),
        ("1", 100, 0),
    ]
    assert [advice.code for advice in found.advice] == []


def test_figures_are_means_by_time_and_the_rest_is_of_the_longest_launch(tmp_path: Path) -> None:
    low = {"sm__throughput.avg.pct_of_peak_sustained_elapsed": 10.0}
    high = {"sm__throughput.avg.pct_of_peak_sustained_elapsed": 40.0}
    rules = [Rule("CPIStall", "Warp Stall", "It waits.", "optimization", 20.0)]
    found = analyze(
        written(tmp_path, kernel("a", us=100, metrics=low), kernel("a", us=200, metrics=high, rules=rules))
    )
    (one,) = measured(found)
    assert (one.count, one.total_us, one.longest, one.longest_us) == (2, 300, 1, 200)
    assert one.compute_pct == pytest.approx(30)
    assert (one.grid, one.block, one.registers, one.shared_memory_bytes) == (
        "[64, 1, 1]",
        "[256, 1, 1]",
        32,
        1024,
    )
    assert [rule.identifier for rule in one.rules] == ["CPIStall"]


@pytest.mark.parametrize(
    ("compute", "memory", "bound"),
    [(59.0, 59.9, "latency"), (61.0, 5.0, "compute"), (5.0, 85.0, "memory"), (75.0, 70.0, "balanced")],
)
def test_the_bound_is_that_of_nvidias_rule(compute: float, memory: float, bound: str, tmp_path: Path) -> None:
    figures = {
        "sm__throughput.avg.pct_of_peak_sustained_elapsed": compute,
        "gpu__compute_memory_throughput.avg.pct_of_peak_sustained_elapsed": memory,
    }
    assert measured(analyze(written(tmp_path, kernel("a", metrics=figures))))[0].bound == bound


def test_a_kernel_without_figures_says_none(tmp_path: Path) -> None:
    found = analyze(written(tmp_path, Kernel("bare", {"gpu__time_duration.sum": 5000.0})))
    (one,) = measured(found)
    assert (one.compute_pct, one.registers, one.flops, one.bound, one.stalls) == (None, None, None, "", [])
    untimed = analyze(written(tmp_path, Kernel("bare", {"launch__registers_per_thread": 8.0})))
    assert "1 of 1 results have no duration" in untimed.damaged


def test_what_limits_the_occupancy_and_why_warps_wait(tmp_path: Path) -> None:
    metrics = {
        "sm__maximum_warps_per_active_cycle_pct": 50.0,
        "launch__occupancy_limit_registers": 2.0,
        "launch__occupancy_limit_warps": 4.0,
        "smsp__average_warps_issue_stalled_long_scoreboard_per_issue_active.ratio": 6.0,
        "smsp__average_warps_issue_stalled_wait_per_issue_active.ratio": 2.0,
        "smsp__average_warps_issue_stalled_barrier_per_issue_active.ratio": 0.0,
    }
    (one,) = measured(analyze(written(tmp_path, kernel("a", metrics=metrics))))
    assert (one.occupancy_limit, one.theoretical_occupancy_pct) == ("registers", 50)
    assert [(each.reason, each.cycles, each.pct) for each in one.stalls] == [
        ("long_scoreboard", 6, 75),
        ("wait", 2, 25),
    ]


def test_flops_and_bytes_are_counted_against_the_peaks_of_the_measured_clocks(tmp_path: Path) -> None:
    found = analyze(written(tmp_path, kernel("a", us=1000, metrics=FULL), kernel("other", us=1000)))
    # 1e6 cycles: 1e6 + 2e6 + 2 * 100 * 1e6
    flops = 203e6
    one = next(each for each in measured(found) if each.name == "a")
    assert one.flops == pytest.approx(flops) and one.dram_bytes == 4e6
    assert one.tflops == pytest.approx(0.203) and one.gb_per_s == pytest.approx(4)
    assert found.roofline is not None
    (row,) = found.roofline.operators
    assert (row.name, row.dtype) == ("a", "fp32")
    (peak,) = found.roofline.peaks
    assert peak.tflops == pytest.approx(10) and peak.gb_per_s == pytest.approx(1000)
    # Intensity 50.75: by memory 50.75 TFLOP/s, so the peak holds.
    assert row.bound == "compute" and row.share == pytest.approx(0.203 / 10)
    assert found.roofline.covered == 0.5 and found.roofline.mfu is None
    assert "50 % of the kernel time" in found.roofline.missing


def test_tensor_cores_are_counted_by_their_own_metrics(tmp_path: Path) -> None:
    tensor: dict[str, float | str] = {
        "sm__ops_path_tensor_src_bf16_dst_fp32.sum": 8e9,
        "sm__ops_path_tensor_src_bf16_dst_fp32_sparsity_on.sum": 8e9,
        "sm__inst_executed_pipe_tensor.sum": 1e6,
        "dram__bytes.sum": 1e6,
    }
    tensor["device__attribute_display_name"] = "NVIDIA H100 80GB HBM3"
    found = analyze(written(tmp_path, kernel("gemm", us=1000, metrics=tensor)))
    assert measured(found)[0].flops == 8e9
    assert found.roofline is not None
    (row,) = found.roofline.operators
    assert row.dtype == "bf16 tensor" and row.bound == "compute" and 0 < row.share < 1


# Attribution


def test_a_kernel_belongs_to_the_line_whose_marker_was_open(tmp_path: Path) -> None:
    ranges = [cell_marker("cell-1"), line_marker("cell-1", 4)]
    found = analyze(written(tmp_path, kernel("a", us=70, ranges=ranges), kernel("b", us=30)))
    assert found.attribution is not None and found.attribution.by == "markers"
    (line,) = found.attribution.lines
    assert (line.place.cell, line.place.line, line.device_us, line.kernels) == ("cell-1", 4, 70, 1)
    assert line.cpu_us == 0
    places = {each.name: each.place for each in measured(found)}
    assert places["a"] == line.place and places["b"] is None


def test_the_frames_of_a_cell_tell_its_line_where_the_marker_tells_the_cell_alone(tmp_path: Path) -> None:
    torch = ("/usr/lib/python3.12/site-packages/torch/nn/functional.py", "linear", 900)
    another = ("/tmp/ipykernel_77/999.py", "of_another_cell", 2)
    frames = [torch, another, (CELL, "forward", 12), (CELL, "<module>", 30)]
    found = analyze(written(tmp_path, kernel("a", ranges=[cell_marker("cell-1")], frames=frames)))
    assert found.attribution is not None
    (line,) = found.attribution.lines
    assert (line.place.cell, line.place.line) == ("cell-1", 12)


def test_without_markers_the_innermost_frame_of_a_person_tells_the_line(tmp_path: Path) -> None:
    frames = [("libtorch.cpp", "at::mm", 77), ("/usr/lib/python3/site-packages/torch/_ops.py", "call", 5),
              ("/home/me/model.py", "forward", 12), ("/home/me/train.py", "<module>", 3)]  # fmt: skip
    found = analyze(written(tmp_path, kernel("a", frames=frames)))
    assert found.attribution is not None and found.attribution.by == "stacks"
    (line,) = found.attribution.lines
    assert (line.place.file, line.place.line, line.place.function) == ("/home/me/model.py", 12, "forward")


def test_ranges_of_emit_nvtx_are_operators_that_have_no_time_on_the_host(tmp_path: Path) -> None:
    linear = "aten::linear, op_id = 5, sizes = [[8, 4], [2, 4], [2]]"
    addmm = "aten::addmm, seq = 3, op_id = 6, sizes = [[2], [8, 4], [4, 2]]"
    kernels = [
        kernel("gemm", us=90, ranges=["step", linear, addmm]),
        kernel("bias", us=10, ranges=["step", linear]),
    ]
    found = analyze(
        written(tmp_path, *kernels, kernel("gemm", us=90, ranges=["step", linear.replace("5", "9")]))
    )
    by_name = {each.name: each for each in found.operators}
    assert set(by_name) == {"aten::linear", "aten::addmm"}
    assert (by_name["aten::linear"].count, by_name["aten::addmm"].count) == (2, 1)
    assert (by_name["aten::addmm"].device_us, by_name["aten::addmm"].kernels) == (90, 1)
    assert (by_name["aten::linear"].device_us, by_name["aten::linear"].kernels) == (100, 2)
    assert all(each.self_us == each.total_us == 0 for each in found.operators)


def test_a_backward_kernel_belongs_to_the_forward_line(tmp_path: Path) -> None:
    forward = kernel("fwd", ranges=[line_marker("c", 2), "aten::mm, seq = 7, op_id = 1"])
    backward = kernel(
        "bwd",
        us=50,
        thread=5000,
        ranges=["autograd::engine::evaluate_function: MmBackward0, seq = 7, op_id = 9"],
    )
    found = analyze(written(tmp_path, forward, backward))
    assert found.attribution is not None
    (line,) = found.attribution.lines
    assert (line.place.line, line.device_us, line.backward_us) == (2, 150, 50)


def test_a_backward_kernel_without_a_forward_one_belongs_to_the_line_that_waits_for_it(
    tmp_path: Path,
) -> None:
    waiting = {4242: [cell_marker("c"), line_marker("c", 9)]}
    node = "autograd::engine::evaluate_function: AccumulateGrad, op_id = 4"
    found = analyze(
        written(
            tmp_path,
            kernel("bwd", us=50, thread=5000, ranges=[node, "MulBackward0, seq = 3"], others=waiting),
            kernel("after", us=20, ranges=[cell_marker("c"), line_marker("c", 10)]),
            kernel("quiet", us=10, thread=5000, others=waiting),
        )
    )
    assert found.attribution is not None
    lines = {line.place.line: line.device_us for line in found.attribution.lines}
    assert lines == {9: 60, 10: 20}


def test_ranges_that_begin_and_end_anywhere_lie_on_one_lane(tmp_path: Path) -> None:
    one, two = ["ProfilerStep#1", "other"], ["other", "ProfilerStep#2"]
    columns = ncu.read(
        written(
            tmp_path,
            *(kernel("a", crossing=each, thread=number) for number, each in enumerate((one, two, []), 7)),
        )
    )
    crossing = [
        (columns.names[columns.name[number]], int(columns.ts[number]), int(columns.dur[number]))
        for number in range(len(columns))
        if columns.lanes[columns.lane[number]].thread == "ranges"
    ]
    assert sorted(crossing) == [
        ("ProfilerStep#1", 0, 100_000),
        ("ProfilerStep#2", 100_000, 100_000),
        ("other", 0, 100_000),
        ("other", 100_000, 100_000),
    ]


def test_two_processes_and_what_is_no_single_kernel(tmp_path: Path) -> None:
    writer = Writer(process=1)
    path = tmp_path / "r.ncu-rep"
    whole = [Kernel(name, {"gpu__time_duration.sum": 7000.0}, kind=kind)  # type: ignore[arg-type]
             for name, kind in (("x", "range"), ("y", "graph"), ("my list", "cmdlist"))]  # fmt: skip
    path.write_bytes(
        writer.head()
        + writer.block([kernel("a", ranges=[line_marker("c", 1)])])
        + writer.block(
            [kernel("b", ranges=[line_marker("c", 2)], metrics={"late__metric.sum": 4})], process=2
        )
        + writer.block(whole)
    )
    found = analyze(path)
    assert [each.name for each in measured(found)] == ["a", "b", "(CUDA graph)", "(range)", "my list"]
    assert found.attribution is not None
    assert {line.place.line for line in found.attribution.lines} == {1, 2}
    assert {lane.process for lane in ncu.read(path).lanes if not lane.device} == {"1", "2"}
    assert kernel_metrics(path, 1).name == "b"
    assert (
        next(each.value for each in kernel_metrics(path, 1).metrics if each.name == "late__metric.sum") == 4
    )


# Advice


def rule(speedup: float, identifier: str = "UncoalescedGlobalAccess", **others: object) -> Rule:
    return Rule(identifier, "Uncoalesced", "It says @section:X:Source Counters@.", speedup=speedup, **others)  # type: ignore[arg-type]


def test_one_advice_a_rule_with_what_it_would_save_of_all_kernels(tmp_path: Path) -> None:
    ranges = [line_marker("c", 2)]
    found = analyze(
        written(
            tmp_path,
            kernel("a", us=1000, rules=[rule(50.0), rule(20.0)], ranges=ranges),
            kernel("b", us=1000, rules=[rule(10.0), rule(30.0, "CPIStall")], ranges=ranges),
            kernel("a", us=500, rules=[rule(40.0)], ranges=ranges),
        )
    )
    assert [(each.code, each.saving_us, each.severity) for each in found.advice] == [
        ("ncu_uncoalesced_global_access", 800, "high"),
        ("ncu_cpi_stall", 300, "high"),
    ]
    first = found.advice[0]
    assert (
        "800.0 µs" in first.evidence and "a 47 % of 1.5 ms in 2 launches; b 10 % of 1.0 ms" in first.evidence
    )
    assert "It says Source Counters." in first.evidence
    assert first.title == "Uncoalesced"
    assert [place.line for place in first.places] == [2]


def test_the_words_are_those_of_the_message_with_most_to_gain(tmp_path: Path) -> None:
    rules = [
        Rule("Memory", "Memory", "Loads.", speedup=10.0),
        Rule("Memory", "Memory", "Stores.", speedup=30.0),
    ]
    (advice,) = analyze(written(tmp_path, kernel("a", us=1000, rules=rules))).advice
    assert advice.saving_us == 300 and advice.evidence.endswith("Stores.")


def test_no_advice_of_what_is_little_or_of_a_part_or_no_optimization(tmp_path: Path) -> None:
    rules = [rule(0.9), rule(50.0, "IssueSlotUtilization", of="local"), rule(50.0, "Other", kind="info"),
             Rule("SOLBottleneck", "Bottleneck", "No number.")]  # fmt: skip
    found = analyze(written(tmp_path, kernel("a", us=1000, rules=rules)))
    assert found.advice == []
    assert [(each.kind, each.speedup_pct, each.of) for each in measured(found)[0].rules] == [
        ("optimization", 0.9, "kernel"),
        ("optimization", 50, "part"),
        ("info", 50, "kernel"),
        ("optimization", None, ""),
    ]


# All metrics, comparison, keeping


def test_all_metrics_of_a_launch(tmp_path: Path) -> None:
    made = kernel(
        "b",
        metrics={"x__values.sum": 5, "y__text": "words", "z__odd.sum": math.nan},
        instances={"x__values.sum": [1, 2, 3]},
    )
    path = written(tmp_path, kernel("a"), made)
    found = kernel_metrics(path, 1)
    assert (found.number, found.name) == (1, "b")
    by_name = {each.name: each for each in found.metrics}
    assert (by_name["x__values.sum"].value, by_name["x__values.sum"].instances) == (5, 3)
    assert by_name["y__text"].value == "words"
    assert by_name["gpu__time_duration.sum"].unit == "nsecond"
    assert by_name["z__odd.sum"].value == "nan"
    assert list(by_name) == sorted(by_name)
    for number in (2, -1):
        with pytest.raises(NotFound, match=f"has no result {number}"):
            kernel_metrics(path, number)


def test_kept_columns_have_what_was_measured(tmp_path: Path) -> None:
    columns = ncu.read(written(tmp_path, kernel("a", rules=[rule(10.0)], ranges=[cell_marker("c")])))
    column_files.save(columns, tmp_path / "columns")
    again = column_files.load(tmp_path / "columns")
    assert again.measured == columns.measured and not again.has_clock
    assert again.sparse["launch"].value.tolist() == [0]


def test_what_a_program_added_is_read_by_itself_with_the_names_of_before(tmp_path: Path) -> None:
    writer = Writer()
    path = tmp_path / "r.ncu-rep"
    path.write_bytes(writer.head() + writer.block([kernel("a", us=100)]))
    begun = path.stat().st_size
    with path.open("ab") as file:
        file.write(writer.block([kernel("b", us=20)]) + writer.block([kernel("c", us=30)]))
    columns = ncu.read(path, after=begun)
    assert columns.measured is not None
    assert [(each.name, each.us, each.figures["registers"]) for each in columns.measured.launches] == [
        ("b", 20, 32),
        ("c", 30, 32),
    ]
    assert ncu.read(path, after=path.stat().st_size).measured is None
