"""Traces that kernels wrote on a target go with their profiles: a real sshd, a real agent."""

from __future__ import annotations

import asyncio
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from genops_lab.core.errors import GenOpsError
from genops_lab.profiling.models import DeletedProfile, NewProfile, Profile
from tests.hosts.labs import until
from tests.support.application import Lab

from .test_remote_analysis import TRACE, brought, engine_folder, opened
from .worlds import World, a_world


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """A Lab with a target, on which the engine was once."""
    with a_world() as found:

        async def work() -> None:
            await found.connected("gpu1", sys.executable)
            (found.host.home / "own.json").write_text(TRACE)
            own = await opened(found.lab, "own.json")
            await found.lab.beside.delete_profile(own.id)

        found.run(work())
        yield found


@pytest.fixture
def folder(world: World) -> Path:
    """The folder of a kernel's traces."""
    return engine_folder(world.host).parent / "lab" / str(uuid.uuid4()) / "profiles"


def written(folder: Path) -> Path:
    """A trace as a kernel writes it."""
    trace = folder / uuid.uuid4().hex / "trace.json"
    trace.parent.mkdir(parents=True, mode=0o700)
    trace.write_text(TRACE)
    return trace


async def kept(lab: Lab, trace: Path) -> Profile:
    """The profile of a trace that a kernel wrote, analysed."""
    made = await lab.beside.add_profile_beside(
        NewProfile(trace_path=str(trace), title="a cell", target="gpu1")
    )
    found = await until(lambda: lab.profiles.get_profile(made.id), lambda each: each.state != "analyzing")
    assert (found.state, found.trace_target) == ("ready", "gpu1"), found.message
    return found


async def reconnected(lab: Lab) -> None:
    await lab.targets.connect_target("gpu1")
    await until(lambda: lab.targets.get_target("gpu1"), lambda found: found.state == "up")


def test_a_trace_goes_with_its_profile_and_nothing_else_does(world: World, folder: Path) -> None:
    lab = world.lab

    async def work() -> None:
        trace, fetched, other = written(folder), written(folder), written(folder)
        profiles = [await kept(lab, each) for each in (trace, fetched)]
        await brought(lab, profiles[1].id)
        assert fetched.exists()
        for profile in profiles:
            assert await lab.beside.delete_profile(profile.id) == DeletedProfile(id=profile.id)
        assert [each.parent.exists() for each in (trace, fetched, other)] == [False, False, True]
        assert (await lab.profiles.list_profiles()).items == []
        own = await opened(lab, "own.json")
        assert await lab.beside.delete_profile(own.id) == DeletedProfile(id=own.id)
        assert (world.host.home / "own.json").exists(), "it was the user's"

    world.run(work())


def test_a_trace_on_a_target_that_is_away_goes_when_it_is_back(world: World, folder: Path) -> None:
    lab = world.lab

    async def work() -> None:
        trace = written(folder)
        profile = await kept(lab, trace)
        await lab.targets.disconnect_target("gpu1")
        deleted = await lab.beside.delete_profile(profile.id)
        assert deleted.left == f"The trace gpu1:{trace} is deleted when gpu1 is connected next."
        assert trace.exists()
        await reconnected(lab)

        async def left() -> object:
            return lab.profiles.host_traces.to_remove("gpu1")

        await until(left, lambda found: found == [])
        assert not trace.parent.exists()

    world.run(work())


def test_a_trace_that_another_profile_reads_goes_with_that_one(world: World, folder: Path) -> None:
    lab = world.lab

    async def work() -> None:
        trace = written(folder)
        # The kernel's folder may lie behind a link, which the host looks through.
        (world.host.home / "behind").symlink_to(folder)
        file = world.host.home / "behind" / trace.parent.name / trace.name
        profile, other = await kept(lab, file), await opened(lab, str(trace))
        await lab.beside.delete_profile(profile.id)
        assert trace.exists()
        await lab.beside.delete_profile(other.id)
        assert not trace.parent.exists()

    world.run(work())


def test_a_trace_whose_server_ended_before_it_noted_the_deletion_goes_with_the_next_connection(
    world: World, folder: Path
) -> None:
    lab = world.lab

    async def work() -> None:
        trace = written(folder)
        profile = await kept(lab, trace)
        # Of the two steps of a deletion the first.
        await lab.profiles.delete_profile(profile.id)
        assert trace.exists()
        await lab.targets.disconnect_target("gpu1")
        await reconnected(lab)
        await until(lambda: asyncio.to_thread(trace.parent.exists), lambda there: not there)

    world.run(work())


def test_a_profile_that_is_deleted_is_not_brought_any_further(world: World, folder: Path) -> None:
    lab = world.lab

    async def work() -> None:
        profile = await kept(lab, written(folder))
        task = await lab.beside.fetch_trace(profile.id)
        await lab.beside.delete_profile(profile.id)
        assert (await lab.tasks.get_task(task.id)).state == "cancelled"
        assert not (lab.profiles.root / profile.id).exists()

    world.run(work())


def test_a_host_removes_nothing_that_no_kernel_wrote(world: World, folder: Path) -> None:
    lab = world.lab

    async def work() -> None:
        trace = written(folder)
        own = world.host.home / uuid.uuid4().hex
        own.mkdir()
        (own / "trace.json").write_text(TRACE)
        link = folder / uuid.uuid4().hex
        link.symlink_to(own)
        deeper = folder.parent / "other" / "profiles" / uuid.uuid4().hex
        deeper.mkdir(parents=True)
        paths = [
            own / "trace.json", link / "trace.json", trace.parent, deeper / "trace.json", Path("/"),
            Path("profiles/x"), folder / "trace.json", folder / ".." / ".." / "trace.json",
        ]  # fmt: skip
        for path in paths:
            with pytest.raises(GenOpsError) as refused:
                await lab.targets.call("gpu1", "traces.remove", {"path": str(path)})
            assert refused.value.code == "not_ours", path
        assert (own / "trace.json").exists() and trace.exists() and deeper.exists()
        around = trace.parent / ".." / trace.parent.name / "trace.json"
        assert await lab.targets.call("gpu1", "traces.remove", {"path": str(around)}) == {}
        assert not trace.exists()
        assert await lab.targets.call("gpu1", "traces.remove", {"path": str(trace)}) == {}, (
            "it is gone already"
        )

    world.run(work())
