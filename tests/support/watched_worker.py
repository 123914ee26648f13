"""Look at the calls of a worker process before they are sent: kill, hold or change something at a moment."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from genops_lab.core.worker import Worker


def before_calls(worker: Worker, look: Callable[[str, tuple[Any, ...]], Any]) -> Callable[[], None]:
    """Have ``look`` (which may be async) see the method's name and the arguments of each call; return the undo."""
    run = worker._run

    async def watched(told: Any, method: Any, *arguments: Any, **more: Any) -> Any:
        seen = look(method.__name__, arguments)
        if inspect.isawaitable(seen):
            await seen
        return await run(told, method, *arguments, **more)

    worker._run = watched  # type: ignore[method-assign]

    def undo() -> None:
        worker._run = run  # type: ignore[method-assign]

    return undo
