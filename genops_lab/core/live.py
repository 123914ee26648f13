"""Figures that change many times a second: meters, curves, log tails. A producer runs only while somebody listens
to its topic. Browsers listen through one websocket (:mod:`.live_socket`)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

#: The topic of all changes: a page hears them here while JupyterLab's events socket is not open again after a restart.
#: While a visible panel subscribes to it, the server also looks for changes made outside GenOps.
CHANGES = "changes"


class LiveHub:
    """Who listens to what. ``produce`` says what to start and stop for topics of a kind."""

    def __init__(self) -> None:
        self._listeners: dict[str, set[Callable[[str, Any], None]]] = defaultdict(set)
        self._producers: dict[str, list[Callable[[str, bool], None]]] = defaultdict(list)

    def produce(self, kind: str, switch: Callable[[str, bool], None]) -> None:
        """Call ``switch(topic, True)`` at the first listener of a topic ``kind`` or ``kind:...``, then False."""
        self._producers[kind].append(switch)

    def wanted(self, topic: str) -> bool:
        """Whether anybody listens."""
        return bool(self._listeners.get(topic))

    def publish(self, topic: str, data: Any) -> None:
        """Send to all who listen to ``topic``."""
        for listener in tuple(self._listeners.get(topic, ())):
            listener(topic, data)

    def join(self, topic: str, listener: Callable[[str, Any], None]) -> None:
        """Start listening; a topic of an unknown kind is silent."""
        listeners = self._listeners[topic]
        listeners.add(listener)
        if len(listeners) == 1:
            self._switch(topic, True)

    def leave(self, topic: str, listener: Callable[[str, Any], None]) -> None:
        """Stop listening."""
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
