"""Notice that another process changed an SQLite file, without reading its tables."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path


class SqliteWatch:
    """Call ``changed`` after another process committed to ``path``, while active.

    ``PRAGMA data_version`` of an open connection changes exactly then, and costs some microseconds. It says nothing
    about commits before the connection, so ``changed`` is also called for each new connection.
    """

    def __init__(self, path: Path, changed: Callable[[], Awaitable[None]], interval_s: float = 0.4) -> None:
        self._path = path
        self._changed = changed
        self._interval_s = interval_s
        self._task: asyncio.Task[None] | None = None

    def set_active(self, active: bool) -> None:
        """Watch while ``active``."""
        if active and self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._watch())
        elif not active and self._task is not None:
            self._task.cancel()
            self._task = None

    async def _watch(self) -> None:
        seen: int | None = None
        connection: sqlite3.Connection | None = None
        try:
            while True:
                try:
                    if connection is None and self._path.exists():
                        connection = sqlite3.connect(f"file:{self._path}?mode=ro", uri=True)
                    if connection is not None:
                        version = connection.execute("PRAGMA data_version").fetchone()[0]
                        if version != seen:
                            seen = version
                            await self._changed()
                except sqlite3.Error:
                    # The file is locked or was replaced: try again with a new connection.
                    if connection is not None:
                        connection.close()
                    connection, seen = None, None
                await asyncio.sleep(self._interval_s)
        finally:
            if connection is not None:
                with contextlib.suppress(sqlite3.Error):
                    connection.close()
