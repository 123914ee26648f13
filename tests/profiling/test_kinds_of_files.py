"""What a file is, by its content."""

from __future__ import annotations

import gzip
import json
import pickle
import sqlite3
from pathlib import Path

import pytest

from genops_lab.core.errors import InvalidRequest, NotFound
from genops_lab.profiling import analyze, memory
from genops_lab.profiling.engine.reading.kinds_of_files import FileKind, kind_of_file, require_trace

SNAPSHOT: dict[str, list[object]] = {"segments": [], "device_traces": []}


def database(folder: Path) -> bytes:
    path = folder / "x.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE x (y)")
    connection.close()
    return path.read_bytes()


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b'{"schemaVersion": 1, "traceEvents": []}', FileKind.TRACE),
        (b'\xef\xbb\xbf [{"ph": "X"}]', FileKind.TRACE),
        (b"anything", FileKind.TRACE),
        (b"NVR\x00....", FileKind.NSIGHT_COMPUTE),
        (pickle.dumps(SNAPSHOT), FileKind.SNAPSHOT),
        (json.dumps(SNAPSHOT).encode(), FileKind.SNAPSHOT),
        (json.dumps({"traceEvents": [{"segments": 1}]}).encode(), FileKind.TRACE),
    ],
)
def test_the_name_does_not_matter(content: bytes, kind: FileKind, packed: bool, tmp_path: Path) -> None:
    path = tmp_path / "file.bin"
    path.write_bytes(gzip.compress(content) if packed else content)
    assert kind_of_file(path) is kind


def test_a_database(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    path.write_bytes(database(tmp_path))
    assert kind_of_file(path) is FileKind.NSIGHT
    path.write_bytes(gzip.compress(path.read_bytes()))
    with pytest.raises(InvalidRequest, match="database compressed by gzip") as refused:
        kind_of_file(path)
    assert refused.value.hint == "Unpack it: gunzip file.json"


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("a.json", b"PK\x03\x04....", "zip archive"),
        ("a.json", b"\x28\xb5\x2f\xfd....", "zstd"),
        (
            "a.tar.gz",
            gzip.compress(b"trace.json".ljust(257, b"\0") + b"ustar".ljust(300, b"\0"), mtime=0),
            "tar archive",
        ),
        ("a.json.gz", gzip.compress(gzip.compress(b"[]", mtime=0), mtime=0), "gzip twice"),
        ("a.html", b"<!doctype html>", "an HTML page"),
        ("a.nsys-rep", b"....", "only Nsight Systems can read"),
    ],
)
def test_what_it_is_instead(name: str, content: bytes, what: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InvalidRequest, match=what) as refused:
        analyze(path)
    assert refused.value.hint


@pytest.mark.parametrize(
    ("name", "what", "hint"),
    [
        ("a.ncu-rep", "a.ncu-rep is not a report of Nsight Compute", "Give a file that ncu wrote"),
        ("a.sqlite", "a.sqlite is not an export of Nsight Systems", "nsys export --type sqlite"),
        ("a.pickle", "a.pickle is not a memory snapshot", "torch.cuda.memory._dump_snapshot"),
        ("a.json.gz", "a.json.gz is not a trace", "Give a Kineto or Chrome trace"),
    ],
)
def test_noise_is_refused_in_words_of_its_name(name: str, what: str, hint: str, tmp_path: Path) -> None:
    path = tmp_path / name
    for content, why in ((b"\x17noise" * 99, "it has another format"), (b"", "it is empty")):
        path.write_bytes(content)
        for read in (analyze, memory):
            with pytest.raises(InvalidRequest) as refused:
                read(path)
            assert refused.value.message.startswith(what) and hint in refused.value.hint
            assert why in refused.value.message or name == "a.json.gz"
    path.write_bytes(b"PK\x03\x04....")
    with pytest.raises(InvalidRequest, match=what + ": it is a zip archive"):
        analyze(path)


def test_the_name_of_a_report_of_nsight_systems_does_not_hide_its_export(tmp_path: Path) -> None:
    path = tmp_path / "a.nsys-rep"
    path.write_bytes(database(tmp_path))
    assert kind_of_file(path) is FileKind.NSIGHT


def test_a_snapshot_tells_no_times(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    path.write_bytes(pickle.dumps(SNAPSHOT))
    with pytest.raises(InvalidRequest, match="is a memory snapshot") as refused:
        require_trace(path)
    assert refused.value.hint == "Read its memory: genops profiles memory file.json"


def test_no_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="There is no file"):
        kind_of_file(tmp_path / "none")
    with pytest.raises(InvalidRequest, match="could not be read: Is a directory"):
        kind_of_file(tmp_path)
