"""Serve the websocket of live figures.

The client sends ``{"subscribe": [topics]}`` and ``{"unsubscribe": [topics]}``; the server sends
``{"topic": ..., "data": ...}``.
"""

from __future__ import annotations

from asyncio import Future
from typing import Any

import msgspec
from jupyter_server.auth.decorator import ws_authenticated
from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.base.websocket import WebSocketMixin
from tornado.websocket import WebSocketClosedError, WebSocketHandler

from .api import AUTH_RESOURCE, authorize
from .live import LiveHub

MAX_TOPICS = 200
MAX_UNSENT = 100

_encoder = msgspec.json.Encoder()


class _Command(msgspec.Struct, forbid_unknown_fields=True):
    subscribe: list[str] = []
    unsubscribe: list[str] = []


class LiveHandler(WebSocketMixin, WebSocketHandler, JupyterHandler):
    """``<base>/genops/live``: authenticated, authorised, same origin."""

    auth_resource = AUTH_RESOURCE

    def initialize(self, hub: LiveHub) -> None:
        """Store the hub."""
        self._hub = hub
        self._topics: set[str] = set()
        self._unsent: set[Future[None]] = set()

    @ws_authenticated
    async def get(self, *args: Any, **kwargs: Any) -> None:
        """Authorise the user before the socket opens."""
        await authorize(self, "read", "live")
        await super().get(*args, **kwargs)

    def get_compression_options(self) -> dict[str, Any]:
        """Compress messages: curves compress well."""
        return {}

    def on_message(self, message: str | bytes) -> None:
        """Handle a command. An invalid command closes the socket with the reason."""
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
        # A stalled client loses messages, so that they do not fill the server's memory; later ones replace them.
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
