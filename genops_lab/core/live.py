"""Distribute live figures: meters, curves and log lines.

A producer runs only while its topic has listeners. Browsers listen through one websocket (:mod:`.live_socket`).
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import Any

#: The topic of all changes. A page uses it until JupyterLab's events socket is open again after a restart.
#: While a visible panel subscribes to it, the server also looks for changes that were made outside GenOps Lab.
CHANGES = "changes"

_PUBLISH_EVERY_S = 1.0
_AFTER_FAILURE_S = 15.0

log = logging.getLogger("genops_lab")


class LiveHub:
    """The listeners of topics, and the producers of the kinds of topics."""

    def __init__(self) -> None:
        self._listeners: dict[str, set[Callable[[str, Any], None]]] = defaultdict(set)
        self._producers: dict[str, list[Callable[[str, bool], None]]] = defaultdict(list)

    def produce(self, kind: str, switch: Callable[[str, bool], None]) -> None:
        """Register a producer: ``switch(topic, active)`` is called at a topic's first and after its last listener."""
        self._producers[kind].append(switch)

    def wanted(self, topic: str) -> bool:
        """Return whether the topic has listeners."""
        return bool(self._listeners.get(topic))

    def publish(self, topic: str, data: Any) -> None:
        """Send data to the listeners of ``topic``."""
        for listener in tuple(self._listeners.get(topic, ())):
            listener(topic, data)

    def join(self, topic: str, listener: Callable[[str, Any], None]) -> None:
        """Add a listener; a topic of an unknown kind gets no data."""
        listeners = self._listeners[topic]
        listeners.add(listener)
        if len(listeners) == 1:
            self._switch(topic, True)

    def leave(self, topic: str, listener: Callable[[str, Any], None]) -> None:
        """Remove a listener."""
        listeners = self._listeners.get(topic)
        if listeners is None:
            return
        listeners.discard(listener)
        if not listeners:
            del self._listeners[topic]
            self._switch(topic, False)

    def _switch(self, topic: str, active: bool) -> None:
        for producer in self._producers.get(topic.partition(":")[0], ()):
            producer(topic, active)


class Publisher:
    """Publishes the result of ``look`` once a second while somebody listens to ``topic``."""

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
            except Exception:  # a failed look must not end the topic for good
                log.warning("The topic %s was not published.", topic, exc_info=True)
                await asyncio.sleep(_AFTER_FAILURE_S)
                continue
            await asyncio.sleep(_PUBLISH_EVERY_S)
