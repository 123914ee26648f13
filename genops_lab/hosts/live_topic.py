"""A live topic that is published on changes and at an interval, while somebody listens."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from genops_lab.core.live import LiveHub

INTERVAL_S = 1.0
_AFTER_FAILURE_S = 15.0

log = logging.getLogger("genops_lab")


class Publisher:
    """Publishes what ``look`` returns once a second while somebody listens to ``topic``."""

    def __init__(self, live: LiveHub, topic: str, look: Callable[[], Awaitable[Any]]) -> None:
        self._live = live
        self._look = look
        self._publishing: asyncio.Task[None] | None = None
        live.produce(topic, self._switch)

    def _switch(self, topic: str, active: bool) -> None:
        if self._publishing is not None:
            self._publishing.cancel()
            self._publishing = None
        if active:
            self._publishing = asyncio.create_task(self._publish(topic))

    async def _publish(self, topic: str) -> None:
        while True:
            try:
                self._live.publish(topic, await self._look())
            except Exception:  # a look that fails must not end the topic for good
                log.warning("The topic %s could not be published.", topic, exc_info=True)
                await asyncio.sleep(_AFTER_FAILURE_S)
                continue
            await asyncio.sleep(INTERVAL_S)
