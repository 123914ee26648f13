"""A trace goes on behind what a server left that ended: what is in its folder, and a real sshd with a killed server."""

from __future__ import annotations

import asyncio
import gzip
import io
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from genops_lab.agent.transfer import (
    DATA,
    DEFLATED_PART_BYTES,
    PART_BYTES,
    TransferReader,
    outgoing,
    read_document,
)
from genops_lab.profiling.remote_analysis.unfinished import IncomingTrace, UnfinishedTrace
from tests.hosts.labs import until
from tests.support.application import Lab

from .test_bringing import begun, files, host_trace, mebibytes, noisy_trace, scene
from .worlds import World, a_lab, a_world

CONTENT = random.Random(3).randbytes(4 * DEFLATED_PART_BYTES + 1000)


def part_of(packed: bool) -> int:
    """How much of the trace a part is."""
    return PART_BYTES if packed else DEFLATED_PART_BYTES


def bring(incoming: IncomingTrace, packed: bool, parts: int = 1000) -> None:
    """Have so many parts of CONTENT more come, as a host sends them."""
    reader = TransferReader()
    for piece in outgoing(io.BytesIO(CONTENT), len(CONTENT), incoming.done, deflate=not packed):
        for kind, payload in reader.feed(piece):
            if kind == DATA:
                incoming.take(payload)
                continue
            incoming.add(incoming.part(read_document(payload)))
            parts -= 1
            if not parts:
                return


def left(trace: Path, packed: bool, parts: int = 3) -> Path:
    """What a server leaves that was killed after so many parts; the folder."""
    unfinished = UnfinishedTrace.of(trace)
    incoming = unfinished.incoming(host_trace(size=len(CONTENT), packed=packed))
    bring(incoming, packed, parts)
    unfinished.leave(stays=True)
    [folder] = trace.parent.glob("*.part")
    return folder


def finished(trace: Path, packed: bool) -> int:
    """Where the next server went on, with what is whole at its end."""
    unfinished = UnfinishedTrace.of(trace)
    incoming = unfinished.incoming(host_trace(size=len(CONTENT), packed=packed))
    went_on = incoming.done // part_of(packed)
    bring(incoming, packed)
    assert incoming.whole
    incoming.finish()
    unfinished.finish(trace)
    kept = trace.read_bytes()
    assert (kept if packed else gzip.decompress(kept)) == CONTENT
    assert [path.name for path in trace.parent.iterdir()] == [trace.name]
    return went_on


@pytest.mark.parametrize("packed", [False, True])
def test_the_next_server_goes_on_behind_the_last_whole_part(tmp_path: Path, packed: bool) -> None:
    left(tmp_path / "t", packed)
    assert finished(tmp_path / "t", packed) == 3


def _torn_part(folder: Path, part: int) -> None:
    with (folder / "trace").open("ab") as stream:
        stream.write(b"half of a part")


def _torn_note(folder: Path, part: int) -> None:
    with (folder / "parts.jsonl").open("ab") as stream:
        stream.write(b'{"at": 31')


def _part_that_never_reached_the_disk(folder: Path, part: int) -> None:
    with (folder / "trace").open("r+b") as stream:
        stream.truncate(5 * part // 2)


def _other_bytes(folder: Path, part: int) -> None:
    with (folder / "trace").open("r+b") as stream:
        stream.seek(part + 500)
        stream.write(b"\0\0\0\0\0\0\0\0")


def _no_notes(folder: Path, part: int) -> None:
    (folder / "parts.jsonl").unlink()


def _empty_notes(folder: Path, part: int) -> None:
    (folder / "parts.jsonl").write_bytes(b"")


def _half_of_new_notes(folder: Path, part: int) -> None:
    (folder / "parts.new").write_bytes(b'{"path"')


def _no_parts(folder: Path, part: int) -> None:
    (folder / "trace").unlink()


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("harm", "whole"),
    [
        (_torn_part, 3),
        (_torn_note, 3),
        (_part_that_never_reached_the_disk, 2),
        (_other_bytes, 1),
        (_no_notes, 0),
        (_empty_notes, 0),
        (_half_of_new_notes, 3),
        (_no_parts, 0),
    ],
)
def test_only_what_is_as_it_came_counts(
    tmp_path: Path, harm: Callable[[Path, int], None], whole: int, packed: bool
) -> None:
    harm(left(tmp_path / "t", packed), part_of(packed))
    assert finished(tmp_path / "t", packed) == whole


def test_notes_of_before_stay_until_the_new_ones_are_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = left(tmp_path / "t", packed=True)
    before = (folder / "parts.jsonl").read_bytes()

    def full(_: Path, target: Path) -> Path:
        assert (folder / "parts.jsonl").read_bytes() == before == (folder / "parts.new").read_bytes()
        raise OSError(28, "No space left on device", str(target))

    unfinished = UnfinishedTrace.of(tmp_path / "t")
    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", full)
        with pytest.raises(OSError, match="No space left"):
            unfinished.incoming(host_trace(size=len(CONTENT), packed=True))
    unfinished.leave(stays=True)
    assert finished(tmp_path / "t", packed=True) == 3


def test_another_trace_begins_anew(tmp_path: Path) -> None:
    for change in ({"size": len(CONTENT) + 1}, {"changed_ns": 1}, {"packed": False}):
        left(tmp_path / "t", packed=True)
        unfinished = UnfinishedTrace.of(tmp_path / "t")
        assert unfinished.incoming(host_trace(**{"size": len(CONTENT), "packed": True, **change})).done == 0
        unfinished.leave()
        assert list(tmp_path.iterdir()) == []


def test_what_another_lab_writes_is_left_alone(tmp_path: Path) -> None:
    other = UnfinishedTrace.of(tmp_path / "t")
    theirs = other.incoming(host_trace(size=len(CONTENT)))
    bring(theirs, packed=True, parts=1)
    mine = UnfinishedTrace.of(tmp_path / "t")
    assert mine.incoming(host_trace(size=len(CONTENT))).done == 0
    mine.leave()
    bring(theirs, packed=True, parts=1)
    other.leave(stays=True)
    assert finished(tmp_path / "t", packed=True) == 2


async def connected(lab: Lab) -> None:
    await lab.targets.connect_target("gpu1")
    await until(lambda: lab.targets.get_target("gpu1"), lambda found: found.state == "up")


async def goes_on(world: World, profile_id: str, came: float) -> None:
    """The next server by itself brings what is missing of the noisy trace alone; ``came``: MiB that had come."""
    world.lab = lab = await a_lab(world.home, supervise=True)
    (task,) = await lab.tasks.list_tasks()
    task = await lab.tasks.wait(task.id)
    assert task.state == "done", task
    lines = (await lab.tasks.get_task_log(task.id)).lines
    asked = max(number for number, line in enumerate(lines) if line.startswith("Asking"))
    assert mebibytes(lines[asked + 1]) >= came, lines
    profile = await lab.profiles.get_profile(profile_id)
    assert profile.trace_target == "" and files(lab, profile) == ["columns", "trace.json.gz"]
    assert gzip.decompress((lab.profiles.root / profile_id / "trace.json.gz").read_bytes()) == noisy_trace()


SERVER = """
import asyncio, sys
from pathlib import Path
from tests.profiling.test_unfinished import connected
from tests.support.application import Lab, open_lab
from genops_lab.core.settings import Settings

async def work():
    lab = await open_lab(Settings(data_dir=Path(sys.argv[1])), supervise=False)
    await connected(lab)
    task = await lab.beside.fetch_trace(sys.argv[2])
    while True:
        print((await lab.tasks.get_task(task.id)).message or '-', flush=True)
        await asyncio.sleep(0.05)

asyncio.run(work())
"""


def test_after_a_server_that_was_stopped_and_one_that_was_killed() -> None:
    """Three servers of one home, one after the other: each goes on behind what the one before it brought."""
    with a_world(proxied=True) as world:

        async def stopped() -> tuple[str, float]:
            profile = await scene(world, noisy_trace())
            task = await begun(world.lab, profile)

            async def came() -> float:
                return mebibytes((await world.lab.tasks.get_task_log(task.id)).lines[-1])

            so_far = await until(came, lambda found: found >= 2)
            await world.lab.stop()
            return profile.id, so_far

        async def killed(profile_id: str, so_far: float) -> float:
            server = await asyncio.create_subprocess_exec(
                sys.executable, "-c", SERVER, str(world.home.data), profile_id, stdout=subprocess.PIPE
            )
            assert server.stdout is not None
            progress = []
            try:
                async for line in server.stdout:
                    if came := mebibytes(line.decode()):
                        progress.append(came)
                    if progress and progress[-1] > so_far + 1:
                        break
            finally:
                server.kill()
                await server.wait()
            assert progress and so_far <= progress[0] and so_far + 1 < progress[-1], progress
            return progress[-1]

        async def work() -> None:
            profile_id, so_far = await stopped()
            await goes_on(world, profile_id, await killed(profile_id, so_far))

        world.run(work())
