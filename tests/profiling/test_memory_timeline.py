"""Memory at any moment, by line: against a plain count, event by event."""

from __future__ import annotations

import json
import pickle
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genops_lab.profiling.engine import column_files, read
from genops_lab.profiling.engine.memory import snapshots, tables
from genops_lab.profiling.engine.memory.memory_timeline import BEFORE_ALL, MemoryTimeline
from genops_lab.profiling.engine.memory.moments import BANDS, POINTS, bands_of, moment_of, timeline_of
from genops_lab.profiling.engine.memory.owners import NO_LINE, UNKNOWN
from genops_lab.profiling.engine.profile_folder import kept_memory
from genops_lab.profiling.models import DeviceMemoryTimeline, MemoryMoment
from tests.support.exhaustive import examples

from .snapshots import CELL, at, block, entry, segment, snapshot
from .test_allocations import memory, operator, totals
from .test_truth import TRACES

needs_traces = pytest.mark.skipif(
    not TRACES.is_dir(), reason="the real snapshots in ../shared/traces are not here"
)
MiB = 1 << 20


def held(path: Path) -> list[MemoryTimeline]:
    with tempfile.TemporaryDirectory() as folder:
        return kept_memory(Path(folder) / "kept", path)


def held_of(folder: Path, found: dict[str, Any]) -> MemoryTimeline:
    path = folder / "snapshot.pickle"
    path.write_bytes(pickle.dumps(found))
    [device] = held(path)
    return device


def of_trace(folder: Path, events: list[dict[str, Any]]) -> list[MemoryTimeline]:
    path = folder / "trace.json"
    path.write_text(json.dumps({"traceEvents": events}))
    return held(path)


def by_name(moment: MemoryMoment) -> dict[str, tuple[int, int]]:
    return {each.site.name: (each.site.bytes, each.site.blocks) for each in moment.lines}


def numbers(found: bytes, dtype: str = "<f8") -> list[float]:
    values: list[float] = np.frombuffer(found, dtype).tolist()
    return values


def whole(device: MemoryTimeline, **more: Any) -> DeviceMemoryTimeline:
    return timeline_of(device, 0, more.get("lines", bands_of(device)), 0, device.moments - 1)


def test_a_small_recording_by_hand(tmp_path: Path) -> None:
    found = held_of(
        tmp_path,
        snapshot(
            [segment(block(1, 500), block(501, 11), block(30, 60, at(4)))],
            [
                entry("free_completed", 7, 100, time_us=1000),  # older than the recording
                entry("segment_alloc", 1, 60, time_us=1010),
                entry("alloc", 30, 60, at(4), time_us=1500),
                entry("alloc", 31, 9, at(5), time_us=1600),
                entry("free_requested", 31, 9, time_us=1700),
                entry("free_completed", 31, 9, time_us=1800),
                entry("alloc", 31, 8, [], time_us=1900),
                entry("oom", 0, 4096, at(6), device_free=77, time_us=2000),
            ],
        ),
    )
    assert found.total.tolist() == [511, 511, 571, 580, 580, 571, 579, 579]
    assert found.us.tolist() == [0, 10, 500, 600, 700, 800, 900, 1000]
    assert found.reserved.tolist() == [511] + [571] * 7
    assert (found.peak, found.failures) == (3, [7])
    peak = moment_of(found, found.peak)
    assert by_name(peak) == {UNKNOWN: (511, 2), "345.py:4:<module>": (60, 1), "345.py:5:<module>": (9, 1)}
    assert (peak.held, peak.blocks, peak.us, peak.reserved) == (580, 4, 600, 571)
    assert peak.change is not None and (peak.change.bytes, peak.change.name) == (9, "345.py:5:<module>")
    after = moment_of(found, 5)
    assert after.change is not None and (after.change.bytes, after.change.name) == (-9, "345.py:5:<module>")
    assert moment_of(found, 1).change is None
    assert by_name(moment_of(found, 7)) == {
        UNKNOWN: (511, 2),
        "345.py:4:<module>": (60, 1),
        NO_LINE: (8, 1),
    }
    assert found.moment_at(650) == 3 and found.moment_at(-5) == 0 and found.moment_at(1e9) == 7
    drawn = whole(found)
    assert numbers(drawn.held) == found.total.tolist()
    assert [(each.site.name, each.site.bytes) for each in drawn.bands] == [
        (UNKNOWN, 511),
        ("345.py:4:<module>", 60),
        ("345.py:5:<module>", 9),
        (NO_LINE, 8),
    ]
    assert (drawn.peak, drawn.peak_at, drawn.failures, drawn.by_time) == (580, 3, [7], False)


def test_a_snapshot_without_a_recording_has_one_moment(tmp_path: Path) -> None:
    found = held_of(tmp_path, snapshot([segment(block(1, 500, at(2)), block(501, 11))]))
    assert (found.moments, found.total.tolist(), found.us.tolist()) == (1, [511], [])
    assert by_name(moment_of(found, 0)) == {"345.py:2:<module>": (500, 1), UNKNOWN: (11, 1)}


def test_a_device_that_held_nothing(tmp_path: Path) -> None:
    found = held_of(tmp_path, snapshot([], [entry("free_requested", 1, 5)]))
    assert whole(found).bands == [] and moment_of(found, 0).lines == []


changes = st.lists(
    st.tuples(st.sampled_from("aaffrs"), st.integers(1, 5), st.integers(1, 60), st.integers(1, 4)),
    max_size=40,
)
stands = st.lists(st.tuples(st.integers(1, 7), st.integers(1, 90), st.integers(0, 3)), max_size=4)


def counted(entries: list[dict[str, Any]], still: dict[int, tuple[int, Any]]) -> list[Counter[str]]:
    """Bytes by line after each event, the plain way. ``still``: what blocks of the end tell."""
    seen: set[int] = set()
    alive: dict[int, tuple[str, int]] = {}
    for each in entries:
        if each["action"] in ("alloc", "free_completed") and each["addr"] not in seen:
            seen.add(each["addr"])
            if each["action"] == "free_completed":
                alive[each["addr"]] = (UNKNOWN, each["size"])
    for address, (size, line) in still.items():
        if address not in seen:
            alive[address] = (f"345.py:{line}:<module>" if line else UNKNOWN, size)
    at_moment = []
    for each in entries:
        if each["action"] == "alloc":
            alive[each["addr"]] = (f"345.py:{each['frames'][-1]['line']}:<module>", each["size"])
        elif each["action"] == "free_completed":
            alive.pop(each["addr"], None)
        at_moment.append(Counter[str]())
        for name, size in alive.values():
            at_moment[-1][name] += size
    return at_moment


@settings(max_examples=examples(150))
@given(changes, stands)
def test_each_moment_is_that_of_a_plain_count(
    tmp_path_factory: pytest.TempPathFactory, found: Any, stand: Any
) -> None:
    actions = {"a": "alloc", "f": "free_completed", "r": "free_requested", "s": "segment_alloc"}
    entries = [entry(actions[which], address, size, at(line)) for which, address, size, line in found]
    still = {address: (size, line) for address, size, line in stand}
    blocks = [block(address, size, at(line) if line else ()) for address, (size, line) in still.items()]
    if not entries:
        return
    device = held_of(
        tmp_path_factory.mktemp("snapshot"), snapshot([segment(*blocks)] if blocks else [], entries)
    )
    expected = counted(entries, still)
    assert device.total.tolist() == [each.total() for each in expected]
    drawn = whole(device)
    bands = {each.site.name: numbers(each.curve) for each in drawn.bands}
    for moment, lines in enumerate(expected):
        at_moment = moment_of(device, moment)
        assert {name: size for name, (size, _) in by_name(at_moment).items()} == lines
        assert at_moment.held == lines.total() and at_moment.more_lines == at_moment.more_bytes == 0
        assert sum(each.bytes for each in at_moment.categories) == at_moment.held
        assert {name: band[moment] for name, band in bands.items() if band[moment]} == lines
    for each in drawn.bands:
        assert each.site.bytes == max(lines[each.site.name] for lines in expected)


def test_stretches_agree_with_the_whole(tmp_path: Path) -> None:
    entries = [entry("alloc" if n % 3 else "free_completed", n // 2, 7 + n, at(n % 4)) for n in range(60)]
    device = held_of(tmp_path, snapshot([], entries))
    everything = whole(device)
    lines = bands_of(device)
    for first, last in ((0, 59), (10, 10), (17, 44)):
        part = timeline_of(device, 0, lines, first, last)
        assert numbers(part.at, "<i4") == list(range(first, last + 1))
        assert numbers(part.held) == numbers(everything.held)[first : last + 1]
        for one, other in zip(part.bands, everything.bands, strict=True):
            assert numbers(one.curve) == numbers(other.curve)[first : last + 1]


def test_a_long_recording_keeps_the_peaks_of_the_sum_and_of_each_band(tmp_path: Path) -> None:
    entries = [entry("alloc", 10**6, 20_000, at(98))]
    for number in range(20_000):
        line = number % 30
        size = 50_000 if number == 12_345 else 10 + (number * 7919) % 1000
        entries += [entry("alloc", number, size, at(line)), entry("free_completed", number, size)]
        if number == 7_000:
            # The most that line 99 holds is neither the most nor the least of all.
            entries += [entry("free_completed", 10**6, 20_000), entry("alloc", 10**7, 9_000, at(99))]
            entries += [entry("free_completed", 10**7, 9_000), entry("alloc", 10**6, 20_000, at(98))]
    device = held_of(tmp_path, snapshot([], entries))
    drawn = whole(device)
    points = numbers(drawn.at, "<i4")
    assert 500 < len(points) <= POINTS and points == sorted(set(points))
    assert max(numbers(drawn.held)) == drawn.peak == 70_000
    assert points[int(np.argmax(numbers(drawn.held)))] == drawn.peak_at == 24_695
    assert "345.py:99:<module>" in {each.site.name for each in drawn.bands}
    assert len(drawn.bands) == BANDS
    for each in drawn.bands:
        assert max(numbers(each.curve)) == each.site.bytes


def test_the_rest_is_told_where_lines_are_many(tmp_path: Path) -> None:
    entries = [entry("alloc", n, n + 1, at(n)) for n in range(80)]
    device = held_of(tmp_path, snapshot([], entries))
    at_moment = moment_of(device, 79)
    assert (len(at_moment.lines), at_moment.more_lines, at_moment.more_bytes) == (50, 30, sum(range(1, 31)))


def test_a_trace_by_operator_and_what_is_older(tmp_path: Path) -> None:
    [device] = of_trace(
        tmp_path,
        [
            operator("aten::empty", 10, 5),
            memory(12, 100, 1, **totals(1100, 4096)),
            memory(25, 30, 2, **totals(1130, 4096)),
            memory(60, -100, 1, **totals(1030, 4096)),
            memory(65, -300, 99, **totals(730, 4096)),
            memory(80, 40, 4, **totals(770, 8192)),
        ],
    )
    assert device.total.tolist() == [1100, 1130, 1030, 730, 770]
    assert device.us.tolist() == [2, 15, 50, 55, 70], "the first slice is the origin"
    assert device.reserved.tolist() == [4096] * 4 + [8192] and device.by_time
    assert by_name(moment_of(device, 1)) == {
        UNKNOWN: (1000, 2),
        "aten::empty": (100, 1),
        "(outside any operator)": (30, 1),
    }
    assert by_name(moment_of(device, 4))[UNKNOWN] == (700, 1)


def test_lines_of_a_trace_hold_also_what_the_backward_pass_made_for_them(tmp_path: Path) -> None:
    def called(name: str, ts: float, dur: float, **arguments: Any) -> dict[str, Any]:
        return {**operator(name, ts, dur), "args": arguments}

    [device] = of_trace(
        tmp_path,
        [
            {**operator("genops:line:abc-1:3", 0, 50), "cat": "user_annotation"},
            called("aten::mul", 10, 20, **{"Sequence number": 5, "Fwd thread id": 0}),
            memory(15, 64, 1),
            called("autograd::engine::evaluate_function: MulBackward0", 100, 50,
                   **{"Sequence number": 5, "Fwd thread id": 1}),
            called("aten::mul", 110, 20),
            memory(115, 32, 2),
            memory(400, 8, 3),
        ],
    )  # fmt: skip
    at_moment = moment_of(device, 2)
    assert by_name(at_moment) == {"cell abc-1, line 3": (96, 2), "(outside any operator)": (8, 1)}
    place = at_moment.lines[0].site.place
    assert place is not None and (place.cell, place.line) == ("abc-1", 3)
    assert at_moment.lines[0].site.stack == ["aten::mul"]
    assert {each.category: each.bytes for each in at_moment.categories} == {"": 72, "backward": 32}


def test_a_trace_without_addresses_has_a_curve_and_no_lines(tmp_path: Path) -> None:
    [device] = of_trace(
        tmp_path, [operator("a", 0, 9), memory(1, 50), memory(2, -80), memory(3, 60), memory(4, -10)]
    )
    assert device.total.tolist() == [80, 0, 60, 50]
    assert by_name(moment_of(device, 2)) == {"(the trace has no addresses)": (60, 0)}
    assert whole(device).bands == []


@settings(max_examples=examples(60))
@given(st.lists(st.tuples(st.integers(1, 4), st.integers(-1, 40)), min_size=1, max_size=40))
def test_each_moment_of_a_trace_is_that_of_a_plain_count(
    tmp_path_factory: pytest.TempPathFactory, found: Any
) -> None:
    alive: dict[int, tuple[str, int]] = {}
    events: list[dict[str, Any]] = []
    expected = []
    for place, (address, size) in enumerate(found):
        name = f"op{place % 3}"
        events.append(operator(name, 10 * place, 5))
        if size > 0:
            alive[address] = (name, size)
            events.append(memory(10 * place + 2, size, address))
        else:
            _, freed = alive.pop(address, ("", 13))
            events.append(memory(10 * place + 2, -freed, address))
        expected.append(Counter[str]())
        for name, size in alive.values():
            expected[-1][name] += size
    [device] = of_trace(tmp_path_factory.mktemp("trace"), events)
    for moment, lines in enumerate(expected):
        at_moment = {
            name: size for name, (size, _) in by_name(moment_of(device, moment)).items() if name != UNKNOWN
        }
        assert at_moment == lines


@needs_traces
@pytest.mark.parametrize("name", ["forward", "forward_without_mixed"])
def test_a_real_snapshot_agrees_with_its_truth_at_any_moment(name: str) -> None:
    path = TRACES / "memory" / f"{name}.pickle"
    truth = json.loads((TRACES / "truth" / f"memory_{name}.json").read_text())["devices"][0]
    summary = snapshots.read(path).devices[0]
    [device] = held(path)
    recorded = device.begin > BEFORE_ALL
    assert device.over(0, device.moments - 1, recorded).max() == truth["peak_bytes_in_window"]
    peak = device.at(truth["peak_entry_index"]) & recorded
    assert int(peak.sum()) == truth["live_allocs_at_peak"]
    sums: Counter[str] = Counter()
    for line, size in zip(device.line[peak].tolist(), device.bytes[peak].tolist(), strict=True):
        sums[device.lines[line].name] += size
    assert [{"site": name, "bytes": size} for name, size in sums.most_common(10)] == truth[
        "top10_sites_at_peak"
    ]
    assert device.reserved[-1] == summary.reserved
    assert (device.reserved >= device.total).all()


@needs_traces
def test_a_real_trace_holds_what_its_allocator_says() -> None:
    path = TRACES / "kineto" / "v100_2rank_nccl.json.gz"
    cuda, host = held(path)
    assert (cuda.device, cuda.rank, host.device) == (1, 1, -1)
    # As the trace's last event tells them.
    assert (cuda.total[-1], cuda.reserved[-1]) == (4_096_614_400, 12_782_141_440)
    drawn = whole(cuda)
    assert len(numbers(drawn.at, "<i4")) <= POINTS
    assert max(numbers(drawn.held)) == drawn.peak


def test_of_a_trace_that_lies_elsewhere_its_columns_tell_it(tmp_path: Path) -> None:
    file, folder = tmp_path / "trace.json", tmp_path / "profile"
    file.write_text(json.dumps({"traceEvents": [memory(100, 64), memory(50, -64)]}))
    column_files.save(read(file), folder / "columns")
    [device] = kept_memory(folder, Path("gpu1:/home/u/trace.json"))
    assert device.moments == kept_memory(tmp_path / "here", file)[0].moments


def test_what_is_kept_is_what_was_made(tmp_path: Path) -> None:
    found = held_of(
        tmp_path,
        snapshot([segment(block(1, 500))], [entry("alloc", 5, 9, at(3)), entry("oom", 0, 7, at(3))]),
    )
    tables.save([found], tmp_path / "memory")
    loaded = tables.load(tmp_path / "memory")
    assert loaded is not None
    [again] = loaded
    for moment in range(found.moments):
        assert moment_of(again, moment) == moment_of(found, moment)
    assert whole(again) == whole(found)
    assert again.lines == found.lines and again.failures == [1]
    assert isinstance(again.begin.base, np.memmap)


def test_what_is_not_whole_is_not_read(tmp_path: Path) -> None:
    folder = tmp_path / "memory"
    assert tables.load(folder) is None
    tables.save([held_of(tmp_path, snapshot([], [entry("alloc", 5, 9, at(3))]))], folder)
    manifest = (folder / "memory.json").read_bytes()
    (folder / "memory.json").write_bytes(manifest.replace(b'"version":1', b'"version":0'))
    assert tables.load(folder) is None
    (folder / "memory.json").write_bytes(manifest)
    assert tables.load(folder) is not None
    (folder / "0.bytes.npy").write_bytes(b"")
    assert tables.load(folder) is None
    (folder / "0.bytes.npy").unlink()
    assert tables.load(folder) is None


def test_cells_are_named_at_any_moment(tmp_path: Path) -> None:
    found = snapshot([], [entry("alloc", 1, 9, at(3))])
    found["genops"] = {"cells": {CELL: {"count": 7, "id": "the-cell", "lines": {"3": "x = 1"}}}}
    [line] = moment_of(held_of(tmp_path, found), 0).lines
    assert line.site.name == "[7] line 3" and line.site.place is not None
    assert (line.site.place.cell, line.site.place.text) == ("the-cell", "x = 1")
