"""Memory snapshots: real ones against their truth, small ones worked out by hand."""

from __future__ import annotations

import contextlib
import gc
import gzip
import json
import pickle
from pathlib import Path
from typing import Any

import pytest

from genops_lab.core.errors import InvalidRequest
from genops_lab.profiling import analyze
from genops_lab.profiling.engine.memory import snapshots
from genops_lab.profiling.models import DeviceMemory
from tests.support.real_traces import TRACES

from .snapshots import CELL, TORCH, at, block, entry, frame, segment, snapshot

MiB = 1 << 20


def one_device(folder: Path, found: dict[str, Any]) -> DeviceMemory:
    path = folder / "snapshot.pickle"
    path.write_bytes(pickle.dumps(found))
    [device] = snapshots.read(path).devices
    return device


@pytest.mark.skipif(not TRACES.is_dir(), reason="the real snapshots in ../shared/traces are not here")
@pytest.mark.parametrize("name", ["forward", "forward_without_mixed"])
def test_a_real_snapshot_agrees_with_its_truth(name: str) -> None:
    truth = json.loads((TRACES / "truth" / f"memory_{name}.json").read_text())
    found = snapshots.read(TRACES / "memory" / f"{name}.pickle")
    assert found.damaged == "" and found.out_of_memory == []
    [device] = found.devices
    [expected] = truth["devices"]
    assert (device.reserved, device.allocated, device.active, device.segments, device.blocks) == tuple(
        truth[key] for key in ("reserved_bytes", "allocated_bytes", "active_bytes", "segments", "blocks")
    )
    assert (device.device, device.events) == (expected["device"], expected["entries"])
    assert (device.peak, device.peak_event, device.live_at_peak) == tuple(
        expected[key] for key in ("peak_bytes_in_window", "peak_entry_index", "live_allocs_at_peak")
    )
    top = [{"site": site.name, "bytes": site.bytes} for site in device.sites[:10]]
    assert top == expected["top10_sites_at_peak"]
    assert max(point.bytes for point in device.timeline) == device.peak
    assert len(device.timeline) <= 2000
    assert sum(each.bytes for each in device.categories) == device.peak


@pytest.mark.skipif(not TRACES.is_dir(), reason="the real snapshots in ../shared/traces are not here")
def test_what_was_held_before_and_what_came_add_up() -> None:
    path = TRACES / "memory" / "forward.pickle"
    [device] = snapshots.read(path).devices
    # The snapshot is this project's own test data; nothing else here may open it so.
    whole = pickle.loads(path.read_bytes())
    change, live = 0, set()
    for each in whole["device_traces"][0]:
        if each["action"] == "alloc":
            change += each["size"]
            live.add(each["addr"])
        elif each["action"] == "free_completed":
            change -= each["size"]
            live.discard(each["addr"])
    blocks = [block for segment in whole["segments"] for block in segment["blocks"]]
    # Events tell what was asked for, blocks what was given.
    rounding = sum(each["size"] - each["requested_size"] for each in blocks if each["address"] in live)
    assert device.before + change + rounding == device.allocated


def test_sums_of_segments_and_blocks(tmp_path: Path) -> None:
    found = one_device(
        tmp_path,
        snapshot(
            [
                segment(block(0, 6 * MiB), block(6 * MiB, 2 * MiB, state="inactive")),
                segment(block(100 * MiB, 8 * MiB, state="inactive")),
            ]
        ),
    )
    assert (found.reserved, found.allocated, found.active, found.segments, found.blocks) == (
        *(16 * MiB, 6 * MiB, 6 * MiB, 2),
        3,
    )
    # A segment that is wholly free can be given back; what lies beside a block cannot.
    assert found.fragmentation == 2 / 16
    assert found.largest_free == 8 * MiB
    assert (found.peak, found.peak_event, found.events, found.timeline) == (0, -1, 0, [])


def test_the_peak_and_who_held_it(tmp_path: Path) -> None:
    linear = frame(f"{TORCH}/nn/modules/linear.py", 134, "forward")
    called = frame(f"{TORCH}/nn/modules/module.py", 1750, "_call_impl")
    made = frame(f"{TORCH}/nn/modules/linear.py", 110, "__init__")
    einops = frame("/env/lib/python3.12/site-packages/einops/_backends.py", 93, "reshape")
    step = frame(f"{TORCH}/optim/adam.py", 150, "_init_group")
    engine = frame("??", 0, "torch::autograd::Engine::evaluate_function")
    accumulate = frame("??", 0, "torch::autograd::AccumulateGrad::apply")
    found = one_device(
        tmp_path,
        snapshot(
            [],
            [
                entry("free_completed", 7, 999),  # older than the recording
                entry("alloc", 1, 100, at(3, made)),
                entry("alloc", 2, 50, at(5, linear, called)),
                entry("alloc", 3, 50, at(5, einops, linear, called)),
                entry("free_requested", 3, 50),
                entry("free_completed", 3, 50),
                entry("alloc", 3, 60, [accumulate, engine]),
                entry("alloc", 4, 70, [engine]),
                entry("alloc", 5, 80, at(9, step)),
                entry("free_completed", 2, 50),
                entry("alloc", 2, 10, at(5)),
            ],
        ),
    )
    assert (found.peak, found.peak_event, found.live_at_peak, found.before) == (360, 8, 5, 999)
    assert [(site.name, site.bytes, site.blocks, site.category) for site in found.sites] == [
        ("(no Python line of your code)", 130, 2, "gradients"),
        ("345.py:3:<module>", 100, 1, "parameters"),
        ("345.py:9:<module>", 80, 1, "optimizer"),
        ("345.py:5:<module>", 50, 1, "activations"),
    ]
    place = found.sites[1].place
    assert place is not None and (place.file, place.line) == (CELL, 3)
    assert {each.category: each.bytes for each in found.categories} == {
        "parameters": 100,
        "optimizer": 80,
        "backward": 70,
        "gradients": 60,
        "activations": 50,
    }
    assert [point.bytes for point in found.timeline] == [0, 100, 150, 200, 150, 210, 280, 360, 310, 320]


def test_out_of_memory_tells_who_held_it_also_from_before(tmp_path: Path) -> None:
    found = snapshot(
        [segment(block(1, 500, at(2)), block(10, 300, at(4)), block(20, 40))],
        [
            entry("free_completed", 30, 25, time_us=1000),
            entry("alloc", 10, 300, at(4), time_us=1100),
            entry("alloc", 11, 100, at(5), time_us=1200),
            entry("oom", 0, 4096, at(6), device_free=77, time_us=1300),
            entry("free_completed", 11, 100, time_us=1400),
        ],
    )
    path = tmp_path / "snapshot.pickle"
    path.write_bytes(pickle.dumps(found))
    [failure] = snapshots.read(path).out_of_memory
    assert (failure.device, failure.wanted, failure.free, failure.event) == (0, 4096, 77, 3)
    assert failure.at_us == 300
    assert [(site.name, site.bytes) for site in failure.holders] == [
        ("345.py:2:<module>", 500),
        ("345.py:4:<module>", 300),
        ("345.py:5:<module>", 100),
        ("(allocated before the recording)", 40),
    ]
    assert failure.held == 940
    [device] = snapshots.read(path).devices
    assert [(site.name, site.bytes, site.blocks) for site in device.before_sites] == [
        ("345.py:2:<module>", 500, 1),
        ("(allocated before the recording)", 65, 2),
    ]
    assert device.before == 565
    assert failure.asked is not None and failure.asked.name == "345.py:6:<module>"


def test_a_long_timeline_keeps_its_peak(tmp_path: Path) -> None:
    entries = []
    for number in range(6000):
        size = 10_000 if number == 4321 else 10
        entries += [entry("alloc", number, size), entry("free_completed", number, size)]
    found = one_device(tmp_path, snapshot([], entries))
    assert found.events == 12_000 and len(found.timeline) <= 2000
    assert max(point.bytes for point in found.timeline) == found.peak == 10_000
    assert found.peak_event == 2 * 4321
    assert [point.at for point in found.timeline if point.bytes == 10_000] == [2 * 4321]


def test_cells_of_a_notebook_are_named_as_the_kernel_tells_them(tmp_path: Path) -> None:
    found = snapshot([], [entry("alloc", 1, 9, at(3)), entry("alloc", 2, 5, [frame("/x/other.py", 1)])])
    cell = {"count": 7, "id": "the-cell", "lines": {"3": "x = torch.empty(9)"}}
    found["genops"] = {"cells": {CELL: cell, "/x/other.py": {"count": "many"}}, "retries": {"0": 4, "1": "x"}}
    device = one_device(tmp_path, found)
    assert [(site.name, site.bytes) for site in device.sites] == [
        ("[7] line 3", 9),
        ("other.py:1:<module>", 5),
    ]
    place = device.sites[0].place
    assert place is not None
    assert (place.file, place.cell, place.line, place.text) == ("[7]", "the-cell", 3, "x = torch.empty(9)")
    assert device.sites[0].stack == ["[7] line 3"]
    assert device.retries == 4


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("form", ["pickle", "json"])
def test_forms_of_a_file(tmp_path: Path, form: str, packed: bool) -> None:
    found = snapshot([segment(block(1, 64, at(1)))], [entry("alloc", 1, 64, at(1))])
    data = pickle.dumps(found) if form == "pickle" else json.dumps(found).encode()
    path = tmp_path / "snapshot"
    path.write_bytes(gzip.compress(data) if packed else data)
    [device] = snapshots.read(path).devices
    assert (device.allocated, device.peak) == (64, 64)
    summary = analyze(path)
    assert summary.memory is not None and summary.memory.devices == [device]
    assert (summary.events, summary.devices, summary.ranks) == (1, [], [])


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[1]", b"\x80\x04N.", b'{"segments": 3}', b'{"segments": [']
)
def test_what_is_no_snapshot(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "snapshot.json"
    path.write_bytes(content)
    with pytest.raises(InvalidRequest, match="not a memory snapshot"):
        snapshots.read(path)


@pytest.mark.parametrize("content", [pickle.dumps(snapshot()), b"\x80\x04N.", b"\x80\x04"])
def test_garbage_is_collected_again_afterwards(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "snapshot.pickle"
    path.write_bytes(content)
    with contextlib.suppress(InvalidRequest):
        snapshots.read(path)
    assert gc.isenabled()


def test_entries_of_wrong_types_are_counted_not_followed(tmp_path: Path) -> None:
    found = snapshot(
        [{"blocks": 3, "total_size": "much"}, 5], [7, entry("alloc", 1, 5), entry("alloc", "x", 5)]
    )
    found["segments"][0]["device"] = None
    path = tmp_path / "snapshot.json"
    path.write_text(json.dumps(found))
    summary = snapshots.read(path)
    assert summary.damaged == "3 entries could not be read."
    assert summary.devices[0].peak == 5
