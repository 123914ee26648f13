"""``genops profiles``: memory snapshots and two traces, without a Lab."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

from tests.profiling.snapshots import at, block, entry, segment, snapshot
from tests.support import ncu_reports
from tests.support.homes import Home

from .conftest import genops

MiB = 1 << 20


def kernel(name: str, ts: float, dur: float) -> dict[str, Any]:
    event = {"ph": "X", "cat": "kernel", "name": name, "pid": 0, "tid": 7, "ts": ts, "dur": dur}
    return {**event, "args": {"device": 0, "stream": 7}}


def write(path: Path, *events: dict[str, Any]) -> None:
    path.write_text(json.dumps({"traceEvents": events}))


def test_a_memory_snapshot(home: Home) -> None:
    found = snapshot(
        [segment(block(1, 6 * MiB, at(2)), block(7 * MiB, 2 * MiB, state="inactive"))],
        [entry("alloc", 1, 6 * MiB, at(2)), entry("oom", 0, 64 * MiB, at(9), device_free=MiB)],
    )
    (home.work / "snapshot.pickle").write_bytes(pickle.dumps(found))
    outcome = genops(home, "profiles", "memory", "snapshot.pickle", "--json")
    assert outcome.code == 0, outcome.err
    [device] = outcome.json["devices"]
    assert (device["reserved"], device["allocated"], device["peak"]) == (8 * MiB, 6 * MiB, 6 * MiB)
    [failure] = outcome.json["out_of_memory"]
    assert (failure["wanted"], failure["holders"][0]["name"]) == (64 * MiB, "345.py:2:<module>")
    text = genops(home, "profiles", "memory", "snapshot.pickle").out
    assert "out of memory: 64.0 MiB were requested, 1.0 MiB were free" in text.replace(" after 0.000 µs", "")
    assert "The request came from 345.py:9:<module>." in text
    assert "345.py:2:<module>" in text and "25.0 % of reserved memory" in text
    assert "345.py:2:<module>" in genops(home, "profiles", "analyze", "snapshot.pickle").out


def test_memory_from_before_the_recording_is_shown_by_line(home: Home) -> None:
    found = snapshot(
        [segment(block(1, 9 * MiB, at(4)), block(10 * MiB, 3 * MiB, at(2)))],
        [entry("alloc", 10 * MiB, 3 * MiB, at(2))],
    )
    (home.work / "snapshot.pickle").write_bytes(pickle.dumps(found))
    text = " ".join(genops(home, "profiles", "memory", "snapshot.pickle").out.split())
    assert "Memory by line at the peak (allocated during the recording)" in text
    assert "345.py:2:<module> 3.0 MiB 100.0 % 1" in text
    older = text.partition("Memory by line before the recording")[2]
    assert "345.py:4:<module> 9.0 MiB 100.0 % 1" in older


def test_a_hostile_snapshot(home: Home) -> None:
    (home.work / "snapshot.pickle").write_bytes(b"\x80\x04cos\nsystem\n(X\x08\x00\x00\x00touch ittR.")
    refused = genops(home, "profiles", "memory", "snapshot.pickle", "--json")
    assert (refused.code, refused.out) == (2, "")
    error = json.loads(refused.err.strip().splitlines()[-1])["error"]
    assert error["code"] == "unsafe_pickle" and "load a function or class (GLOBAL)" in error["message"]
    assert [each.name for each in home.work.iterdir()] == ["snapshot.pickle"]


def test_a_trace_without_memory_events(home: Home) -> None:
    write(home.work / "trace.json", kernel("gemm", 0, 5))
    refused = genops(home, "profiles", "memory", "trace.json")
    assert refused.code == 2
    assert "has no memory events" in refused.err and "profile_memory=True" in refused.err


def test_two_reports_of_nsight_compute(home: Home) -> None:
    for name, us in (("a", 100.0), ("b", 60.0)):
        (home.work / f"{name}.ncu-rep").write_bytes(ncu_reports.report([ncu_reports.kernel("gemm", us)]))
    text = genops(home, "profiles", "diff", "a.ncu-rep", "b.ncu-rep").out
    assert "Times of all measured GPU kernels, over all devices" in text and "whole trace" not in text
    assert "−40.000 µs (−40.0 %)" in text and "[64, 1, 1] × [256, 1, 1]" in text


def test_two_traces(home: Home) -> None:
    write(home.work / "a.json", kernel("gemm", 0, 5), kernel("relu", 10, 5))
    (home.work / "ranks").mkdir()
    for rank in range(2):
        write(home.work / "ranks" / f"{rank}.json", kernel("gemm", 0, 2), kernel("gelu", 10, 5))
    outcome = genops(home, "profiles", "diff", "a.json", "ranks", "--json")
    assert outcome.code == 0, outcome.err
    assert {
        each["name"]: (each["state"], each["before_us"], each["after_us"]) for each in outcome.json["kernels"]
    } == {
        "gemm": ("both", 5.0, 4.0),
        "relu": ("removed", 5.0, 0.0),
        "gelu": ("added", 0.0, 10.0),
    }
    text = genops(home, "profiles", "diff", "a.json", "ranks").out
    assert "The number of ranks differs: 1 before, 2 after" in text
    assert "−1.000 µs (−20.0 %)" in text and "added" in text
    assert "Times of the whole trace, over all devices" in text
    same = genops(home, "profiles", "diff", "a.json", "a.json").out
    assert "No change." in same
    assert genops(home, "profiles", "diff", "a.json", "none.json").code == 3
    (home.work / "empty").mkdir()
    assert genops(home, "profiles", "diff", "a.json", "empty").code == 3


def test_damaged_and_empty_traces_have_an_exit_code_of_their_own(home: Home) -> None:
    """The answer is there all the same, and says of what it is."""
    write(home.work / "whole.json", *(kernel("gemm", 1000.0 * number, 50) for number in range(10)))
    text = (home.work / "whole.json").read_text()
    (home.work / "cut.json").write_text(text[: len(text) - 40])
    write(home.work / "empty.json")
    assert genops(home, "profiles", "analyze", "whole.json").code == 0
    cut = genops(home, "profiles", "analyze", "cut.json")
    assert cut.code == 6 and "gemm" in cut.out
    assert "Advice on the part of the trace that could be read" in cut.out
    assert "The file is cut off" in cut.err
    empty = genops(home, "profiles", "analyze", "empty.json")
    assert empty.code == 6 and "The trace has no events." in empty.err
    compared = genops(home, "profiles", "diff", "whole.json", "cut.json", "--json")
    assert compared.code == 6 and compared.json["incomplete"]
