"""Memory events of traces: what was held at the peak, by which operator."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genops_lab.profiling import analyze
from genops_lab.profiling.engine.memory import allocations
from genops_lab.profiling.engine.memory.memory_timeline import kept
from genops_lab.profiling.models import DeviceMemory
from tests.support.exhaustive import examples
from tests.support.real_traces import TRACES, analyzed


def operator(name: str, ts: float, dur: float) -> dict[str, Any]:
    return {"ph": "X", "cat": "cpu_op", "name": name, "ts": ts, "dur": dur, "pid": 1, "tid": 1}


def memory(ts: float, size: int, address: int = 0, device: int = 0, **totals: int) -> dict[str, Any]:
    arguments = {"Device Type": 1, "Device Id": device, "Bytes": size, **totals}
    if address:
        arguments["Addr"] = address
    return {"ph": "i", "name": "[memory]", "ts": ts, "pid": 1, "tid": 1, "args": arguments}


def devices(folder: Path, events: list[dict[str, Any]]) -> list[DeviceMemory]:
    path = folder / "trace.json"
    path.write_text(json.dumps({"traceEvents": events}))
    found = analyze(path).memory
    return found.devices if found is not None else []


def totals(allocated: int, reserved: int) -> dict[str, int]:
    return {"Total Allocated": allocated, "Total Reserved": reserved}


def test_sites_are_the_innermost_operators(tmp_path: Path) -> None:
    [found] = devices(
        tmp_path,
        [
            operator("aten::linear", 0, 100),
            operator("aten::empty", 10, 5),
            operator("aten::addmm", 20, 50),
            operator("aten::empty", 30, 5),
            memory(12, 100, 1, **totals(1100, 4096)),
            memory(25, 30, 2, **totals(1130, 4096)),
            memory(32, 7, 3, **totals(1137, 4096)),
            memory(60, -100, 1, **totals(1037, 4096)),
            memory(65, -1000, 99, **totals(37, 4096)),
            memory(80, 40, 4, **totals(77, 8192)),
            memory(200, 5, 5, **totals(82, 8192)),
        ],
    )
    assert (found.device, found.rank, found.events) == (0, 0, 7)
    assert (found.peak, found.peak_event, found.live_at_peak, found.before) == (137, 2, 3, 1000)
    assert (found.reserved, found.allocated) == (8192, 82)
    assert [(site.name, site.bytes, site.blocks) for site in found.sites] == [
        ("aten::empty", 107, 2),
        ("aten::addmm", 30, 1),
    ]
    assert [(point.at, point.bytes) for point in found.timeline] == [
        *[(12, 100), (25, 130), (32, 137), (60, 37), (65, 37), (80, 77), (200, 82)]
    ]


def test_what_no_operator_is_around_is_told_so(tmp_path: Path) -> None:
    [found] = devices(tmp_path, [operator("aten::mm", 0, 5), memory(9, 100, 1)])
    assert [(site.name, site.bytes) for site in found.sites] == [("(outside any operator)", 100)]


def test_sites_are_lines_where_the_trace_tells_them(tmp_path: Path) -> None:
    marker = {**operator("genops:line:train.py:7", 0, 50), "cat": "user_annotation"}
    [found] = devices(
        tmp_path,
        [marker, operator("aten::mm", 5, 20), memory(9, 100, 1), memory(40, 20, 2), memory(99, 3, 3)],
    )
    assert [(site.name, site.bytes, site.blocks, site.stack) for site in found.sites] == [
        ("train.py:7", 120, 2, ["aten::mm"]),
        ("(outside any operator)", 3, 1, []),
    ]
    place = found.sites[0].place
    assert place is not None and (place.file, place.line, place.cell) == ("train.py", 7, "")


def test_old_traces_without_addresses_have_a_peak_and_no_sites(tmp_path: Path) -> None:
    [found] = devices(
        tmp_path, [operator("a", 0, 9), memory(1, 50), memory(2, 60), memory(3, -50), memory(4, 10)]
    )
    assert (found.peak, found.peak_event, found.live_at_peak, found.sites) == (110, 1, 2, [])
    assert (found.allocated, found.before) == (70, 0)


def test_each_device_by_itself_and_the_host_last(tmp_path: Path) -> None:
    found = devices(
        tmp_path, [operator("a", 0, 9), memory(1, 5, 1, -1), memory(2, 6, 1, 1), memory(3, 7, 1, 0)]
    )
    assert [(each.device, each.peak) for each in found] == [(0, 7), (1, 6), (-1, 5)]


def test_a_trace_without_memory_events_has_none(tmp_path: Path) -> None:
    assert devices(tmp_path, [operator("a", 0, 9)]) == []


@pytest.mark.skipif(not TRACES.is_dir(), reason="the real traces in ../shared/traces are not here")
def test_a_real_trace() -> None:
    summary = analyzed("kineto", "v100_2rank_nccl.json.gz")
    assert summary.memory is not None
    device, host = summary.memory.devices
    assert (device.device, device.rank, device.events, host.device, host.events) == (1, 1, 26_770, -1, 1240)
    # As the trace's last event tells them.
    assert (device.reserved, device.allocated) == (12_782_141_440, 4_096_614_400)
    assert sum(site.bytes for site in device.sites) == device.peak
    assert sum(site.blocks for site in device.sites) == device.live_at_peak
    assert max(point.bytes for point in device.timeline) == device.peak


changes = st.lists(st.tuples(st.integers(1, 4), st.integers(-1, 40)), min_size=1, max_size=40)


@settings(max_examples=examples(60))
@given(changes)
def test_the_peak_is_that_of_a_plain_count(tmp_path_factory: pytest.TempPathFactory, found: Any) -> None:
    held: dict[int, int] = {}
    events: list[dict[str, Any]] = []
    curve = []
    for at, (address, size) in enumerate(found):
        if size >= 0 and address not in held:
            held[address] = size
            events.append(memory(at, size, address))
        else:
            events.append(memory(at, -held.pop(address, 13), address))
        curve.append(sum(held.values()))
    [device] = devices(tmp_path_factory.mktemp("trace"), [operator("a", 0, 99), *events])
    assert device.peak == max(curve)
    assert sum(site.bytes for site in device.sites) == device.peak
    if device.peak:
        assert device.peak_event == curve.index(max(curve))


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(-3, 3)), max_size=20))
def test_changes_and_what_lives_are_those_of_a_plain_count(found: list[tuple[int, int]]) -> None:
    held: dict[int, tuple[int, int]] = {}
    changes = []
    for place, (address, size) in enumerate(found):
        # What is given again without a free was freed unseen.
        _, before = held.pop(address, (0, 0))
        if size >= 0:
            held[address] = (place, size)
        changes.append(size if size >= 0 else -before)
    address, amount = np.array(found, np.int64).reshape(-1, 2).T
    assert allocations._steps(address, amount).tolist() == changes
    assert allocations._live(address, amount).tolist() == [place for place, _ in held.values()]


@given(st.lists(st.integers(-50, 50), min_size=1, max_size=300), st.integers(1, 20))
def test_thinning_keeps_ends_and_extremes(values: list[int], buckets: int) -> None:
    column = np.array(values, np.int64)
    places = kept(column, buckets)
    assert len(places) <= 4 * buckets or len(places) == len(values)
    assert (np.diff(places) > 0).all()
    assert {0, len(values) - 1, int(column.argmax()), int(column.argmin())} <= set(places.tolist())


def test_more_devices_than_a_byte_counts_are_not_mixed_up(tmp_path: Path) -> None:
    found = devices(tmp_path, [memory(each, 1000 + each, 1 + each, device=each) for each in range(300)])
    assert sorted((each.device, each.peak) for each in found) == [(each, 1000 + each) for each in range(300)]
