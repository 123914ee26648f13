"""Run blocking work next to the event loop."""

from __future__ import annotations

import asyncio
from typing import Any, Callable, TypeVar

T = TypeVar("T")


async def in_thread(work: Callable[..., T], *arguments: Any) -> T:
    """Do blocking work in a thread, as ``asyncio.to_thread`` does from Python 3.9 on."""
    return await asyncio.get_running_loop().run_in_executor(None, work, *arguments)
