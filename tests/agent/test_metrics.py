"""A host's figures: what the kernel says, and the share of it that a container or a job gives."""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
import time
from pathlib import Path

import msgspec
import psutil
import pytest

from genops_lab.agent import metrics, processes
from genops_lab.agent.cgroups import Share
from genops_lab.agent.gpus import GpuReader
from genops_lab.agent.gpus.found import Found, gpu, mig_slice, process
from genops_lab.agent.metrics import HostReader
from genops_lab.hosts.models import HostReading

GIB = 1 << 30
CARD = gpu(
    0, "nvidia", uuid="GPU-1", name="NVIDIA H100", memory_total_bytes=80 * GIB, memory_used_bytes=GIB,
    mig=[mig_slice("MIG-1", "1g.10gb", 10 * GIB, None)], processes=[process(os.getpid(), None)],
)  # fmt: skip


def no_gpus() -> GpuReader:
    return GpuReader([lambda: Found("none")])


def kernel(folder: Path, *, total_kib: int, available_kib: int) -> str:
    (folder / "meminfo").write_text(
        f"MemTotal: {total_kib} kB\nMemFree: 1 kB\nMemAvailable: {available_kib} kB\nHugePages_Total: 0\n"
    )
    (folder / "stat").write_text("cpu  100 0 100 700 100 0 0 0 0 0\n")
    return str(folder)


def test_this_host() -> None:
    reading = metrics.host_reading()
    wire = msgspec.convert(json.loads(json.dumps(reading)), HostReading, strict=True)
    assert wire.hostname == socket.gethostname()
    assert wire.cpu_count is not None and wire.cpu_count > 0
    assert wire.memory_total_bytes and wire.memory_used_bytes
    assert wire.memory_used_bytes < wire.memory_total_bytes
    assert wire.disk_total_bytes and wire.disk_free_bytes is not None
    assert wire.load is not None and len(wire.load) == 3
    assert abs(wire.sampled_at - time.time()) < 60


def test_every_field_of_a_card_crosses_the_wire() -> None:
    reading = HostReader(Share, GpuReader([lambda: Found("ok", "", [CARD])])).read()
    wire = msgspec.convert(json.loads(json.dumps(reading)), HostReading, strict=True)
    assert msgspec.to_builtins(wire.gpus[0]) == CARD


def test_busy_cores(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    proc = kernel(tmp_path, total_kib=1000, available_kib=400)
    reader = HostReader(Share, no_gpus(), proc)
    assert reader.read()["cpu_percent"] == 0.0, "nothing moved between two looks"
    monkeypatch.setattr(metrics, "FRESH_S", 0.0)
    (tmp_path / "stat").write_text(f"cpu  {100 + 10**9} 0 100 700 100 0 0 0 0 0\n")
    assert reader.read()["cpu_percent"] == 100.0
    (tmp_path / "stat").unlink()
    assert reader.read()["cpu_percent"] is None


def test_waiting_for_a_disk_is_not_work(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(metrics, "FRESH_S", 0.0)
    reader = HostReader(Share, no_gpus(), kernel(tmp_path, total_kib=1000, available_kib=400))
    reader.read()
    (tmp_path / "stat").write_text(f"cpu  100 0 100 {10**9} {10**9} 0 0 0 0 0\n")
    assert reader.read()["cpu_percent"] == 0.0


def test_memory_of_the_host(tmp_path: Path) -> None:
    reading = HostReader(Share, no_gpus(), kernel(tmp_path, total_kib=1000, available_kib=400)).read()
    assert (reading["memory_total_bytes"], reading["memory_used_bytes"]) == (1000 * 1024, 600 * 1024)


def test_a_jobs_share(tmp_path: Path) -> None:
    proc = kernel(tmp_path, total_kib=4 * 1024 * 1024, available_kib=1024 * 1024)
    share = Share(cpu_count=0.5, cpu_seconds=1.0, memory_limit=GIB, memory_used=GIB // 4)
    reading = HostReader(lambda: share, no_gpus(), proc).read()
    assert (reading["cpu_count"], reading["cpu_percent"]) == (0.5, 0.0)
    assert (reading["memory_total_bytes"], reading["memory_used_bytes"]) == (GIB, GIB // 4)


def test_a_limit_above_what_there_is_does_not_count(tmp_path: Path) -> None:
    proc = kernel(tmp_path, total_kib=1000, available_kib=400)
    reading = HostReader(lambda: Share(memory_limit=GIB, memory_used=1), no_gpus(), proc).read()
    assert (reading["memory_total_bytes"], reading["memory_used_bytes"]) == (1000 * 1024, 600 * 1024)


def test_a_home_that_hangs_does_not_take_the_reading_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    let_go = threading.Event()
    real = metrics.shutil.disk_usage

    def stuck(path: str) -> object:
        let_go.wait(60)
        return real(path)

    monkeypatch.setattr(metrics.shutil, "disk_usage", stuck)
    monkeypatch.setattr(metrics, "DISK_TIMEOUT_S", 0.05)
    monkeypatch.setattr(metrics, "FRESH_S", 0.0)
    reader = HostReader(Share, no_gpus())
    reading = reader.read()
    assert reading["disk_total_bytes"] is None and reading["memory_total_bytes"]
    let_go.set()
    monkeypatch.setattr(metrics, "DISK_TIMEOUT_S", 60.0)
    assert reader.read()["disk_total_bytes"]


def test_what_psutil_tells_where_the_systems_files_are_missing(tmp_path: Path) -> None:
    """As on macOS."""
    reading = HostReader(Share, no_gpus(), str(tmp_path / "no-proc")).read()
    assert reading["memory_total_bytes"] == psutil.virtual_memory().total
    assert 0 < reading["memory_used_bytes"] < reading["memory_total_bytes"]
    assert 0 <= reading["cpu_percent"] <= 100
    own, gone = os.getpid(), 2**22 + 1
    found = processes.trees([own, gone], str(tmp_path / "no-proc"))
    usual = processes.trees([own, gone])
    assert found[gone] == usual[gone] == {}
    assert found[own][own].memory_bytes == pytest.approx(usual[own][own].memory_bytes, rel=0.5)
    assert 0 < found[own][own].cpu_s <= usual[own][own].cpu_s + 0.1


def test_without_psutil_too_the_rest_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "psutil", None)
    reading = HostReader(Share, no_gpus(), str(tmp_path / "no-proc")).read()
    assert reading["memory_total_bytes"] and reading["cpu_count"]
    assert reading["memory_used_bytes"] is reading["cpu_percent"] is None


def test_two_askers_at_once_get_one_reading() -> None:
    asked, reader = [], HostReader(lambda: asked.append(1) or Share(cpu_seconds=0.0), no_gpus())
    first = reader.read()
    looks = len(asked)
    readings_of_threads: list[dict[str, object]] = []
    reader._last = (time.monotonic() + 3600, first)  # fresh, however slow this machine is
    threads = [threading.Thread(target=lambda: readings_of_threads.append(reader.read())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert readings_of_threads == [first] * 8 and len(asked) == looks
