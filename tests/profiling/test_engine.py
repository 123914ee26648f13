"""The engine on small traces whose answers were worked out by hand, and on damaged ones."""

from __future__ import annotations

import gzip
import json
import pkgutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from genops_lab import profiling
from genops_lab.core.errors import InvalidRequest, NotFound
from genops_lab.profiling import analyze

Write = Callable[..., Path]


def event(cat: str, name: str, ts: float | str, dur: float | str, **rest: Any) -> dict[str, Any]:
    return {"ph": "X", "cat": cat, "name": name, "ts": ts, "dur": dur, "pid": 1, "tid": 1, **rest}


def kernel(
    name: str, ts: float, dur: float, *, cat: str = "kernel", device: int = 0, **args: Any
) -> dict[str, Any]:
    return event(cat, name, ts, dur, pid=device, tid=7, args={"device": device, "stream": 7, **args})


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(events: list[dict[str, Any]], name: str = "trace.json", **top: Any) -> Path:
        path = tmp_path / name
        path.write_text(json.dumps({"schemaVersion": 1, "traceEvents": events, **top}))
        return path

    return write


def test_no_module_takes_the_name_of_a_function() -> None:
    """An import of it would take its place: ``profiling.memory(path)`` was a module once a Lab had started."""
    assert not {each.name for each in pkgutil.iter_modules(profiling.__path__)} & set(profiling.__all__)
    assert all(callable(getattr(profiling, name)) for name in profiling.__all__)


def test_device_time_is_the_union_of_intervals(write: Write) -> None:
    # compute [0,10] and [5,20]; communication [15,40]; a copy [38,45]; then nothing until [60,70]
    path = write(
        [
            kernel("gemm", 0, 10),
            kernel("gemm", 5, 15),
            kernel("ncclDevKernel_AllReduce", 15, 25),
            kernel("Memcpy HtoD", 38, 7, cat="gpu_memcpy"),
            kernel("relu", 60, 10),
            event("cpu_op", "aten::mm", 0, 2, args={"stream": 7}),
        ]
    )
    summary = analyze(path)
    [device] = summary.devices
    assert (device.device, device.rank, device.kernels) == ("0", 0, 4)
    assert (device.span_us, device.busy_us, device.idle_us) == (70, 55, 15)
    assert (device.compute_us, device.comm_us, device.exposed_comm_us, device.memory_us) == (30, 25, 20, 7)
    names = [(each.name, each.count, each.total_us) for each in device.top_kernels]
    assert names == [("gemm", 2, 25.0), ("ncclDevKernel_AllReduce", 1, 25.0), ("relu", 1, 10.0)]
    assert summary.events == 6
    assert summary.damaged == ""


def test_times_of_unix_size_keep_their_nanoseconds(tmp_path: Path) -> None:
    path = tmp_path / "trace.json"
    line = '{"ph":"X","cat":"kernel","name":"k","pid":0,"tid":7,"ts":%s,"dur":%s,"args":{"device":0}}'
    times = [("1717171717171717.001", "0.002"), ("1717171717171717.005", '"0.004"')]
    path.write_text('{"traceEvents":[' + ",".join(line % pair for pair in times) + "]}")
    [device] = analyze(path).devices
    assert (device.span_us, device.busy_us, device.idle_us) == (0.008, 0.006, 0.002)


def test_operators_have_self_total_and_device_time(write: Write) -> None:
    # linear [0,100] holds addmm [10,60], which launches at 20; relu [110,130] launches at 115 on another thread
    path = write(
        [
            event("cpu_op", "aten::linear", 0, 100, args={"External id": 1}),
            event("cpu_op", "aten::addmm", 10, 50, args={"External id": 2}),
            event("cuda_runtime", "cudaLaunchKernel", 20, 5, args={"correlation": 7, "External id": 2}),
            event("cpu_op", "aten::relu", 110, 20, tid=2, args={"External id": 3}),
            event(
                "cuda_runtime", "cudaLaunchKernel", 115, 5, tid=2, args={"correlation": 8, "External id": 3}
            ),
            kernel("gemm", 200, 40, correlation=7),
            kernel("relu", 240, 4, correlation=8),
            kernel("orphan", 300, 1, correlation=99),
        ]
    )
    summary = analyze(path)
    found = {
        each.name: (each.count, each.self_us, each.total_us, each.device_us) for each in summary.operators
    }
    assert found == {
        "aten::linear": (1, 50, 100, 0),
        "aten::addmm": (1, 50, 50, 40),
        "aten::relu": (1, 20, 20, 4),
    }
    assert [each.name for each in summary.operators] == ["aten::addmm", "aten::linear", "aten::relu"]
    assert [each.kernels for each in summary.operators] == [1, 0, 1]
    kernels = {each.name: each.operator for each in summary.devices[0].top_kernels}
    assert kernels == {"gemm": "aten::addmm", "relu": "aten::relu", "orphan": ""}
    assert (summary.cpu.span_us, summary.cpu.busy_us, summary.cpu.idle_us) == (130, 120, 10)


def test_a_recursive_operator_counts_its_total_once(write: Write) -> None:
    path = write([event("cpu_op", "f", 0, 10), event("cpu_op", "f", 2, 5), event("cpu_op", "f", 20, 1)])
    [operator] = analyze(path).operators
    assert (operator.count, operator.self_us, operator.total_us) == (3, 11, 11)


def test_old_categories_and_ids(write: Write) -> None:
    path = write(
        [
            event("Operator", "aten::copy_", 0, 10, tid="25", args={"External id": 5}),
            event("Runtime", "cudaMemcpyAsync", 2, 5, tid="25", args={"correlation": 9, "external id": 5}),
            kernel("Memcpy", 20, 6, cat="Memcpy", correlation=9, **{"external id": 5}),
            kernel("k", 30, 1, cat="Kernel", **{"external id": 5}),
        ]
    )
    summary = analyze(path)
    [device] = summary.devices
    assert (device.memory_us, device.compute_us, device.kernels) == (6, 1, 1)
    assert summary.operators[0].device_us == 7


def test_accelerators_count_from_their_own_kinds(write: Write) -> None:
    path = write(
        [
            event("mtia_ccp_events", "matmul", 0, 8, pid=9, tid=4),
            event("mtia_ccp_events", "dma_request", 8, 2, pid=9, tid=801),
        ]
    )
    [device] = analyze(path).devices
    assert (device.device, device.compute_us, device.memory_us, device.kernels) == ("9", 8, 2, 1)


@pytest.mark.parametrize(
    "name",
    [
        "ncclKernel_AllReduce_RING_LL_Sum_float(ncclWorkElem)",
        "rcclGenericKernel",
        "void dpsk::ep::internode::combine<false>()",
        "void deep_ep::intranode::dispatch<4>()",
        "nvshmemi_transfer",
    ],
)
def test_communication_is_recognised_by_name(write: Write, name: str) -> None:
    [device] = analyze(write([kernel(name, 0, 3)])).devices
    assert (device.comm_us, device.exposed_comm_us, device.compute_us) == (3, 3, 0)


def test_ranks_come_from_the_traces(write: Write) -> None:
    first = write(
        [kernel("k", 0, 1)], "a.json", distributedInfo={"backend": "nccl", "rank": 3, "pg": [{"a": 1}]}
    )
    second = write([kernel("k", 0, 2)], "b.json")
    third = write([kernel("k", 0, 4)], "c.json", distributedInfo={"rank": 3})
    summary = analyze([first, second, third])
    assert summary.ranks == [0, 1, 3]
    assert [(each.rank, each.busy_us) for each in summary.devices] == [(0, 2), (1, 4), (3, 1)]


def test_list_form_with_and_without_its_bracket(tmp_path: Path) -> None:
    path = tmp_path / "list.json"
    body = ",\n".join(json.dumps(kernel("k", at, 1)) for at in range(5))
    for text in ("[" + body + "]", "[" + body, "[" + body + ",\n"):
        path.write_text(text)
        summary = analyze(path)
        assert (summary.events, summary.damaged) == (5, "")


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("name", ["k", 'looks }, {"ph" like a cut', "unicode ☃ \\ end"])
def test_a_truncated_file_is_read_up_to_the_damage(tmp_path: Path, indent: int | None, name: str) -> None:
    events = [kernel(name, at, 1, grid=[{"x": 1}, {"y": 2}]) for at in range(40)]
    text = json.dumps({"traceEvents": events, "traceName": "t"}, indent=indent)
    path = tmp_path / "cut.json"
    cut = text.index('"ts"', len(text) // 2)
    path.write_text(text[:cut])
    whole = text[:cut].count('"ts"')
    summary = analyze(path)
    assert summary.events == whole
    assert "cut off" in summary.damaged
    [device] = summary.devices
    assert device.kernels == whole


def test_a_truncated_gzip_is_read_up_to_the_damage(tmp_path: Path) -> None:
    text = json.dumps({"traceEvents": [kernel(f"kernel {at * at}", at, 1) for at in range(20_000)]})
    packed = gzip.compress(text.encode())
    path = tmp_path / "cut.json.gz"
    path.write_bytes(packed[: len(packed) // 2])
    summary = analyze(path)
    assert 2_000 < summary.events < 20_000
    assert "cut off" in summary.damaged


def test_concatenated_gzip_members_are_one_file(tmp_path: Path) -> None:
    text = json.dumps({"traceEvents": [kernel("k", at, 1) for at in range(100)]}).encode()
    path = tmp_path / "two.json.gz"
    path.write_bytes(gzip.compress(text[:900]) + gzip.compress(text[900:]))
    summary = analyze(path)
    assert (summary.events, summary.damaged) == (100, "")


def test_one_bad_event_is_skipped_and_told(tmp_path: Path) -> None:
    events = [json.dumps(kernel("k", at, 1)) for at in range(10)]
    events[4] = events[4].replace('"dur": 1', '"dur": inf')
    path = tmp_path / "bad.json"
    path.write_text('{"traceEvents": [' + ", ".join(events) + "]}")
    summary = analyze(path)
    assert summary.devices[0].kernels == 9
    assert summary.damaged == "1 event has no usable time."


def test_unusable_times_and_types_are_left_out_and_told(write: Write) -> None:
    path = write(
        [
            kernel("k", 0, 5),
            kernel("negative", 10, -5),
            kernel("word", 10, "soon"),  # type: ignore[arg-type]
            event("kernel", "huge", 1e300, 1),
            {"ph": 7, "cat": "kernel", "name": ["not", "a", "name"], "ts": 1, "dur": 1},
            "not an object",  # type: ignore[list-item]
            kernel("after", 20, 1),
        ]
    )
    summary = analyze(path)
    assert summary.devices[0].busy_us == 6
    assert "3 events have no usable time." in summary.damaged
    assert "2 events could not be read." in summary.damaged


def test_bytes_that_are_no_utf8_do_not_cost_an_event(tmp_path: Path) -> None:
    events = [json.dumps(kernel(f"k{at}", at, 1)).encode() for at in range(6)]
    events[2] = events[2].replace(b"k2", b"k\xff\xfe")
    path = tmp_path / "latin.json"
    path.write_bytes(b'{"traceEvents": [' + b", ".join(events) + b'], "traceName": "t"}')
    summary = analyze(path)
    assert (summary.events, summary.damaged) == (6, "")
    assert "k??" in [each.name for each in summary.devices[0].top_kernels]


def test_batches_meet_at_any_size(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write([kernel(f"k{at % 3}", 2 * at, 1, nested=[{"a": 1}, {"b": "}, {"}]) for at in range(300)])
    whole = analyze(path)
    assert (whole.events, whole.damaged) == (300, "")
    from genops_lab.profiling.engine.reading import pieces

    for size in (64, 301, 4096):
        monkeypatch.setattr(pieces, "READ_BYTES", 37)
        monkeypatch.setattr(pieces, "BATCH_BYTES", size)
        assert analyze(path) == whole


@pytest.mark.parametrize(
    "text", [b"", b"hello", b"{}", b'{"events": []}', b"\x1f\x8bnot gzip", b"\x00" * 100, b'"x"']
)
def test_what_is_no_trace_is_refused(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "other.json"
    path.write_bytes(text)
    with pytest.raises(InvalidRequest, match=r"other\.json is not a trace"):
        analyze(path)


def test_a_trace_without_events_is_empty(write: Write) -> None:
    summary = analyze(write([]))
    assert (summary.events, summary.devices, summary.operators, summary.damaged) == (0, [], [], "")


def test_a_missing_file_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no file"):
        analyze(tmp_path / "none.json")


def test_a_real_profile_agrees_with_torch(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from torch.profiler import ProfilerActivity, profile

    model, batch = torch.nn.Linear(64, 64), torch.randn(32, 64)
    with profile(activities=[ProfilerActivity.CPU]) as recorded:
        for _ in range(5):
            model(batch).sum().backward()
    path = tmp_path / "trace.json"
    recorded.export_chrome_trace(str(path))
    summary = analyze(path)
    assert summary.damaged == ""
    counts = {each.name: each.count for each in summary.operators}
    theirs = {each.key: each.count for each in recorded.key_averages()}
    assert counts["aten::linear"] == theirs["aten::linear"] == 5
    assert counts["aten::addmm"] == theirs["aten::addmm"]
    own = sum(each.self_us for each in summary.operators)
    assert own == pytest.approx(summary.cpu.busy_us, rel=0.5)
