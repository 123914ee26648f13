"""Keepers that were killed, hosts that were restarted, leases that ran out: said, and nothing is forgotten."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import psutil

from genops_lab.agent import processes, records
from genops_lab.agent.channels import ChannelReset
from genops_lab.agent.paths import REMOVED, forget, socket_folder
from genops_lab.agent.state_file import read_state, write_state
from tests.support.processes import runs

from .hosts import attached
from .waiting import gone, ready, run


def state_of(home: Path) -> dict[str, Any]:
    state = read_state(str(home / "state" / "kernels" / "k"))
    assert state is not None
    return state


def test_a_killed_keeper_costs_no_output_and_its_kernel_is_ended(agent_home: Path) -> None:
    async def test() -> None:
        async with attached(agent_home) as host:
            client = await ready(host)
            code = "import subprocess; p = subprocess.Popen(['sleep', '600']); print('child', p.pid)"
            msg_id = client.execute(code)
            await client.done(msg_id)
            child = int(client.text(msg_id).split()[1])
            state = state_of(agent_home)
            os.kill(state["keeper_pid"], signal.SIGKILL)
            await gone(state["keeper_pid"])
            info = await host.call("kernels.info", kernel_id="k")
            assert info["state"] == "ended" and "agent was killed" in info["reason"]
            await gone(state["pid"])
            await gone(child)
            again = host.kernel("k", client=client.client, after=0)
            await again.until(lambda: again.end)
            assert again.end is not None and again.end[0] == records.GONE
            assert again.text(msg_id) == f"child {child}\n"
            assert again.messages[: len(client.messages)] == client.messages
            assert [note["kind"] for note in again.notes()] == ["ended"]
            resumed = host.kernel("k", client=client.client, after=again.last)
            await resumed.until(lambda: resumed.end)
            assert resumed.messages == []

    run(test)


def test_sockets_that_a_cleaner_removed_come_back(agent_home: Path) -> None:
    """Where the home's path is long they lie in /tmp, which hosts clean."""
    home = agent_home / ("long" * 15)
    home.mkdir()
    folder = home / "state" / "kernels" / "k"

    async def test() -> None:
        async with attached(home) as host:
            before = await ready(host)
            sockets = Path(socket_folder(str(folder)))
            assert sockets != folder
            shutil.rmtree(sockets)
            info = await host.call("kernels.info", kernel_id="k")
            assert info["state"] == "running" and info["reason"] == ""
            client = await host.kernel("k", client=before.client, after=before.last).welcomed()
            msg_id = client.execute("print('still here')")
            await client.done(msg_id)
            assert client.text(msg_id) == "still here\n"
            shutil.rmtree(sockets)
            assert (await host.call("kernels.stop", kernel_id="k", grace_s=5))["state"] == "ended"
            await gone(state_of(home)["pid"])
            await host.call("kernels.forget", kernel_id="k")

    run(test)


def test_a_keeper_that_does_not_answer_hides_no_other_and_can_be_stopped(agent_home: Path) -> None:
    async def test() -> None:
        async with attached(agent_home) as host:
            await ready(host)
            await ready(host, "other")
            state = state_of(agent_home)
            os.kill(state["keeper_pid"], signal.SIGSTOP)
            asked = time.monotonic()
            listed = {info["kernel_id"]: info for info in await host.call("kernels.list")}
            assert time.monotonic() - asked < 10.0, "the Lab waits for a list no longer"
            assert listed["other"]["reason"] == ""
            assert listed["k"]["state"] == "running" and "does not answer" in listed["k"]["reason"]
            info = await host.call("kernels.stop", kernel_id="k", grace_s=1)
            assert info["state"] == "ended"
            await gone(state["pid"])
            await gone(state["keeper_pid"])

    run(test)


def test_a_list_forgets_no_kernel_that_is_being_started(agent_home: Path) -> None:
    folder = agent_home / "state" / "kernels" / "k"

    async def test() -> None:
        async with attached(agent_home) as host:
            folder.mkdir(parents=True)
            assert [info["state"] for info in await host.call("kernels.list")] == ["ended"]
            assert folder.is_dir()
            os.utime(folder, (0, 0))
            assert await host.call("kernels.list") == [] and not folder.exists()

    run(test)


def test_whoever_is_told_of_its_end_finds_nothing_of_a_kernel(agent_home: Path) -> None:
    """Two ask at once: the one that is refused must not take the connection from the one that is at work."""
    kernels = agent_home / "state" / "kernels"

    async def test() -> None:
        async with attached(agent_home) as host:
            await ready(host)
            await host.call("kernels.stop", kernel_id="k", grace_s=30)
            for number in range(5000):
                (kernels / "k" / f"more-{number}").touch()
            asked = [asyncio.ensure_future(host.call("kernels.forget", kernel_id="k")) for _ in range(4)]
            while (kernels / "k").exists():
                await asyncio.sleep(0)
            asked.append(asyncio.ensure_future(host.call("kernels.forget", kernel_id="k")))
            await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
            assert list(kernels.iterdir()) == []
            answers = await asyncio.gather(*asked, return_exceptions=True)
            assert [each for each in answers if not isinstance(each, ChannelReset)] == [{}]
            assert {each.code for each in answers if isinstance(each, ChannelReset)} == {"not_found"}

    run(test)


def test_a_kernel_that_nobody_reaps_has_ended() -> None:
    """In many containers the first process, which inherits a kernel without a keeper, never reaps it."""
    with subprocess.Popen(["sleep", "600"], start_new_session=True) as kernel:
        started = processes.start_time(kernel.pid)
        kernel.kill()
        deadline = time.monotonic() + 60
        while psutil.Process(kernel.pid).status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert started and not processes.start_time(kernel.pid)
        assert not processes.end_orphans(kernel.pid, started), "there was nothing to end"


def test_what_a_cut_left_of_a_removal_goes_with_the_next(agent_home: Path) -> None:
    root = agent_home / "state" / "kernels"
    for name in (f"{REMOVED}0", "k"):
        (root / name).mkdir(parents=True)
        (root / name / "journal").touch()
    forget(str(root / "k"))
    assert list(root.iterdir()) == []


def test_a_restarted_host_has_ended_its_kernels_and_keeps_their_outputs(agent_home: Path) -> None:
    async def test() -> None:
        async with attached(agent_home) as host:
            client = await ready(host)
            msg_id = client.execute("print('before')")
            await client.done(msg_id)
            state = state_of(agent_home)
            os.kill(state["keeper_pid"], signal.SIGKILL)
            os.killpg(state["pid"], signal.SIGKILL)
            await gone(state["keeper_pid"])
            await gone(state["pid"])
        folder = agent_home / "state" / "kernels" / "k"
        # the pid now belongs to a process of the new life of the host: it must be left alone
        other = await asyncio.create_subprocess_exec("sleep", "600", start_new_session=True)
        try:
            write_state(str(folder), {**state_of(agent_home), "boot_id": "another life", "pid": other.pid})
            (folder / "keeper.sock").unlink()
            async with attached(agent_home) as host:
                (info,) = await host.call("kernels.list")
                assert (info["state"], info["reason"]) == ("ended", "The host was restarted.")
                again = host.kernel("k", client=client.client)
                await again.until(lambda: again.end)
                assert again.text(msg_id) == "before\n"
                assert again.notes()[-1]["reason"] == "The host was restarted."
            assert other.returncode is None and runs(other.pid)
        finally:
            other.kill()
            await other.wait()

    run(test)


def test_a_pid_that_another_process_has_now_is_left_alone(agent_home: Path) -> None:
    async def test() -> None:
        async with attached(agent_home) as host:
            await ready(host)
            state = state_of(agent_home)
            os.kill(state["keeper_pid"], signal.SIGKILL)
            os.killpg(state["pid"], signal.SIGKILL)
            await gone(state["keeper_pid"])
            await gone(state["pid"])
            other = await asyncio.create_subprocess_exec("sleep", "600", start_new_session=True)
            try:
                folder = agent_home / "state" / "kernels" / "k"
                write_state(str(folder), {**state_of(agent_home), "pid": other.pid})
                info = await host.call("kernels.info", kernel_id="k")
                assert (info["state"], info["reason"]) == ("ended", "Its agent was killed.")
                assert psutil.Process(other.pid).status() != psutil.STATUS_ZOMBIE
            finally:
                other.kill()
                await other.wait()

    run(test)


def test_a_lease_that_runs_out_interrupts_then_ends(agent_home: Path) -> None:
    async def test() -> None:
        saved = agent_home / "saved"
        code = (
            "import time\ntry:\n    time.sleep(600)\n"
            f"except KeyboardInterrupt:\n    open({str(saved)!r}, 'w').write('saved'); print('saved')"
        )
        async with attached(agent_home) as host:
            client = await ready(host, lease={"seconds": 2, "grace_s": 1.0})
            assert client.welcome["lease_until"] is None and client.welcome["lease_seconds"] == 2
            await client.done(client.execute("1"))
            msg_id = client.execute(code)
            await client.until(lambda: any(kind == "execute_input" for kind, _ in client.said(msg_id)))
            pid = client.welcome["pid"]
            client.channel.reset("left", "The Lab has left.")
            while (info := await host.call("kernels.info", kernel_id="k"))["attached"]:
                await asyncio.sleep(0.05)
            assert info["state"] == "ended" or info["lease_until"] > time.time() - 60
            while (info := await host.call("kernels.info", kernel_id="k"))["state"] == "running":
                await asyncio.sleep(0.1)
            assert "No Lab was attached for 2 s" in info["reason"] and "GiB of memory" in info["reason"]
            assert saved.read_text() == "saved"
            await gone(pid)
            again = host.kernel("k", client=client.client)
            await again.until(lambda: again.end)
            assert again.text(msg_id) == "saved\n"
            kinds = [note["kind"] for note in again.notes()]
            assert kinds == ["lease", "ended"] and again.notes()[0]["memory_bytes"] > 0

    run(test)


def test_a_lease_is_renewed_by_who_is_attached_and_by_a_call(agent_home: Path) -> None:
    async def test() -> None:
        async with attached(agent_home) as host:
            client = await ready(host, lease={"seconds": 600})
            assert (await host.call("kernels.info", kernel_id="k"))["lease_until"] is None
            client.channel.reset("left", "The Lab has left.")
            while (info := await host.call("kernels.info", kernel_id="k"))["lease_until"] is None:
                await asyncio.sleep(0.05)
            assert 0 < info["lease_until"] - time.time() <= 600
            info = await host.call("kernels.lease", kernel_id="k", seconds=5000)
            assert 4000 < info["lease_until"] - time.time() <= 5000
            info = await host.call("kernels.lease", kernel_id="k", seconds=0)
            assert info["lease_until"] is None and info["state"] == "running"

    run(test)


def test_a_host_that_goes_down_ends_its_kernels_in_good_order(agent_home: Path) -> None:
    async def test() -> None:
        async with attached(agent_home) as host:
            client = await ready(host)
            await client.done(client.execute("1"))
            os.kill(state_of(agent_home)["keeper_pid"], signal.SIGTERM)
            await client.until(lambda: client.end)
            assert client.end is not None and "SIGTERM" in client.end[1]["reason"]

    run(test)


def test_a_kernel_whose_disk_is_full_goes_on_and_says_from_when(agent_home: Path) -> None:
    """The limit on file sizes stands in for a full disk: the system refuses what is written beyond."""

    async def test() -> None:
        async with attached(agent_home) as host:
            client = await ready(host)
            await client.done(client.execute("1"))
            keeper = psutil.Process(state_of(agent_home)["keeper_pid"])
            keeper.rlimit(psutil.RLIMIT_FSIZE, (300_000, 300_000_000))
            msg_id = client.execute("for i in range(40): print('x' * 20_000, flush=True)\nprint('end')")
            await client.done(msg_id)
            assert client.text(msg_id) == ("x" * 20_000 + "\n") * 40 + "end\n"
            notes = [note for note in client.notes() if note["kind"] == "disk_full"]
            assert len(notes) == 1 and notes[0]["from_seq"] > 0 and notes[0]["reason"]
            info = await host.call("kernels.info", kernel_id="k")
            assert info["journal_trouble"] and info["state"] == "running"
            keeper.rlimit(psutil.RLIMIT_FSIZE, (300_000_000, 300_000_000))
            await asyncio.sleep(1.1)  # the disk is tried once a second
            await client.done(client.execute("print('room again')"))
            assert (await host.call("kernels.info", kernel_id="k"))["journal_trouble"] == ""
            again = host.kernel("k", client=client.client)
            await again.until(lambda: again.last >= client.last)
            assert again.text(msg_id) == client.text(msg_id)

    run(test)
