"""``scan.c``: what it reads is what Python reads, all else it leaves to Python, and it stays in its memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genops_lab.profiling import analyze
from genops_lab.profiling.engine.reading import batches, native, slow_path
from genops_lab.profiling.remote_analysis.engine_parts import engine
from tests.support.exhaustive import examples, times
from tests.support.scripts import build_native

from . import scan_fuzz
from .test_bad_traces import SEED_EVENTS, mutated, mutations
from .test_reading import events, exact, joined, plain_events

pytestmark = pytest.mark.skipif(
    not native.available(), reason="scan.c is not built here: there is no C compiler, or GENOPS_NATIVE=0"
)


def in_python(text: bytes) -> dict[str, Any] | str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(native, "scan", lambda _text: None)
        return outcome(text)


def outcome(text: bytes) -> dict[str, Any] | str:
    try:
        return joined(batches.read(text))
    except (msgspec.DecodeError, RecursionError) as error:
        return type(error).__name__


def a_slice(**changes: Any) -> dict[str, Any]:
    return {**scan_fuzz.EVENT, "args": {"device": 0, "stream": 7}, **changes}


def spaced(found: Any, style: int) -> bytes:
    separators = [(",", ":"), (", ", ": "), (" ,\r\n", "\t: ")][style]
    return json.dumps(found, separators=separators, indent=[None, 1, None][style]).encode()


@settings(max_examples=examples(400), deadline=None)
@given(st.lists(plain_events | events, max_size=6), st.integers(0, 2))
def test_it_reads_what_python_reads(found: list[Any], style: int) -> None:
    text = spaced(found, style)
    assert outcome(text) == in_python(text)


@settings(max_examples=examples(600), deadline=None)
@given(mutations, st.booleans())
def test_damaged_texts_are_read_or_refused_alike(changes: Any, odd: bool) -> None:
    """``odd``: with events that are left to Python undamaged."""
    seed = [scan_fuzz.EVENT, *(SEED_EVENTS if odd else []), scan_fuzz.MEMORY, scan_fuzz.EVENT]
    text = mutated(json.dumps(seed).encode(), changes)
    assert outcome(text) == in_python(text)


@settings(max_examples=examples(300), deadline=None)
@given(st.lists(plain_events, min_size=1, max_size=6), st.integers(0, 2))
def test_plain_events_are_not_left_to_python(found: list[Any], style: int) -> None:
    scanned = native.scan(spaced(found, style))
    assert scanned is not None
    assert scanned.events == len(found)
    memory = sum(each["ph"] == "i" and each["name"] == "[memory]" for each in found)
    assert (len(scanned.ts), len(scanned.memory_ts)) == (sum(each["ph"] == "X" for each in found), memory)


@settings(max_examples=examples(400), deadline=None)
@given(
    st.one_of(
        st.integers(0, 2**51).map(str),
        st.decimals(-(10**12), 10**15, places=3).map("{:f}".format),
        st.decimals(0, 10**9, places=9).map("{:f}".format),
        st.tuples(st.integers(0, 10**9), st.sampled_from(["0005", "0015", "00050", "00149999", "9995"])).map(
            lambda parts: f"{parts[0]}.{parts[1]}"
        ),
    )
)
def test_times_are_exact(time: str) -> None:
    text = f'[{{"ph":"X","name":"a","ts":{time},"dur":0}}]'.encode()
    scanned = native.scan(text)
    assert scanned is not None
    assert scanned.ts.tolist() == [exact(time)]


@pytest.mark.parametrize(
    "time",
    ["4611686018427387", "9999999999999999", "12345678901234567", "1e3", '"12"', "null", "00", "1.", "-"],
)
def test_times_that_are_left_to_python(time: str) -> None:
    text = f'[{{"ph":"X","cat":"kernel","name":"a","ts":{time},"dur":1}}]'.encode()
    assert native.scan(text) is None
    assert outcome(text) == in_python(text)


@pytest.mark.parametrize(
    "value", ["31.25", "0.1", "100", "33.333333333333", "12345678.9", "-1", "0.30000000000000004", "1e1"]
)
def test_occupancies_are_those_of_python(value: str) -> None:
    event = json.dumps(a_slice()).replace('"device"', f'"est. achieved occupancy %": {value}, "device"')
    text = f"[{event}]".encode()
    assert native.scan(text) is not None
    assert outcome(text) == in_python(text)


@pytest.mark.parametrize(
    "text",
    [
        *('[{"ph":"X"}] x', '[{"ph":"X"},]', '[{"ph":"X"} {"ph":"X"}]', "[" * 100 + "]" * 100, "", "[", "{}"),
        '[{"ph":"X","name":"a\\ud83d\\ude00","ts":1}]',
        '[{"ph":"X","name":"a\x01","ts":1}]',
        '[{"ph":"X","name":"a","name":"b","ts":1}]',
        '[{"ph":"X","n\\u0061me":"a","ts":1}]',
        '[{"ph":"X","name":"a","ts":1,"args":{"stream":7.0}}]',
        '[{"ph":"X","name":"a","ts":1,"args":[]}]',
        '[{"ph":"Z","name":"a","ts":1}]',
        '[{"name":"a","ts":1}]',
    ],
)
def test_odd_texts_are_left_to_python(text: str) -> None:
    assert native.scan(text.encode()) is None
    assert outcome(text.encode()) == in_python(text.encode())


def test_arguments_may_stand_before_the_phase() -> None:
    event = a_slice()
    text = json.dumps([{"args": event.pop("args"), **{key: event[key] for key in reversed(event)}}]).encode()
    assert native.scan(text) is not None
    assert outcome(text) == in_python(text) == outcome(json.dumps([a_slice()]).encode())


@pytest.mark.parametrize(
    ("changes", "natively"),
    [
        ({}, True),
        ({"args": {"Device Id": 3, "stream": "x"}}, True),
        ({"args": {"Device Id": 3, "correlation": "x"}}, False),
        ({"args": {"Bytes": 2**64}}, False),
        ({"args": None}, False),
        ({"name": "[other]"}, False),
        ({"ts": -1}, True),
        ({"pid": None, "tid": "main"}, True),
        ({"tid": 9, "ts": ...}, True),
    ],
)
@pytest.mark.parametrize("phase_last", [False, True])
def test_memory_events(changes: dict[str, Any], natively: bool, phase_last: bool) -> None:
    event = {key: value for key, value in {**scan_fuzz.MEMORY, **changes}.items() if value is not ...}
    if phase_last:
        event["ph"] = event.pop("ph")
    text = json.dumps([scan_fuzz.MEMORY, event, a_slice()]).encode()
    scanned = native.scan(text)
    assert scanned is not None
    assert len(scanned.memory_ts) == 1 + natively
    assert outcome(text) == in_python(text)


@pytest.mark.parametrize("what", ["names", "threads"])
def test_more_names_or_rows_than_there_is_room_for(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for room in ("_MOST_TOKENS", "_MOST_ROWS"):
        monkeypatch.setattr(native, room, times(getattr(native, room), 1 << 9))
    monkeypatch.setattr(native, "_of_thread", threading.local())
    many = native._MOST_TOKENS + 1
    found = [
        a_slice(name=f"k{at}") if what == "names" else a_slice(tid=at % 300, pid=at // 300)
        for at in range(many)
    ]
    text = json.dumps(found).encode()
    assert native.scan(text) is None
    assert len(batches.read(text)) == many


def test_a_scanner_is_used_again() -> None:
    """Nothing of a text is found in the next."""
    first, second = (
        json.dumps([a_slice(name=name)] * count).encode() for name, count in (("long name", 9), ("b", 2))
    )
    expected = in_python(second)
    for text in (first, b"[{", first):
        outcome(text)
    assert outcome(second) == expected


def test_without_it_traces_are_read_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "trace.json"
    path.write_text(json.dumps([a_slice()] * 3))
    native._library.cache_clear()
    monkeypatch.setattr(native, "loaded", _not_found)
    try:
        assert not native.available()
        assert analyze(path).devices[0].kernels == 3
    finally:
        native._library.cache_clear()


def _not_found(path: Path) -> Any:
    raise OSError(f"{path}: cannot open shared object file")


def test_a_library_of_another_version_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "scan.c"
    source.write_text(
        build_native.SOURCE.read_text().replace("    int64_t missing;", "    int64_t missing, more;")
    )
    monkeypatch.setattr(build_native, "SOURCE", source)
    assert build_native.build(library=tmp_path / "scan.so") == ""
    with pytest.raises(OSError, match=r"another version: run scripts/build_native\.py"):
        native.loaded(tmp_path / "scan.so")


def test_a_text_of_many_megabytes_is_left_to_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "_MOST_BYTES", 1 << 20)
    monkeypatch.setattr(native, "_of_thread", threading.local())  # an earlier test's has room for more
    text = json.dumps([a_slice(name="n" * native._MOST_BYTES)]).encode()
    assert native.scan(text) is None
    assert len(batches.read(text)) == 1


def test_it_goes_to_hosts_in_the_engine(tmp_path: Path) -> None:
    archive = tmp_path / "engine.zip"
    archive.write_bytes(engine().content)
    code = (
        "from genops_lab.profiling.engine.reading import native; print(native.__file__, native.available())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(archive), "TMPDIR": str(tmp_path)},
    ).stdout.split()
    assert done[0].startswith(str(archive))
    assert done[1] == "True"
    assert [path.name for path in tmp_path.iterdir()] == [archive.name]


def test_odd_batches_are_still_read_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[bytes] = []
    read = slow_path.read
    monkeypatch.setattr(slow_path, "read", lambda text: (taken.append(text), read(text))[1])
    text = json.dumps([a_slice(name=7)]).encode()
    batches.read(text)
    assert taken == [text]


def test_nothing_outside_its_memory_is_read_or_written(tmp_path: Path) -> None:
    """Under the compiler's own sanitizers, on damaged texts."""
    library = tmp_path / "scan.so"
    checks = ("-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    if reason := build_native.build(library=library, flags=(*build_native.FLAGS, *checks)):
        pytest.skip(f"this compiler has no sanitizers: {reason}")
    runtime = subprocess.run(
        [*build_native.compiler(), "-print-file-name=libasan.so"], capture_output=True, text=True, check=True
    ).stdout.strip()
    if not Path(runtime).is_absolute():
        pytest.skip("this compiler's sanitizers are no library that can be loaded first")
    rounds = examples(20_000)
    found = subprocess.run(
        [sys.executable, "-m", "tests.profiling.scan_fuzz", str(library), str(rounds)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
        # Python itself keeps memory until its end.
        env={**os.environ, "LD_PRELOAD": runtime, "ASAN_OPTIONS": "detect_leaks=0", "PYTHONMALLOC": "malloc"},
    )
    assert found.returncode == 0, found.stderr[-3000:]
    assert int(found.stdout) > rounds // 200
