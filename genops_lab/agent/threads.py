"""What blocks, apart from the loop."""

from __future__ import annotations

import asyncio
from typing import Any, Callable, TypeVar

T = TypeVar("T")


async def in_thread(work: Callable[..., T], *arguments: Any) -> T:
    """What ``work`` comes to, in a thread. Raises what it raises."""
    return await asyncio.get_running_loop().run_in_executor(None, work, *arguments)
