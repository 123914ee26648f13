"""Async slices: read into lanes of their own, and counted nowhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from genops_lab.profiling import analyze
from genops_lab.profiling.engine.columns import Columns
from genops_lab.profiling.engine.kinds import Kind
from genops_lab.profiling.engine.reading import kineto, pieces
from genops_lab.profiling.engine.reading.helpers import Processes, Threads
from genops_lab.profiling.engine.timeline import tiles
from genops_lab.profiling.engine.timeline.slices import lanes_of
from genops_lab.profiling.engine.timeline.tiles import Timeline

from .events import Event, call, kernel, operator, slice_of, written

BUSY = [
    slice_of("user_annotation", "ProfilerStep#1", 0, 400),
    operator("aten::mm", 10, 50),
    call("cudaLaunchKernel", 20, 5, 1),
    kernel("gemm", 100, 300, 1),
]


def tied(phase: str, ts: float, name: str = "request", key: Any = 1, cat: str = "io", **more: Any) -> Event:
    return {"ph": phase, "cat": cat, "name": name, "id": key, "pid": 1, "tid": 1, "ts": ts, **more}


def found(columns: Columns) -> list[tuple[str, str, float, float]]:
    """Lane, name, begin and end in microseconds of each async slice, in order."""
    return [
        (
            columns.lanes[columns.lane[at]].label,
            columns.names[columns.name[at]],
            int(columns.ts[at]) / 1000,
            int(columns.ts[at] + columns.dur[at]) / 1000,
        )
        for at in range(len(columns))
        if columns.lanes[columns.lane[at]].label.endswith("async")
    ]


def read(folder: Path, *events: Event) -> Columns:
    return kineto.read(written(folder, [*BUSY, *events]))


def test_overlapping_slices_of_other_ids_are_in_rows(tmp_path: Path) -> None:
    columns = read(
        tmp_path,
        tied("b", 10),
        tied("b", 30, key=2),
        tied("e", 50),
        tied("n", 60, "sent", 2),
        tied("e", 90, key=2),
    )
    assert found(columns) == [
        ("io async", "request", 10, 50),
        ("io async", "request", 30, 90),
        ("io async", "sent", 60, 60),
    ]
    assert (columns.events, columns.damage) == (9, [])
    tiles.save(columns, tmp_path / "levels")
    timeline = Timeline(columns, tmp_path / "levels")
    lane = next(each for each in lanes_of(timeline) if each.label == "io async")
    assert (lane.group, lane.rows, lane.slices) == ("Process 1", 2, 3)


def test_nested_slices_of_one_id_end_the_innermost_of_their_name(tmp_path: Path) -> None:
    columns = read(
        tmp_path, tied("b", 10), tied("b", 20, "read"), tied("b", 30), tied("e", 40), tied("e", 50, "read"),
        tied("e", 60, "never begun"), tied("e", 70),
    )  # fmt: skip
    assert found(columns) == [
        ("io async", "request", 10, 70),
        ("io async", "read", 20, 50),
        ("io async", "request", 30, 40),
    ]


def test_the_order_in_the_file_does_not_matter(tmp_path: Path) -> None:
    assert found(read(tmp_path, tied("e", 50), tied("b", 10))) == [("io async", "request", 10, 50)]


@pytest.mark.parametrize(
    ("begin", "end"),
    [
        ({"id": "0x1"}, {"id": "0x1"}),
        ({"id": 1}, {"id": "1"}),
        ({"id2": {"local": 7}}, {"id2": {"local": "7"}}),
        ({"id2": {"global": 7}, "pid": 1}, {"id2": {"global": 7}, "pid": 2}),
        ({"pid": 1}, {"pid": 2}),
        ({"scope": "s"}, {"scope": "s"}),
        ({"ph": "S"}, {"ph": "F"}),
        ({}, {"name": ""}),
        ({"ts": "10.0"}, {"ts": "50"}),
        ({"cat": None}, {"cat": None}),
    ],
)
def test_what_ties_a_begin_to_its_end(tmp_path: Path, begin: Event, end: Event) -> None:
    columns = read(tmp_path, tied("b", 10) | begin, tied("e", 50) | end)
    assert [each[1:] for each in found(columns)] == [("request", 10, 50)]


@pytest.mark.parametrize(
    ("begin", "end"),
    [
        ({"id": 1}, {"id": 2}),
        ({"cat": "io"}, {"cat": "net"}),
        ({"scope": "s"}, {}),
        ({"id2": {"local": 7}, "pid": 1}, {"id2": {"local": 7}, "pid": 2}),
    ],
)
def test_what_does_not_tie_them(tmp_path: Path, begin: Event, end: Event) -> None:
    # A slice without an end lasts until the trace's.
    columns = read(tmp_path, tied("b", 10) | begin, tied("e", 50) | end)
    assert [each[1:] for each in found(columns)] == [("request", 10, 400)]
    assert columns.damage == []


def test_ids_that_are_counted_anew_in_each_process(tmp_path: Path) -> None:
    columns = read(tmp_path, tied("b", 10), tied("b", 20, pid=2), tied("e", 50), tied("e", 90, pid=2))
    assert [each[2:] for each in found(columns)] == [(10, 50), (20, 90)]


def test_many_without_an_end_are_told(tmp_path: Path) -> None:
    columns = read(tmp_path, *(tied("b", at, key=at) for at in range(11)))
    assert columns.damage == ["11 of 11 async slices have no end; they extend to the end of the trace."]
    some = [tied(phase, at, key=at) for at in range(200) for phase in ("be" if at > 11 else "b")]
    assert read(tmp_path, *some).damage == []


def test_a_time_that_is_none_is_told(tmp_path: Path) -> None:
    columns = read(tmp_path, {**tied("b", 10), "ts": "soon"})
    assert (found(columns), columns.damage) == ([], ["1 event has no usable time."])


def test_they_are_no_work_of_a_device_or_of_a_thread(tmp_path: Path) -> None:
    noise = [
        tied(phase, at, name, name, cat)
        for name, cat in (("gemm", "kernel"), ("ProfilerStep#7", "user_annotation"), ("aten::mm", "cpu_op"))
        for phase, at in (("b", 0), ("e", 400))
    ]
    plain, more = (analyze(written(tmp_path, [*BUSY, *extra])) for extra in ([], noise))
    assert (plain.events, more.events) == (4, 10)
    assert (plain.devices, plain.steps, plain.operators) == (more.devices, more.steps, more.operators)
    assert [each.code for each in plain.advice] == [each.code for each in more.advice]


def test_in_a_process_that_is_a_device_by_its_name_alone(tmp_path: Path) -> None:
    named = {"ph": "M", "name": "process_name", "pid": 5, "args": {"name": "/device:GPU:0"}}
    thread = {"ph": "M", "name": "thread_name", "pid": 5, "tid": 1, "args": {"name": "Stream #1"}}
    work = {"ph": "X", "name": "fusion", "pid": 5, "tid": 1, "ts": 0, "dur": 10}
    events = [named, thread, work, tied("b", 0, pid=5), tied("e", 90, pid=5)]
    [device] = analyze(written(tmp_path, events)).devices
    assert (device.kernels, device.busy_us) == (1, 10)
    columns = kineto.read(written(tmp_path, events))
    assert sorted(columns.kind.tolist()) == [Kind.OTHER, Kind.COMPUTE]


def test_batches_helpers_and_odd_events_give_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = [
        event
        for at in range(1000)
        for event in (
            slice_of("cpu_op", "op", at, 0.5),
            tied("b", at, key=at % 50, cat=f"c{at % 3}"),
            tied("e", at + 7.5, key=at % 50, cat=f"c{at % 3}"),
        )
    ]
    path = written(tmp_path, events)
    whole = found(kineto.read(path))
    assert len(whole) == 1000
    monkeypatch.setattr(pieces, "BATCH_BYTES", 5000)
    assert found(kineto.read(path)) == whole
    for helpers_of in (Threads, Processes):
        with helpers_of(2) as helpers:
            assert found(kineto.read(path, helpers)) == whole
    odd = [{**each, "dur": "0.5"} if each["ph"] == "X" else each for each in events]
    path.write_text(json.dumps([*odd, 7]))
    assert found(kineto.read(path)) == whole
