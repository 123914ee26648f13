"""Read kernel messages for the recorder: only the needed parts, and no unreadable message stops it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec

from genops_lab.core.formatting import size_of

DELIMITER = b"<IDS|MSG>"


class _Header(msgspec.Struct):
    msg_id: str = ""
    msg_type: str = ""


class _Content(msgspec.Struct):
    transient: Any = None


class Message(msgspec.Struct, frozen=True):
    """A message whose content is not decoded yet."""

    msg_id: str
    msg_type: str
    parent_id: str
    raw_parent: bytes
    metadata: bytes
    raw_content: bytes

    @property
    def content(self) -> dict[str, Any]:
        """Return the content; raises ValueError when it is not a JSON object."""
        return decoded(self.raw_content)


_header = msgspec.json.Decoder(_Header)
_content = msgspec.json.Decoder(_Content)
_any = msgspec.json.Decoder()


def decoded(data: bytes) -> dict[str, Any]:
    """Return a JSON object. Kernels may write NaN, or bytes that are not UTF-8: these are read as Python's
    json does."""
    try:
        found = _any.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        found = json.loads(data.decode("utf-8", errors="replace"))
    if not isinstance(found, dict):
        raise ValueError("a message's part is not a JSON object")
    return found


def message(frames: Sequence[bytes]) -> Message:
    """Return the message in a ZMQ multipart, without identities and signature. Raises ValueError for an
    invalid one."""
    start = 0
    for index, frame in enumerate(frames):
        if frame == DELIMITER:
            start = index + 2
            break
    try:
        header, parent, metadata, content = frames[start : start + 4]
    except ValueError:
        raise ValueError(f"a message of {len(frames)} frames") from None
    try:
        own, of = _header.decode(header), _header.decode(parent)
    except (msgspec.DecodeError, UnicodeDecodeError):
        own, of = (_loosely(decoded(part)) for part in (header, parent))
    return Message(own.msg_id, own.msg_type, of.msg_id, parent, metadata, content)


def _loosely(header: dict[str, Any]) -> _Header:
    return _Header(str(header.get("msg_id", "")), str(header.get("msg_type", "")))


def output_of(kind: str, content: dict[str, Any]) -> dict[str, Any]:
    """Return the notebook's form of an output that is not a stream."""
    if kind == "error":
        return {
            "output_type": "error",
            "ename": str(content.get("ename", "")),
            "evalue": str(content.get("evalue", "")),
            "traceback": list(content.get("traceback") or []),
        }
    output = {
        "output_type": "display_data" if kind == "update_display_data" else kind,
        "data": content.get("data") or {},
        "metadata": content.get("metadata") or {},
    }
    if kind == "execute_result":
        output["execution_count"] = content.get("execution_count")
    return output


def display_id_of(content: dict[str, Any]) -> str:
    """Return the id under which a display may be updated; empty without one."""
    transient = content.get("transient")
    found = transient.get("display_id") if isinstance(transient, dict) else None
    return found if isinstance(found, str) else ""


def without_data(message: Message) -> dict[str, Any]:
    """Return the content of an ``update_display_data`` that is too large for a page, with a text in place of
    its data. The data is not decoded."""
    try:
        transient = _content.decode(message.raw_content).transient
    except (msgspec.DecodeError, UnicodeDecodeError):
        transient = None
    text = f"… not shown here: a display of {size_of(len(message.raw_content))}. …"
    return {"data": {"text/plain": text}, "metadata": {}, "transient": transient or {}}
