"""Waits of the agent's tests; each test as a whole has a deadline."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import psutil

from .hosts import Host, KernelClient


def run(test: Callable[[], Awaitable[Any]]) -> None:
    """Run a test for at most three minutes."""

    async def bounded() -> None:
        await asyncio.wait_for(test(), 170)

    asyncio.run(bounded())


async def ready(host: Host, kernel_id: str = "k", **params: Any) -> KernelClient:
    """A kernel that was started and has answered."""
    await host.start(kernel_id, **params)
    return await host.kernel(kernel_id).welcomed()


async def gone(pid: int) -> None:
    """Until a process has ended."""
    while _lives(pid):
        await asyncio.sleep(0.05)


async def vanished(path: Path) -> None:
    """Until a file or folder was removed."""
    while await asyncio.to_thread(path.exists):
        await asyncio.sleep(0.05)


def _lives(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
