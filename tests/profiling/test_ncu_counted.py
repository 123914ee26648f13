"""What is counted in a report of Nsight Compute: how many kernels, their FLOPs, what they reach of their peaks."""

from __future__ import annotations

from pathlib import Path

import pytest

from genops_lab.profiling import analyze
from genops_lab.profiling.engine.nsight_compute import totals

from ..support.ncu_reports import kernel
from .test_ncu import FULL, measured, written


def test_kernels_beyond_those_told_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, *(kernel(name, us=us) for name, us in (("a", 10), ("b", 30), ("c", 20))))
    whole = analyze(path).measured
    assert whole is not None and whole.more_kernels == 0
    monkeypatch.setattr(totals, "MOST_LISTED", 2)
    found = analyze(path).measured
    assert found is not None
    assert [each.name for each in found.kernels] == ["b", "c"]
    assert (found.more_kernels, found.launches, found.total_us) == (1, 3, 60)


MAJOR = "device__attribute_compute_capability_major"
TENSOR_PIPE = "sm__inst_executed_pipe_tensor.sum"


def counted(tmp_path: Path, **metrics: float) -> tuple[float | None, list[str]]:
    """FLOPs of a kernel with FP32 work and these metrics, and the dtypes of its row in the roofline."""
    found = analyze(written(tmp_path, kernel("gemm", us=1000, metrics=FULL | metrics)))
    assert found.measured is not None and found.roofline is not None
    return found.measured.kernels[0].flops, [row.dtype for row in found.roofline.operators]


@pytest.mark.parametrize(
    "did",
    [
        {"smsp__inst_executed_pipe_tensor.sum.per_cycle_elapsed": 4000.0},
        {TENSOR_PIPE: 5e6},
        {"sm__inst_executed_pipe_tensor_op_gmma.avg.pct_of_peak_sustained_active": 60.0},
        {"sm__pipe_tensor_cycles_active.avg.pct_of_peak_sustained_active": 60.0},
        {TENSOR_PIPE: 5e6, "sm__ops_path_tensor_src_bf16_dst_fp32.sum": 0.0},
        {"sm__ops_path_tensor_src_int8.sum": 1e9, "sm__ops_path_tensor_src_bf16_dst_fp32.sum": 0.0},
        {"sm__ops_path_tensor_src_fp3_dst_fp32.sum": 1e9},
        {MAJOR: 8, TENSOR_PIPE: 5e6, "sm__pipe_tensor_op_imma_cycles_active.avg.pct_of_peak_sustained_active": 9.0},
        {MAJOR: 8, "sm__pipe_tensor_op_hmma_cycles_active.avg.pct_of_peak_sustained_active": 9.0},
    ],
)  # fmt: skip
def test_no_flops_are_told_where_those_of_tensor_cores_were_not_counted(
    did: dict[str, float], tmp_path: Path
) -> None:
    assert counted(tmp_path, **did) == (None, [])
    found = analyze(tmp_path / "r.ncu-rep").roofline
    assert found is not None and "100 % of the kernel time has no counted FLOPs" in found.missing


@pytest.mark.parametrize(
    "idle",
    [
        {TENSOR_PIPE: 0.0, f"{TENSOR_PIPE}.peak_sustained": 100.0},
        {MAJOR: 8, "sm__pipe_tensor_cycles_active.avg.pct_of_peak_sustained_active": 0.0},
        {"sm__ops_path_tensor_src_int8.sum": 0.0},
    ],
)
def test_tensor_cores_that_did_nothing_take_nothing_away(idle: dict[str, float], tmp_path: Path) -> None:
    flops, dtypes = counted(tmp_path, **idle)
    assert flops == pytest.approx(203e6) and dtypes == ["fp32"]


@pytest.mark.parametrize("dtype", ["fp8", "fp6", "fp4"])
def test_narrow_types_of_tensor_cores_are_counted(dtype: str, tmp_path: Path) -> None:
    name = f"sm__ops_path_tensor_src_{dtype}_dst_fp32.sum"
    did = {MAJOR: 10, TENSOR_PIPE: 5e6, f"{name[:-4]}_sparsity_on.sum": 7e12}
    assert counted(tmp_path, **did, **{name: 9e12})[0] == pytest.approx(9e12 + 203e6)
    assert counted(tmp_path, **did, **{f"{name}.per_cycle_elapsed": 9e6})[0] == pytest.approx(9e12 + 203e6)


def test_before_hopper_instructions_are_counted_without_a_dtype(tmp_path: Path) -> None:
    older = {MAJOR: 8, TENSOR_PIPE: 1e7, f"{TENSOR_PIPE}.peak_sustained": 100.0}
    flops, dtypes = counted(tmp_path, **older)
    assert flops == pytest.approx(5120e6 + 203e6)
    found = analyze(tmp_path / "r.ncu-rep").roofline
    assert found is not None
    # A million SM cycles: a tenth of the instructions that there could be.
    assert {each.dtype: each.tflops for each in found.peaks}["tensor"] == pytest.approx(51.2)
    assert dtypes == ["tensor"] and found.operators[0].share == pytest.approx(0.1)
    idle = FULL | {MAJOR: 8, TENSOR_PIPE: 0.0}
    both = [kernel("gemm", us=1000, metrics=each) for each in (FULL | older, idle)]
    (one,) = measured(analyze(written(tmp_path, *both)))
    assert one.flops == pytest.approx((5120e6 + 2 * 203e6) / 2)


def _instructions(letter: str, fma: float, peak: float) -> dict[str, float]:
    counts = {"add": 0.0, "mul": 0.0, "fma": fma}
    sass = "sass_thread_inst_executed_op_"
    found = {f"smsp__{sass}{letter}{what}_pred_on.sum": count for what, count in counts.items()}
    return found | {f"sm__{sass}{letter}fma_pred_on.sum.peak_sustained": peak}


MEMORY = {
    "smsp__cycles_elapsed.avg.per_second": 1e9,
    "dram__bytes.sum": 1e5,
    "dram__bytes.sum.peak_sustained": 1000.0,
    "dram__cycles_elapsed.avg.per_second": 1e9,
}


@pytest.mark.parametrize(
    ("singles", "doubles", "dtype", "tflops", "share"),
    [
        (50e6, 51e6, "fp64", 0.102, 0.51),
        (60e6, 51e6, "fp64", 0.102, 0.51),
        (60e6, 0.3e6, "fp32", 0.12, 0.12 / 12.8),
    ],
)
def test_each_dtype_is_held_against_its_own_peak(
    singles: float, doubles: float, dtype: str, tflops: float, share: float, tmp_path: Path
) -> None:
    did = MEMORY | _instructions("f", singles, 6400.0) | _instructions("d", doubles, 100.0)
    found = analyze(written(tmp_path, kernel("mix", us=1000, metrics=did))).roofline
    assert found is not None
    (row,) = found.operators
    assert (row.dtype, row.bound) == (dtype, "compute")
    assert row.tflops == pytest.approx(tflops) and row.share == pytest.approx(share)
    assert row.flops == pytest.approx(2 * (singles + doubles))
    assert row.intensity == pytest.approx(tflops * 1e9 / 1e5)


def test_the_dtype_of_most_flops_is_told_where_its_peak_is_not_known(tmp_path: Path) -> None:
    did = MEMORY | _instructions("f", 60e6, 0.0) | _instructions("d", 51e6, 100.0)
    found = analyze(written(tmp_path, kernel("mix", us=1000, metrics=did))).roofline
    assert found is not None
    (row,) = found.operators
    assert (row.dtype, row.bound, row.share) == ("fp32", "", 0)
