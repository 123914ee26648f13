"""Many ways to read a trace give the same columns, and call trees are those of a plain stack."""

from __future__ import annotations

import gzip
import json
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genops_lab.profiling import analyze
from genops_lab.profiling.engine.columns import TEXTS, Columns
from genops_lab.profiling.engine.nesting import nearest_around
from genops_lab.profiling.engine.reading import batches, kineto, native, pieces
from genops_lab.profiling.engine.reading import files as reading
from genops_lab.profiling.engine.reading.helpers import Processes, Threads
from genops_lab.profiling.engine.reading.parts import Joined, Part
from genops_lab.profiling.engine.reading.times import (
    UNUSABLE,
    all_nanoseconds,
    nanoseconds,
)
from tests.support import exhaustive
from tests.support.exhaustive import examples
from tests.support.real_traces import TRACES

from .test_stored import plain


def contents(columns: Columns) -> dict[str, Any]:
    """All that columns say, without the numbers that happen to stand for names."""
    found: dict[str, Any] = plain(columns)
    found["name"] = [columns.names[each] for each in found["name"]]
    found["lane"] = [columns.lanes[each] for each in found["lane"]]
    found["names"] = sorted(set(found["name"]))
    found["lanes"], found["texts"] = sorted(found["lanes"]), sorted(found["texts"])
    for name in set(found["sparse"]) & set(TEXTS):
        found["sparse"][name]["value"] = [columns.texts[each] for each in found["sparse"][name]["value"]]
    if found["allocations"]:
        memory = found["allocations"]
        memory["lane"] = [columns.lanes[each] for each in memory["lane"]]
        memory["device"] = [memory["devices"][each] for each in memory["device"]]
        memory["devices"].sort()
    return found


def joined(*parts: Part) -> dict[str, Any]:
    whole = Joined()
    for part in parts:
        whole.add(part)
    return contents(whole.columns(events=whole.events, damage=[f"{whole.skipped} {whole.unusable}"]))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=4,
)
numbers = st.integers(-2, 9) | st.integers(2**40, 2**44) | json_values
times = st.integers(0, 30) | st.decimals(0, 50, places=3).map(float) | st.floats(0, 4e12) | json_values
events = st.fixed_dictionaries(
    {"ph": st.sampled_from("XXXXXXXXMis") | json_values},
    optional={
        "cat": st.sampled_from(
            ["cpu_op", "kernel", "cuda_runtime", "python_function", "Memcpy", "cuda_sync", None]
        ),
        "name": st.sampled_from(["a", "nccl", "[memory]", "thread_name"]) | json_values,
        "pid": st.integers(0, 2) | json_values,
        "tid": st.integers(0, 2) | json_values,
        "ts": times,
        "dur": times,
        "args": st.dictionaries(
            st.sampled_from(
                [
                    *(
                        "External id",
                        "external id",
                        "correlation",
                        "device",
                        "stream",
                        "bytes",
                        "Bytes",
                        "name",
                    ),
                    *(
                        "Sequence number",
                        "Python id",
                        "Python parent id",
                        "Input Dims",
                        "grid",
                        "est. achieved occupancy %",
                    ),
                    *("Device Id", "Addr", "Total Allocated", "dtype", "Call stack"),
                ]
            ),
            numbers,
            max_size=5,
        )
        | json_values,
    },
)
plain_events = st.fixed_dictionaries(
    {
        "ph": st.sampled_from("XXXXXi"),
        "cat": st.sampled_from(["cpu_op", "kernel", "cuda_runtime", "gpu_memcpy", "python_function"]),
        "name": st.sampled_from(["a", "nccl", "[memory]"]),
        "pid": st.integers(0, 2),
        "tid": st.integers(0, 2) | st.just("7"),
        "ts": st.integers(0, 30) | st.decimals(0, 50, places=3).map(float),
        "dur": st.integers(-1, 30) | st.decimals(0, 50, places=3).map(float),
        "args": st.fixed_dictionaries(
            {},
            optional={
                "External id": st.integers(-1, 5),
                "correlation": st.integers(-1, 5),
                "device": st.integers(0, 1),
                "stream": st.integers(-1, 7),
                "Input Dims": st.lists(st.integers(0, 3), max_size=2),
                "grid": st.just([1, 2, 3]),
                "est. achieved occupancy %": st.integers(0, 100) | st.floats(0, 100),
                "Device Id": st.integers(-1, 1),
                "Bytes": st.integers(-9, 9),
                "Python id": st.integers(0, 9),
                # The outermost call of a thread has none.
                "Python parent id": st.integers(0, 9) | st.none(),
            },
        ),
    }
)


def text_of(found: list[Any]) -> bytes:
    return json.dumps(found).encode()


def test_a_string_with_a_zero_byte_is_damage() -> None:
    """Also one that is passed over."""
    with pytest.raises(msgspec.DecodeError):
        batches.read(b'[{"ph":"X","cat":"kernel","name":"k","ts":1,"dur":1,"args":{"grid":"1\0002"}}]')


def exact(text: str) -> int:
    return int((Decimal(text) * 1000).quantize(Decimal(1), ROUND_HALF_EVEN))


written = st.one_of(
    st.integers(0, 2**50).map(str),
    st.decimals(0, 10**13, places=3).map(str),
    st.decimals(10**15, 2 * 10**15, places=3).map(str),
    st.decimals(0, 1000, places=6).map(str),
    st.decimals(0, 10**12, places=4).map(lambda value: f"{value:f}"),
    st.floats(0, 2.0**45).map(lambda value: f"{Decimal(value):f}"),
)


@settings(max_examples=examples(300))
@given(st.lists(written, min_size=1, max_size=6))
def test_times_are_exact(texts: list[str]) -> None:
    expected = [exact(each) for each in texts]
    assert [nanoseconds(each.encode()) for each in texts] == expected
    assert all_nanoseconds([msgspec.Raw(each.encode()) for each in texts]).tolist() == expected


def test_whole_times_that_are_too_large() -> None:
    texts = [str(each).encode() for each in (5, 2**60, -(2**63), 2**64)]
    assert all_nanoseconds([msgspec.Raw(each) for each in texts]).tolist() == [5000, *[UNUSABLE] * 3]


@pytest.mark.parametrize(
    "text", ["null", '"soon"', "[1]", "true", "1e400", "NaN", "9" * 5000, "1e9999999999999999"]
)
def test_what_is_no_time(text: str) -> None:
    assert nanoseconds(text.encode()) is None
    found = all_nanoseconds([msgspec.Raw(b"1"), msgspec.Raw(text.encode())])
    assert found.tolist() == [1000, UNUSABLE]


@settings(max_examples=examples(300))
@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 8), st.booleans()), max_size=20))
def test_call_trees_are_those_of_a_stack(found: list[tuple[int, int, bool]]) -> None:
    found = sorted(found, key=lambda each: (each[0], -each[1]))
    stack: list[int] = []
    expected = []
    for place, (start, _, holds) in enumerate(found):
        while stack and sum(found[stack[-1]][:2]) <= start and found[stack[-1]][:2] != (start, 0):
            stack.pop()
        expected.append(stack[-1] if stack else -1)
        if holds:
            stack.append(place)
    starts, lengths = (np.array([each[place] for each in found], np.int64) for place in (0, 1))
    assert nearest_around(starts, lengths, np.array([each[2] for each in found], bool)).tolist() == expected


REAL = [
    *("mi250_toy.json.gz", "triton_example.json.gz", "cpu_only.json.gz"),
    *(
        pytest.param(name, marks=pytest.mark.exhaustive)
        for name in (
            "h800_deepseek_train.json",
            "resnet50_num_workers_4.json.gz",
            "h100_owlv2.json.gz",
            "mtia_rank_0.json.gz",
            "v100_2rank_nccl.json.gz",
        )
    ),
]


@pytest.mark.skipif(not TRACES.is_dir(), reason="the real traces in ../shared/traces are not here")
@pytest.mark.parametrize("name", REAL)
def test_real_traces_are_read_the_same_in_every_way(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = TRACES / "kineto" / name
    fast = contents(kineto.read(path))
    plain_file = tmp_path / name.removesuffix(".gz")
    plain_file.write_bytes(gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes())
    for helpers_of in (Threads, Processes):
        with helpers_of(2) as helpers:
            # Helpers are given the text of compressed files, and of others the places of events.
            assert contents(kineto.read(path, helpers)) == fast
            assert contents(kineto.read(plain_file, helpers)) == fast
    monkeypatch.setattr(native, "scan", lambda _text: None)
    assert contents(kineto.read(path)) == fast


def kernels(number: int, first: int = 0) -> list[dict[str, Any]]:
    return [
        {
            "ph": "X", "cat": "kernel", "name": f"k{at % 3}", "pid": 0, "tid": 7, "ts": first + 2 * at, "dur": 1,
            "args": {"device": 0, "stream": 7, "nested": [{"a": 1}, {"b": "}, {"}]},
        }
        for at in range(number)
    ]  # fmt: skip


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "BATCH_BYTES", 5000)
    monkeypatch.setattr(pieces, "READ_BYTES", 3000)


@pytest.fixture(params=[Threads, Processes])
def with_helpers(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, small_batches: None
) -> None:
    """Even for small files."""
    monkeypatch.setattr(reading, "worth", lambda _size: True)
    monkeypatch.setattr(reading, "helpers", request.param)
    monkeypatch.setattr(reading, "cores", lambda: 2)


@pytest.mark.usefixtures("with_helpers")
def test_helpers_read_whole_and_damaged_files(tmp_path: Path) -> None:
    whole = json.dumps({"traceEvents": kernels(300), "deviceProperties": [{"id": 0}, {"id": 1}]})
    middle = whole.index('"ts"', len(whole) // 2)
    path, packed = tmp_path / "trace.json", tmp_path / "trace.json.gz"
    cases = [
        (whole, 300, ""),
        (whole[:middle], whole[:middle].count('"ts"'), "cut off"),
        (whole[:middle] + '"ts": nonsense, ' + whole[middle:], 299, "1 event could not be read"),
    ]
    # Each analysis starts its processes anew: 0.25 CPU s. Daily threads read the others.
    for text, count, damage in cases if exhaustive.ALL or reading.helpers is Threads else cases[-1:]:
        path.write_text(text)
        packed.write_bytes(gzip.compress(text.encode()))
        for summary in (analyze(path), analyze(packed)):
            assert summary.devices[0].kernels == count
            assert damage in summary.damaged


@pytest.mark.usefixtures("with_helpers")
def test_ranks_beside_each_other_keep_their_order(tmp_path: Path) -> None:
    paths = []
    for rank in range(5):
        paths.append(tmp_path / f"{rank}.json")
        document = {"traceEvents": kernels(10 * (5 - rank)), "distributedInfo": {"rank": rank}}
        paths[-1].write_text(json.dumps(document))
    summary = analyze(paths)
    assert [(each.rank, each.kernels) for each in summary.devices] == [
        (rank, 10 * (5 - rank)) for rank in range(5)
    ]


@pytest.mark.usefixtures("small_batches")
def test_a_helper_that_is_ended_costs_nothing(tmp_path: Path) -> None:
    path = tmp_path / "trace.json"
    path.write_text(json.dumps({"traceEvents": kernels(300)}))
    with Processes(2) as helpers:
        for helper in helpers._started:
            helper.kill()
            helper.wait()
        assert len(kineto.read(path, helpers)) == 300
