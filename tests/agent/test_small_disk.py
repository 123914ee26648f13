"""A disk that is really full: a tmpfs of a few hundred kB, where this user may mount one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from genops_lab.agent.channels import ChannelReset
from tests.support.quota import small_disk, used_up_quota

from .hosts import attached


@pytest.fixture(name="small_disk")
def agent_state(agent_home: Path) -> Iterator[Path]:
    """1 MB for the agent's state."""
    with small_disk(agent_home / "state", "1m") as folder:
        yield folder


def test_a_cell_goes_on_where_the_disk_is_full_and_its_output_is_sent(
    agent_home: Path, small_disk: Path
) -> None:
    async def test() -> None:
        async with attached(agent_home) as host:
            await host.start("k")
            client = await host.kernel("k").welcomed()
            msg_id = client.execute("for i in range(60): print('x' * 50_000, flush=True)\nprint('end')")
            await client.done(msg_id)
            assert client.text(msg_id) == ("x" * 50_000 + "\n") * 60 + "end\n"
            notes = [note for note in client.notes() if note["kind"] == "disk_full"]
            assert len(notes) == 1 and "space" in notes[0]["reason"]
            client.acknowledge()
            ended = await host.call("kernels.stop", kernel_id="k", grace_s=30)
            assert (ended["state"], ended["exit_code"]) == ("ended", 0)
            await client.until(lambda: client.end)
        async with attached(agent_home) as host:
            (info,) = await host.call("kernels.list")
            assert (info["state"], info["reason"]) == ("ended", "It was stopped on request.")

    asyncio.run(asyncio.wait_for(test(), 170))


def test_a_kernel_is_not_started_where_the_quota_is_used_up(agent_home: Path, tmp_path: Path) -> None:
    async def test() -> None:
        async with attached(agent_home, **used_up_quota(agent_home / "state", tmp_path)) as host:
            with pytest.raises(ChannelReset) as found:
                await host.start("k")
            assert (
                found.value.code == "disk_full"
                and "quota" in found.value.message.lower()
                and found.value.hint
            )
            assert await host.call("kernels.list") == []

    asyncio.run(asyncio.wait_for(test(), 170))


def test_a_kernel_is_not_started_on_a_full_disk(agent_home: Path, small_disk: Path) -> None:
    async def test() -> None:
        try:
            (small_disk / "filler").write_bytes(bytes(2_000_000))
        except OSError as error:
            assert error.errno == 28
        async with attached(agent_home) as host:
            with pytest.raises(ChannelReset) as found:
                await host.start("k")
            assert found.value.code == "disk_full" and found.value.hint
            (small_disk / "filler").unlink()
            await host.start("k")
            client = await host.kernel("k").welcomed()
            await client.done(client.execute("1"))

    asyncio.run(asyncio.wait_for(test(), 170))
