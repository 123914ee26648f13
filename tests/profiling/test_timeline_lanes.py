"""Names of the timeline's lanes: what lies on a device's streams stands with that device."""

from __future__ import annotations

from pathlib import Path

import pytest

from genops_lab.profiling.engine.columns import Columns
from genops_lab.profiling.engine.reading import files, kineto
from genops_lab.profiling.engine.timeline import tiles
from genops_lab.profiling.engine.timeline.slices import lanes_of
from genops_lab.profiling.engine.timeline.tiles import Timeline
from tests.support.real_traces import TRACES

from .events import kernel, slice_of, written


def named(columns: Columns, folder: Path) -> list[tuple[str, str]]:
    tiles.save(columns, folder)
    return [(each.group, each.label) for each in lanes_of(Timeline(columns, folder))]


def test_a_wait_for_all_streams_is_named_so(tmp_path: Path) -> None:
    wait = {**slice_of("cuda_sync", "Context Sync", 5, 9, stream=-1, device=0), "pid": 0, "tid": -1}
    columns = kineto.read(written(tmp_path, [kernel("gemm", 0, 9), wait]))
    assert named(columns, tmp_path / "levels") == [
        ("Device 0", "stream 7"),
        ("Device 0", "all streams, annotations"),
    ]


@pytest.mark.skipif(not TRACES.is_dir(), reason="the real traces in ../shared/traces are not here")
def test_waits_of_an_nsight_export_stand_with_their_device(tmp_path: Path) -> None:
    columns = files.read(TRACES / "nsys" / "mfu_2gpu_before.sqlite")
    found = named(columns, tmp_path / "levels")
    assert {group for group, _ in found if group.startswith("Device")} == {"Device 0", "Device 1"}
    assert ("Device 0", "stream 7, annotations") in found
    assert ("Device 0", "all streams, annotations") in found
