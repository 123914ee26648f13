"""What the idle extension adds to the server's memory."""

from __future__ import annotations

import time
from collections.abc import Iterator

import psutil

from tests.support.homes import temporary_home
from tests.support.lab_server import running_lab

from .figure import Figure

ROUNDS = 3


def _idle_mb(*arguments: str) -> float:
    with temporary_home(debugger=True) as home, running_lab(home, arguments=arguments) as server:
        server.get("api/contents")
        time.sleep(2)
        process = psutil.Process(server.process.pid)
        ours = [
            child for child in process.children(recursive=True) if "genops_lab" in " ".join(child.cmdline())
        ]
        return sum(part.memory_full_info().uss for part in [process, *ours]) / 2**20


def figures() -> Iterator[Figure]:
    pairs = [
        (_idle_mb(), _idle_mb("--ServerApp.jpserver_extensions={'genops_lab': False}")) for _ in range(ROUNDS)
    ]
    yield Figure(
        name="idle_memory_added",
        unit="MB",
        values=[ours - bare for ours, bare in pairs],
        target=40,
        baseline="the server without the extension (whole, not the difference)",
        baseline_values=[bare for _ours, bare in pairs],
        notes={"measure": "unique set size of the server and of the extension's children"},
    )
