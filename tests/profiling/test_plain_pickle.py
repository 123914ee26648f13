"""Pickles that want more than plain containers: nothing of them runs, and nothing grows beyond the file."""

from __future__ import annotations

import collections
import contextlib
import io
import os
import pickle
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genops_lab.core.errors import InvalidRequest
from genops_lab.profiling.engine.memory import plain_pickle, snapshots
from tests.support.exhaustive import examples

from .snapshots import at, block, entry, segment, snapshot

plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner, inner, inner),
    max_leaves=30,
)


@given(plain, st.integers(2, 5))
def test_plain_containers_come_as_pickle_reads_them(value: Any, protocol: int) -> None:
    assert plain_pickle.load(pickle.dumps(value, protocol), "x") == value


def test_shared_containers_stay_shared() -> None:
    frames = [{"line": 1}]
    first, second = plain_pickle.load(pickle.dumps([frames, frames]), "x")
    assert first is second


def entries(count: int, frames: int, distinct: int) -> Any:
    """Allocations whose stacks are lists of the same frames."""
    every = [{"line": number, "name": f"f{number}"} for number in range(frames)]
    stacks = [[every[(3 * which + n) % frames] for n in range(frames)] for which in range(distinct)]
    return [{"addr": n, "frames": list(stacks[n % distinct])} for n in range(count)]


@given(st.integers(1, 12), st.integers(1, 700), st.integers(1, 3), st.integers(2, 5))
@settings(max_examples=examples(40), deadline=None)
def test_stacks_that_come_again_are_lists_of_their_own(
    count: int, frames: int, distinct: int, protocol: int
) -> None:
    value = entries(count, frames, distinct)
    found = plain_pickle.load(pickle.dumps([value, value[0]["frames"]], protocol), "x")
    assert found == [value, value[0]["frames"]]
    assert found[1] is found[0][0]["frames"]
    assert len({id(each["frames"]) for each in found[0]}) == count
    assert len({id(frame) for each in found[0] for frame in each["frames"]}) == frames


def test_a_place_of_the_memo_that_gets_something_else_is_not_remembered() -> None:
    gets = b"(" + b"h\x01" * 9 + b"e"
    found = plain_pickle.load(b"\x80\x02]q\x00(K\x05q\x01]" + gets + b"K\x06q\x01]" + gets + b"e.", "x")
    assert found == pickle.loads(b"\x80\x02]q\x00(K\x05q\x01]" + gets + b"K\x06q\x01]" + gets + b"e.")
    assert found == [5, [5] * 9, 6, [6] * 9]


@pytest.mark.parametrize("end", [b"h", b"j\x00\x00", b"h\x07" * 20 + b"e."])
def test_a_stack_that_is_cut_or_names_nothing(end: bytes) -> None:
    with pytest.raises(InvalidRequest, match="cut off or damaged"):
        plain_pickle.load(b"\x80\x04]\x94(" + b"h\x00" * 20 + end, "x")


class Opens:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


class State:
    def __init__(self) -> None:
        self.here = 1


class Pickler(pickle.Pickler):
    def persistent_id(self, value: Any) -> Any:
        return "elsewhere" if isinstance(value, State) else None


def persistent() -> bytes:
    stream = io.BytesIO()
    Pickler(stream).dump([State()])
    return stream.getvalue()


def call(path: Path, *, opcodes: bytes) -> bytes:
    text = str(path).encode()
    return b"\x80\x02" + opcodes.replace(b"PATH", b"X" + struct.pack("<I", len(text)) + text)


HOSTILE = {
    "STACK_GLOBAL": lambda path: pickle.dumps({"segments": [Opens(path)]}),
    "GLOBAL": lambda path: pickle.dumps(Opens(path), 2),
    "INST": lambda path: call(path, opcodes=b"(PATHios\nmkdir\n."),
    "OBJ": lambda path: call(path, opcodes=b"(o."),
    "REDUCE": lambda path: call(path, opcodes=b"NNR."),
    "NEWOBJ": lambda path: call(path, opcodes=b"N)\x81."),
    "NEWOBJ_EX": lambda path: call(path, opcodes=b"N)}\x92."),
    "BUILD": lambda path: call(path, opcodes=b"}}b."),
    "EXT1": lambda path: call(path, opcodes=b"\x82\x01."),
    "EXT2": lambda path: call(path, opcodes=b"\x83\x01\x00."),
    "EXT4": lambda path: call(path, opcodes=b"\x84\x01\x00\x00\x00."),
    "PERSID": lambda path: call(path, opcodes=b"Pelsewhere\n."),
    "BINPERSID": lambda path: persistent(),
    "BYTEARRAY8": lambda path: pickle.dumps(bytearray(5), 5),
    "SHORT_BINBYTES": lambda path: pickle.dumps(b"ab", 4),
    "EMPTY_SET": lambda path: pickle.dumps({1}, 4),
    "NEXT_BUFFER": lambda path: call(path, opcodes=b"\x97."),
}


@pytest.mark.parametrize("instruction", sorted(HOSTILE))
def test_each_instruction_that_is_more_is_refused_by_name(instruction: str, tmp_path: Path) -> None:
    path, made = tmp_path / "snapshot.pickle", tmp_path / "made"
    path.write_bytes(HOSTILE[instruction](made))
    with pytest.raises(InvalidRequest, match=rf"was not opened.*\({instruction}\)") as refused:
        snapshots.read(path)
    assert refused.value.code == "unsafe_pickle"
    assert not made.exists()


@pytest.mark.parametrize("instruction", ["STACK_GLOBAL", "GLOBAL", "INST"])
def test_the_hostile_files_of_this_test_do_run_when_they_are_unpickled(
    instruction: str, tmp_path: Path
) -> None:
    made = tmp_path / "made"
    pickle.loads(HOSTILE[instruction](made))
    assert made.exists()


def test_an_ordered_dict_is_an_object_too() -> None:
    with pytest.raises(InvalidRequest, match="load a function or class"):
        plain_pickle.load(pickle.dumps(collections.OrderedDict(a=1)), "x")


CLAIMS = {
    "a text of 2 GB": b"\x80\x04X" + struct.pack("<I", 2**31) + b"abc.",
    "a text of 2 GB in 8 bytes": b"\x80\x04\x8d" + struct.pack("<Q", 2**31) + b"abc.",
    "a number of 2 GB": b"\x80\x04\x8b" + struct.pack("<i", 2**31 - 1) + b"abc.",
    "a long number": b"\x80\x04\x8a\xff" + b"\x01" * 255 + b".",
    "a frame": b"\x80\x04\x95" + struct.pack("<Q", 2**40) + b"N.",
    "a place in the memo": b"\x80\x02]r" + struct.pack("<I", 2**31) + b".",
    "a place in the memo that is empty": b"\x80\x02j" + struct.pack("<I", 2**31) + b".",
    "containers": b"\x80\x04(" + b"}" * 100_000 + b"t.",
    "a protocol to come": b"\x80\x09N.",
    "keys that take for ever to hash": b"\x80\x04})" + b"\x94h\x00\x86" * 3 + b"Ns.",
    "no end": b"\x80\x04]",
    "nothing": b"\x80\x04.",
    "a pair of one": b"\x80\x04N\x86.",
    "an open mark": b"\x80\x04(N.",
    "no such instruction": b"\x80\x04\xff.",
    "a text that is none": b"\x80\x04\x8c\x02\xff\xfe.",
    "an odd mapping": b"\x80\x04}(Nu.",
}


#: Reads each file and prints its name, and by how much the most memory ever had grew, once it is refused.
READS_ALL = """
import pathlib, resource, sys
from genops_lab.core.errors import InvalidRequest
from genops_lab.profiling.engine.memory import snapshots
def most():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):
    before = most()
    try:
        snapshots.read(path)
    except InvalidRequest:
        print(path.name, most() - before, sep=":", flush=True)
"""


def test_claims_are_refused_in_little_memory(tmp_path: Path) -> None:
    for claim, content in CLAIMS.items():
        (tmp_path / claim).write_bytes(content)
    ended = subprocess.run(
        [sys.executable, "-c", READS_ALL, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, (ended.stdout, ended.stderr)
    grew = {
        claim: int(kibibytes)
        for claim, _, kibibytes in (line.partition(":") for line in ended.stdout.splitlines())
    }
    assert grew.keys() == CLAIMS.keys(), "each is refused"
    assert sum(grew.values()) < 20_000, grew


def test_lists_that_name_one_list_again_and_again(tmp_path: Path) -> None:
    blocks: list[Any] = [{}] * 3000
    path = tmp_path / "snapshot.pickle"
    path.write_bytes(pickle.dumps({"segments": [{"blocks": blocks}] * 3000}))
    with pytest.raises(InvalidRequest, match="more entries than a file of this size"):
        snapshots.read(path)


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(found: bytes) -> None:
    with contextlib.suppress(InvalidRequest):
        plain_pickle.load(b"\x80\x04" + found, "x")


@given(plain, st.data())
def test_a_damaged_pickle_is_read_or_refused(value: Any, data: st.DataObject) -> None:
    whole = bytearray(pickle.dumps(value, 4))
    whole[data.draw(st.integers(2, len(whole) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(InvalidRequest):
        plain_pickle.load(bytes(whole), "x")


WHOLE = pickle.dumps(
    snapshot(
        [segment(block(1, 500, at(2)), block(600, 300, state="inactive"))],
        [entry("alloc", number, 10 * number, at(number)) for number in range(10)]
        + [entry("free_completed", 3, 30), entry("oom", 0, 4096, at(6), device_free=77)],
    )
)
positions = st.lists(st.tuples(st.integers(2, len(WHOLE) - 1), st.integers(0, 255)), min_size=1, max_size=3)


@settings(max_examples=examples(300))
@given(positions)
def test_a_damaged_snapshot_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, changes: Any
) -> None:
    content = bytearray(WHOLE)
    for place, value in changes:
        content[place] = value
    path = tmp_path_factory.getbasetemp() / "damaged.pickle"
    path.write_bytes(content)
    with contextlib.suppress(InvalidRequest):
        msgspec.json.encode(snapshots.read(path))
