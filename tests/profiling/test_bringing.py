"""Traces that are brought from a target while things happen to the way: a real sshd behind a proxy."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import random
import shutil
import sys
from collections.abc import Callable, Iterator
from functools import cache, partial
from operator import le, lt
from pathlib import Path
from typing import Any

import pytest

from genops_lab.core.errors import Conflict
from genops_lab.core.models import Task
from genops_lab.profiling.models import CutQuery, Profile
from genops_lab.profiling.remote_analysis.engine_parts import Host
from tests.hosts.labs import until
from tests.support.application import Lab

from .test_remote_analysis import opened
from .worlds import World, a_world

#: A second and more for what each test brings.
SLOW_BYTES_S = 3e6


@cache
def noisy_trace() -> bytes:
    """10 MB that packing makes little shorter. Rules of advice look at each name, so the noise is no name."""
    chance = random.Random(7)
    made = [
        {"ph": "X", "cat": "cpu_op", "name": "op", "pid": 1, "tid": 1, "ts": n * 10, "dur": 5,
         "args": {"noise": chance.randbytes(2400).hex()}}
        for n in range(2000)
    ]  # fmt: skip
    return json.dumps({"traceEvents": made}).encode()


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with a_world(proxied=True) as found:
        yield found


async def scene(world: World, content: bytes) -> Profile:
    """A profile whose trace lies on the slow target gpu1."""
    world.proxy.set(bytes_per_s=0)
    (world.host.home / "t.json").write_bytes(content)
    await world.connected("gpu1", sys.executable)
    profile = await opened(world.lab, "t.json")
    assert (profile.state, profile.trace_target) == ("ready", "gpu1"), profile.message
    world.proxy.set(bytes_per_s=SLOW_BYTES_S)
    return profile


async def begun(lab: Lab, profile: Profile) -> Task:
    """The task that brings its trace, some of which has come."""
    task, twin = await asyncio.gather(lab.beside.fetch_trace(profile.id), lab.beside.fetch_trace(profile.id))
    assert twin.id == task.id, "asked for twice at once, it comes once"
    assert (task.subject, task.kind) == (f"profile:{profile.id}", "trace")
    return await until(lambda: lab.tasks.get_task(task.id), lambda found: (found.progress or 0) > 0.1)


def mebibytes(line: str) -> float:
    """How much of a trace a line of a task's log says to have come."""
    number, unit = (*line.split(), "")[:2]
    return float(number) if unit == "MiB" else 0.0


def files(lab: Lab, profile: Profile) -> list[str]:
    return sorted(path.name for path in (lab.profiles.root / profile.id).iterdir())


@pytest.mark.parametrize("packed", [False, pytest.param(True, marks=pytest.mark.exhaustive)])
def test_a_cut_link_costs_what_was_on_its_way_and_no_more(
    world: World,
    packed: bool,
) -> None:
    content = gzip.compress(noisy_trace(), 1) if packed else noisy_trace()

    lab, proxy = world.lab, world.proxy

    async def work() -> None:
        profile = await scene(world, content)
        task = await begun(lab, profile)
        assert (await lab.beside.fetch_trace(profile.id)).id == task.id, "it goes on already"

        async def log() -> list[str]:
            return (await lab.tasks.get_task_log(task.id)).lines

        async def waits() -> int:
            return "".join(await log()).count("the transfer continues")

        async def came() -> float:
            return max(map(mebibytes, await log()))

        for cuts in (1, 2):
            proxy.reset()
            await until(waits, partial(le, cuts))
            await until(came, partial(lt, await came()))
            shares = [mebibytes(line) for line in (await log())[1:]]
            assert shares == sorted(shares), "no step back"
        done = await lab.tasks.wait(task.id)
        assert done.state == "done", done
        assert done.message.startswith("Copied ") and done.message.endswith(" from gpu1."), done
        found = await lab.profiles.get_profile(profile.id)
        assert found.trace_target == "" and files(lab, profile) == ["columns", "trace.json.gz"]
        kept = (lab.profiles.root / profile.id / "trace.json.gz").read_bytes()
        assert kept == content if packed else gzip.decompress(kept) == content
        assert found.size_bytes == len(kept)

    world.run(work())


def test_a_cancelled_one_leaves_nothing(world: World) -> None:
    lab, proxy = world.lab, world.proxy

    async def work() -> None:
        profile = await scene(world, noisy_trace())
        task = await begun(lab, profile)
        columns, part = files(lab, profile)
        assert columns == "columns" and part.startswith("trace.json.gz.") and part.endswith(".part")
        cancelled = await lab.tasks.cancel_task(task.id)
        assert cancelled.state == "cancelled"

        async def look() -> list[str]:
            return files(lab, profile)

        assert await until(look, lambda names: part not in names) == ["columns"]
        found = await lab.profiles.get_profile(profile.id)
        assert (found.state, found.trace_target) == ("ready", "gpu1")
        with pytest.raises(Conflict, match="is on gpu1") as refused:
            await lab.perfetto.cut_trace(profile.id, CutQuery(first_us=0, last_us=1))
        assert refused.value.code == "trace_elsewhere"

        shutil.rmtree(lab.profiles.root / profile.id / "columns")
        with pytest.raises(Conflict, match="is on gpu1"):
            await lab.profiles.profile_flame(profile.id)

        proxy.set(bytes_per_s=0)
        again = await lab.tasks.wait((await lab.beside.fetch_trace(profile.id)).id)
        assert again.state == "done" and again.id != task.id, again
        cut = await lab.perfetto.cut_trace(profile.id, CutQuery(first_us=0, last_us=1))
        assert cut.whole
        assert (await lab.profiles.profile_flame(profile.id)).nodes

    world.run(work())


def _appended(trace: Path) -> None:
    with trace.open("ab") as stream:
        stream.write(b" ")


def _exchanged(trace: Path) -> None:
    """Neither its length nor its time tells."""
    seen = trace.stat()
    with trace.open("r+b") as stream:
        stream.seek(100)
        stream.write(b"x")
    os.utime(trace, ns=(seen.st_atime_ns, seen.st_mtime_ns))


@pytest.mark.parametrize(
    "change", [pytest.param(_appended, marks=pytest.mark.exhaustive), _exchanged, Path.unlink]
)
def test_a_trace_that_changes_on_its_host_meanwhile_is_not_taken(
    world: World,
    change: Callable[[Path], None],
) -> None:
    lab, proxy = world.lab, world.proxy

    async def work() -> None:
        profile = await scene(world, noisy_trace())
        task = await begun(lab, profile)
        change(world.host.home / "t.json")
        proxy.reset()
        ended = await lab.tasks.wait(task.id)
        assert ended.state == "failed"
        expected = "No such file" if change is Path.unlink else "changed on its host during the transfer"
        assert expected in ended.message, ended
        assert files(lab, profile) == ["columns"]
        assert (await lab.profiles.get_profile(profile.id)).trace_target == "gpu1"

    world.run(work())


def test_a_target_that_is_disconnected_ends_it(world: World) -> None:
    lab = world.lab

    async def work() -> None:
        profile = await scene(world, noisy_trace())
        task = await begun(lab, profile)
        await lab.targets.disconnect_target("gpu1")
        ended = await lab.tasks.wait(task.id)
        assert (ended.state, "not connected" in ended.message) == ("failed", True), ended
        assert files(lab, profile) == ["columns"]
        with pytest.raises(Conflict, match="not connected"):
            await lab.beside.fetch_trace(profile.id)

    world.run(work())


def host_trace(**given: Any) -> Host:
    """What a host says of a trace of 8 bytes in gzip."""
    fields: dict[str, Any] = {"size": 8, "packed": True, **given}
    return Host(
        path="/t", python=(3, 11), implementation="cpython", machine="x86_64", glibc="2.36", has={}, **fields
    )
