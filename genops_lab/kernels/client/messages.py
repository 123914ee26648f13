"""What the Lab says in a notebook about its kernel: stream messages that look as if the kernel had sent them."""

from __future__ import annotations

import json
import time
from typing import Any

from jupyter_client.session import Session

_DELIMITER = b"<IDS|MSG>"
_MOST_REQUESTS = 1000
_PYTHON = {
    "name": "python",
    "version": "3",
    "mimetype": "text/x-python",
    "file_extension": ".py",
    "pygments_lexer": "ipython3",
    "codemirror_mode": {"name": "ipython", "version": 3},
    "nbconvert_exporter": "python",
}
#: What a kernel that waits for its host says of itself.
_PRESENCE: dict[str, dict[str, Any]] = {
    "connect_request": {"status": "ok"},
    "kernel_info_request": {
        "status": "ok",
        "protocol_version": "5.3",
        "implementation": "ipython",
        "implementation_version": "",
        "language_info": _PYTHON,
        "banner": "This kernel waits for its host.",
        "help_links": [],
    },
}

_WHY_CUT = {
    "size": "the host keeps a limited amount for a Lab that is away, and it grew beyond that",
    "age": "the host keeps them for a limited time for a Lab that is away",
    "disk_full": "the host's disk was full",
    "too_large": "no single message may be so large",
}


class Speaker:
    """Makes signed messages of a kernel."""

    def __init__(self, key: bytes, signature_scheme: str, kernel_id: str) -> None:
        self._session = Session(key=key, signature_scheme=signature_scheme)
        self._topic = f"kernel.{kernel_id}.".encode()

    def stream(self, text: str, parent: dict[str, Any]) -> list[bytes]:
        """Text on stderr, as an output of the cell that ``parent`` (a header) ran."""
        content = {"name": "stderr", "text": text if text.endswith("\n") else text + "\n"}
        return self._message("stream", content, parent, self._topic + b"stream.stderr")

    def status(self, state: str) -> list[bytes]:
        """The kernel's state, whichever request the last one was about."""
        return self._message("status", {"execution_state": state}, {}, self._topic + b"status")

    def welcome(self, topic: bytes) -> list[bytes]:
        """What a kernel answers a new subscription to iopub with (protocol 5.4)."""
        content = {"subscription": topic.decode("utf-8", "replace")}
        frames = self._message("iopub_welcome", content, {}, topic)
        return frames if topic else frames[1:]

    def refusal(
        self, request: list[bytes], text: str, name: str
    ) -> tuple[list[list[bytes]], list[bytes]] | None:
        """What a request to run code gets that is not run: messages for iopub with ``text``, and the reply. None for
        every other request."""
        header, _parent = _headers(request)
        if header.get("msg_type") != "execute_request":
            return None
        status = self._topic + b"status"
        published = [
            self._message("status", {"execution_state": "busy"}, header, status),
            self.stream(text, header),
            self._message("status", {"execution_state": "idle"}, header, status),
        ]
        content = {"status": "error", "ename": name, "evalue": text, "traceback": []}
        reply = self._message("execute_reply", content, header, request[0])
        return published, reply

    def presence(self, request: list[bytes]) -> tuple[list[bytes], list[bytes], list[bytes]] | None:
        """What a request that only asks for the kernel gets: busy, the reply, idle. None for every other request."""
        header, _parent = _headers(request)
        content = _PRESENCE.get(str(header.get("msg_type")))
        if content is None:
            return None
        reply = str(header["msg_type"]).replace("_request", "_reply")
        status = self._topic + b"status"
        return (
            self._message("status", {"execution_state": "busy"}, header, status),
            self._message(reply, content, header, request[0]),
            self._message("status", {"execution_state": "idle"}, header, status),
        )

    def _message(
        self, kind: str, content: dict[str, Any], parent: dict[str, Any], topic: bytes
    ) -> list[bytes]:
        message = self._session.msg(kind, content)
        message["parent_header"] = parent
        return [topic, *(bytes(frame) for frame in self._session.serialize(message))]


class Running:
    """Which requests to run code have no reply yet: what is said meanwhile belongs to their cells."""

    def __init__(self) -> None:
        self._headers: dict[str, dict[str, Any]] = {}

    def asked(self, frames: list[bytes]) -> None:
        """A message on its way to the kernel's shell, or the journal's copy of one."""
        header, _parent = _headers(frames)
        if header.get("msg_type") == "execute_request":
            self._headers[str(header.get("msg_id"))] = header
            if len(self._headers) > _MOST_REQUESTS:
                del self._headers[next(iter(self._headers))]

    def answered(self, frames: list[bytes]) -> None:
        """A reply of the kernel's shell."""
        if self._headers:
            header, parent = _headers(frames)
            if header.get("msg_type") == "execute_reply":
                self._headers.pop(str(parent.get("msg_id")), None)

    def current(self) -> dict[str, Any]:
        """The header of the request that runs, the oldest; empty when none does."""
        return next(iter(self._headers.values()), {})

    def clear(self) -> None:
        """The kernel has ended: nothing runs."""
        self._headers.clear()


def cell_of(frames: list[bytes]) -> dict[str, Any]:
    """The header of a request to run a cell; empty for every other message, and for what a front end runs unseen."""
    try:
        start = frames.index(_DELIMITER) + 2 if _DELIMITER in frames else 0
        header, content = json.loads(frames[start]), json.loads(frames[start + 3])
    except (ValueError, IndexError, RecursionError):
        return {}
    if not isinstance(header, dict) or not isinstance(content, dict) or content.get("silent"):
        return {}
    return header if header.get("msg_type") == "execute_request" else {}


def _headers(frames: list[bytes]) -> tuple[dict[str, Any], dict[str, Any]]:
    try:
        start = frames.index(_DELIMITER) + 2 if _DELIMITER in frames else 0
        header, parent = json.loads(frames[start]), json.loads(frames[start + 1])
    except (ValueError, IndexError, RecursionError):
        return {}, {}
    return (header if isinstance(header, dict) else {}), (parent if isinstance(parent, dict) else {})


def told_of(note: dict[str, Any], *, missed: bool) -> str:
    """A sentence for the notebook; empty for notes that nobody needs to read.

    ``missed``: whether messages did not come here; what was cut after it came is no loss.
    """
    kind, reason = note.get("kind"), str(note.get("reason", ""))
    if kind == "cut" and (missed or reason == "too_large"):
        count, size = note.get("messages"), note.get("bytes")
        what = "One message" if count == 1 else f"{count:,} messages" if count else "Messages"
        weight = f" ({size / 1024**2:,.1f} MiB)" if size else ""
        return f"Lost of this kernel: {what}{weight}, because {_WHY_CUT.get(reason, reason)}."
    if kind == "disk_full":
        return f"The disk of the kernel's host takes nothing more ({reason}): what comes now is kept in memory only."
    if kind == "idle":
        return str(note.get("text") or "")
    if kind == "lease":
        return str(note.get("text") or "Nobody was attached to this kernel for as long as its lease allows.")
    return ""


def ends_at(idle: dict[str, Any] | None) -> float | None:
    """When a kernel without work will be ended, in seconds since 1970, after a note or what a welcome says of it."""
    left = (idle or {}).get("ends_in_s")
    return time.time() + float(left) if isinstance(left, (int, float)) else None
