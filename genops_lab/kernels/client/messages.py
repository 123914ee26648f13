"""What the Lab says in a notebook about its kernel: stream messages that look as if the kernel had sent them."""

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
        return self._message("stream", stderr(text), parent, self._topic + b"stream.stderr")

    def status(self, state: str) -> list[bytes]:
        """The kernel's state, whichever request the last one was about."""
        return self._message("status", {"execution_state": state}, {}, self._topic + b"status")

    def welcome(self, topic: bytes) -> list[bytes]:
        """What a kernel answers a new subscription to iopub with (protocol 5.4)."""
        content = {"subscription": topic.decode("utf-8", "replace")}
        frames = self._message("iopub_welcome", content, {}, topic)
        return frames if topic else frames[1:]

    def request(self, kind: str, identity: bytes) -> list[bytes]:
        """A request of the Lab's own, with no content; its reply comes back to ``identity``."""
        return self._message(kind, {}, {}, identity)

    def answer(
        self, request: list[bytes], content: dict[str, Any], outputs: Mapping[str, dict[str, Any]] = _NOTHING
    ) -> tuple[list[list[bytes]], list[bytes]]:
        """What a request gets that no kernel has seen: messages for iopub (busy, ``outputs`` by their type, idle), and
        the reply."""
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
        """A message on iopub of the cell that ``parent`` (a header) ran."""
        return self._message(kind, content, parent, self._topic + kind.encode())

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


def stderr(text: str) -> dict[str, Any]:
    """The content of a stream message, with whole lines."""
    return {"name": "stderr", "text": text if text.endswith("\n") else text + "\n"}


def kind_of(frames: list[bytes]) -> str:
    """The type of a message; empty for what is none."""
    return str(_headers(frames)[0].get("msg_type", ""))


def content_of(frames: list[bytes]) -> dict[str, Any]:
    """The content of a message; empty for what has none."""
    try:
        content = json.loads(frames[frames.index(_DELIMITER) + 5])
    except (ValueError, IndexError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


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
