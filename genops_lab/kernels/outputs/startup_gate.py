"""Delay a starting server's answers about kernels and sessions until the kernels of the last server are
restored.

A page that asks earlier finds no kernel, and starts another one for its notebook. Or Jupyter answers with an
error during the restore, and the page takes this for the kernel's death.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from jupyter_core.utils import ensure_async

log = logging.getLogger("genops_lab")

#: Seconds that the first answer waits at most, whatever happens.
WAITS_S = 10.0
_QUESTIONS = (
    ("session_manager", ("list_sessions", "session_exists")),
    ("kernel_manager", ("list_kernels", "kernel_model")),
)
_passes: ContextVar[bool] = ContextVar("passes", default=False)


@contextmanager
def passing() -> Iterator[None]:
    """Let this task, and those that it starts, ask before the gate is open: they restore the kernels."""
    token = _passes.set(True)
    try:
        yield
    finally:
        _passes.reset(token)


def may_remember(store: Path, store_url: str) -> bool:
    """Return whether there may be kernels to restore, without opening the store, which takes longer."""
    if store_url:
        return True
    if not store.exists():
        return False
    try:
        with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True, timeout=1)) as connection:
            return connection.execute("SELECT 1 FROM remote_kernels LIMIT 1").fetchone() is not None
    except sqlite3.Error as error:
        return "no such table" not in str(error)


class StartupGate:
    """Open; closed from :meth:`close` until :meth:`open`."""

    def __init__(self) -> None:
        self._opened = asyncio.Event()
        self._restores: list[Callable[[], None]] = []

    def close(self, serverapp: Any) -> None:
        """Delay the answers."""
        for owner, names in _QUESTIONS:
            manager = getattr(serverapp, owner)
            for name in names:
                if hasattr(manager, name):
                    self._hold_back(manager, name)

    def _hold_back(self, manager: Any, name: str) -> None:
        answer, own = getattr(manager, name), vars(manager).get(name)

        async def later(*args: Any, **kwargs: Any) -> Any:
            try:
                if not _passes.get():
                    await asyncio.wait_for(self._opened.wait(), WAITS_S)
            except asyncio.TimeoutError:
                log.warning("The kernels of targets were not restored within %.0f s.", WAITS_S)
                self.open()
            return await ensure_async(answer(*args, **kwargs))

        setattr(manager, name, later)
        self._restores.append(lambda: setattr(manager, name, own) if own else delattr(manager, name))

    def open(self) -> None:
        """Let the requests through; idempotent."""
        self._opened.set()
        while self._restores:
            self._restores.pop()()
