"""Spare kernels of a host, for tests: wait until they are ready, end what is left of them."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

from .hosts import TIMEOUT_S, Host

ARGV = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]


async def warm(host: Host, count: int, **params: Any) -> dict[str, Any]:
    """kernels.warm, once."""
    found: dict[str, Any] = await host.call("kernels.warm", argv=ARGV, count=count, **params)
    return found


async def warmed(host: Host, count: int) -> None:
    """Until so many are ready."""
    deadline = time.monotonic() + TIMEOUT_S
    while (spares := await warm(host, count))["ready"] != count:
        assert time.monotonic() < deadline, spares
        await asyncio.sleep(0.1)


def spare_pids(home: Path) -> list[int]:
    """Of the kernels that wait."""
    files = (home / "state" / "spares").glob("*/spare.json")
    return sorted(int(json.loads(file.read_text())["pid"]) for file in files)
