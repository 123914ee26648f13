"""Write the Lab's own sentences into a notebook: stream messages that look as if the kernel had sent them."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from jupyter_client.session import Session

_DELIMITER = b"<IDS|MSG>"
_MOST_REQUESTS = 1000
_NOTHING: Mapping[str, dict[str, Any]] = MappingProxyType({})
_WHY_CUT = {
    "size": "the host keeps a limited amount while the Lab is away, and the limit was reached",
    "age": "the host keeps messages for a limited time while the Lab is away",
    "disk_full": "the host's disk was full",
    "too_large": "a single message has a size limit",
}


class Speaker:
    """Makes signed messages of a kernel."""

    def __init__(self, key: bytes, signature_scheme: str, kernel_id: str) -> None:
        self._session = Session(key=key, signature_scheme=signature_scheme)
        self._topic = f"kernel.{kernel_id}.".encode()

    def stream(self, text: str, parent: dict[str, Any]) -> list[bytes]:
        """Return text on stderr, as an output of the cell that ``parent`` (a header) ran."""
        return self._message("stream", stderr(text), parent, self._topic + b"stream.stderr")

    def status(self, state: str) -> list[bytes]:
        """Return the kernel's state, as a message that belongs to the last request."""
        return self._message("status", {"execution_state": state}, {}, self._topic + b"status")

    def welcome(self, topic: bytes) -> list[bytes]:
        """Return a kernel's answer to a new subscription to iopub (protocol 5.4)."""
        content = {"subscription": topic.decode("utf-8", "replace")}
        frames = self._message("iopub_welcome", content, {}, topic)
        return frames if topic else frames[1:]

    def request(self, kind: str, identity: bytes) -> list[bytes]:
        """Return a request of the Lab's own, without content; its reply comes back to ``identity``."""
        return self._message(kind, {}, {}, identity)

    def answer(
        self, request: list[bytes], content: dict[str, Any], outputs: Mapping[str, dict[str, Any]] = _NOTHING
    ) -> tuple[list[list[bytes]], list[bytes]]:
        """Return the answer to a request that no kernel has seen: messages for iopub (busy, ``outputs`` by
        their type, idle), and the reply."""
        header, _parent = _headers(request)
        status = self._topic + b"status"
        published = [
            self._message("status", {"execution_state": "busy"}, header, status),
            *(self.output(kind, said, header) for kind, said in outputs.items()),
            self._message("status", {"execution_state": "idle"}, header, status),
        ]
        reply = str(header.get("msg_type")).replace("_request", "_reply")
        return published, self._message(reply, content, header, request[0])

    def output(self, kind: str, content: dict[str, Any], parent: dict[str, Any]) -> list[bytes]:
        """Return a message on iopub of the cell that ``parent`` (a header) ran."""
        return self._message(kind, content, parent, self._topic + kind.encode())

    def _message(
        self, kind: str, content: dict[str, Any], parent: dict[str, Any], topic: bytes
    ) -> list[bytes]:
        message = self._session.msg(kind, content)
        message["parent_header"] = parent
        return [topic, *(bytes(frame) for frame in self._session.serialize(message))]


class Running:
    """The requests to run code that have no reply yet: messages meanwhile belong to their cells."""

    def __init__(self) -> None:
        self._headers: dict[str, dict[str, Any]] = {}

    def asked(self, frames: list[bytes]) -> None:
        """Note a message on its way to the kernel's shell, or the journal's copy of one."""
        header, _parent = _headers(frames)
        if header.get("msg_type") == "execute_request":
            self._headers[str(header.get("msg_id"))] = header
            if len(self._headers) > _MOST_REQUESTS:
                del self._headers[next(iter(self._headers))]

    def answered(self, frames: list[bytes]) -> None:
        """Note a reply of the kernel's shell."""
        if self._headers:
            header, parent = _headers(frames)
            if header.get("msg_type") == "execute_reply":
                self._headers.pop(str(parent.get("msg_id")), None)

    def current(self) -> dict[str, Any]:
        """Return the header of the running request, the oldest; empty when none runs."""
        return next(iter(self._headers.values()), {})

    def clear(self) -> None:
        """Reset after the kernel's end."""
        self._headers.clear()


def stderr(text: str) -> dict[str, Any]:
    """Return the content of a stream message, with whole lines."""
    return {"name": "stderr", "text": text if text.endswith("\n") else text + "\n"}


def kind_of(frames: list[bytes]) -> str:
    """Return the type of a message; empty for an invalid one."""
    return str(_headers(frames)[0].get("msg_type", ""))


def content_of(frames: list[bytes]) -> dict[str, Any]:
    """Return the content of a message; empty without one."""
    try:
        content = json.loads(frames[frames.index(_DELIMITER) + 5])
    except (ValueError, IndexError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def cell_of(frames: list[bytes]) -> dict[str, Any]:
    """Return the header of a request to run a cell; empty for every other message, and for code that a front
    end runs unseen."""
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


def note_text(note: dict[str, Any], *, missed: bool) -> str:
    """Return a sentence for the notebook; empty for notes without interest for users.

    ``missed``: whether messages did not come here; what was cut after it came is no loss.
    """
    kind, reason = note.get("kind"), str(note.get("reason", ""))
    if kind == "cut" and (missed or reason == "too_large"):
        count, size = note.get("messages"), note.get("bytes")
        what = "One message" if count == 1 else f"{count:,} messages" if count else "Messages"
        weight = f" ({size / 1024**2:,.1f} MiB)" if size else ""
        return (
            f"The host dropped messages of this kernel: {what}{weight}, because "
            f"{_WHY_CUT.get(reason, reason)}."
        )
    if kind == "disk_full":
        return (
            f"The disk of the kernel's host is not writable ({reason}): new messages are kept in memory only."
        )
    if kind == "idle":
        return str(note.get("text") or "")
    if kind == "lease":
        return str(note.get("text") or "No Lab was attached to this kernel within its lease.")
    return ""


def ends_at(idle: dict[str, Any] | None) -> float | None:
    """Return when an idle kernel will be stopped, in seconds since 1970, from a note or a welcome."""
    left = (idle or {}).get("ends_in_s")
    return time.time() + float(left) if isinstance(left, (int, float)) else None
