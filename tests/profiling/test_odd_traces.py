"""Traces written in ways that no trace at hand is written in: neutral rewritings never change the sums."""

from __future__ import annotations

import gzip
import json
import random
from decimal import Decimal
from functools import cache
from itertools import accumulate
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genops_lab.core.errors import InvalidRequest
from genops_lab.profiling import analyze
from genops_lab.profiling.engine.reading import kineto, pieces
from genops_lab.profiling.engine.reading.helpers import Processes, Threads
from genops_lab.profiling.models import ProfileSummary
from tests.support.exhaustive import examples
from tests.support.real_traces import real_trace

from .events import Event, call, kernel, operator, slice_of
from .rewriting import OF_DOCUMENTS, OF_EVENTS, OF_FILES, rewritten
from .test_reading import contents


def synthetic() -> dict[str, Any]:
    """Two devices, three streams, communication that overlaps, copies, steps, markers, memory, flows and counters."""
    events: list[Event] = [
        {"ph": "M", "name": "process_name", "pid": 1, "tid": 0, "ts": 0, "args": {"name": "python"}},
        {"ph": "M", "name": "thread_name", "pid": 1, "tid": 1, "ts": 0, "args": {"name": "main"}},
        {"ph": "M", "name": "thread_name", "pid": 0, "tid": 7, "ts": 0, "args": {"name": "stream 7"}},
    ]
    for step in range(3):
        base = 1_669_783_687_464_181 + 1000 * step
        events.append(slice_of("user_annotation", f"ProfilerStep#{step}", base, 990))
        for at in range(6):
            number = 10 * step + at + 1
            start = base + 20 * at + 0.125
            events += [
                operator("aten::mm", start, 15.25, **{"External id": number, "Sequence number": number}),
                call("cudaLaunchKernel", start + 2.5, 5.125, number),
                {"ph": "s", "id": number, "cat": "ac2g", "name": "ac2g", "pid": 1, "tid": 1, "ts": start + 2.5},
                kernel(
                    ("gemm", "ncclDevKernel_AllReduce_Sum", "relu")[at % 3], base + 100 + 30 * at, 31.5 + at, number,
                    stream=(7, 20, 7)[at % 3], device=at // 3, grid=[8, 1, 1],
                ),
                {"ph": "C", "name": "GPU 0 memory", "pid": 0, "ts": start, "args": {"bytes": 7}},
            ]  # fmt: skip
        events += [
            kernel("Memcpy HtoD (Pinned -> Device)", base + 400.5, 40, cat="gpu_memcpy", bytes=1 << 20),
            kernel("Memset (Device)", base + 450.75, 0.5, cat="gpu_memset", bytes=4096),
            slice_of("python_function", "train.py(12): step", base + 1.5, 800, **{"Python id": step + 1}),
            {
                "ph": "i", "s": "t", "cat": "cpu_instant_event", "name": "[memory]", "pid": 1, "tid": 1,
                "ts": base + 5, "args": {"Device Id": 0, "Bytes": 512, "Addr": 77 + step, "Total Allocated": 512},
            },
        ]  # fmt: skip
    return {
        "schemaVersion": 1,
        "deviceProperties": [{"id": 0, "name": "NVIDIA H100 80GB HBM3", "numSms": 132}, {"id": 1}],
        "distributedInfo": {"rank": 2, "world_size": 4},
        "displayTimeUnit": "ms",
        "baseTimeNanoseconds": 1_735_632_360_000_000_000,
        "traceEvents": events,
        "traceName": 'a "traceEvents": [ \ud83d\ude00',
    }


def sums(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(analyze(path))
    return found


def read_back(path: Path, file: bytes) -> dict[str, Any]:
    path.write_bytes(file)
    return sums(path)


SYNTHETIC = synthetic()


@cache
def expected() -> dict[str, Any]:
    with TemporaryDirectory() as folder:
        return read_back(Path(folder) / "trace.json", json.dumps(SYNTHETIC).encode())


def test_the_synthetic_trace_is_read_whole() -> None:
    plain = expected()
    assert (plain["damaged"], plain["ranks"], plain["events"]) == ("", [2], len(SYNTHETIC["traceEvents"]))
    assert [(each["device"], each["kernels"]) for each in plain["devices"]] == [("0", 9), ("1", 9)]
    assert all(each["exposed_comm_us"] > 0 for each in plain["devices"])


@pytest.mark.parametrize("name", OF_EVENTS)
def test_events_written_otherwise(name: str, tmp_path: Path) -> None:
    for seed in range(3):
        file = rewritten(SYNTHETIC, [name], "as it comes", "plain", seed)
        assert read_back(tmp_path / "trace.json", file) == expected()


@pytest.mark.parametrize("packing", OF_FILES)
@pytest.mark.parametrize("style", OF_DOCUMENTS)
def test_documents_written_otherwise(style: str, packing: str, tmp_path: Path) -> None:
    assert read_back(tmp_path / "trace.json", rewritten(SYNTHETIC, [], style, packing, 0)) == expected()


@pytest.mark.parametrize("packing", ["plain", "gzip"])
def test_helpers_read_documents_written_otherwise(
    packing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces, "BATCH_BYTES", 3000)
    path = tmp_path / "trace.json"
    for helpers_of in (Threads, Processes):
        with helpers_of(2) as helpers:
            for style in OF_DOCUMENTS:
                path.write_bytes(
                    rewritten(SYNTHETIC, ["devices with a point", "times as texts"], style, packing, 1)
                )
                assert contents(kineto.read(path, helpers)) == contents(kineto.read(path)), style


@settings(max_examples=examples(150), deadline=None)
@given(
    st.sets(st.sampled_from(sorted(OF_EVENTS)), max_size=6),
    st.sampled_from(sorted(OF_DOCUMENTS)),
    st.sampled_from(sorted(OF_FILES)),
    st.integers(0, 1 << 30),
    st.sampled_from([pieces.BATCH_BYTES, 4000, 300]),
)
def test_neutral_rewriting_never_changes_the_sums(
    tmp_path_factory: pytest.TempPathFactory,
    names: set[str],
    style: str,
    packing: str,
    seed: int,
    batch: int,
) -> None:
    path = tmp_path_factory.getbasetemp() / "rewritten.json"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces, "BATCH_BYTES", batch)
        assert read_back(path, rewritten(SYNTHETIC, list(names), style, packing, seed)) == expected()


@pytest.mark.parametrize("seed", range(3))
def test_slices_as_begins_and_ends_in_any_order(seed: int, tmp_path: Path) -> None:
    events: list[Event] = []
    for each in SYNTHETIC["traceEvents"]:
        if each["ph"] != "X":
            events.append(each)
            continue
        rest = {key: value for key, value in each.items() if key != "dur"}
        events.append({**rest, "ph": "B"})
        stop = Decimal(repr(each["ts"])) + Decimal(repr(each["dur"]))
        events.append({**rest, "ph": "E", "ts": str(stop), "args": {}})
    random.Random(seed).shuffle(events)
    found = read_back(tmp_path / "trace.json", json.dumps({**SYNTHETIC, "traceEvents": events}).encode())
    assert found == {**expected(), "events": len(events)}


@settings(max_examples=examples(80), deadline=None)
@given(
    st.floats(0, 1),
    st.sampled_from([",", ",\n", " ,\r\n  ", "\t,\t"]),
    st.sampled_from(["[", '{"schemaVersion": 1, "traceEvents": [', '{\n"traceEvents"\n:\n[\n']),
    st.sampled_from([None, 3]),
    st.sampled_from([pieces.BATCH_BYTES, 2000, 300]),
)
def test_of_a_file_that_is_cut_off_all_whole_events_are_read(
    tmp_path_factory: pytest.TempPathFactory,
    where: float,
    between: str,
    head: str,
    indent: int | None,
    batch: int,
) -> None:
    path = tmp_path_factory.getbasetemp() / "cut.json"
    texts = [json.dumps(each, indent=indent) for each in SYNTHETIC["traceEvents"]]
    end = int(where * len(head + between.join(texts)))
    ends = accumulate((len(each) + len(between) for each in texts), initial=len(head) - len(between))
    whole = sum(at <= end for at in list(ends)[1:])
    path.write_bytes((head + between.join(texts)).encode()[:end])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces, "BATCH_BYTES", batch)
        try:
            summary = analyze(path)
        except InvalidRequest:
            assert whole == 0
            return
    path.write_text(json.dumps(SYNTHETIC["traceEvents"][:whole]))
    assert (summary.events, summary.devices) == (whole, analyze(path).devices)
    assert summary.damaged or head == "["


REAL = [
    "mi250_toy.json.gz",
    "triton_example.json.gz",
    "cpu_only.json.gz",
    pytest.param("dlrm_8ranks/worker3.json.gz", marks=pytest.mark.exhaustive),
]


@pytest.mark.parametrize("name", REAL)
def test_real_traces_written_otherwise(name: str, tmp_path: Path) -> None:
    trace = real_trace(name)
    if not trace.is_file():
        pytest.skip("the real traces in ../shared/traces are not here")
    document = json.loads(gzip.decompress(trace.read_bytes()))
    plain = sums(trace)
    # Of operators with one start and one length the file's order tells which is outside.
    events = [each for each in OF_EVENTS if each != "any order"]
    for number, (event, style) in enumerate(zip(events, [*OF_DOCUMENTS] * 3, strict=False)):
        found = read_back(tmp_path / "t", rewritten(document, [event], style, "plain", number))
        assert found == plain, (event, style)


def of(path: Path, *events: Any, **document: Any) -> ProfileSummary:
    path.write_text(json.dumps({"traceEvents": events, **document}))
    return analyze(path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "trace.json"


def placed(device: Any, stream: Any, at: int) -> Event:
    event = kernel("k", at, 1)
    return event | {"args": {"device": device, "stream": stream}}


def test_one_device_and_one_stream_however_they_are_written(path: Path) -> None:
    devices = [0, 0.0, "0", [0], "cuda:0", "CUDA:0", "gpu 0", "xpu:0", "0.0"]
    streams = [7, 7.0, "7", [7]]
    events = [placed(device, streams[at % 4], 2 * at) for at, device in enumerate(devices[:-1])]
    summary = of(path, *events)
    assert [(each.device, each.kernels) for each in summary.devices] == [("0", len(events))]
    assert [(each.stream, each.kernels) for each in summary.streams] == [("7", len(events))]
    # Two devices stay two, and a device with a name of its own keeps it.
    others = of(path, placed("cuda:1", 7, 0), placed(0, 7, 2), placed("GPU-7f3a", 7, 4))
    assert [each.device for each in others.devices] == ["0", "1", "GPU-7f3a"]


@pytest.mark.parametrize(
    "arguments", [[1, 2], "text", 7, True, [], None, {"device": None}, {"device": ""}, {"stream": {"a": 1}}]
)
def test_arguments_that_say_nothing_cost_no_kernel(path: Path, arguments: Any) -> None:
    summary = of(path, kernel("k", 0, 1), {**kernel("k", 5, 2), "args": arguments})
    assert [(each.device, each.kernels, each.busy_us) for each in summary.devices] == [("0", 2, 3)]
    assert summary.damaged == ""


def test_one_wrong_argument_costs_only_itself(path: Path) -> None:
    odd = kernel("k", 5, 2, grid="none", bytes=[1])
    odd["args"] |= {"correlation": "seven", "shared memory": {"a": 1}, "External id": [2]}
    launch = call("cudaLaunchKernel", 0, 1, 3)
    summary = of(path, launch, kernel("k", 9, 1, correlation=3), odd)
    assert (summary.devices[0].kernels, summary.launches[0].launches, summary.damaged) == (2, 1, "")


def begin(name: str, at: Any, **more: Any) -> Event:
    return {"ph": "B", "cat": "cpu_op", "name": name, "pid": 1, "tid": 1, "ts": at, **more}


def end(at: Any, **more: Any) -> Event:
    return {"ph": "E", "pid": 1, "tid": 1, "ts": at, **more}


@pytest.mark.parametrize(
    ("events", "lengths"),
    [
        # The clock counts, not the file.
        ([end(10), begin("a", 0)], {"a": 10}),
        ([begin("a", 0), begin("b", 10), end(10, name="a"), end(20, name="b")], {"a": 10, "b": 10}),
        ([begin("a", 0), begin("b", 4), end(6, name="a"), end(9, name="b")], {"a": 6, "b": 5}),
        ([begin("a", 0), begin("a", 4), end(6, name="a"), end(9, name="a")], {"a": 9}),
        ([end(3), end(5, name="x"), begin("a", 6), end(7, name="x"), end(8)], {"a": 2}),
        ([begin("a", 0), end(6, tid="1", pid=1.0)], {"a": 6}),
        ([begin("a", "0.5"), end("1e1")], {"a": 9.5}),
        ([begin("a", 0, args=[3]), end(10)], {"a": 10}),
        ([begin("a", 5), end(5)], {"a": 0}),
    ],
)
def test_begins_and_ends(path: Path, events: list[Event], lengths: dict[str, float]) -> None:
    summary = of(path, *events)
    assert {each.name: each.total_us for each in summary.operators} == lengths
    assert (summary.events, summary.damaged) == (len(events), "")


def test_kernels_as_begins_and_ends(path: Path) -> None:
    place = {"pid": 0, "tid": 7, "args": {"device": 0, "stream": 7}}
    events = [begin("k", 3, **place, cat="kernel"), end(8, **place), begin("open", 9, **place, cat="kernel")]
    summary = of(path, *events)
    assert (summary.devices[0].busy_us, summary.damaged) == (5, "1 event has no usable time.")


@pytest.mark.parametrize(
    ("ts", "dur", "busy"),
    [
        ('"123.456"', '"7.5"', 7.5),
        ("1.5e9", "2.5E1", 25),
        ("-120.5", "3", 3),
        ("1732620601000123.4567", "0.001", 0.001),
        ("4e15", "0", 0),
        ("5", "null", None),
        ("5", '"long"', None),
        ("NaN", "5", None),
        ("5", "-Infinity", None),
        ("5", "-0.5", None),
        ("true", "5", None),
        ("[5]", "5", None),
        ("1732620601000123456789", "5", None),
    ],
)
def test_times_as_programs_write_them(path: Path, ts: str, dur: str, busy: float | None) -> None:
    text = f'{{"ph": "X", "cat": "kernel", "name": "k", "pid": 0, "tid": 7, "ts": {ts}, "dur": {dur}}}'
    path.write_text(f'{{"traceEvents": [{text}]}}')
    summary = analyze(path)
    assert summary.events == 1
    assert [each.busy_us for each in summary.devices] == ([] if busy is None else [busy])
    assert summary.damaged == ("1 event has no usable time." if busy is None else "")


def test_names_of_all_kinds(path: Path) -> None:
    names = ['a"b\\c\n\t', "\u0000", "日本語 \U0001f600", "}, {", "[" * 300, "x" * 100_000, "", "</script>"]
    summary = of(path, *(kernel(name, 2 * at, 1) for at, name in enumerate(names)))
    assert {each.name for each in summary.devices[0].top_kernels} == set(names)
    assert summary.damaged == ""


def test_a_second_list_of_events_is_told(path: Path) -> None:
    first, second = json.dumps([kernel("k", 0, 1)]), json.dumps([kernel("k", 5, 2)])
    for text in (
        f'{{"traceEvents": {first}, "displayTimeUnit": "ms", "traceEvents": {second}}}',
        f'{{"traceEvents": {first}}}\n{{"traceEvents": {second}}}',
    ):
        path.write_text(text)
        summary = analyze(path)
        assert (summary.events, summary.devices[0].busy_us) == (1, 1)
        assert summary.damaged == "The file has a second list of events, which was not read."
    path.write_text(f"{first}\n{second}\n")
    assert analyze(path).damaged == "Data after the list of events was not read."
    path.write_bytes(f"{first}\n".encode() + bytes(40))
    assert analyze(path).damaged == ""


@pytest.mark.parametrize("batch", [pieces.BATCH_BYTES, 2000])
@pytest.mark.parametrize("between", [",,", "\n", " \n,\n,\n"])
def test_events_without_one_comma_between_them(
    path: Path, between: str, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces, "BATCH_BYTES", batch)
    texts = [json.dumps(kernel("k", 2 * at, 1)) for at in range(12)]
    for text in (
        between.join(texts),
        ", ".join(texts[:6]) + between + ", ".join(texts[6:]),
        between.lstrip("\n") + between.join(texts),
    ):
        path.write_text(f'{{"traceEvents": [{text}], "distributedInfo": {{"rank": 3}}}}')
        summary = analyze(path)
        assert (summary.events, summary.devices[0].busy_us, summary.ranks) == (12, 12, [3])
        assert summary.damaged == "The file is damaged: commas between its events are missing or doubled."


@pytest.mark.parametrize("phases", [("i", "X"), ("X", "X"), ("E", "X"), ("?", "X"), ("X", "i")])
def test_a_phase_twice(path: Path, phases: tuple[str, str]) -> None:
    inside = json.dumps(kernel("k", 1, 4))[1:-1].replace('"ph": "X", ', "")
    path.write_text(f'[{{"ph": "{phases[0]}", {inside}, "ph": "{phases[1]}"}}]')
    summary = analyze(path)
    assert ([each.busy_us for each in summary.devices], summary.damaged) == (
        [4] if phases[1] == "X" else [],
        "",
    )


@pytest.mark.parametrize("packed", [False, True])
def test_events_line_by_line_are_refused_in_words(path: Path, packed: bool) -> None:
    text = "\n".join(json.dumps(kernel("k", at, 1)) for at in range(5)).encode()
    path.write_bytes(gzip.compress(text) if packed else text)
    with pytest.raises(InvalidRequest, match="JSON Lines") as refused:
        analyze(path)
    assert refused.value.hint == "Put the events into one list: jq -s . FILE > events.json"


@pytest.mark.parametrize("inner", ["[1, 2,]", '[{"a": 1},]'])
def test_a_comma_inside_an_event_costs_only_that_event(path: Path, inner: str) -> None:
    texts = [json.dumps(kernel("k", 2 * at, 1)) for at in range(5)]
    texts[2] = texts[2].replace('"device"', f'"list": {inner}, "device"')
    path.write_text(f'{{"traceEvents": [{", ".join(texts)},]}}')
    summary = analyze(path)
    assert (summary.devices[0].kernels, summary.damaged) == (4, "1 event could not be read.")
