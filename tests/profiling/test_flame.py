"""The call tree: nothing is lost, and nothing counts twice."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from genops_lab.profiling.engine import read
from genops_lab.profiling.engine.kinds import Kind
from genops_lab.profiling.engine.timeline import flame as module
from genops_lab.profiling.engine.timeline.flame import flame
from genops_lab.profiling.models import Flame
from tests.support.real_traces import real_trace

from .events import slice_of

REAL = [
    "v100_2rank_nccl.json.gz",
    "h100_owlv2.json.gz",
    "resnet50_num_workers_0.json.gz",
    "mi250_toy.json.gz",
]


def tree_of(tmp_path: Path, *events: dict[str, object]) -> Flame:
    trace = tmp_path / "t.json"
    trace.write_text(json.dumps({"traceEvents": list(events)}))
    return flame(read(trace))


def paths(tree: Flame) -> dict[str, tuple[int, float, float]]:
    named: list[str] = []
    for node in tree.nodes:
        named.append(f"{named[node.parent]}/{node.name}" if node.parent >= 0 else node.name)
    return {
        path.split("/", 1)[-1]: (node.count, node.host_us, node.device_us)
        for path, node in zip(named, tree.nodes, strict=True)
    }


def test_calls_of_one_name_below_the_same_callers_are_one(tmp_path: Path) -> None:
    found = paths(
        tree_of(
            tmp_path,
            slice_of("user_annotation", "ProfilerStep#1", 0, 100),
            slice_of("cpu_op", "mm", 10, 20),
            slice_of("cuda_runtime", "launch", 15, 5, correlation=1),
            slice_of("cpu_op", "mm", 40, 30),
            slice_of("user_annotation", "ProfilerStep#2", 100, 50),
            slice_of("cpu_op", "mm", 110, 10),
            slice_of("kernel", "gemm", 20, 200, tid=7, correlation=1, device=0, stream=7),
            slice_of("kernel", "lost", 300, 40, tid=7, correlation=99, device=0, stream=7),
        )
    )
    assert found["ProfilerStep"] == (2, 150, 200)
    assert found["ProfilerStep/mm"] == (3, 60, 200)
    assert found["ProfilerStep/mm/launch"] == (1, 5, 0)
    assert found["ProfilerStep/mm/gemm"] == (1, 0, 200)
    assert found["lost"] == (1, 0, 40)


def test_what_is_too_small_stands_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_NODES", 3)
    inside = [slice_of("cpu_op", f"op{number}", 10 * number, 1 + number) for number in range(8)]
    tree = tree_of(tmp_path, slice_of("cpu_op", "outer", 0, 1000), *inside)
    found = paths(tree)
    assert found["outer"] == (1, 1000, 0)
    assert found["outer/op7"] == (1, 8, 0)
    assert found["outer/"] == (7, 28, 0)


@pytest.mark.parametrize("name", REAL)
def test_all_device_time_of_a_real_trace_is_in_it_once(name: str) -> None:
    trace = real_trace(name)
    if not trace.is_file():
        pytest.skip("the real traces in ../shared/traces are not here")
    columns = read(trace)
    tree = flame(columns)
    assert tree.device_us == pytest.approx(int(columns.dur[columns.kind >= Kind.COMPUTE].sum()) / 1000)
    host, device = defaultdict(float), defaultdict(float)
    for place, node in enumerate(tree.nodes):
        assert node.parent < place
        host[node.parent] += node.host_us
        device[node.parent] += node.device_us
    assert host.pop(-1) == pytest.approx(tree.host_us)
    assert device.pop(-1) == pytest.approx(tree.device_us)
    for parent, inside in host.items():
        assert inside <= tree.nodes[parent].host_us + 1e-3
    for parent, started in device.items():
        assert started == pytest.approx(tree.nodes[parent].device_us)
    assert len(tree.nodes) <= 2 * module.MOST_NODES
    assert np.isfinite([node.host_us for node in tree.nodes]).all()
