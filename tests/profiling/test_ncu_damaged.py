"""Files that are an incomplete reports of Nsight Compute: read up to the damage, in little memory, never a crash."""

from __future__ import annotations

import contextlib
import gzip
import io
import math
import random
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genops_lab.core.errors import InvalidRequest, NotFound
from genops_lab.profiling import analyze, kernel_metrics
from genops_lab.profiling.engine.attribution.markers import cell_marker
from genops_lab.profiling.engine.reading import ncu, ncu_report, ncu_results
from tests.support.exhaustive import examples

from ..support.ncu_reports import Kernel, Rule, Writer, kernel, message, report
from .test_ncu import CELL, FULL


@pytest.mark.parametrize("content", [b"", b"NVR", b"NVR\0", b"NVR\0\x05\0\0\0", b"ELF\0" * 9])
def test_what_is_no_report(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "r.ncu-rep"
    path.write_bytes(content)
    with pytest.raises(InvalidRequest, match="Nsight Compute"):
        ncu.read(path)


def test_a_cut_report_is_read_up_to_the_cut(tmp_path: Path) -> None:
    whole = report([kernel("a", us=10), kernel("b", us=20), kernel("c", us=30)])
    path = tmp_path / "r.ncu-rep"
    found = set()
    first = sorted(_ends(whole))[1]
    for size in range(30, len(whole), 97):
        path.write_bytes(whole[:size])
        try:
            summary = analyze(path)
        except InvalidRequest as error:
            assert "before its first" in error.message
            found.add(0)
            continue
        assert size >= first
        found.add(summary.events)
        assert summary.damaged or size in _ends(whole)
        assert summary.incomplete == bool(summary.damaged)
    assert found == {0, 1, 2}


@pytest.mark.parametrize("packed", [False, True])
def test_a_report_without_its_first_result_is_refused(packed: bool, tmp_path: Path) -> None:
    path = tmp_path / "r.ncu-rep"
    whole = report([kernel("a", us=10)])
    session = min(_ends(whole))
    for size, said, hint in (
        (session, "r.ncu-rep has no results.", "when ncu has ended"),
        (session + 9, "r.ncu-rep is cut off or damaged before its first result", "Copy it again"),
        (len(whole) - 9, "r.ncu-rep is cut off or damaged before its first result", "measure again"),
    ):
        path.write_bytes(gzip.compress(whole[:size]) if packed else whole[:size])
        with pytest.raises(InvalidRequest) as refused:
            analyze(path)
        assert said in refused.value.message and hint in refused.value.hint


def test_a_report_that_is_still_written_may_have_nothing_new(tmp_path: Path) -> None:
    path = tmp_path / "r.ncu-rep"
    path.write_bytes(report([kernel("a")]))
    assert ncu.read(path, after=path.stat().st_size).measured is None


def _ends(whole: bytes) -> set[int]:
    at, found = 8 + struct.unpack_from("<I", whole, 4)[0], set()
    while at < len(whole):
        found.add(at)
        (length,) = struct.unpack_from("<I", whole, at)
        header, payload, place = whole[at + 4 : at + 4 + length], 0, 0
        while place < length:
            key, place = _varint(header, place)
            value, place = _varint(header, place)
            payload = value if key == 5 << 3 else payload
            place += value if key & 7 == 2 else 0
        at += 4 + length + payload
    return found


def _varint(of: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        value |= (of[at] & 127) << shift
        shift, at = shift + 7, at + 1
        if of[at - 1] < 128:
            return value, at


def test_a_report_in_gzip_is_read_as_one_that_is_not(tmp_path: Path) -> None:
    plain, packed = tmp_path / "r.ncu-rep", tmp_path / "trace.json.gz"
    plain.write_bytes(report([kernel(f"k{number}", us=number + 0.7) for number in range(9)]))
    whole = gzip.compress(plain.read_bytes())
    packed.write_bytes(whole)
    assert analyze(packed) == analyze(plain)
    assert kernel_metrics(packed, 1) == kernel_metrics(plain, 1)
    packed.write_bytes(whole[: len(whole) - 40])
    cut = analyze(packed)
    assert "The compressed report is cut off" in cut.damaged and 0 < cut.events < 9
    packed.write_bytes(gzip.compress(plain.read_bytes() + bytes(64 << 20)))
    assert "the rest was not read" in analyze(packed).damaged


def test_files_that_are_none_are_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="There is no file"):
        kernel_metrics(tmp_path / "missing.ncu-rep", 0)
    (tmp_path / "t.json").write_text('{"traceEvents": []}')
    with pytest.raises(InvalidRequest, match="is not a report of Nsight Compute"):
        kernel_metrics(tmp_path / "t.json", 0)


@pytest.mark.parametrize("length", [1 << 30, (1 << 32) - 1])
def test_lengths_that_lie_take_no_memory(length: int, tmp_path: Path) -> None:
    whole = report([kernel("a"), kernel("b")])
    path = tmp_path / "r.ncu-rep"
    tracemalloc.start()
    try:
        for at in (4, *sorted(_ends(whole))):
            path.write_bytes(whole[:at] + struct.pack("<I", length) + whole[at + 4 :])
            try:
                assert analyze(path).damaged
            except InvalidRequest as error:
                assert (
                    at == 4 and "an incomplete report" in error.message
                ) or "before its first" in error.message
        assert tracemalloc.get_traced_memory()[1] < 30 << 20
    finally:
        tracemalloc.stop()


@settings(deadline=None, max_examples=examples(150))
@given(seed=st.integers(0, 2**32), changes=st.integers(1, 40), cut=st.floats(0.0, 1.0))
def test_damaged_bytes_never_crash_it(
    seed: int, changes: int, cut: float, tmp_path_factory: pytest.TempPathFactory
) -> None:
    chance = random.Random(seed)
    rules = [
        Rule("A", "One", "Text.", speedup=50.0),
        Rule("CPIStall", "Two", "Text.", speedup=20.0, of="local"),
    ]
    frames = [(CELL, "<module>", 3)]
    ranges = [cell_marker("c"), "aten::mm, seq = 1, op_id = 2"]
    behind = {"launch__device_id": [1, 2]}
    first = kernel("a", us=9, rules=rules, frames=frames, ranges=ranges, metrics=FULL, instances=behind)
    made = [first, Kernel("g", {"x": 1}, kind="graph")]
    content = bytearray(report(made))
    for _ in range(changes):
        content[chance.randrange(4, len(content))] = chance.randrange(256)
    path = tmp_path_factory.mktemp("fuzz") / "r.ncu-rep"
    path.write_bytes(content[: 4 + int(cut * len(content))] if chance.random() < 0.5 else content)
    try:
        analyze(path)
        kernel_metrics(path, 0)
    except (InvalidRequest, NotFound):
        pass


@settings(deadline=None, max_examples=examples(100))
@given(content=st.binary(max_size=400))
def test_random_bytes_never_crash_it(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "r.ncu-rep"
    path.write_bytes(b"NVR\0\x02\0\0\0\x08\x07" + content)
    with contextlib.suppress(InvalidRequest):
        analyze(path)


_SAID = message(1, message(1, b""))
_BIG: dict[str, Callable[[], bytes]] = {
    "metrics": lambda: message(13, b"") * 500_000,
    "messages of rules": lambda: message(19, message(3, _SAID * 100_000)),
    "ranges": lambda: message(21, message(2, message(2, message(3, b"") * 500_000))),
    "ranges that cross": lambda: message(21, message(3, message(3, b"") * 500_000)),
    "fields": lambda: b"".join(message(each, b"") for each in range(100, 150_000)),
    "fields of a rule": lambda: message(19, b"".join(message(each, b"") for each in range(100, 150_000))),
}


@pytest.mark.parametrize(
    "what",
    [
        each if each in ("metrics", "ranges", "fields") else pytest.param(each, marks=pytest.mark.exhaustive)
        for each in _BIG
    ],
)
def test_a_small_file_takes_little_memory(what: str, tmp_path: Path) -> None:
    path = tmp_path / "r.ncu-rep"
    writer = Writer()
    path.write_bytes(writer.head() + writer.raw([_BIG[what]()]))
    assert path.stat().st_size < 2 << 20
    tracemalloc.start()
    try:
        columns = ncu.read(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 20 << 20
    if what in ("metrics", "messages of rules"):
        assert columns.measured is None and any("left out" in each for each in columns.damage)
    else:
        assert columns.measured is not None and len(columns.measured.launches) == 1
        ranges = [each for each in columns.name.tolist() if columns.names[each] == "(unnamed range)"]
        assert len(ranges) == (ncu_results.MOST_RANGES if "ranges" in what else 0)


def test_a_device_has_no_more_attributes_than_there_are() -> None:
    attributes = {f"device__attribute_{each}": 1 for each in range(ncu_results.MOST_ATTRIBUTES + 1)}
    for written, damaged in ((attributes, True), (dict(list(attributes.items())[1:]), False)):
        content = Writer().head() + Writer().device(0, "NVIDIA Test GPU", written)
        outline = ncu_results.Outline(io.BytesIO(content), "r.ncu-rep")
        assert bool(outline.damage) == damaged and bool(outline.devices) != damaged


def test_a_damaged_result_keeps_its_number(tmp_path: Path) -> None:
    path = tmp_path / "r.ncu-rep"
    whole = report([kernel("first"), kernel("second"), kernel("third", us=50)])
    # The last field of the first result, the state of the clocks, is longer than the result.
    place = whole.index(b"first") + whole[whole.index(b"first") :].index(b"\xca\x01\x04\x08\x01\x10\x01")
    path.write_bytes(whole[: place + 2] + b"\x7f" + whole[place + 3 :])
    found = analyze(path)
    assert found.damaged == "Results left out because they are damaged: 1." and found.measured is not None
    numbers = {each.name: each.longest for each in found.measured.kernels}
    assert numbers == {"second": 1, "third": 2}
    for name, place in numbers.items():
        assert kernel_metrics(path, place).name == name
    with pytest.raises(NotFound, match="has no result 0"):
        kernel_metrics(path, 0)


@pytest.mark.parametrize("us", [2**61.9 / 1000, 8 * 24 * 3600 * 1e6, math.inf, math.nan, -1.0])
def test_times_that_no_kernel_takes_count_as_none(us: float, tmp_path: Path) -> None:
    path = tmp_path / "r.ncu-rep"
    path.write_bytes(report([*(kernel("odd", us=us) for _ in range(4)), kernel("a", us=10)]))
    found = analyze(path)
    assert "4 of 5 results have no duration" in found.damaged and "a week" in found.damaged
    assert found.measured is not None
    assert [(each.name, each.total_us) for each in found.measured.kernels] == [("a", 10), ("odd", 0.004)]


def test_times_that_add_up_to_too_much_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "r.ncu-rep"
    path.write_bytes(report([kernel("a", us=10), kernel("b", us=100), kernel("c", us=5)]))
    monkeypatch.setattr(ncu, "MOST_TIME", 16_000)
    found = analyze(path)
    assert "because the total time before them is too long: 1." in found.damaged
    assert found.measured is not None
    assert {each.name: each.longest for each in found.measured.kernels} == {"a": 0, "c": 2}


def test_what_is_larger_than_any_report_has_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "r.ncu-rep"
    whole = report([kernel("a")])
    with path.open("wb") as file:
        file.write(whole + struct.pack("<I", 64 << 20))
        file.truncate(len(whole) + (65 << 20))
    found = analyze(path)
    assert found.events == 1 and "a header of 67,108,864 bytes" in found.damaged
    path.write_bytes(report([kernel("a"), kernel("b", ranges=["long" * 5000]), kernel("c")]))
    monkeypatch.setattr(ncu_results, "MOST_MESSAGE", 10_000)
    found = analyze(path)
    assert [each.name for each in found.kernels] == ["a", "c"]
    assert found.measured is not None
    assert {each.name: each.longest for each in found.measured.kernels} == {"a": 0, "c": 2}
    assert "because they are too large: 1." in found.damaged
    assert kernel_metrics(path, 2).name == "c", "numbers are those of the file"
    monkeypatch.setattr(ncu_report, "MOST_RESULTS", 1)
    found = analyze(path)
    assert [each.name for each in found.kernels] == ["a"] and "more than 1 results" in found.damaged
