"""Figures of this machine and of a container's share of it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from genops_lab.agent.cgroups import Share, read_share
from genops_lab.agent.gpus import GpuReader
from genops_lab.agent.gpus.found import Found, gpu
from genops_lab.agent.metrics import HostReader
from genops_lab.core.live import LiveHub
from genops_lab.hosts.machine.metrics import KernelEntry, MachineReader
from genops_lab.hosts.machine.models import MachineReading
from genops_lab.kernels.service import ComputeService


def write(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text + "\n", encoding="ascii")


def member(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "membership"
    path.write_text(text, encoding="ascii")
    return path


def test_version_2_takes_the_tightest_limit_on_the_way_up(tmp_path: Path) -> None:
    root = tmp_path / "cg"
    write(root, cgroup__controllers="cpu memory")
    write(
        root / "pod", cpu__max="150000 100000", cpu__stat="usage_usec 5000000\nuser_usec 1", memory__max="max"
    )
    write(
        root / "pod" / "box",
        cpu__max="max 100000",
        memory__max="1000",
        memory__current="700",
        memory__stat="anon 1\ninactive_file 200",
    )
    found = read_share(root, member(tmp_path, "0::/pod/box\n"))
    assert found == Share(cpu_count=1.5, cpu_seconds=5.0, memory_limit=1000, memory_used=500)


def test_version_2_inside_a_container_whose_path_is_the_hosts(tmp_path: Path) -> None:
    root = tmp_path / "cg"
    write(
        root, cgroup__controllers="cpu", cpu__max="50000 100000", cpu__stat="usage_usec 1", memory__max="2000"
    )
    found = read_share(root, member(tmp_path, "0::/kubepods/pod1/../../outside\n"))
    assert (found.cpu_count, found.memory_limit) == (0.5, 2000)


def test_version_1(tmp_path: Path) -> None:
    root = tmp_path / "cg"
    write(
        root / "cpu" / "a",
        cpu__cfs_quota_us="200000",
        cpu__cfs_period_us="100000",
        cpuacct__usage="3000000000",
    )
    write(root / "memory", memory__limit_in_bytes="9223372036854771712", memory__usage_in_bytes="5")
    write(root / "memory" / "b", memory__limit_in_bytes="4096", memory__usage_in_bytes="100")
    found = read_share(root, member(tmp_path, "4:memory:/b\n1:cpu,cpuacct:/a\n0::/\n"))
    assert found == Share(cpu_count=2.0, cpu_seconds=3.0, memory_limit=4096, memory_used=100)


def test_without_limits_or_cgroups(tmp_path: Path) -> None:
    write(tmp_path / "cg" / "cpu", cpu__cfs_quota_us="-1", cpu__cfs_period_us="100000")
    assert read_share(tmp_path / "cg", member(tmp_path, "1:cpu:/\n")) == Share()
    assert read_share(tmp_path, tmp_path / "missing") == Share()


def test_this_machine() -> None:
    machine = MachineReader(HostReader(Share).read).machine()
    assert machine.memory_total_bytes == psutil.virtual_memory().total
    assert 0 < machine.memory_used_bytes < machine.memory_total_bytes
    assert machine.cpu_count == len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else True
    assert 0 <= machine.cpu_percent <= 100 and machine.cpu_model
    assert 0 < machine.disk_free_bytes <= machine.disk_total_bytes


def test_a_container_sees_its_share() -> None:
    share = Share(0.5, 1.0, 1000, 400)
    machine = MachineReader(HostReader(lambda: share).read).machine()
    assert (machine.cpu_count, machine.memory_total_bytes, machine.memory_used_bytes) == (0.5, 1000, 400)
    assert machine.cpu_percent == 0.0


def test_the_machines_gpus_and_what_a_kernel_holds_there() -> None:
    card = gpu(
        0, "amd", name="AMD Instinct", memory_total_bytes=80, memory_used_bytes=20, utilization_percent=45.0,
        temperature_c=61.0, power_w=312.5,
        processes=[{"pid": pid, "user": "", "memory_bytes": held} for pid, held in ((os.getpid(), 15), (1, 5))],
    )  # fmt: skip
    bare = gpu(1, "nvidia", processes=[{"pid": os.getpid(), "user": "", "memory_bytes": None}])
    reader = MachineReader(HostReader(Share, GpuReader([lambda: Found("ok", "", [card, bare])])).read)
    entries = [
        KernelEntry(name, "python3", "", "busy", pid) for name, pid in (("own", os.getpid()), ("no", None))
    ]
    reading = reader.reading(entries)
    first, second = reading.machine.gpus
    assert reading.machine.gpu_state == "ok"
    assert (first.name, first.memory_total_bytes, first.memory_used_bytes) == ("AMD Instinct", 80, 20)
    assert (first.utilization_percent, first.temperature_c, first.power_w) == (45.0, 61.0, 312.5)
    assert (second.name, second.memory_total_bytes, second.utilization_percent) == ("GPU 1", None, None)
    assert [use.gpu_memory_bytes for use in reading.kernels] == [15, None]
    without = MachineReader(HostReader(Share, GpuReader([lambda: Found("error", "Why.")])).read).reading(
        entries
    )
    assert (without.machine.gpu_state, without.machine.gpu_message) == ("error", "Why.")
    assert without.kernels[0].gpu_memory_bytes is None


def test_a_disk_that_does_not_answer_leaves_the_rest() -> None:
    silent = {**HostReader(Share).read(), "disk_total_bytes": None, "disk_free_bytes": None}
    machine = MachineReader(lambda: silent).machine()
    assert (machine.disk_total_bytes, machine.disk_free_bytes) == (0, 0) and machine.memory_total_bytes


def test_the_cpu_time_of_a_kernel_counts_from_the_last_look() -> None:
    reader, own = MachineReader(), KernelEntry("own", "python3", "", "busy", os.getpid())
    assert reader.kernels([own])[0].cpu_percent == 0.0
    until = time.process_time() + 0.1
    while time.process_time() < until:
        pass
    (use,) = reader.kernels([own])
    assert use.cpu_percent is not None and use.cpu_percent > 0


def test_a_kernel_is_its_whole_process_tree() -> None:
    code = (
        "import subprocess, sys; x = bytearray(30_000_000)\n"
        "c = subprocess.Popen([sys.executable, '-c', 'x = bytearray(60_000_000); print(1, flush=True); input()'],"
        " stdin=subprocess.PIPE, stdout=subprocess.PIPE)\n"
        "c.stdout.readline(); print('ready', flush=True); input(); c.communicate(b'x')"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    reader = MachineReader()
    entry = KernelEntry("k", "python3", "a.ipynb", "idle", process.pid)
    gone = KernelEntry("g", "python3", "", "dead", 2**22 - 1)
    remote = KernelEntry("r", "genops-gpu1", "", "busy", None)
    with_preset = KernelEntry("p", "genops-a.b.1-x-h100", "", "busy", None, target="a.b", preset="1 x H100")
    use, none, away, preset = reader.kernels([entry, gone, remote, with_preset])
    assert (away.target, preset.target, preset.preset) == ("gpu1", "a.b", "1 x H100")
    process.communicate("x\n")
    assert use.memory_bytes is not None and use.memory_bytes > 90_000_000
    assert use.cpu_percent is not None and (use.kernel_id, use.path, use.state) == ("k", "a.ipynb", "idle")
    assert (none.cpu_percent, none.memory_bytes) == (away.cpu_percent, away.memory_bytes) == (None, None)
    assert reader.kernels([entry])[0].memory_bytes is None


class Directory:
    """A directory with this process as a kernel."""

    def __init__(self) -> None:
        self.asked = 0

    async def kernels(self) -> list[KernelEntry]:
        self.asked += 1
        if self.asked == 1:
            raise RuntimeError("the manager was not ready")
        return [KernelEntry("me", "python3", "", "busy", os.getpid())]


async def test_the_topic_runs_while_somebody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("genops_lab.core.live._PUBLISH_EVERY_S", 0.01)
    monkeypatch.setattr("genops_lab.core.live._AFTER_FAILURE_S", 0.01)
    hub, directory = LiveHub(), Directory()
    service = ComputeService(hub, directory)
    assert directory.asked == 0
    received: asyncio.Queue[MachineReading] = asyncio.Queue()

    def listen(_topic: str, reading: MachineReading) -> None:
        received.put_nowait(reading)

    hub.join("machine", listen)
    readings = [await asyncio.wait_for(received.get(), 20) for _ in range(3)]
    hub.leave("machine", listen)
    assert readings[-1].kernels[0].kernel_id == "me"
    assert readings[-1].machine.name
    await asyncio.sleep(0.1)
    asked = directory.asked
    await asyncio.sleep(0.3)
    assert directory.asked == asked, "nobody listens any more"
    assert (await service.list_kernels())[0].memory_bytes


async def test_a_command_without_a_server_has_no_kernels() -> None:
    assert await ComputeService(LiveHub()).list_kernels() == []
