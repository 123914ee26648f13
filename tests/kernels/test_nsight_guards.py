"""Kernels under Nsight's tools whose server is killed: a real server's part of it, real ipykernels, the real nsys."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from genops_lab.kernels.nsight.kernelspecs import UnderNsight, prepared
from genops_lab.kernels.nsight.models import NsightProduct
from tests.support.homes import Home
from tests.support.ncu import ncu_stand_in
from tests.support.nsight_tools import real_nsys
from tests.support.processes import commands_with, runs

ROOT = Path(__file__).parents[2]
#: Starts a kernel as a server does, says what its kernel is, and stays.
SERVER = """
import asyncio, sys
from jupyter_client.manager import AsyncKernelManager
from tests.kernels.test_nsight import said

async def main():
    manager = AsyncKernelManager(kernel_name=sys.argv[1], connection_file=sys.argv[2])
    await manager.start_kernel()
    print(await said(manager, "[os.getpid(), os.environ.get('GENOPS_NSYS_SESSION')]"), flush=True)
    if sys.argv[3] == "busy":
        client = manager.client()
        client.start_channels()
        client.execute("sum(range(10**11))")
        await asyncio.sleep(1)
        print("busy", flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


def killed(home: Home, product: NsightProduct, tools: Path, state: str = "") -> tuple[int, str]:
    """A server that had a kernel under a tool; the kernel's process, and its session of nsys."""
    env = home.environment(PATH=f"{tools}:{os.environ['PATH']}", TMPDIR=str(home.work))
    words = [
        sys.executable,
        "-c",
        SERVER,
        f"python3{UnderNsight(product).suffix}",
        f"{home.path}/k.json",
        state,
    ]
    with subprocess.Popen(words, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            kernel, session = server.stdout.readline().strip("[]\n").split(", ")
            assert not state or server.stdout.readline() == f"{state}\n"
            assert runs(int(kernel))
        finally:
            server.kill()
    return int(kernel), session.strip("'")


def gone(left: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while found := left():
        assert time.monotonic() < deadline, found
        time.sleep(0.2)


@pytest.fixture
def at_home(home: Home, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("JUPYTER_DATA_DIR", home.environment()["JUPYTER_DATA_DIR"])
    return home


@pytest.mark.exhaustive
@pytest.mark.parametrize("state", ["", "busy"])
def test_nothing_of_a_kernel_under_the_real_nsys_outlives_its_server(at_home: Home, state: str) -> None:
    prepared("python3", "1", UnderNsight("systems"))
    with real_nsys() as nsys:
        kernel, session = killed(at_home, "systems", nsys.parent, state)
        assert session.startswith("genops-")
        gone(lambda: runs(kernel))
        gone(lambda: commands_with(session))
    gone(lambda: commands_with(f"{at_home.path}/k.json"))


def test_nothing_of_a_kernel_under_ncu_outlives_its_server(at_home: Home) -> None:
    prepared("python3", "1", UnderNsight("compute"))
    kernel, _session = killed(at_home, "compute", ncu_stand_in(at_home.path / "tools").folder)
    gone(lambda: runs(kernel))
    gone(lambda: commands_with(f"{at_home.path}/k.json"))
    gone(lambda: list(at_home.work.glob("genops-ncu-*")))
