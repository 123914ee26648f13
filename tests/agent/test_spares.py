"""Kernels that are started ahead: taken, they are kernels like any other; what cannot be given late is not taken."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import psutil
import pytest

from genops_lab.agent import records
from genops_lab.agent.channels import ChannelReset
from genops_lab.agent.warm_kernel import unfit

from .hosts import KEY, attached
from .spare_kernels import spare_pids, warm, warmed
from .waiting import gone, ready, run, vanished

NO_ENV: dict[str, str] = {}


@pytest.fixture
def home(agent_home: Path) -> Path:
    return agent_home


def environment(home: Path) -> dict[str, str]:
    """Of the login: IPython writes there."""
    return {"IPYTHONDIR": str(home / "ipython"), "OLD": "old"}


async def printed(client: Any, code: str) -> str:
    msg_id = client.execute(code)
    await client.done(msg_id)
    return str(client.text(msg_id))


def arguments_of_all() -> str:
    return subprocess.run(["ps", "axww"], capture_output=True, text=True, check=True).stdout


def test_a_taken_kernel_is_like_a_fresh_one(home: Path) -> None:
    async def test() -> None:
        async with attached(home, **environment(home)) as host:
            await warmed(host, 1)
            (pid,) = spare_pids(home)
            assert await host.call("kernels.list") == []
            work = home / "work"
            work.mkdir()
            given = {"HF_TOKEN": "t0ken", "CUDA_VISIBLE_DEVICES": "3"}
            client = await ready(host, env=given, cwd=str(work))
            assert client.welcome["pid"] == pid, "it was not taken"
            assert client.welcome["key"] == KEY and client.welcome["last_seq"] == 0
            code = (
                "import os, sys\nprint(os.getcwd(), _dh[-1], os.environ['HF_TOKEN'],"
                " os.environ['CUDA_VISIBLE_DEVICES'], os.environ['OLD'], os.environ['GENOPS_KERNEL_ID'],"
                " os.environ['GENOPS_NOTEBOOK'])\n"
                "print([name for name in sys.modules if 'genops_spare' in name], In, list(Out), dir())"
            )
            msg_id = client.execute(code)
            await client.done(msg_id)
            said = client.said(msg_id)
            assert ("execute_input", {"code": code, "execution_count": 1}) in said
            first, second = client.text(msg_id).splitlines()
            assert first == f"{work} {work} t0ken 3 old k a.ipynb"
            given["OMP_NUM_THREADS"] = "1"
            fresh = await ready(host, "fresh", env=given, cwd=str(work))
            assert fresh.welcome["pid"] != pid and (await printed(fresh, code)).splitlines()[1] == second
            seqs = [seq for seq, _, _ in client.messages]
            assert seqs == list(range(1, len(seqs) + 1))
            sent_bytes = b"".join(part for _, _, frames in client.messages for part in frames)
            assert b'user_expressions": {"genops' not in sent_bytes and b".take(" not in sent_bytes
            assert "t0ken" not in arguments_of_all()
            for path in (home / "state").rglob("*"):
                if path.is_file() and path.parent.name != "journal" and not path.is_socket():
                    assert b"t0ken" not in path.read_bytes(), path
            info = client.send("kernel_info_request", {})
            await client.until(lambda: any(kind == "kernel_info_reply" for kind, _ in client.said(info)))
            slow = client.execute("import time; print('up', flush=True); time.sleep(600)")
            await client.until(lambda: client.text(slow))
            await host.call("kernels.signal", kernel_id="k", signal=int(signal.SIGINT))
            await client.done(slow)
            ended = await host.call("kernels.stop", kernel_id="k", grace_s=30)
            assert (ended["state"], ended["exit_code"], ended["pid"]) == ("ended", 0, pid)
            await gone(pid)

    run(test)


def test_the_pool_is_filled_again_and_ends_when_it_is_not_wanted(home: Path) -> None:
    async def test() -> None:
        async with attached(home, **environment(home)) as host:
            await warmed(host, 2)
            pids = spare_pids(home)
            client = await ready(host, env=NO_ENV)
            assert client.welcome["pid"] in pids
            await warmed(host, 2)
            assert client.welcome["pid"] not in spare_pids(home)
            left = spare_pids(home)
            assert (await warm(host, 0))["wanted"] == 0
            for pid in left:
                await gone(pid)
            assert not await printed(client, "pass")

    run(test)


def test_two_starts_at_once_get_two_kernels(home: Path) -> None:
    async def test() -> None:
        async with attached(home, **environment(home)) as host:
            await warmed(host, 1)
            (pid,) = spare_pids(home)
            infos = await asyncio.gather(*(host.start(name, env=NO_ENV) for name in ("a", "b", "c")))
            pids = [info["pid"] for info in infos]
            assert pids.count(pid) == 1 and len(set(pids)) == 3
            for name in ("a", "b", "c"):
                assert await printed(await host.kernel(name).welcomed(), "print(6 * 7)") == "42\n"

    run(test)


def test_what_must_be_there_at_a_start_gets_a_fresh_kernel(home: Path) -> None:
    async def test() -> None:
        async with attached(home, **environment(home)) as host:
            await warmed(host, 1)
            (pid,) = spare_pids(home)
            client = await ready(host, env={"OMP_NUM_THREADS": "3"})
            assert client.welcome["pid"] != pid and spare_pids(home) == [pid], "the spare goes on waiting"
            assert await printed(client, "import os; print(os.environ['OMP_NUM_THREADS'])") == "3\n"

    run(test)


def test_which_variables_must_be_there_at_a_start() -> None:
    have = {"PATH": "/bin", "LANG": "C", "LD_LIBRARY_PATH": "/a"}
    assert unfit(have, {**have, "CUDA_VISIBLE_DEVICES": "1", "HF_TOKEN": "x", "PATH": "/b"}) == []
    assert unfit(have, {"PATH": "/bin", "LANG": "C"}) == ["LD_LIBRARY_PATH"]
    late = {"LD_PRELOAD": "x", "PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1", "PYTHONPATH": "/x"}
    assert unfit(have, {**have, **late}) == sorted(late)


def test_an_installation_makes_a_spare_stale(home: Path) -> None:
    """IPython's settings stand for site-packages, which is not the test's to write to."""

    async def test() -> None:
        async with attached(home, **environment(home)) as host:
            await warmed(host, 1)
            (pid,) = spare_pids(home)
            startup = home / "ipython" / "profile_default" / "startup"
            (startup / "a.py").write_text("set_at_start = 'yes'")
            client = await ready(host, env=NO_ENV)
            assert client.welcome["pid"] != pid
            assert await printed(client, "print(set_at_start)") == "yes\n"
            await gone(pid)
            await warmed(host, 1)

    run(test)


def test_a_spare_outlives_the_connection_for_its_lease_alone(home: Path) -> None:
    async def test() -> None:
        async with attached(home, **environment(home)) as host:
            await warmed(host, 1)
            (pid,) = spare_pids(home)
        async with attached(home, **environment(home)) as host:
            client = await ready(host, env=NO_ENV)
            assert client.welcome["pid"] == pid, "another connection takes it"
            await warmed(host, 1)
            (pid,) = spare_pids(home)
            keeper = psutil.Process(pid).parent()
            assert keeper is not None
        (folder,) = (home / "state" / "spares").glob("*/spare.json")
        reader, writer = await asyncio.open_unix_connection(str(folder.parent / "keeper.sock"))
        writer.write(records.json_record(records.CALL, {"method": "renew", "params": {"seconds": 0.1}}))
        await reader.read()
        await gone(pid)
        await gone(keeper.pid)
        assert not folder.parent.exists()

    run(test)


def test_what_a_killed_keeper_leaves_is_ended_and_removed(home: Path) -> None:
    async def test() -> None:
        async with attached(home, **environment(home)) as host:
            await warmed(host, 1)
            (pid,) = spare_pids(home)
            keeper = psutil.Process(pid).parent()
            assert keeper is not None
            os.kill(pid, signal.SIGSTOP)
            keeper.kill()
            await gone(keeper.pid)
            (file,) = (home / "state" / "spares").glob("*/spare.json")
            os.utime(file.parent, (1, 1))
            client = await ready(host, env=NO_ENV)
            assert client.welcome["pid"] != pid
            await gone(pid)
            await vanished(file.parent)

    run(test)


def test_absurd_numbers_and_other_kernels_are_refused(home: Path) -> None:
    async def test() -> None:
        async with attached(home, **environment(home)) as host:
            for count in (-1, 9):
                with pytest.raises(ChannelReset) as found:
                    await warm(host, count)
                assert found.value.code == "invalid"
            with pytest.raises(ChannelReset) as found:
                await host.call("kernels.warm", argv=["R", "--slave"], count=1)
            assert found.value.code == "not_warm"

    run(test)
