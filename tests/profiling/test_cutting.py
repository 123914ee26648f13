"""A stretch of time cut out of a trace file, against the events that one finds there one by one."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from genops_lab.core.errors import InvalidRequest
from genops_lab.profiling.engine import read
from genops_lab.profiling.engine.reading.cutting import Stretch, cut, json_bytes, narrowed
from tests.support.real_traces import real_trace

#: In microseconds since 1970, which a double holds to a quarter.
BEGIN = 1_669_783_687_464_181


def slice_at(ts: float, dur: float = 5, **more: Any) -> dict[str, Any]:
    return {
        "ph": "X",
        "cat": "cpu_op",
        "name": "mm",
        "pid": 1,
        "tid": 2,
        "ts": BEGIN + ts,
        "dur": dur,
        **more,
    }


def written(folder: Path, events: list[dict[str, Any]], ending: str = "]}") -> Path:
    path = folder / "t.json"
    path.write_text('{"schemaVersion": 1, "traceEvents": [' + ",\n".join(map(json.dumps, events)) + ending)
    return path


def cut_events(trace: Path, first_us: float, last_us: float, **options: Any) -> list[dict[str, Any]]:
    """What is there of a stretch after ``BEGIN``."""
    target = trace.with_name("cut")
    stretch = Stretch(round(first_us * 1000), round(last_us * 1000))
    made = cut(trace, target, stretch, BEGIN * 1000, **options)
    with gzip.open(target) as stream:
        found: list[dict[str, Any]] = json.load(stream)["traceEvents"]
    assert made.events == len(found)
    assert list(trace.parent.glob("*.part")) == []
    return found


def test_what_lies_in_a_stretch_or_reaches_into_it_is_kept_as_it_was_written(tmp_path: Path) -> None:
    name = {"ph": "M", "name": "thread_name", "pid": 1, "tid": 2, "args": {"name": "main"}}
    long = slice_at(0, 1000, args={"Input Dims": [[2, 3]], "Call stack": "a;b"})
    inside, edge = slice_at(500), slice_at(600, 0)
    flow = {"ph": "s", "id": 7, "pid": 1, "tid": 2, "ts": BEGIN + 510, "cat": "ac2g", "name": "ac2g"}
    counter = {"ph": "C", "pid": 1, "ts": BEGIN + 550, "name": "memory", "args": {"bytes": 9}}
    outside = [slice_at(490), slice_at(601), {**flow, "ts": BEGIN + 700}, {**counter, "ts": BEGIN + 700}]
    trace = written(tmp_path, [long, *outside, name, name, inside, edge, flow, counter])
    assert cut_events(trace, 500, 600) == [name, long, inside, edge, flow, counter]


def test_what_counters_held_at_the_beginning_is_told_there(tmp_path: Path) -> None:
    def sample(ts: float, name: str = "power", **more: Any) -> dict[str, Any]:
        values = more.pop("args", {"W": ts})
        return {"ph": "C", "pid": 1, "name": name, "ts": BEGIN + ts, "args": values, **more}

    trace = written(
        tmp_path,
        [
            # Out of order; of one moment the later one.
            *(sample(ts) for ts in (300, 50, 10, 700)),
            sample(50, args={"W": 51}),
            sample(400, name="never"),
            sample(20, name="memory", args={"used": 1, "free": 2}),
            sample(30, name="memory", args={"used": 3}),
            sample(40, pid=2),
            sample(45, id=7),
            {"ph": "C", "pid": 1, "name": "odd", "ts": BEGIN + 5, "args": [1]},
        ],
    )
    stretch = (100.25, 350)
    begin = pytest.approx(BEGIN + stretch[0], abs=0.3)
    assert cut_events(trace, *stretch) == [
        sample(300),
        {**sample(20, name="memory", args={"used": 1, "free": 2}), "ts": begin},
        {**sample(30, name="memory", args={"used": 3}), "ts": begin},
        {**sample(40, pid=2), "ts": begin},
        {**sample(45, id=7), "ts": begin},
        {**sample(50, args={"W": 51}), "ts": begin},
    ]
    with gzip.open(tmp_path / "cut") as stream:
        assert f'"ts":{BEGIN + 100}.250'.encode() in stream.read(), "to the nanosecond"
    # Nothing was sampled before, and nothing lies within: there is nothing to hold.
    assert cut_events(trace, 0, 1) == []
    # What is sampled at the beginning itself holds from there, not what was before.
    at = [
        each
        for each in cut_events(trace, 300, 350)
        if each["name"] == "power" and each.keys() == sample(0).keys()
    ]
    assert [each["args"] for each in at if each["pid"] == 1] == [{"W": 300}]


def test_of_a_file_that_is_cut_off_what_is_there_is_cut(tmp_path: Path) -> None:
    trace = written(tmp_path, [slice_at(0), slice_at(10)], ending=',{"ph": "X", "na')
    assert cut_events(trace, 0, 100) == [slice_at(0), slice_at(10)]


def test_times_as_texts_and_events_without_a_time(tmp_path: Path) -> None:
    text = {**slice_at(0), "ts": f"{BEGIN + 20}.125", "dur": "2"}
    trace = written(tmp_path, [text, {**slice_at(0), "ts": "soon"}, {**slice_at(0), "ts": None}])
    assert cut_events(trace, 10, 30) == [text]


def test_no_more_than_the_bound_is_written_and_the_rest_is_counted(tmp_path: Path) -> None:
    events = [slice_at(at) for at in range(1000)]
    trace = written(tmp_path, events)
    whole = trace.stat().st_size
    made = cut(trace, tmp_path / "cut", Stretch(0, 2_000_000), BEGIN * 1000, most_bytes=whole // 4)
    assert made.left_out > 0
    assert made.events + made.left_out == len(events)
    with gzip.open(tmp_path / "cut") as stream:
        assert len(stream.read()) < whole // 2


def test_a_stretch_is_narrowed_to_so_many_slices_around_a_moment(tmp_path: Path) -> None:
    columns = read(written(tmp_path, [slice_at(10 * at) for at in range(1000)]))
    whole = Stretch(0, 10_000_000)
    assert narrowed(columns, whole, 5_000_000, 1000) == whole
    less = narrowed(columns, whole, 5_000_000, 100)
    inside = (columns.ts <= less.last) & (columns.end >= less.first)
    assert 95 <= int(inside.sum()) <= 100
    assert less.first < 5_000_000 < less.last


@pytest.mark.parametrize("name", ["v100_2rank_nccl.json.gz", "h800_deepseek_train.json"])
def test_real_traces_are_cut_as_their_events_say(name: str, tmp_path: Path) -> None:
    trace = real_trace(name)
    if not trace.is_file():
        pytest.skip("the real traces in ../shared/traces are not here")
    columns = read(trace)
    middle = int(columns.end.max()) // 2
    stretch = Stretch(middle, middle + 5_000_000)
    made = cut(trace, tmp_path / "cut.json.gz", stretch, columns.origin_ns)
    again = read(tmp_path / "cut.json.gz")
    inside = (columns.ts <= stretch.last) & (columns.end >= stretch.first)
    assert len(again) == int(inside.sum()) > 50
    assert made.left_out == 0
    assert sorted((again.ts + again.origin_ns).tolist()) == sorted(
        (columns.ts[inside] + columns.origin_ns).tolist()
    )


def test_the_size_of_json_in_gzip_is_told_without_reading_it(tmp_path: Path) -> None:
    trace = written(tmp_path, [slice_at(10 * at, name=f"name {at * at}") for at in range(5000)])
    packed = tmp_path / "t.json.gz"
    packed.write_bytes(gzip.compress(trace.read_bytes()))
    assert json_bytes(packed) == json_bytes(trace) == trace.stat().st_size
    packed.write_bytes(packed.read_bytes()[:-1000])
    size = packed.stat().st_size
    assert 5 * size <= json_bytes(packed) <= 60 * size


def test_an_export_of_nsight_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "t.sqlite").write_bytes(b"SQLite format 3\x00" + bytes(100))
    with pytest.raises(InvalidRequest, match="not a JSON trace"):
        json_bytes(tmp_path / "t.sqlite")
