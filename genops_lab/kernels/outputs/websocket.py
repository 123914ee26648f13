"""Send a kernel's messages to the browser: slowed down for a slow page, never dropped.

Jupyter Server drops a kernel's outputs above 1,000 messages or 1 MB a second. For kernels whose messages are
kept (a target's) this connection sends everything, and reads on only while the page keeps up. A browser gets
of one cell what it can show (:mod:`.page_limits`), and reads the rest elsewhere; other clients get all. Code
for such a kernel that has ended is refused.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from jupyter_client.jsonutil import json_default
from jupyter_server.services.kernels.connection.base import deserialize_msg_from_ws_v1, serialize_msg_to_ws_v1
from jupyter_server.services.kernels.connection.channels import ZMQChannelsWebsocketConnection

from .messages import message
from .page_limits import Bounds, PageOutputs
from .provisioners import doer

SETTING = "kernel_websocket_connection_class"
#: Bytes on their way to a page: above this its kernel's outputs wait.
HIGH_WATER_BYTES = 4 * 2**20
LOW_WATER_BYTES = 1 * 2**20
BOUNDS = "genops_output_bounds"

log = logging.getLogger("genops_lab")

#: The name of the error for which the page offers a restart; its value is the reason.
KERNEL_ENDED = "KernelEnded"


class LosslessConnection(ZMQChannelsWebsocketConnection):
    """Jupyter's own connection; for a target's kernel without its limiter and with back-pressure."""

    _unsent_bytes = 0
    _paused = False
    _outputs: PageOutputs | None = None

    @property
    def write_message(self) -> Callable[..., Any]:
        """Jupyter's own, counted until the bytes have left."""
        return self._write_counted if self.is_lossless else self.websocket_handler.write_message

    @property
    def is_lossless(self) -> bool:
        """Return whether this kernel's agent keeps its messages, so that none needs to be dropped here."""
        return getattr(doer(self.kernel_manager), "keeps_messages", False) is True

    @property
    def is_page(self) -> bool:
        """Return whether the client is a browser."""
        return "Mozilla/" in self.websocket_handler.request.headers.get("User-Agent", "")

    @property
    def bridge(self) -> Any:
        """Return the client of a kernel that an agent owns, once it was started."""
        return getattr(doer(self.kernel_manager), "bridge", None) if self.is_lossless else None

    @property
    def has_ended(self) -> bool:
        """Return whether this kernel has ended and waits for a user's restart."""
        return self.is_lossless and getattr(self.kernel_manager, "execution_state", "") == "dead"

    async def prepare(self) -> None:
        """Jupyter's own; does not wait for an ended kernel, which its page restarts."""
        if not self.has_ended:
            await super().prepare()  # type: ignore[no-untyped-call]
            return
        await self._register_session()  # type: ignore[no-untyped-call]
        self.session.key = self.kernel_manager.session.key

    def connect(self) -> Any:
        """Jupyter's own; limits a page's outputs from the first message on."""
        bounds: Bounds | None = self.websocket_handler.settings.get(BOUNDS)
        if bounds is not None and self.is_lossless and self.is_page:
            later = asyncio.get_running_loop().call_later
            self._outputs = PageOutputs(self.kernel_id, bounds, self._say, self._pass_on, later)
        connected = super().connect()
        if connected is not None and self.is_lossless:
            connected.add_done_callback(self._is_connected)
        return connected

    def _is_connected(self, _connected: Any) -> None:
        """Drop the messages of Jupyter's check of a connection; they must not reach its page."""
        bridge = self.bridge
        if bridge is not None:
            bridge.exchange.tell_status()

    def handle_incoming_message(self, incoming_msg: Any) -> None:
        """Jupyter's own. Refuses code for a kernel that has ended: running it in another kernel later would
        surprise the user."""
        why = how_it_ended(self.bridge) if self.is_page else ""
        request = request_to_run(incoming_msg, self.subprotocol) if why else {}
        if not request:
            super().handle_incoming_message(incoming_msg)
            return
        for channel, kind, content in refusal(why):
            self._say(kind, content, request, channel=channel)

    def disconnect(self) -> Any:
        """Jupyter's own."""
        if self._outputs is not None:
            self._outputs.close()
        return super().disconnect()  # type: ignore[no-untyped-call]

    def handle_outgoing_message(self, stream: Any, outgoing_msg: list[Any]) -> None:
        """Jupyter's own, except for outputs that are too large for a page."""
        if self._outputs is None or stream not in ("iopub", self.channels.get("iopub")):
            super().handle_outgoing_message(stream, outgoing_msg)
            return
        try:
            self._outputs.take(message(outgoing_msg), outgoing_msg)
        except ValueError:  # it is not a message, or its content is not JSON
            super().handle_outgoing_message(stream, outgoing_msg)

    def _send_status_message(self, status: str) -> None:
        """Jupyter's own, for a kernel that restarts or is dead: its cells get no more "idle"."""
        iopub = self.channels.get("iopub")
        if self._outputs is not None and iopub is not None and not iopub.closed():
            iopub.flush()
            self._outputs.end_all()
        super()._send_status_message(status)  # type: ignore[no-untyped-call]

    def _pass_on(self, outgoing_msg: Any) -> None:
        super().handle_outgoing_message("iopub", outgoing_msg)

    def _say(
        self, kind: str, content: dict[str, Any], parent: dict[str, Any], *, channel: str = "iopub"
    ) -> None:
        if kind == "error" and not self.multi_kernel_manager.allow_tracebacks:
            hidden = [self.kernel_manager.traceback_replacement_message]
            content = {"ename": "ExecutionError", "evalue": "Execution error", "traceback": hidden}
        said = self.session.msg(kind, content=content, parent=parent)
        if self.subprotocol == "v1.kernel.websocket.jupyter.org":
            packed = serialize_msg_to_ws_v1(said, channel, self.session.pack)  # type: ignore[no-untyped-call]
            self.write_message(packed, binary=True)
        else:
            said["channel"] = channel
            self.write_message(json.dumps(said, default=json_default))

    def nudge(self) -> Any:
        """Jupyter's wait for the kernel's first answers; skipped for one whose host is away, which gives
        none."""
        bridge = self.bridge
        if bridge is None or bridge.state.state == "connected":
            return super().nudge()
        done = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done

    def _limit_rate(self, channel: str, msg: Any, msg_list: Any) -> bool:
        if self.is_lossless:
            return False
        return bool(super()._limit_rate(channel, msg, msg_list))  # type: ignore[no-untyped-call]

    def _write_counted(self, message: Any, binary: bool = False) -> Any:
        sent = self.websocket_handler.write_message(message, binary=binary)
        size = len(message)
        self._unsent_bytes += size
        sent.add_done_callback(partial(self._was_sent, size))
        if self._unsent_bytes > HIGH_WATER_BYTES and not self._paused:
            self._pause()
        return sent

    def _was_sent(self, size: int, sent: Any) -> None:
        self._unsent_bytes -= size
        gone = sent.cancelled() or sent.exception() is not None
        if self._paused and not gone and self._unsent_bytes < LOW_WATER_BYTES:
            self._resume()

    def _pause(self) -> None:
        stream = self.channels.get("iopub")
        if stream is not None and not stream.closed():
            self._paused = True
            stream.stop_on_recv()

    def _resume(self) -> None:
        self._paused = False
        stream = self.channels.get("iopub")
        if stream is not None and not stream.closed():
            stream.on_recv_stream(self.handle_outgoing_message)


def install(settings: dict[str, Any], bounds: Bounds | None = None) -> bool:
    """Use this connection for the server's kernels, unless another extension has its own. Returns whether it
    is used."""
    settings[BOUNDS] = bounds
    present = settings.get(SETTING)
    if present is not ZMQChannelsWebsocketConnection:
        name = f"{present.__module__}.{present.__qualname__}" if isinstance(present, type) else repr(present)
        log.warning(
            "%s serves the kernel websockets: outputs that its limiter drops are not shown live. "
            "Outputs of target kernels are complete in the saved notebook.",
            name,
        )
        return False
    settings[SETTING] = LosslessConnection
    return True


def how_it_ended(bridge: Any) -> str:
    """Return a sentence about how a kernel ended; empty while it runs, restarts or stops."""
    if bridge is None or bridge.state.state != "ended" or bridge.expected_end:
        return ""
    if bridge.ended_by:
        return str(bridge.state.reason)
    return f"The kernel has ended. {bridge.state.reason}".strip()


def request_to_run(ws_message: str | bytes, protocol: str | None) -> dict[str, Any]:
    """Return the header of a page's request to run code; empty for every other message, and for an invalid
    one."""
    try:
        if protocol == "v1.kernel.websocket.jupyter.org":
            _channel, parts = deserialize_msg_from_ws_v1(ws_message)  # type: ignore[no-untyped-call]
            header = json.loads(parts[0])
        else:
            header = json.loads(ws_message)["header"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return {}
    is_code = isinstance(header, dict) and header.get("msg_type") == "execute_request"
    return header if is_code else {}


def refusal(why: str) -> list[tuple[str, str, dict[str, Any]]]:
    """Return a page's answer for refused code: channels, types and contents of messages."""
    text = f"{why} This cell was not run. Restart the kernel, then run the cell again."
    return [
        ("iopub", "status", {"execution_state": "busy"}),
        ("iopub", "stream", {"name": "stderr", "text": f"{text}\n"}),
        (
            "shell",
            "execute_reply",
            {"status": "error", "ename": KERNEL_ENDED, "evalue": why, "traceback": []},
        ),
        ("iopub", "status", {"execution_state": "idle"}),
    ]
