"""Kernels under Nsight Compute: real ipykernels, the real ncu as far as it goes without a driver, else a stand-in."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager

from genops_lab.core.errors import Unavailable
from genops_lab.kernels.nsight import tools
from genops_lab.kernels.nsight.kernelspecs import UnderNsight, prepared, under_nsight
from genops_lab.kernels.nsight.launch import refuse_without_driver, under_compute
from genops_lab.kernels.nsight.models import NewNsightKernel
from genops_lab.kernels.nsight.service import NsightService
from genops_lab.kernels.nsight.tools import usable
from tests.support.homes import Home
from tests.support.ncu import NO_DRIVER, VERSION, NcuStandIn, ncu_stand_in
from tests.support.nsight_tools import real_ncu
from tests.support.processes import runs

from .test_nsight import said

FULL = UnderNsight("compute", "full")


@pytest.fixture
def at_home(home: Home, monkeypatch: pytest.MonkeyPatch) -> Home:
    """This process lives in the home, with the stand-in first on the path, and no other."""
    monkeypatch.setattr(tools, "_FOLDERS", ())
    for name, value in home.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PATH", f"{home.path / 'tools'}:{os.environ['PATH']}")
    monkeypatch.setattr("tempfile.tempdir", str(home.work))
    return home


@pytest.fixture
def ncu(at_home: Home) -> NcuStandIn:
    return ncu_stand_in(at_home.path / "tools")


def manager_of(home: Home, name: str) -> AsyncKernelManager:
    return AsyncKernelManager(kernel_name=name, connection_file=str(home.path / "kernel.json"))


def folders(home: Home) -> list[Path]:
    """Where reports are written."""
    return list(home.work.glob("genops-ncu-*"))


def test_kernelspecs_by_set(at_home: Home) -> None:
    basic = prepared("python3", "1", UnderNsight("compute"))
    full = prepared(basic.name, "1", FULL)
    assert [basic.name, full.name] == ["python3-nsight-compute", "python3-nsight-compute-full"]
    found = KernelSpecManager().get_kernel_spec(full.name)
    assert found.display_name.endswith("(Nsight Compute, full)") and found.interrupt_mode == "message"
    assert under_nsight(found.metadata) == FULL and found.metadata["genops"]["of"] == "python3"
    assert prepared(full.name, "1", UnderNsight("systems")).name == "python3-nsight", "from one to another"
    assert under_nsight({"genops": {"nsight": "compute", "set": "all"}}) == UnderNsight("compute")
    assert under_nsight({"genops": {"nsight": "graphics"}}) is under_nsight({}) is None


async def test_a_kernel_is_started_under_ncu_and_its_report_goes_with_it(
    ncu: NcuStandIn, at_home: Home
) -> None:
    manager = manager_of(at_home, prepared("python3", "1", FULL).name)
    await manager.start_kernel(cwd=str(at_home.work))
    try:
        (first,) = folders(at_home)
        assert first.stat().st_mode & 0o777 == 0o700
        assert await said(
            manager, "[os.environ[n] for n in ('GENOPS_NCU_FOLDER', 'GENOPS_NCU_SET')]"
        ) == repr([str(first), "full"])
        kernel = int(await said(manager, "os.getpid()"))
        await manager.interrupt_kernel()
        assert await said(manager, "1 + 1") == "2", "an interrupt ends neither ncu nor the kernel"
        await manager.restart_kernel(now=True)
        assert not runs(kernel), "its ports are free for the next one"
        (second,) = folders(at_home)
        assert second != first
        assert await said(manager, "1 + 1") == "2"
    finally:
        await manager.shutdown_kernel()
    assert folders(at_home) == []
    words = ncu.launches[0]
    assert words[: words.index("-f")] == [
        "--profile-from-start", "off", "--nvtx", "--target-processes", "all",
        "--call-stack", "--call-stack-type", "python", "--set", "full",
    ]  # fmt: skip


def test_what_a_killed_server_left_goes_with_the_next_start(ncu: NcuStandIn, at_home: Home) -> None:
    used, left, new = (at_home.work / f"genops-ncu-{name}" for name in ("used", "left", "new"))
    for folder in (used, left, new):
        folder.mkdir()
        os.utime(folder, (1, 1) if folder != new else None)
    kernel = subprocess.Popen(["/bin/sleep", "60"], env={"GENOPS_NCU_FOLDER": str(used)})
    try:
        start = under_compute(str(ncu.program), ["x"], {})
        assert not left.exists() and used.exists() and new.exists()
    finally:
        kernel.kill()
        kernel.wait()
    start.ending.do()


def test_call_stacks_where_ncu_has_those_of_python(ncu: NcuStandIn) -> None:
    """The stand-in is as new as to have them."""
    command = under_compute(str(ncu.program), ["x"], {}).command
    assert command[command.index("--call-stack") :][:3] == ["--call-stack", "--call-stack-type", "python"]
    assert "--set" not in command


async def test_without_a_driver_nothing_is_made_or_started(ncu: NcuStandIn, at_home: Home) -> None:
    made = prepared("python3", "1", FULL)
    ncu.refuse()
    with pytest.raises(Unavailable, match="finds no CUDA driver on this machine") as raised:
        await NsightService().prepare_nsight_kernel(NewNsightKernel(product="compute"))
    assert raised.value.code == "nsight_no_driver" and "nvidia-smi" in raised.value.hint
    assert "python3-nsight-compute" not in KernelSpecManager().find_kernel_specs()
    with pytest.raises(Unavailable, match="CUDA driver"):
        await manager_of(at_home, made.name).start_kernel(cwd=str(at_home.work))
    ncu.refuse("==ERROR== Out of ports")
    with pytest.raises(Unavailable, match="Out of ports"):
        refuse_without_driver(str(ncu.program), os.environ)
    assert folders(at_home) == []


def test_one_that_is_too_old_or_missing(tmp_path: Path) -> None:
    ncu_stand_in(tmp_path, VERSION.replace("2024.3.2", "2021.3.1"))
    with pytest.raises(
        Unavailable, match=r"is Nsight Compute 2021\.3\.1\.0, which is too old: 2022\.1 or newer"
    ):
        usable("compute", {"PATH": str(tmp_path)})
    (tmp_path / "ncu").unlink()
    with pytest.raises(Unavailable, match=r"Nsight Compute \(ncu\) is not installed") as raised:
        usable("compute", {"PATH": str(tmp_path)})
    assert "package nsight-compute" in raised.value.hint


@pytest.mark.exhaustive
def test_the_real_one_says_that_it_finds_no_driver(home: Home) -> None:
    if any(Path(f"/dev/{name}").exists() for name in ("nvidiactl", "dxg")):
        pytest.skip("this machine has a driver")
    with pytest.raises(Unavailable, match="finds no CUDA driver on this machine") as raised:
        refuse_without_driver(str(real_ncu()), home.environment())
    assert raised.value.code == "nsight_no_driver"
    said = subprocess.run(
        [str(real_ncu()), "/bin/true"], env=home.environment(), capture_output=True, text=True, check=False
    ).stderr
    assert said.splitlines()[0] == NO_DRIVER.splitlines()[0], "the stand-in says the same"


def test_the_real_one_knows_our_arguments(home: Home) -> None:
    """It has read them all when it says that there is no driver; a wrong one it names at once."""
    env, program = home.environment(), str(real_ncu())
    start = under_compute(program, ["/bin/true"], env, "detailed")
    wrong = [*start.command[:-1], "--set", "detailed", "--no-such-option", "/bin/true"]
    answers = [
        subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        for command in (start.command, wrong)
    ]
    start.ending.do()
    assert "option" not in answers[0].stderr + answers[0].stdout
    assert "no-such-option" in answers[1].stderr + answers[1].stdout
    assert "--call-stack" not in start.command, "this one has those of C++ alone"
    sets = subprocess.run(
        [program, "--list-sets"], env=env, capture_output=True, text=True, check=True
    ).stdout
    assert [name for name in ("basic", "detailed", "full") if f"\n{name} " in sets] == [
        "basic",
        "detailed",
        "full",
    ]
