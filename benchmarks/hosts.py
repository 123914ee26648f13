"""The readings of many hosts in one answer, over open connections: a real JupyterLab, and targets that are all one real
sshd on loopback, each with a connection and an agent of its own. ``GENOPS_BENCH_HOSTS`` sets how many (50)."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from genops_lab.hosts.metrics import STALE_S
from tests.support.homes import Home, temporary_home
from tests.support.lab_server import LabServer, running_lab
from tests.support.sshd import Sshd

from .figure import Figure

COUNT = int(os.environ.get("GENOPS_BENCH_HOSTS", "50"))
ROUNDS, LOGINS_AT_ONCE = 8, 8
WATCHED_S = 20.0
PATIENCE_S = 600.0


def figures() -> Iterator[Figure]:
    with temporary_home(debugger=True) as home, Sshd(debugger=True) as host, running_lab(home) as server:
        names = _connected(home, host, server)
        notes = _notes(host, server)
        looks = [_look(host, server, names) for _ in range(ROUNDS)]
        yield Figure(
            name="hosts_refresh",
            unit="s",
            values=[look["wall_s"] for look in looks],
            target=1.0,
            baseline=f"a login a host with the system's ssh, {LOGINS_AT_ONCE} at a time",
            baseline_values=[_logins(host)],
            notes={"hosts": len(names), **notes},
        )
        yield Figure(
            name="hosts_refresh_cpu",
            unit="s",
            values=[look["lab_cpu_s"] for look in looks],
            baseline="the hosts' side of the same (sshd and the agents), on this machine",
            baseline_values=[look["hosts_cpu_s"] for look in looks],
            notes={"hosts": len(names), "measure": "the server and its carriers, one refresh of all hosts"},
        )
        ages, started = _watched(server)
        yield Figure(
            name="hosts_oldest_reading",
            unit="s",
            values=ages,
            target=5.0,
            notes={"hosts": len(names), "asked": f"once a second for {WATCHED_S:.0f} s"},
        )
        yield Figure(
            name="hosts_processes_started",
            unit="processes",
            values=[float(started)],
            target=0,
            notes={
                "measure": "by the server and its carriers in those seconds, those that have ended included"
            },
        )


def _connected(home: Home, host: Sshd, server: LabServer) -> list[str]:
    folder = home.path / ".ssh"
    folder.mkdir(mode=0o700)
    (folder / "config").write_text(f"Include {host.config}\n")
    names = [f"host-{number:02}" for number in range(COUNT)]
    for name in names:
        new = {"name": name, "host": host.alias, "python": sys.executable}
        _ask(server, "genops/targets", new)
        _ask(server, f"genops/targets/{name}/connect", {})
    deadline = time.monotonic() + PATIENCE_S
    while any(target["state"] != "up" for target in server.get("genops/targets")):
        if time.monotonic() > deadline:
            raise RuntimeError("not all hosts could be connected")
        time.sleep(1)
    return names


def _ask(server: LabServer, path: str, body: dict[str, Any]) -> None:
    status, answer = server.request("POST", path, body)
    if status != 200:
        raise RuntimeError(f"{path}: {answer}")


def _look(host: Sshd, server: LabServer, names: list[str]) -> dict[str, float]:
    """One answer that has to ask every host anew."""
    time.sleep(STALE_S + 0.5)
    lab, hosts = _lab(server), _hosts(host)
    lab_before, hosts_before = _cpu_s(lab), _cpu_s(hosts)
    begun = time.monotonic()
    found = server.get("genops/targets")
    wall_s = time.monotonic() - begun
    fresh = [
        each["name"] for each in found if each["reading"] is not None and each["reading_age_s"] < wall_s + 0.1
    ]
    if sorted(fresh) != names:
        raise RuntimeError(f"{len(fresh)} of {len(names)} hosts had answered after {wall_s:.2f} s")
    return {
        "wall_s": wall_s,
        "lab_cpu_s": _cpu_s(lab) - lab_before,
        "hosts_cpu_s": _cpu_s(hosts) - hosts_before,
    }


def _watched(server: LabServer) -> tuple[list[float], int]:
    """The oldest reading of each answer, as an open panel asks, and how many processes were started for them."""
    server.get("genops/targets")
    before = _began(server)
    ages, end = [], time.monotonic() + WATCHED_S
    while time.monotonic() < end:
        ages.append(max(each["reading_age_s"] for each in server.get("genops/targets")))
        time.sleep(1)
    after = _began(server)
    started = len(set(after) - set(before))
    ended = sum(after[pid] != faults for pid, faults in before.items() if pid in after)
    return ages, started + ended


def _began(server: LabServer) -> dict[int, int]:
    """The page faults of the ended children of each process: they grow with every child that has come and gone."""
    found = {}
    for process in _lab(server):
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        found[process.pid] = int(fields[8])
    return found


def _lab(server: LabServer) -> list[psutil.Process]:
    """The server and its carriers."""
    process = psutil.Process(server.process.pid)
    return [process, *process.children(recursive=True)]


def _hosts(host: Sshd) -> list[psutil.Process]:
    """The sessions of sshd, with the agents in them."""
    found: dict[int, psutil.Process] = {}
    for session in host.sessions():
        with suppress(psutil.NoSuchProcess):
            found |= {each.pid: each for each in (session, *session.children(recursive=True))}
    return list(found.values())


def _cpu_s(processes: list[psutil.Process]) -> float:
    """By the scheduler's own count: a process's times come in steps of 10 ms, and each carrier takes less."""
    tasks = [file for process in processes for file in Path(f"/proc/{process.pid}/task").glob("*/schedstat")]
    return sum(int(file.read_text().split()[0]) for file in tasks) / 1e9


def _notes(host: Sshd, server: LabServer) -> dict[str, Any]:
    lab = sum(process.memory_full_info().uss for process in _lab(server))
    hosts = sum(process.memory_full_info().uss for process in _hosts(host))
    return {
        "lab_mb": round(lab / 2**20),
        "hosts_mb": round(hosts / 2**20),
        "lab_processes": len(_lab(server)),
    }


def _logins(host: Sshd) -> float:
    """Seconds."""

    def login(_number: int) -> None:
        subprocess.run(
            ["ssh", "-F", str(host.config), host.alias, "cat /proc/loadavg"],
            stdin=subprocess.DEVNULL, capture_output=True, timeout=120, check=True,
        )  # fmt: skip

    begun = time.monotonic()
    with ThreadPoolExecutor(LOGINS_AT_ONCE) as pool:
        list(pool.map(login, range(COUNT)))
    return time.monotonic() - begun
