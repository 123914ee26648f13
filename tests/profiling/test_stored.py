"""Columns on disk: what is saved comes back, what is not whole is refused."""

from __future__ import annotations

import dataclasses
import json
import mmap
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from genops_lab.core.errors import InvalidRequest, NotFound
from genops_lab.profiling.backends.engine_files import kept_columns
from genops_lab.profiling.engine import column_files
from genops_lab.profiling.engine.columns import Columns
from genops_lab.profiling.engine.profile_folder import COLUMNS
from genops_lab.profiling.engine.reading import batches, kineto, parts
from tests.support.real_traces import TRACES

from .events import call


def plain(value: Any) -> Any:
    """Arrays as lists, so that whole columns can be compared."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if dataclasses.is_dataclass(value):
        return {each.name: plain(getattr(value, each.name)) for each in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    return value


@pytest.fixture
def columns(tmp_path: Path) -> Columns:
    path = tmp_path / "trace.json"
    operator = {"ph": "X", "cat": "cpu_op", "name": "aten::mm", "pid": 1, "tid": 2, "ts": 5, "dur": 9}
    memory = {"ph": "i", "name": "[memory]", "pid": 1, "tid": 2, "ts": 6, "args": {"Bytes": 8, "Addr": 1}}
    arguments = {"Sequence number": 3, "Input Dims": [[2, 2]]}
    text = json.dumps(
        {"traceEvents": [{**operator, "args": arguments}, memory], "distributedInfo": {"rank": 1}}
    )
    path.write_text(text)
    return kineto.read(path)


@pytest.fixture
def folder(tmp_path: Path, columns: Columns) -> Path:
    column_files.save(columns, tmp_path / "columns")
    return tmp_path / "columns"


def test_what_is_saved_is_loaded(folder: Path, columns: Columns) -> None:
    loaded = column_files.load(folder)
    assert plain(loaded) == plain(columns)
    assert not loaded.ts.flags.writeable
    assert loaded.lanes[0].thread == "2"


@pytest.mark.parametrize(("length_us", "correlation"), [(2_147_483, 2**31 - 1), (2_147_484, 2**31)])
def test_numbers_are_as_narrow_as_a_trace_allows(tmp_path: Path, length_us: int, correlation: int) -> None:
    path, wide = tmp_path / "trace.json", correlation >= 2**31
    slices = [call("cudaLaunchKernel", 0, 3, 1), call("cudaLaunchKernel", 5, length_us, correlation)]
    path.write_text(json.dumps({"traceEvents": slices}))
    read = kineto.read(path)
    column_files.save(read, tmp_path / "columns")
    for columns in (read, column_files.load(tmp_path / "columns")):
        assert columns.dur.dtype == columns.correlation.dtype == (np.int64 if wide else np.int32)
        assert columns.external.dtype == np.int32
        assert columns.dur.tolist() == [3000, length_us * 1000]
        assert columns.correlation.tolist() == [1, correlation]


def test_a_batch_without_slices_makes_no_column_wide() -> None:
    joined = parts.Joined()
    for events in ([{"ph": "M", "name": "process_name", "pid": 1}], [call("cudaLaunchKernel", 5, 9, 1)]):
        joined.add(batches.read(json.dumps(events).encode()))
    assert joined.columns().dur.dtype == np.int32


def test_columns_of_another_version_are_made_again(tmp_path: Path, columns: Columns) -> None:
    column_files.save(columns, tmp_path / COLUMNS)
    manifest = tmp_path / COLUMNS / column_files.MANIFEST
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "version": column_files.VERSION - 1}))
    assert not column_files.is_stored(tmp_path / COLUMNS)
    assert plain(kept_columns(tmp_path, tmp_path / "trace.json")) == plain(columns)
    assert column_files.is_stored(tmp_path / COLUMNS)


@pytest.mark.skipif(not hasattr(mmap, "MADV_DONTNEED"), reason="this system gives no mapped memory back")
def test_columns_at_rest_take_no_memory_and_stay_what_they_are(columns: Columns) -> None:
    large = parts._mapped(np.arange(8 << 20))
    mapped = dataclasses.replace(columns, correlation=large)
    total = int(large.sum())
    before = psutil.Process().memory_info().rss
    mapped.rest()
    assert before - psutil.Process().memory_info().rss > large.nbytes // 2
    assert int(large.sum()) == total


@pytest.mark.skipif(not TRACES.is_dir(), reason="the real traces in ../shared/traces are not here")
def test_a_real_trace_is_saved_and_loaded(tmp_path: Path) -> None:
    read = kineto.read(TRACES / "kineto" / "resnet50_num_workers_0.json.gz")
    column_files.save(read, tmp_path / "columns")
    loaded = column_files.load(tmp_path / "columns")
    assert len(loaded) > 1000
    assert loaded.allocations is not None
    assert plain(loaded) == plain(read)


def test_an_empty_trace_is_saved_and_loaded(tmp_path: Path) -> None:
    (tmp_path / "empty.json").write_text('{"traceEvents": []}')
    read = kineto.read(tmp_path / "empty.json")
    column_files.save(read, tmp_path / "columns")
    assert plain(column_files.load(tmp_path / "columns")) == plain(read)


def test_saving_replaces_what_was_there(folder: Path, columns: Columns) -> None:
    (folder / "left over").write_text("x")
    column_files.save(dataclasses.replace(columns, events=77), folder)
    assert column_files.load(folder).events == 77
    assert not (folder / "left over").exists()
    assert [each.name for each in folder.parent.iterdir() if each.is_dir()] == ["columns"]


def test_a_save_that_fails_changes_nothing(
    folder: Path, columns: Columns, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = np.save

    def full(file: Any, array: Any, **others: Any) -> None:
        if "kind" in str(file):
            raise OSError(28, "No space left on device")
        real(file, array, **others)

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(OSError, match="No space"):
        column_files.save(dataclasses.replace(columns, events=77), folder)
    assert column_files.load(folder).events == columns.events
    assert [each.name for each in folder.parent.iterdir() if each.is_dir()] == ["columns"]


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no folder"):
        column_files.load(tmp_path / "none")


def test_another_version_is_refused(folder: Path) -> None:
    manifest = json.loads((folder / column_files.MANIFEST).read_text())
    (folder / column_files.MANIFEST).write_text(json.dumps({"version": 999, "other": manifest}))
    with pytest.raises(InvalidRequest, match="version 999"):
        column_files.load(folder)


@pytest.mark.parametrize("name", [column_files.MANIFEST, "slices.ts.npy", "sparse.dims.value.npy"])
def test_a_missing_or_cut_file_is_refused(folder: Path, name: str) -> None:
    whole = (folder / name).read_bytes()
    for size in (len(whole) - 3, 10, 0):
        (folder / name).write_bytes(whole[:size])
        with pytest.raises(InvalidRequest, match="incomplete"):
            column_files.load(folder)
    (folder / name).unlink()
    with pytest.raises(InvalidRequest, match="incomplete"):
        column_files.load(folder)


def test_a_file_of_another_length_or_type_is_refused(folder: Path) -> None:
    for other in (np.zeros(7, np.int64), np.zeros(1, np.float64)):
        np.save(folder / "slices.ts.npy", other)
        with pytest.raises(InvalidRequest, match=r"slices\.ts\.npy does not match"):
            column_files.load(folder)
