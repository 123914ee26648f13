"""Reports of Nsight Compute beside each other: which launches are compared with which."""

from __future__ import annotations

import json
from pathlib import Path

from genops_lab.profiling import diff

from ..support.ncu_reports import Kernel, kernel
from .test_ncu import written


def test_two_reports_are_compared_by_their_kernels(tmp_path: Path) -> None:
    before = written(tmp_path, kernel("a", us=100), kernel("b", us=50), name="x.ncu-rep")
    found = diff(before, written(tmp_path, kernel("a", us=60), kernel("b", us=50), name="y.ncu-rep"))
    (change, *_) = found.kernels
    assert (change.name, change.before_us, change.after_us) == ("a", 100, 60)
    assert found.measured and not found.a_step
    codes = {figure.code for figure in found.figures}
    assert not codes & {"idle", "idle_share", "span", "cpu_busy"} and "busy" in codes
    # That they are measurements makes them no less comparable.
    assert found.warnings == []


def test_launches_with_one_grid_and_block_are_compared_with_each_other(tmp_path: Path) -> None:
    small, large, other = (4, 1, 1), (64, 1, 1), (8, 1, 1)

    def changes(before: list[Kernel], after: list[Kernel]) -> list[tuple[object, ...]]:
        paths = [
            written(tmp_path, *each, name=f"{name}.ncu-rep") for name, each in (("x", before), ("y", after))
        ]
        return [
            (
                each.name,
                *(json.loads(one.grid)[0] for one in each.before_with),
                "→",
                *(json.loads(one.grid)[0] for one in each.after_with),
                each.before_us,
                each.after_us,
                each.before_count,
                each.after_count,
                each.state,
            )
            for each in diff(*paths).kernels
        ]

    # One got slower, the other faster: by the name alone nothing would have changed. What is left is set side by side.
    assert changes(
        [
            kernel("gemm", 100, grid=large),
            kernel("gemm", 10, grid=small),
            kernel("gemm", 10, grid=small),
            kernel("relu", 9, grid=small),
        ],
        [
            kernel("gemm", 20, grid=small),
            kernel("gemm", 80, grid=large),
            kernel("relu", 5, grid=large),
            kernel("new", 1),
        ],
    ) == [
        ("gemm", 64, "→", 64, 100, 80, 1, 1, "both"),
        ("relu", 4, "→", 64, 9, 5, 1, 1, "both"),
        ("new", "→", 64, 0, 1, 0, 1, "added"),
        ("gemm", 4, "→", 4, 20, 20, 2, 1, "both"),
    ]
    # In the order of their launches, as long as there are as many; else together, but for those that are the same.
    assert changes(
        [kernel("a", 5, grid=large), kernel("a", 1, grid=small)],
        [kernel("a", 9, grid=other), kernel("a", 2, grid=(16, 1, 1))],
    ) == [("a", 64, "→", 8, 5, 9, 1, 1, "both"), ("a", 4, "→", 16, 1, 2, 1, 1, "both")]
    assert changes(
        [kernel("a", 5, grid=large), kernel("a", 1, grid=small)],
        [
            kernel("a", 9, grid=other),
            kernel("a", 2, grid=(16, 1, 1)),
            kernel("a", 7, grid=(32, 1, 1)),
            kernel("a", 6, grid=large),
        ],
    ) == [("a", 4, "→", 8, 16, 32, 1, 18, 1, 3, "both"), ("a", 64, "→", 64, 5, 6, 1, 1, "both")]


def test_a_block_of_another_size_makes_another_launch(tmp_path: Path) -> None:
    paths = [
        written(
            tmp_path, *(kernel("a", us, block=(side, 1, 1)) for side, us in sides), name=f"{name}.ncu-rep"
        )
        for name, sides in (("x", [(128, 4.0), (256, 8.0)]), ("y", [(256, 7.0), (128, 5.0)]))
    ]
    found = diff(*paths)
    assert sorted((each.before_us, each.after_us) for each in found.kernels) == [(4, 5), (8, 7)]
    same = diff(paths[0], paths[0]).kernels
    assert len(same) == 2 and all(each.before_us == each.after_us for each in same)
