"""Nsight on this machine, and kernels under it: real ipykernels, mostly with a stand-in for nsys, which can break."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager

from genops_lab.core.errors import Conflict, InvalidRequest, NotFound, Unavailable
from genops_lab.kernels.local_provisioner import GenOpsLocalProvisioner
from genops_lab.kernels.nsight import cleanup, tools
from genops_lab.kernels.nsight.cleanup import Ending
from genops_lab.kernels.nsight.kernelspecs import UnderNsight, prepared
from genops_lab.kernels.nsight.models import NsightKernel
from genops_lab.kernels.nsight.tools import nsight_tools, usable
from genops_lab.kernels.process import PROCESS
from tests.support.homes import Home
from tests.support.nsight_tools import real_nsys
from tests.support.nsys import NsysStandIn, nsys_stand_in
from tests.support.processes import commands_with, runs

#: What ``ncu --version`` says.
NCU = """NVIDIA (R) Nsight Compute Command Line Profiler
Copyright (c) 2018-2024 NVIDIA Corporation
Version 2024.3.2.0 (build 34861637) (public-release)"""

SYSTEMS = UnderNsight("systems")


@pytest.fixture(autouse=True)
def nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is installed on the machine of the test plays no part."""
    monkeypatch.setattr(tools, "_FOLDERS", ())


@pytest.fixture
def at_home(home: Home, monkeypatch: pytest.MonkeyPatch) -> Home:
    """This process lives in the home, with the stand-in first on the path."""
    for name, value in home.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PATH", f"{home.path / 'tools'}:{home.environment()['PATH']}")
    return home


@pytest.fixture
def nsys(at_home: Home) -> NsysStandIn:
    return nsys_stand_in(at_home.path / "tools")


def test_tools_with_their_versions(tmp_path: Path) -> None:
    made = nsys_stand_in(tmp_path)
    ncu = tmp_path / "ncu"
    ncu.write_text(f"#!/bin/sh\ncat <<'END'\n{NCU}\nEND\n")
    ncu.chmod(0o755)
    systems, compute = nsight_tools({"PATH": f"{tmp_path}:/usr/bin:/bin"})
    assert (systems.path, systems.version, systems.trouble) == (str(made.program), "2024.6.2.225", "")
    assert (compute.path, compute.version, compute.trouble) == (str(ncu), "2024.3.2.0", "")


def test_none_installed(tmp_path: Path) -> None:
    systems, compute = nsight_tools({"PATH": str(tmp_path)})
    assert systems.trouble == "Nsight Systems (nsys) is not installed on this machine."
    assert compute.trouble == "Nsight Compute (ncu) is not installed on this machine."
    with pytest.raises(Unavailable, match="not installed") as raised:
        usable("systems", {"PATH": str(tmp_path)})
    assert "nsight-systems-cli" in raised.value.hint


def test_beside_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for version in ("2023.4.1", "2024.11.1", "2024.6.2"):
        nsys_stand_in(tmp_path / version / "bin", f"NVIDIA Nsight Systems version {version}.1-1v0")
    monkeypatch.setattr(tools, "_FOLDERS", (f"{tmp_path}/*/bin",))
    assert usable("systems", {"PATH": ""}).version == "2024.11.1.1", "the newest"


@pytest.mark.parametrize(
    ("version", "trouble"),
    [
        ("NVIDIA Nsight Systems version 2021.3.2.4-027534f", "too old: 2022.1 or newer is needed"),
        ("cannot open shared object file", "does not report its version: cannot open shared object file"),
    ],
)
def test_one_that_cannot_be_used(tmp_path: Path, version: str, trouble: str) -> None:
    nsys_stand_in(tmp_path, version)
    with pytest.raises(Unavailable, match=trouble):
        usable("systems", {"PATH": str(tmp_path)})


def test_the_kernelspec_of_a_python(at_home: Home) -> None:
    made = prepared("python3", "2024.6", SYSTEMS)
    assert (made.name, made.version) == ("python3-nsight", "2024.6")
    found = KernelSpecManager().get_kernel_spec(made.name)
    assert found.argv == KernelSpecManager().get_kernel_spec("python3").argv
    assert found.display_name == made.display_name and found.display_name.endswith("(Nsight Systems)")
    assert found.interrupt_mode == "message"
    assert list(Path(found.resource_dir).glob("logo-*"))
    before = (Path(found.resource_dir) / "kernel.json").stat().st_mtime_ns
    assert prepared("python3", "2024.6", SYSTEMS) == prepared("python3-nsight", "2024.6", SYSTEMS) == made
    assert (Path(found.resource_dir) / "kernel.json").stat().st_mtime_ns == before


def test_a_half_made_kernelspec_is_completed(at_home: Home) -> None:
    (at_home.path / "data" / "kernels" / "python3-nsight").mkdir(parents=True)
    made = prepared("python3", "1", SYSTEMS)
    assert KernelSpecManager().get_kernel_spec(made.name).display_name == made.display_name


def test_two_requests_at_once_make_one_kernelspec(at_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    others: list[NsightKernel] = []
    copy = shutil.copyfile

    def copied_while_another_asks(source: Path, target: Path) -> None:
        monkeypatch.setattr(shutil, "copyfile", copy)
        others.append(prepared("python3", "1", SYSTEMS))
        copy(source, target)

    monkeypatch.setattr(shutil, "copyfile", copied_while_another_asks)
    made = prepared("python3", "1", SYSTEMS)
    assert others == [made]
    folder = Path(KernelSpecManager().get_kernel_spec(made.name).resource_dir)
    assert {each.name for each in folder.iterdir() if not each.name.startswith("logo-")} == {"kernel.json"}


def spec(home: Home, name: str, **fields: object) -> None:
    folder = home.path / "data" / "kernels" / name
    folder.mkdir(parents=True)
    given = {"argv": ["x", "{connection_file}"], "display_name": name, "language": "python", **fields}
    (folder / "kernel.json").write_text(json.dumps(given))


def test_kernelspecs_that_are_refused(at_home: Home) -> None:
    spec(at_home, "r", language="R")
    spec(at_home, "box", metadata={"kernel_provisioner": {"provisioner_name": "genops-target-provisioner"}})
    spec(at_home, "mine")
    spec(at_home, "mine-nsight")
    with pytest.raises(NotFound, match="no kernel 'nope'"):
        prepared("nope", "1", SYSTEMS)
    with pytest.raises(InvalidRequest, match="is not a Python kernel"):
        prepared("r", "1", SYSTEMS)
    with pytest.raises(InvalidRequest, match="not run on this machine"):
        prepared("box", "1", SYSTEMS)
    with pytest.raises(Conflict, match="'mine-nsight' exists already"):
        prepared("mine", "1", SYSTEMS)


async def test_a_kernel_is_started_under_nsys_and_restarted_so(nsys: NsysStandIn, at_home: Home) -> None:
    manager = AsyncKernelManager(
        kernel_name=prepared("python3", "1", SYSTEMS).name, connection_file=str(at_home.path / "kernel.json")
    )
    await manager.start_kernel(cwd=str(at_home.work))
    try:
        assert isinstance(manager.provisioner, GenOpsLocalProvisioner)
        first = await said(manager, "[os.environ[n] for n in ('GENOPS_NSYS', 'GENOPS_NSYS_SESSION')]")
        await manager.interrupt_kernel()
        assert await said(manager, "1 + 1") == "2", "an interrupt ends neither nsys nor the kernel"
        await manager.restart_kernel(now=True)
        again = await said(manager, "[os.environ[n] for n in ('GENOPS_NSYS', 'GENOPS_NSYS_SESSION')]")
    finally:
        await manager.shutdown_kernel(now=True)
    launches = nsys.calls("launch")
    assert len(launches) == 2
    for shown, launch in zip((first, again), launches, strict=True):
        words = launch.split()
        assert words[1:4] == [words[1], "--trace=cuda,nvtx", "--cuda-graph-trace=node"]
        assert shown == repr([str(nsys.program), words[1].removeprefix("--session-new=")])
        assert words[5:8] == [sys.executable, "-m", "ipykernel_launcher"]
    assert first != again, "each process has a session of its own"


@pytest.fixture
def the_real_one() -> Iterator[Path]:
    """``nsys`` itself."""
    with real_nsys() as found:
        yield found


@pytest.mark.exhaustive
async def test_nothing_outlives_a_kernel_under_the_real_nsys_that_is_killed(
    at_home: Home, the_real_one: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{the_real_one.parent}:{os.environ['PATH']}")
    manager = AsyncKernelManager(
        kernel_name=prepared("python3", "1", SYSTEMS).name, connection_file=str(at_home.path / "kernel.json")
    )
    await manager.start_kernel(cwd=str(at_home.work))
    try:
        kernel = int(await said(manager, "os.getpid()"))
        session = (await said(manager, "os.environ['GENOPS_NSYS_SESSION']")).strip("'")
        assert commands_with(session) and guards()
    finally:
        await manager.shutdown_kernel(now=True)
    assert not runs(kernel), "its ports are free for the next one"
    deadline = time.monotonic() + 30
    while left := commands_with(session):  # the launcher, its agent
        assert time.monotonic() < deadline, left
        await asyncio.sleep(0.2)
    assert guards() == []


def guards() -> list[list[str]]:
    """Who would end kernels if this process were killed."""
    return commands_with("nsight_ends", psutil.Process().children())


@pytest.fixture
def unreaped() -> Iterator[psutil.Process]:
    """A child of a process that never waits for it, as of the first process of many containers."""
    code = (
        "import subprocess, time; print(subprocess.Popen(['sleep', '599']).pid, flush=True); time.sleep(600)"
    )
    words = [sys.executable, "-c", code]
    env = {**os.environ, "GENOPS_NSYS_SESSION": "of-a-zombie"}
    with subprocess.Popen(words, env=env, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        yield psutil.Process(int(parent.stdout.readline()))
        parent.kill()


def test_a_kernel_that_nobody_reaps_has_ended(
    unreaped: psutil.Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cleanup, "_ENDS_WITHIN_S", 60.0)
    began = time.monotonic()
    Ending(["sleep", "599"], {"GENOPS_NSYS_SESSION": "of-a-zombie"}, {}, [], "").do()
    assert time.monotonic() - began < 30, "it waits for a zombie"
    assert unreaped.status() == psutil.STATUS_ZOMBIE and not runs(unreaped.pid)


async def test_a_kernel_that_shall_outlive_its_server_has_no_guard(nsys: NsysStandIn, at_home: Home) -> None:
    manager = AsyncKernelManager(
        kernel_name=prepared("python3", "1", SYSTEMS).name, connection_file=str(at_home.path / "kernel.json")
    )
    await manager.start_kernel(cwd=str(at_home.work), independent=True)
    try:
        assert guards() == []
    finally:
        await manager.shutdown_kernel(now=True)


async def said(manager: AsyncKernelManager, expression: str) -> str:
    client = manager.client()
    client.start_channels()
    try:
        await client.wait_for_ready(timeout=60)
        reply = await client.execute_interactive(
            "import os", user_expressions={"v": expression}, timeout=60, store_history=False
        )
    finally:
        client.stop_channels()
    shown: str = reply["content"]["user_expressions"]["v"]["data"]["text/plain"]
    return shown


async def test_such_a_kernel_is_not_the_agents(
    nsys: NsysStandIn, at_home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Keeps:
        """An agent that would take every kernel."""

        def finds(self, _kernel_id: str) -> bool:
            return False

        def takes(self, _manager: object) -> bool:
            raise AssertionError("it is asked for a kernel under nsys")

    monkeypatch.setattr(PROCESS, "keeper", Keeps())
    manager = AsyncKernelManager(
        kernel_name=prepared("python3", "1", SYSTEMS).name, connection_file=str(at_home.path / "kernel.json")
    )
    await manager.start_kernel(cwd=str(at_home.work))
    try:
        assert await said(manager, "1 + 1") == "2"
    finally:
        await manager.shutdown_kernel(now=True)


async def test_without_nsys_the_kernel_does_not_start_and_says_why(nsys: NsysStandIn, at_home: Home) -> None:
    manager = AsyncKernelManager(
        kernel_name=prepared("python3", "1", SYSTEMS).name, connection_file=str(at_home.path / "kernel.json")
    )
    nsys.program.unlink()
    with pytest.raises(Unavailable, match="not installed"):
        await manager.start_kernel(cwd=str(at_home.work))
