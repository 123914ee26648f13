"""Counters of traces: read into columns, kept, and cut for Perfetto."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from genops_lab.core.errors import InvalidRequest
from genops_lab.profiling import analyze
from genops_lab.profiling.engine import column_files
from genops_lab.profiling.engine.columns import Columns, CounterSeries
from genops_lab.profiling.engine.reading import counters, kineto, pieces
from genops_lab.profiling.engine.reading.cutting import Stretch, cut
from genops_lab.profiling.engine.reading.helpers import Processes, Threads

from .events import Event, kernel, operator, written

POWER, QUEUE = "Power (W)", "queue"


def counter(name: str, ts: Any, pid: Any = 0, **args: Any) -> Event:
    return {"ph": "C", "name": name, "pid": pid, "ts": ts, "args": args}


EVENTS = [
    counter(POWER, 95, watts=80),
    operator("aten::mm", 100, 50),
    kernel("gemm", 120, 40),
    counter(POWER, 130, watts=250.5),
    counter(QUEUE, 110, 1, waiting=3, done=0),
    counter(QUEUE, 105, 1, waiting=1),
    counter(POWER, 300, watts=90),
]


def series_of(columns: Columns) -> dict[tuple[str, str, str], list[tuple[int, float]]]:
    """Time and value of each series' samples."""
    found = columns.counters
    if found is None:
        return {}
    samples = list(zip(found.ts.tolist(), found.value.tolist(), strict=True))
    return {
        (series.process, series.counter, series.series): samples[found.bounds[at] : found.bounds[at + 1]]
        for at, series in enumerate(found.series)
    }


EXPECTED = {
    ("0", POWER, "watts"): [(-5_000, 80.0), (30_000, 250.5), (200_000, 90.0)],
    ("1", QUEUE, "waiting"): [(5_000, 1.0), (10_000, 3.0)],
    ("1", QUEUE, "done"): [(10_000, 0.0)],
}


def test_samples_are_read_series_by_series(tmp_path: Path) -> None:
    path = written(tmp_path, EVENTS)
    columns = kineto.read(path)
    assert series_of(columns) == EXPECTED
    assert (len(columns), columns.events, columns.damage) == (2, len(EVENTS), [])


@pytest.mark.parametrize(
    "change",
    [
        lambda event: {**event, "ts": repr(event["ts"])},
        lambda event: {**event, "pid": float(event["pid"])},
        lambda event: {**event, "args": {key: str(value) for key, value in event["args"].items()}},
        lambda event: {
            **event,
            "args": {**event["args"], "note": "idle", "on": True, "none": None, "in": [1]},
        },
        lambda event: {**event, "args": {**event["args"], "load": float("nan"), "most": float("inf")}},
        lambda event: {"args": event["args"], "tid": [7], "id": None, **event},
    ],
    ids=[
        "times as texts",
        "places with a point",
        "values as texts",
        "no numbers",
        "not a number",
        "more keys",
    ],
)
def test_counters_written_otherwise(change: Any, tmp_path: Path) -> None:
    events = [change(event) if event["ph"] == "C" else event for event in EVENTS]
    columns = kineto.read(written(tmp_path, events))
    assert series_of(columns) == EXPECTED
    assert (columns.events, columns.damage) == (len(EVENTS), [])


def test_what_is_no_sample_is_passed_over(tmp_path: Path) -> None:
    odd: list[Event] = [
        {"ph": "C", "name": None, "pid": 0, "ts": 1, "args": {"a": 1}},
        {"ph": "C", "name": "n", "pid": 0, "ts": 1, "args": []},
        {"ph": "C", "name": "n", "pid": 0, "ts": 1},
        {"ph": "C", "name": "n", "pid": 0, "ts": 1, "args": {"large": 10**400}},
        {"ph": "C", "name": "n", "pid": 0, "args": {"a": 1}},
    ]
    columns = kineto.read(written(tmp_path, [*EVENTS, *odd]))
    assert series_of(columns) == EXPECTED
    assert (columns.events, columns.damage) == (len(EVENTS) + 5, ["1 event has no usable time."])


def test_an_id_makes_a_counter_of_its_own(tmp_path: Path) -> None:
    events = [
        {**counter("tasks", 10 * at, n=at), "id": identity} for at, identity in enumerate((1, "0x2", 1.0))
    ]
    assert series_of(kineto.read(written(tmp_path, events))) == {
        ("0", "tasks 1", "n"): [(0, 0.0), (20_000, 2.0)],
        ("0", "tasks 0x2", "n"): [(10_000, 1.0)],
    }


def test_of_one_moment_the_order_is_that_of_the_file(tmp_path: Path) -> None:
    events = [counter("n", 1, a=3), counter("n", 0, a=2), counter("n", 1, a=1)]
    assert series_of(kineto.read(written(tmp_path, events))) == {
        ("0", "n", "a"): [(0, 2.0), (1_000, 3.0), (1_000, 1.0)]
    }


def test_batches_and_helpers_give_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = 1_669_783_687_464_181
    events = [
        event
        for at in range(2000)
        for event in (operator("op", base + at, 0.5), counter("n", base + at + 0.5, at % 3, a=at / 7, b=-at))
    ]
    path = written(tmp_path, events)
    whole = series_of(kineto.read(path))
    monkeypatch.setattr(pieces, "BATCH_BYTES", 5000)
    assert series_of(kineto.read(path)) == whole
    for helpers_of in (Threads, Processes):
        with helpers_of(2) as helpers:
            assert series_of(kineto.read(path, helpers)) == whole
    assert len(whole) == 6
    assert whole["0", "n", "b"][:2] == [(500, 0.0), (3_500, -3.0)]


def test_counters_are_no_slices_and_change_no_sum(tmp_path: Path) -> None:
    found = analyze(written(tmp_path, EVENTS))
    without = analyze(written(tmp_path, [each for each in EVENTS if each["ph"] != "C"], "plain.json"))
    assert (found.events, without.events) == (7, 2)
    assert found.devices == without.devices


def test_columns_are_kept_with_their_counters(tmp_path: Path) -> None:
    columns = kineto.read(written(tmp_path, EVENTS))
    column_files.save(columns, tmp_path / "kept")
    kept = column_files.load(tmp_path / "kept")
    assert series_of(kept) == EXPECTED
    assert kept.counters is not None
    assert isinstance(kept.counters.value.base, np.memmap)
    assert kept.counters.series[0] == CounterSeries("0", POWER, "watts")
    manifest = tmp_path / "kept" / column_files.MANIFEST
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "bounds": [0, 9, 3, 6]}))
    with pytest.raises(InvalidRequest, match="no valid counter bounds"):
        column_files.load(tmp_path / "kept")


def test_more_series_than_anyone_looks_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counters, "MOST_SERIES", 2)
    columns = kineto.read(written(tmp_path, [counter(f"n{at}", at, a=1) for at in range(5)]))
    assert [each.counter for each in (columns.counters.series if columns.counters else [])] == ["n0", "n1"]
    assert columns.damage == ["The first 2 counter series were read; 3 more were not."]


def test_a_cut_for_perfetto_has_the_counters_of_its_stretch(tmp_path: Path) -> None:
    path = written(tmp_path, EVENTS)
    columns = kineto.read(path)
    cut(path, tmp_path / "cut.json.gz", Stretch(0, 60_000), columns.origin_ns)
    events = json.loads(gzip.decompress((tmp_path / "cut.json.gz").read_bytes()))["traceEvents"]
    # What held at the beginning was sampled before.
    held = counter(POWER, 100.0, watts=80)
    assert [each for each in events if each["ph"] == "C"] == [EVENTS[3], EVENTS[4], EVENTS[5], held]
