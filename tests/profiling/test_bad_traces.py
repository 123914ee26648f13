"""Traces that are damaged, odd or none: a result or a clear error, in bounded memory."""

from __future__ import annotations

import gzip
import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genops_lab.core.errors import GenOpsError, InvalidRequest
from genops_lab.profiling import analyze
from genops_lab.profiling.engine.reading import batches, kineto, pieces
from genops_lab.profiling.models import ProfileSummary
from tests.support.exhaustive import examples
from tests.support.real_traces import TRACES


def kernel(at: int, **rest: Any) -> dict[str, Any]:
    return {
        "ph": "X", "cat": "kernel", "name": "k", "pid": 0, "tid": 7, "ts": at, "dur": 1,
        "args": {"device": 0, "stream": 7, "correlation": at}, **rest,
    }  # fmt: skip


def of(path: Path, events: list[Any], **document: Any) -> ProfileSummary:
    path.write_text(json.dumps({"traceEvents": events, **document}))
    return analyze(path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "trace.json"


def test_one_event_of_each_oddity_costs_only_itself(path: Path) -> None:
    odd = [
        kernel(10, dur=-1),
        kernel(10, ts=None),
        kernel(10, name=3),
        kernel(10, cat=["kernel"]),
        # Its arguments say nothing, its times do: it counts, on the device that its process is.
        kernel(10, args=[1, 2]),
        {"ph": "?"},
        {"no": "phase"},
        None,
        7,
    ]
    summary = of(path, [kernel(0), *odd, kernel(20)])
    assert [(each.device, each.kernels) for each in summary.devices] == [("0", 3)]
    assert summary.events == 11
    assert "4 events could not be read." in summary.damaged
    assert "2 events have no usable time." in summary.damaged


def test_more_events_than_memory_can_hold_are_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kineto, "MAX_EVENTS", 100_000)
    event = json.dumps(kernel(1))
    with gzip.open(path.with_suffix(".json.gz"), "wt", compresslevel=1) as stream:
        stream.write("[" + event)
        for _ in range(12):
            stream.write(("," + event) * 10_000)
        stream.write("]")
    with pytest.raises(InvalidRequest, match="has more than 100,000 events") as refused:
        analyze(path.with_suffix(".json.gz"))
    assert "--steps" in refused.value.hint


def test_damage_that_comes_often_is_looked_at_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A text that was overwritten in the middle, packed again: each damaged event cost a look at a megabyte."""
    events = [kernel(at, name=f"info_{at}") for at in range(6_000)]
    text = bytearray(json.dumps({"traceEvents": events}).encode())
    noise = random.Random(7)
    for _ in range(240):
        text[noise.randrange(len(text) // 4, 3 * len(text) // 4)] = noise.choice(b'"{}\\\0\xff')
    packed = path.with_suffix(".json.gz")
    packed.write_bytes(gzip.compress(bytes(text), 1))
    looked_at = 0
    read = batches.read

    def counted(part: bytes | bytearray) -> Any:
        nonlocal looked_at
        looked_at += len(part)
        return read(part)

    monkeypatch.setattr(batches, "read", counted)
    summary = analyze(packed)
    assert "events could not be read" in summary.damaged
    assert summary.events > 5_700
    assert looked_at < 20 * len(text)


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity", "-nan", "inf"])
def test_words_that_are_no_json_cost_only_what_they_stand_for(path: Path, word: str) -> None:
    texts = [json.dumps(kernel(2 * at, name='say "inf", nan')) for at in range(50)]
    texts[20] = texts[20].replace('"dur": 1', f'"dur": {word}')
    texts[30] = texts[30].replace('"correlation": 60', f'"bandwidth": {word}, "device": {word}')
    path.write_text('{"traceEvents": [' + ",\n".join(texts) + "]}")
    summary = analyze(path)
    [device] = summary.devices
    assert (device.kernels, [each.name for each in device.top_kernels]) == (49, ['say "inf", nan'])
    assert (summary.events, summary.damaged) == (50, "1 event has no usable time.")


def test_half_a_pair_of_utf16_costs_only_itself(path: Path) -> None:
    names = ["a \ud83d", "\udc00 b", "\\ud800 is written", "\U0001f600 whole"]
    summary = of(path, [kernel(2 * at, name=name) for at, name in enumerate(names)])
    assert summary.damaged == ""
    found = {each.name for each in summary.devices[0].top_kernels}
    assert found == {"a ??????", "?????? b", "\\ud800 is written", "\U0001f600 whole"}


def test_arguments_that_are_null_are_none(path: Path) -> None:
    summary = of(path, [kernel(0), kernel(2, args=None)])
    assert (summary.devices[0].kernels, summary.damaged) == (2, "")


@pytest.mark.parametrize(
    "text", ["[1, 2]", '["a"]', '[{"question": "a", "answer": "b"}]', '{"traceEvents": [{}]}']
)
def test_lists_of_other_things_are_no_traces(path: Path, text: str) -> None:
    path.write_text(text)
    with pytest.raises(GenOpsError, match="is not a trace: its list has no events"):
        analyze(path)


def test_what_comes_after_a_compressed_trace(path: Path) -> None:
    whole = gzip.compress(json.dumps([kernel(0)]).encode())
    for after, damage in (
        (b"\0" * 512, ""),
        (b"more", "Data after the compressed trace was not read."),
        (whole[:9], "The compressed file is cut off; the part before was read."),
    ):
        path.write_bytes(whole + after)
        summary = analyze(path)
        assert (summary.events, summary.damaged, summary.incomplete) == (1, damage, bool(damage))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"traceEvents": [%s], "a": [{}]}', ""),
        ('{"traceEvents": [%s], "a": NaN}\n\0\0 ', ""),
        ('{"traceEvents": [%s, {"ph": "X", "name": 3}]}', "1 event could not be read."),
        ("[%s", ""),  # as Chrome allows
        ("[%s]x", "Data after the list of events was not read."),
        ('{"traceEvents": [%s]', "The file is cut off after its events."),
        ('{"traceEvents": [%s]} more', "Data after the trace in the file was not read."),
        ('{"traceEvents": [%s]}}', "Data after the trace in the file was not read."),
        ('{"traceEvents": [%s], "a": [{', "The file is cut off after its events."),
        ('{"traceEvents": [%s', "The file is cut off; it was read up to its last complete event."),
        ('{"traceEvents": [%s, {"ph": x}, {"ph": "M", "name": "n"}]}', "1 event could not be read."),
    ],
)
def test_what_is_not_whole_is_said_and_marked(path: Path, text: str, said: str) -> None:
    """An odd event is none of a damaged file."""
    path.write_text(text % json.dumps(kernel(0)))
    summary = analyze(path)
    assert summary.damaged == said
    assert summary.incomplete == (bool(said) and '"name": 3' not in text)


def test_what_ends_before_its_events_is_said_to_be_damaged(path: Path) -> None:
    text = json.dumps({"deviceProperties": [{"id": 0}], "traceEvents": [kernel(0)]}).encode()
    for data, said in (
        (text[:20], "The file is cut off"),
        (gzip.compress(text)[:30], "The compressed file is cut off"),
        (text.decode().encode("utf-16"), "UTF-16"),
    ):
        path.write_bytes(data)
        with pytest.raises(GenOpsError, match=said):
            analyze(path)


def test_ids_that_come_twice_and_clocks_out_of_order(path: Path) -> None:
    launch = {"ph": "X", "cat": "cuda_runtime", "name": "cudaLaunchKernel", "pid": 1, "tid": 1}
    first = {**launch, "ts": 900, "dur": 1, "args": {"correlation": 5}}
    second = {**launch, "ts": 100, "dur": 1, "args": {"correlation": 5}}
    summary = of(
        path, [first, second, kernel(950, args={"correlation": 5}), kernel(5, args={"correlation": 5})]
    )
    assert summary.damaged == ""
    assert (summary.devices[0].span_us, summary.devices[0].busy_us) == (946, 2)


def test_begins_and_ends_are_slices(path: Path) -> None:
    place = {"cat": "cpu_op", "pid": 1, "tid": 1}
    summary = of(
        path,
        [
            {"ph": "B", "name": "outer", "ts": 0, **place, "args": {"Sequence number": 4}},
            {"ph": "B", "name": "inner", "ts": "2.5", **place},
            {"ph": "B", "name": "elsewhere", "ts": 3, **place, "tid": 2},
            {"ph": "E", "ts": 6, "pid": 1, "tid": 1},
            {"ph": "E", "ts": 10, "pid": 1, "tid": 1},
            {"ph": "E", "ts": 11, "pid": 1, "tid": 1},
        ],
    )
    times = {each.name: (each.self_us, each.total_us) for each in summary.operators}
    assert times == {"outer": (6.5, 10), "inner": (3.5, 3.5)}
    assert summary.events == 6
    assert summary.damaged == "1 event has no usable time."


def test_begins_and_ends_meet_over_batches(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "BATCH_BYTES", 200)
    place = {"cat": "cpu_op", "pid": 1, "tid": 1}
    found: list[Any] = [{"ph": "B", "name": "outer", "ts": 0, **place}]
    for at in range(2, 100, 2):
        found.append({"ph": "B", "name": "f", "ts": at, **place})
        found.append({"ph": "E", "ts": at + 1, "pid": 1, "tid": 1})
    summary = of(path, [*found, {"ph": "E", "ts": 200, "pid": 1, "tid": 1}])
    assert {each.name: (each.count, each.total_us) for each in summary.operators} == {
        "outer": (1, 200),
        "f": (49, 49),
    }


@pytest.mark.parametrize("depth", [150, 5_000, 200_000])
def test_deeply_nested_arguments(path: Path, depth: int) -> None:
    texts = [json.dumps(kernel(2 * at)) for at in range(30)]
    texts[10] = texts[10].replace('"device"', '"deep": ' + "[" * depth + "]" * depth + ', "device"')
    path.write_text('{"traceEvents": [' + ",\n".join(texts) + "]}")
    summary = analyze(path)
    assert summary.devices[0].kernels == (30 if depth < 200 else 29)
    assert summary.damaged == ("" if depth < 200 else "1 event could not be read.")


def test_forms_of_documents(path: Path) -> None:
    found = [kernel(2 * at, args={"device": 0, "list": [{"a": 1}, {"b": 2}]}) for at in range(20)]
    document = {
        "note": 'a "traceEvents": [ in a text',
        "deviceProperties": [{"id": 0}, {"id": 1}],
        "traceEvents": found,
    }
    texts = [
        json.dumps(document),
        json.dumps(document, indent=4),
        json.dumps(document, separators=(",", ":")),
        json.dumps(document).replace(", ", "\t,\r\n\r\n   ").replace(": ", " \n:\t"),
        "\ufeff" + json.dumps(document),
        json.dumps(found, indent=1),
        "  \n" + json.dumps(found),
        json.dumps({"traceEvents": found, "distributedInfo": {"rank": 2}, "more": [{"x": 1}, {"y": 2}]}),
    ]
    for text in texts:
        path.write_text(text)
        summary = analyze(path)
        assert (summary.events, summary.damaged) == (20, ""), text[:80]
    assert summary.ranks == [2]


def test_the_number_of_a_rank_and_the_devices_stand_before_or_after(path: Path) -> None:
    for document in (
        {
            "distributedInfo": {"rank": 3, "world_size": 4},
            "deviceProperties": [{"numSms": 80}],
            "traceEvents": [kernel(0)],
        },
        {
            "traceEvents": [kernel(0)],
            "deviceProperties": [{"numSms": 80}],
            "distributedInfo": {"rank": 3, "world_size": 4},
        },
    ):
        path.write_text(json.dumps(document))
        columns = kineto.read(path)
        assert (columns.rank, columns.world_size, columns.device_properties) == (3, 4, [{"numSms": 80}])


STREAMED = """
import resource, sys
from pathlib import Path
from genops_lab.core.errors import GenOpsError, InvalidRequest
from genops_lab.profiler import analyze
resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
try:
    summary = analyze(sys.argv[1])
    print(summary.events, summary.damaged)
except GenOpsError as error:
    print(error)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10)
"""


@pytest.mark.parametrize(
    "before",
    [
        pytest.param("", marks=pytest.mark.exhaustive),
        '{"traceEvents": [{"ph": "X", "name": "k"}, {"name": "',
    ],
)
def test_two_gigabytes_of_one_string_take_bounded_memory(tmp_path: Path, before: str) -> None:
    path = tmp_path / "huge.json.gz"
    before = before or '{"note": "'
    piece = gzip.compress(b"x" * (8 << 20), 1)
    with path.open("wb") as stream:
        stream.write(gzip.compress(before.encode()))
        for _ in range(256):
            stream.write(piece)
        stream.write(gzip.compress(b'"}]}'))
    answer = subprocess.run(
        [sys.executable, "-c", STREAMED, str(path)], capture_output=True, text=True, check=True, timeout=300
    )
    output, peak = answer.stdout.splitlines()
    assert "is not a trace" in output or output.startswith("1 An event is larger than")
    assert int(peak) < 1200


@pytest.mark.parametrize(
    "text", ["", " ", "[", "{", '{"traceEvents"', '{"traceEvents": [', '{"traceEvents": [{', "[1"]
)
def test_almost_nothing(path: Path, text: str) -> None:
    path.write_text(text)
    try:
        assert analyze(path).events <= 1
    except GenOpsError as error:
        assert "is not a trace" in str(error)


def test_a_folder_stands_for_its_traces(tmp_path: Path) -> None:
    with pytest.raises(GenOpsError, match="There is no trace in"):
        analyze(tmp_path)
    for number in (2, 10):
        of(tmp_path / f"worker{number}.json", [kernel(0, name=f"k{number}")])
    (tmp_path / "notes.txt").write_text("none")
    summary = analyze(tmp_path)
    assert [(each.rank, each.top_kernels[0].name) for each in summary.devices] == [(0, "k2"), (1, "k10")]
    of(tmp_path / "worker3.json", [kernel(0)], distributedInfo={"rank": "7"})
    of(tmp_path / "worker4.json", [kernel(0)], distributedInfo={"rank": True})
    assert analyze([tmp_path / "worker4.json", tmp_path / "worker3.json"]).ranks == [0, 7]


SEED_EVENTS = [
    *(
        kernel(at, ts=at + 0.125, args={"device": 0, "grid": [1, 2], "l": [{"a": 1}, {"b": 2}]})
        for at in range(6)
    ),
    {"ph": "X", "cat": "cpu_op", "name": "aten::mm é", "pid": 1, "tid": "2", "ts": "12.5", "dur": 3},
    {"ph": "X", "cat": "cpu_op", "name": "a", "pid": 1, "tid": 2, "ts": 1, "args": {"Input Dims": [[1], []]}},
    {"ph": "i", "name": "[memory]", "pid": 1, "tid": 2, "ts": 5, "args": {"Bytes": -8, "Device Id": 0}},
    {"ph": "M", "name": "thread_name", "pid": 1, "tid": 2, "args": {"name": "main"}},
    {"ph": "B", "cat": "cpu_op", "name": "b", "pid": 1, "tid": 3, "ts": 1},
    {"ph": "E", "pid": 1, "tid": 3, "ts": 2},
]
SEED = json.dumps(
    {"schemaVersion": 1, "deviceProperties": [{"id": 0}], "traceEvents": SEED_EVENTS, "traceName": "t"},
    ensure_ascii=False,
).encode()
INSERTED = [b"", b"\xff", b'"', b"{", b"}", b"[", b"]", b",", b"\\", b"-", b"1e9", b"null", b"\x00", b"}, {"]
change = st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 12), st.sampled_from(INSERTED))
mutations = st.lists(change, min_size=1, max_size=5)


def mutated(text: bytes, changes: list[tuple[float, int, bytes]]) -> bytes:
    for where, length, put in changes:
        at = int(where * len(text))
        text = text[:at] + put + text[at + length :]
    return text


def survives(path: Path, text: bytes) -> None:
    path.write_bytes(text)
    try:
        assert isinstance(analyze(path), ProfileSummary)
    except GenOpsError as error:
        assert path.name in str(error)


@settings(max_examples=examples(400), deadline=None)
@given(mutations)
def test_no_change_of_bytes_makes_it_crash(tmp_path_factory: pytest.TempPathFactory, changes: Any) -> None:
    survives(tmp_path_factory.getbasetemp() / "fuzz.json", mutated(SEED, changes))


@settings(max_examples=examples(60), deadline=None)
@given(mutations)
def test_no_change_of_compressed_bytes_makes_it_crash(
    tmp_path_factory: pytest.TempPathFactory, changes: Any
) -> None:
    survives(tmp_path_factory.getbasetemp() / "fuzz.json.gz", mutated(gzip.compress(SEED, mtime=0), changes))


@pytest.mark.skipif(not TRACES.is_dir(), reason="the real traces in ../shared/traces are not here")
@settings(max_examples=examples(60), deadline=None)
@given(mutations)
def test_no_change_of_a_real_trace_makes_it_crash(
    tmp_path_factory: pytest.TempPathFactory, changes: Any
) -> None:
    text = gzip.decompress((TRACES / "kineto" / "triton_example.json.gz").read_bytes())
    survives(tmp_path_factory.getbasetemp() / "real.json", mutated(text, changes))
