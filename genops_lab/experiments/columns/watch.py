"""Report changes of a table's rows while a page shows them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

from genops_lab.core.errors import GenOpsError
from genops_lab.core.live import CHANGES, LiveHub

from .models import RunsState

#: Seconds that a stopping worker waits.
_WAIT_S = 1.0
_UNUSED_S = 300.0
_AFTER_AN_ERROR_S = 5.0

log = logging.getLogger("genops_lab")


class TableWatch:
    """Calls ``tell`` after each change, while somebody listens and the table was used in the last minutes.

    ``wait(version, seconds)`` returns the state once its version differs. ``on_watching`` is told whether changes are
    reported.
    """

    def __init__(
        self,
        wait: Callable[[int, float], Awaitable[RunsState]],
        tell: Callable[[], None],
        live: LiveHub,
        on_watching: Callable[[bool], None] = lambda watching: None,
    ) -> None:
        self._wait = wait
        self._tell = tell
        self._on_watching = on_watching
        self._looked_at = live.wanted(CHANGES)
        self._used_at: float | None = None
        self._version = 0
        self._watching: asyncio.Task[None] | None = None
        live.produce(CHANGES, lambda _topic, active: self._set_active(active))

    def used(self, version: int) -> None:
        """Note that a page shows this version of the rows."""
        self._used_at = asyncio.get_running_loop().time()
        if self._watching is None:
            self._version = version
            if self._looked_at:
                self._watch()

    def close(self) -> None:
        """Stop reporting."""
        if self._watching is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: there is nothing left to cancel
                self._watching.cancel()
            self._watching = None
            self._on_watching(False)

    def _set_active(self, active: bool) -> None:
        self._looked_at = active
        if not active:
            self.close()
        elif self._used_at is not None:
            self._watch()

    def _watch(self) -> None:
        if self._watching is None:
            self._watching = asyncio.get_running_loop().create_task(self._tell_changes())
            self._on_watching(True)
            self._watching.add_done_callback(self._watched)

    def _watched(self, task: asyncio.Task[None]) -> None:
        if self._watching is task:
            self._watching = None
            self._on_watching(False)

    async def _tell_changes(self) -> None:
        """Report changes until the table was not used for some minutes, so that its worker may end."""
        clock = asyncio.get_running_loop().time
        while self._used_at is not None and clock() - self._used_at < _UNUSED_S:
            before = self._version
            try:
                state = await self._wait(before, _WAIT_S)
            except GenOpsError as error:
                log.warning("Changes of the table are not seen for a moment: %s", error.message)
                await asyncio.sleep(_AFTER_AN_ERROR_S)
                continue
            if state.version != before:
                self._version = state.version
                self._tell()
