"""Doorways: open while a Lab is connected, one connection a kernel, and what ended processes left."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import psutil
import pytest

from genops_lab.agent import paths
from genops_lab.agent.channels import ChannelReset
from genops_lab.agent.kernel_sockets import KernelSockets, is_gone, leftovers
from genops_lab.agent.lab_proxy import lab_environment, lab_folder, socket_path

KERNEL = "0f0f0f0f-kernel"


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The agent's state folder, with a kernel that the host knows."""
    monkeypatch.setenv("GENOPS_AGENT_STATE", str(tmp_path / "state"))
    paths.new_unit_folder(KERNEL)
    return tmp_path / "state"


def no_lab(_service: str, _params: dict[str, Any]) -> Any:
    raise ChannelReset("gone", "The connection has ended.")


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 60))


async def answers(path: str) -> bool:
    """Whether somebody listens; whoever does closes the connection, as there is no Lab."""
    try:
        reader, writer = await asyncio.open_unix_connection(path)
    except OSError:
        return False
    assert await reader.read() == b""
    writer.close()
    return True


def test_who_is_gone() -> None:
    own = psutil.Process()
    assert not is_gone(own.pid, own.create_time()) and not is_gone(own.pid, None)
    assert is_gone(own.pid, own.create_time() - 100), "another process has its pid by now"
    child = subprocess.Popen([sys.executable, "-c", ""])
    try:
        deadline = time.monotonic() + 60
        while not is_gone(child.pid, None):
            assert time.monotonic() < deadline, "it is a zombie"
    finally:
        child.wait()
    assert is_gone(child.pid, None)
    for nonsense in (-1, 0, "1", None, True, [1], 2**70, 1.5):
        assert is_gone(nonsense, None), nonsense


def test_one_connection_listens_for_a_kernel_and_the_next_takes_over() -> None:
    path = socket_path(lab_folder(KERNEL))
    Path(path).touch()  # left by one that was killed
    asked = {"kernels": {KERNEL: []}}

    async def work() -> None:
        first, second = KernelSockets(no_lab), KernelSockets(no_lab)
        assert not await answers(path)
        quiet = {"kernels": {KERNEL: {"gone": [], "spooled": []}}}
        assert await first.sync(asked) == await second.sync(asked) == quiet
        assert await answers(path)
        second.close()
        assert await answers(path), "the other one listens"
        await first.sync({"kernels": {}})
        assert not await answers(path), "the Lab does not serve this kernel any more"
        second = KernelSockets(no_lab)
        await second.sync(asked)
        assert await answers(path)
        second.close()
        assert not await answers(path)
        first.close()

    run(work())
    assert not os.path.lexists(path)


def test_only_what_can_be_a_kernel_is_looked_at(state: Path) -> None:
    async def work() -> None:
        doors = KernelSockets(no_lab)
        for asked in (None, [], {"../x": []}, {"a/b": []}, {"": []}, {"x" * 65: []}):
            with pytest.raises(ValueError, match="kernel"):
                await doors.sync({"kernels": asked})
        runs: list[Any] = [
            {"run_key": "a", "pid": -1},
            {"pid": 1},
            7,
            None,
            {"run_key": "b", "pid": os.getpid()},
        ]
        assert await doors.sync({"kernels": {KERNEL: runs, "unknown": 7}}) == {
            "kernels": {KERNEL: {"gone": ["a"], "spooled": []}, "unknown": {"gone": [], "spooled": []}}
        }
        assert sorted(path.name for path in (state / "lab").iterdir()) == [KERNEL]
        doors.close()

    run(work())


def test_leftovers_are_those_of_ended_processes() -> None:
    spool = Path(lab_folder(KERNEL)) / "spool"
    spool.mkdir()
    for key, pid in (("gone", 2**22 + 1), ("alive", os.getpid())):
        header = {"run_key": key, "process": {"pid": pid, "created": None}}
        (spool / f"{key}.jsonl").write_text(json.dumps(header) + "\n")
    (spool / "torn.jsonl").write_text('{"run_k')
    (spool / "old.jsonl").write_text('{"run_k')
    os.utime(spool / "old.jsonl", (1, 1))
    (spool / "kept.broken").write_text("x")
    assert [Path(path).name for path in leftovers(str(spool.parent))] == ["old.jsonl", "gone.jsonl"]


def test_a_forgotten_kernel_leaves_nothing_unless_something_was_never_sent(state: Path) -> None:
    for kernel_id in ("empty", "unsent"):
        (Path(lab_folder(kernel_id)) / "spool").mkdir()
    (Path(lab_folder("unsent")) / "spool" / "run.broken").write_text("x")

    async def work() -> None:
        await KernelSockets(no_lab).sync({"kernels": {}})
        assert sorted(path.name for path in (state / "lab").iterdir()) == ["unsent"]

    run(work())


def test_the_environment_leads_to_short_sockets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENOPS_AGENT_STATE", str(tmp_path / ("long" * 30)))
    env = lab_environment(KERNEL, "a.ipynb")
    assert env["GENOPS_NOTEBOOK"] == "a.ipynb" and env["GENOPS_REMOTE"] == "1"
    assert len(env["GENOPS_SOCKET"].encode()) < 104
    assert Path(env["GENOPS_DATA_DIR"]).stat().st_mode & 0o077 == 0
    sockets = Path(env["GENOPS_SOCKET"]).parent
    assert sockets.stat().st_mode & 0o077 == 0
    sockets.rmdir()
