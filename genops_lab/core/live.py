"""One websocket for figures that change many times a second: meters, curves, log tails.

The client sends ``{"subscribe": [topics]}`` and ``{"unsubscribe": [topics]}``; the server sends
``{"topic": ..., "data": ...}``. A producer runs only while somebody listens to its topic.
"""

from __future__ import annotations

from asyncio import Future
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import msgspec
from jupyter_core.utils import ensure_async
from jupyter_server.auth.decorator import ws_authenticated
from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.base.websocket import WebSocketMixin
from tornado import web
from tornado.websocket import WebSocketClosedError, WebSocketHandler

from .api import AUTH_RESOURCE

MAX_TOPICS = 200
MAX_UNSENT = 100

#: Keeps awake what looks for changes made outside GenOps; a visible panel subscribes to it.
CHANGES = "changes"

_encoder = msgspec.json.Encoder()


class _Command(msgspec.Struct, forbid_unknown_fields=True):
    subscribe: list[str] = []
    unsubscribe: list[str] = []


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


class LiveHandler(WebSocketMixin, WebSocketHandler, JupyterHandler):
    """``<base>/genops/live``: authenticated, authorised, same origin."""

    auth_resource = AUTH_RESOURCE

    def initialize(self, hub: LiveHub) -> None:
        """Keep the hub."""
        self._hub = hub
        self._topics: set[str] = set()
        self._unsent: set[Future[None]] = set()

    @ws_authenticated
    async def get(self, *args: Any, **kwargs: Any) -> None:
        """Check who asks before the socket opens."""
        allowed = await ensure_async(
            self.authorizer.is_authorized(self, self.current_user, "read", AUTH_RESOURCE)
        )
        if not allowed:
            raise web.HTTPError(403, "This user may not read GenOps figures.")
        await super().get(*args, **kwargs)

    def get_compression_options(self) -> dict[str, Any]:
        """Curves compress well."""
        return {}

    def on_message(self, message: str | bytes) -> None:
        """Take a command; one that cannot be read closes the socket with the reason."""
        try:
            command = msgspec.json.decode(message, type=_Command)
        except msgspec.DecodeError as error:
            self.close(1003, str(error)[:120])
            return
        for topic in command.unsubscribe:
            if topic in self._topics:
                self._topics.discard(topic)
                self._hub.leave(topic, self._send)
        for topic in command.subscribe:
            if topic not in self._topics and len(self._topics) < MAX_TOPICS and len(topic) <= 600:
                self._topics.add(topic)
                self._hub.join(topic, self._send)

    def _send(self, topic: str, data: Any) -> None:
        # A reader that stalls loses readings, not the server's memory: the next reading replaces them.
        self._unsent = {future for future in self._unsent if not future.done()}
        if len(self._unsent) >= MAX_UNSENT:
            return
        try:
            self._unsent.add(self.write_message(_encoder.encode({"topic": topic, "data": data}).decode()))
        except WebSocketClosedError:
            self.on_close()

    def on_close(self) -> None:
        """Leave all topics."""
        for topic in self._topics:
            self._hub.leave(topic, self._send)
        self._topics = set()
