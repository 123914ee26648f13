"""Processes that end inside a run: what they left is taken over, and the run does not run for ever."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import msgspec
import psutil
import pytest

from genops_lab.experiments.models import MetricsQuery, TrackedProcess
from genops_lab.experiments.tracking import KERNEL_ENDED

from .conftest import Room, Sender, until


@pytest.fixture
def kernel() -> Iterator[subprocess.Popen[bytes]]:
    """A process to be killed."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    yield process
    process.kill()
    process.wait()


def sender_of(process: subprocess.Popen[bytes], run_key: str) -> Sender:
    """Sends as that process."""
    found = psutil.Process(process.pid)
    return Sender(run_key, TrackedProcess(pid=found.pid, created=found.create_time(), notebook="n.ipynb"))


@asynccontextmanager
async def supervised(room: Room) -> AsyncIterator[None]:
    """With the room's supervision."""
    task = asyncio.create_task(room.tracking.supervise())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled(), task.exception()


def spool(room: Room, sender: Sender, begin: int, tail: bytes = b"") -> None:
    """What the kernel has on disk."""
    header = {"run_key": sender.run_key, "process": msgspec.to_builtins(sender.process)}
    lines = [header, *(msgspec.to_builtins(event) for event in sender.events[begin:])]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (room.mlflow.spool / f"{sender.run_key}.jsonl").write_bytes(text.encode() + tail)


async def test_a_killed_process_leaves_a_failed_run(room: Room, kernel: subprocess.Popen[bytes]) -> None:
    sender, other = sender_of(kernel, "killed"), Sender("alive")
    for one in (sender, other):
        one.add("start", name=one.run_key)
        one.metrics(0, loss=1)
    await sender.send(room)
    alive = await other.send(room)
    async with supervised(room):
        os.kill(kernel.pid, signal.SIGKILL)  # and it stays a zombie: nobody waits for it yet
        await until(lambda: any(kind == "run" for kind, _id in room.events_seen))
        room.events_seen.clear()
        ack = await sender.send(room)
        while (run := (await room.experiments.resolve_run(ack.run_id))).status == "RUNNING":
            await asyncio.sleep(0.1)
    assert (run.status, run.tags["genops.failure"]) == ("FAILED", KERNEL_ENDED)
    assert run.ended_at is not None and run.ended_at <= time.time()
    assert (await room.experiments.resolve_run(alive.run_id)).status == "RUNNING"


async def test_what_a_killed_process_spooled_is_taken_over_up_to_the_torn_line(
    room: Room, kernel: subprocess.Popen[bytes]
) -> None:
    sender, ended = sender_of(kernel, "spooled"), sender_of(kernel, "ended")
    for one in (sender, ended):
        one.add("start", name=one.run_key)
        for step in range(700):
            one.metrics(step, loss=float("nan") if step == 3 else step)
    ended.add("end", status="FINISHED")
    await sender.send(room, 0, 10)
    handed = room.mlflow.spool / "handed.txt"
    handed.write_text("x")
    sender.add("file", path="handed.txt", source=str(handed))
    spool(room, sender, 5, tail=b'{"seq": 703, "kind": "metr')
    spool(room, ended, 0)
    (room.mlflow.spool / "garbage.jsonl").write_bytes(b"\x00\xff{")
    os.utime(room.mlflow.spool / "garbage.jsonl", (1, 1))
    async with supervised(room):
        await asyncio.sleep(1.5)
        assert (room.mlflow.spool / "spooled.jsonl").exists(), "its process lives and sends by itself"
        kernel.kill()
        kernel.wait()
        await until(lambda: not list(room.mlflow.spool.glob("*.jsonl")))
    runs = {name: await _named(room, name) for name in ("spooled", "ended")}
    assert {name: run.status for name, run in runs.items()} == {"spooled": "FAILED", "ended": "FINISHED"}
    for run in runs.values():
        (series,) = (await room.experiments.get_run_metrics(run.run_id, MetricsQuery())).series
        assert series.steps == list(range(700))
        assert series.values[2:5] == [2, None, 4]
    detail = await room.experiments.get_run(runs["spooled"].run_id)
    assert [entry.path for entry in detail.artifacts] == ["handed.txt"]
    assert not handed.exists()
    assert (room.mlflow.spool / "garbage.broken").exists(), "set aside, not deleted"


async def test_a_spool_with_a_hole_is_set_aside(room: Room, kernel: subprocess.Popen[bytes]) -> None:
    sender = sender_of(kernel, "hole")
    sender.add("start", name="hole")
    for step in range(10):
        sender.metrics(step, loss=step)
    ack = await sender.send(room, 0, 3)
    spool(room, sender, 6)
    kernel.kill()
    kernel.wait()
    async with supervised(room):
        aside = room.mlflow.spool / "hole.broken"
        await until(aside.exists)
        while (run := await room.experiments.resolve_run(ack.run_id)).status == "RUNNING":
            await asyncio.sleep(0.1)
    assert run.status == "FAILED"
    assert len(aside.read_text().splitlines()) == 6


async def _named(room: Room, name: str):  # type: ignore[no-untyped-def]
    from genops_lab.experiments.models import RunQuery

    page = await room.experiments.list_runs(RunQuery(filter=f"attributes.run_name = '{name}'"))
    (run,) = page.items
    return run
