"""Exports of Nsight Systems: real ones against their truth; old, partial and hostile ones."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from genops_lab.core.errors import InvalidRequest
from genops_lab.profiling import analyze
from genops_lab.profiling.engine.columns import NO_ID, Columns, Int64
from genops_lab.profiling.engine.kinds import Kind
from genops_lab.profiling.engine.reading import nsight
from tests.support.exhaustive import examples
from tests.support.real_traces import TRACES, analyzed

real = pytest.mark.skipif(not TRACES.is_dir(), reason="the real exports in ../shared/traces are not here")
NAMES = ["mfu_2gpu_before", "mfu_2gpu_after"]
FIELDS = ("span_us", "busy_us", "compute_us", "comm_us", "exposed_comm_us", "kernels")


def truth_of(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((TRACES / "truth" / f"nsys_{name}.json").read_text())
    return found


@real
@pytest.mark.parametrize("name", NAMES)
def test_a_real_export_agrees_with_its_truth(name: str) -> None:
    truth = truth_of(name)
    summary = analyzed("nsys", f"{name}.sqlite")
    assert summary.damaged == ""
    assert [device.device for device in summary.devices] == sorted(truth["devices"])
    for device in summary.devices:
        expected = truth["devices"][device.device]
        for field in FIELDS:
            assert getattr(device, field) == pytest.approx(expected[field], abs=0.001), field
        assert [(each.name, each.count) for each in device.top_kernels] == [
            (each["name"], each["count"]) for each in expected["top10_kernels"]
        ]
        assert [each.total_us for each in device.top_kernels] == pytest.approx(
            [each["total_us"] for each in expected["top10_kernels"]], abs=0.001
        )


@real
@pytest.mark.parametrize("name", NAMES)
def test_copies_have_their_kinds_and_bytes(name: str) -> None:
    columns = nsight.read(TRACES / "nsys" / f"{name}.sqlite")
    words = {"1": "Memcpy HtoD", "8": "Memcpy DtoD"}
    sizes = dict(
        zip(columns.sparse["bytes"].index.tolist(), columns.sparse["bytes"].value.tolist(), strict=True)
    )
    for device, expected in truth_of(name)["devices"].items():
        copies = [
            slice_
            for slice_ in np.flatnonzero(columns.kind == Kind.COPY).tolist()
            if columns.lanes[columns.lane[slice_]].device == device
        ]
        for kind, word in words.items():
            of_kind = [each for each in copies if columns.names[columns.name[each]].startswith(word)]
            assert len(of_kind) == expected["memcpy"][kind]["count"]
            assert sum(sizes[each] for each in of_kind) == expected["memcpy"][kind]["bytes"]
            time = sum(int(columns.dur[each]) for each in of_kind) / 1000
            assert time == pytest.approx(expected["memcpy"][kind]["us"], abs=0.001)


@real
def test_events_are_counted_and_launches_tied_to_the_kernels_of_their_own_process() -> None:
    path = TRACES / "nsys" / "mfu_2gpu_after.sqlite"
    columns = nsight.read(path)
    tables = truth_of("mfu_2gpu_after")["tables"]
    assert columns.events == sum(tables.values())
    calls = columns.correlation[columns.kind == Kind.RUNTIME]
    given = calls[calls != NO_ID]
    assert len(np.unique(given)) == len(given), "two processes use the same numbers"
    kernels = np.flatnonzero((columns.kind == Kind.COMPUTE) | (columns.kind == Kind.COMMUNICATION))
    assert np.isin(columns.correlation[kernels], given).mean() > 0.99


@real
def test_device_time_goes_to_the_operators_that_nvtx_tells() -> None:
    summary = analyzed("nsys", "mfu_2gpu_after.sqlite")
    launched = {each.name: each.device_us for each in summary.operators}
    assert launched["flash_attn::_flash_attn_forward"] == pytest.approx(120358.06 + 120397.607, abs=0.01)
    assert launched["nccl:all_to_all"] == pytest.approx(9989.016 + 23753.085, rel=0.01)


Make = Callable[..., Path]
PROCESS = 125 << 24
THREAD = PROCESS + 77


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Writes a database from tables: name to columns and rows."""

    def make(statements: str = "", **tables: tuple[str, list[tuple[Any, ...]]]) -> Path:
        path = tmp_path / "export.sqlite"
        with sqlite3.connect(path) as connection:
            for name, (columns, rows) in tables.items():
                connection.execute(f"CREATE TABLE {name} ({columns})")
                holes = ", ".join("?" * len(columns.split(",")))
                connection.executemany(f"INSERT INTO {name} VALUES ({holes})", rows)
            connection.executescript(statements)
        connection.close()
        return path

    return make


KERNELS = "start, end, deviceId, streamId, correlationId, globalPid, demangledName, shortName"
STRINGS = (
    "id, value",
    [(1, "gemm"), (2, "void at::gemm<float>()"), (3, "cudaLaunchKernel_v7000"), (4, "step 1")],
)


def indices(columns: Columns, kind: Kind) -> Int64:
    return np.flatnonzero(columns.kind == kind)


def names(columns: Columns, kind: Kind) -> list[str]:
    return [columns.names[columns.name[each]] for each in indices(columns, kind)]


def test_a_small_export_of_old_columns(make: Make) -> None:
    path = make(
        StringIds=STRINGS,
        CUPTI_ACTIVITY_KIND_KERNEL=(KERNELS, [(1000, 3000, 0, 7, 5, PROCESS, 2, 1)]),
        CUPTI_ACTIVITY_KIND_RUNTIME=(
            "start, end, globalTid, correlationId, nameId",
            [(500, 600, THREAD, 5, 3), (500, 600, THREAD + (1 << 24), 5, 3)],
        ),
        NVTX_EVENTS=(
            "start, end, eventType, text, textId, globalTid",
            [
                (400, 700, 59, "aten::mm, seq = 12, op_id = 3, sizes = [[2, 3], [3, 4]]", None, THREAD),
                (300, 900, 59, None, 4, THREAD),
                (300, 900, 60, "crossing", None, THREAD),
                (350, None, 34, "a mark", None, THREAD),
            ],
        ),
    )
    columns = nsight.read(path)
    assert (columns.events, columns.damage, len(columns)) == (7, [], 6)
    assert names(columns, Kind.OPERATOR) == ["aten::mm"]
    assert sorted(names(columns, Kind.ANNOTATION)) == ["crossing", "step 1"]
    assert names(columns, Kind.RUNTIME) == ["cudaLaunchKernel"] * 2
    [kernel] = indices(columns, Kind.COMPUTE)
    lane = columns.lanes[columns.lane[kernel]]
    assert (lane.device, lane.stream, int(columns.dur[kernel])) == ("0", "7", 2000)
    [operator] = indices(columns, Kind.OPERATOR)
    thread = columns.lanes[columns.lane[operator]]
    assert (thread.process, thread.thread) == ("125", "77")
    assert columns.sparse["sequence"].value.tolist() == [12]
    assert columns.texts[columns.sparse["dims"].value[0]] == "[[2, 3], [3, 4]]"
    by_operator = {each.name: each.device_us for each in analyze(path).operators}
    assert by_operator == {"aten::mm": 2.0}


def test_ranges_of_a_profiled_cell_are_its_lines_and_steps(make: Make) -> None:
    path = make(
        StringIds=STRINGS,
        CUPTI_ACTIVITY_KIND_KERNEL=(KERNELS, [(1000, 3000, 0, 7, 5, PROCESS, 2, 1)]),
        CUPTI_ACTIVITY_KIND_RUNTIME=(
            "start, end, globalTid, correlationId, nameId", [(500, 600, THREAD, 5, 3)]
        ),
        NVTX_EVENTS=(
            "start, end, eventType, text, textId, globalTid",
            [
                (100, 900, 59, "genops:cell:In%5B3%5D", None, THREAD),
                (300, 700, 59, "genops:line:In%5B3%5D:2", None, THREAD),
                (200, 800, 60, "ProfilerStep#1", None, THREAD),
            ],
        ),
    )  # fmt: skip
    summary = analyze(path)
    assert summary.attribution is not None
    [line] = [each for each in summary.attribution.lines if each.device_us]
    assert (line.place.file, line.place.line, line.device_us) == ("[3]", 2, 2.0)
    assert [(step.name, step.kernels, step.busy_us) for step in summary.steps] == [("ProfilerStep#1", 1, 2.0)]


def test_communication_is_known_by_its_whole_name(make: Make) -> None:
    strings = (
        "id, value",
        [(1, "combine"), (2, "void dpsk::ep::combine<gemm>(x)"), (3, "void gemm<nccl::x>(nccl)")],
    )
    rows = [(0, 10, 0, 7, 1, PROCESS, 2, 1), (0, 10, 0, 7, 1, PROCESS, 3, 1)]
    columns = nsight.read(make(StringIds=strings, CUPTI_ACTIVITY_KIND_KERNEL=(KERNELS, rows)))
    assert sorted(columns.kind.tolist()) == [Kind.COMPUTE, Kind.COMMUNICATION]


def test_the_whole_name_where_there_is_no_short_one(make: Make) -> None:
    path = make(
        StringIds=STRINGS,
        CUPTI_ACTIVITY_KIND_KERNEL=(
            "start, end, deviceId, streamId, demangledName",
            [(1, 2, 0, 7, 2), (3, 4, 0, 7, 99)],
        ),
    )
    assert names(nsight.read(path), Kind.COMPUTE) == ["void at::gemm<float>()", "(unnamed kernel)"]


def test_rows_of_wrong_types_are_counted_not_followed(make: Make) -> None:
    rows = [
        (1000, 3000, 0, 7, 5, PROCESS, 2, 1),
        ("soon", 3000, 0, 7, 5, PROCESS, 2, 1),
        (3000, 1000, 0, 7, 5, PROCESS, 2, 1),
        (-(2**63), 2**63 - 1, 0, 7, 5, PROCESS, 2, 1),
        (None, None, None, None, None, None, None, None),
        (1000, 3000, 1, "x", "y", b"z", 1.5, 1),
    ]
    columns = nsight.read(make(StringIds=STRINGS, CUPTI_ACTIVITY_KIND_KERNEL=(KERNELS, rows)))
    assert len(columns) == 2
    assert columns.damage == ["4 events have no valid time or lane."]


def test_a_table_without_a_needed_column(make: Make) -> None:
    path = make(CUPTI_ACTIVITY_KIND_KERNEL=("begin, end", [(1, 2)]))
    with pytest.raises(InvalidRequest, match="KERNEL has no column start, deviceId, streamId") as refused:
        analyze(path)
    assert "nsys export" in refused.value.hint


def test_another_database(make: Make) -> None:
    with pytest.raises(InvalidRequest, match="not an export of Nsight Systems: its tables are runs"):
        analyze(make(runs=("id", [])))


def test_an_export_without_gpu_activity_says_what_is_missing(make: Make) -> None:
    recorded = make(StringIds=STRINGS, TARGET_INFO_SYSTEM_ENV=("name", []), OSRT_API=("start, end", [(1, 2)]))
    with pytest.raises(InvalidRequest, match="has no GPU activity") as refused:
        analyze(recorded)
    assert "CUPTI_ACTIVITY_KIND_" in refused.value.message
    assert "--trace=cuda,nvtx" in refused.value.hint


def test_an_empty_database_and_a_damaged_one(make: Make, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="it has no tables"):
        analyze(make(statements="CREATE VIEW CUPTI_ACTIVITY_KIND_KERNEL AS SELECT 1 AS start"))
    path = tmp_path / "cut.sqlite"
    path.write_bytes(b"SQLite format 3\x00" + b"x" * 4000)
    with pytest.raises(InvalidRequest, match="SQLite cannot read it"):
        analyze(path)


@real
def test_a_file_that_was_cut_is_read_up_to_the_damage(tmp_path: Path) -> None:
    whole = (TRACES / "nsys" / "mfu_2gpu_after.sqlite").read_bytes()
    path = tmp_path / "cut.sqlite"
    path.write_bytes(whole[: len(whole) // 2] + bytes(len(whole) - len(whole) // 2))
    summary = analyze(path)
    assert "The database is damaged" in summary.damaged and summary.incomplete
    assert 0 < summary.events < 28_862


@pytest.mark.parametrize(
    "hostile",
    [
        "CREATE VIEW CUPTI_ACTIVITY_KIND_KERNEL AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x FROM n) "
        "SELECT x AS start, x AS end, x AS deviceId, x AS streamId FROM n",
        "CREATE VIRTUAL TABLE CUPTI_ACTIVITY_KIND_KERNEL USING fts5(start, end, deviceId, streamId)",
    ],
)
def test_views_and_virtual_tables_are_not_asked(make: Make, hostile: str) -> None:
    path = make(hostile, StringIds=STRINGS, NVTX_EVENTS=("start, end", []))
    columns = nsight.read(path)
    assert len(columns) == 0 and columns.events == 0


def test_a_computed_column_is_not_asked(make: Make) -> None:
    path = make(
        "CREATE TABLE CUPTI_ACTIVITY_KIND_KERNEL (start, end AS (start + 1), deviceId, streamId);"
        "INSERT INTO CUPTI_ACTIVITY_KIND_KERNEL VALUES (1, 2, 3)"
    )
    with pytest.raises(InvalidRequest, match="has no column end"):
        nsight.read(path)


def test_the_file_is_not_touched(make: Make) -> None:
    path = make(StringIds=STRINGS, NVTX_EVENTS=("start, end", []))
    path.chmod(0o444)
    before = path.read_bytes(), path.stat().st_mtime_ns
    nsight.read(path)
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before
    assert [each.name for each in path.parent.iterdir()] == [path.name]


changes = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=20)


@settings(max_examples=examples(80), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes, st.floats(0.3, 1))
def test_a_damaged_database_is_read_as_far_as_it_goes_or_refused(make: Make, found: Any, part: float) -> None:
    kernels = [(10 * each, 10 * each + 5, 0, 7, each, PROCESS, 2, 1) for each in range(100)]
    path = make("PRAGMA user_version = 1", StringIds=STRINGS, CUPTI_ACTIVITY_KIND_KERNEL=(KERNELS, kernels))
    content = bytearray(path.read_bytes())
    path.unlink()
    for place, value in found:
        content[16 + int(place * (len(content) - 16))] = value
    damaged = path.with_name("damaged.sqlite")
    damaged.write_bytes(content[: int(part * len(content))])
    with contextlib.suppress(InvalidRequest):
        analyze(damaged)
