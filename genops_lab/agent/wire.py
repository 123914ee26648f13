"""Read as much of Jupyter's messages as a keeper needs: find the header, sign its own requests."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import time
import uuid
from typing import Any, Dict, List, Optional, Sequence

DELIMITER = b"<IDS|MSG>"
_MSG_TYPE = re.compile(rb'"msg_type"\s*:\s*"(\w+)"')


def after_delimiter(frames: Sequence[bytes]) -> Optional[int]:
    """Return where header, parent header, metadata, content start; None for an invalid message."""
    for index, part in enumerate(frames):
        if part == DELIMITER:
            return index + 2 if len(frames) >= index + 6 else None
    return None


def msg_type(header: bytes) -> bytes:
    """Return the type in a header's JSON."""
    found = _MSG_TYPE.search(header)
    return found.group(1) if found is not None else b""


class Activity:
    """Whether a kernel is busy: as long as a cell runs, whatever is answered meanwhile on the control
    channel.

    After the last status only the run of a cell counts: it always ends with its reply. A kernel (ipykernel) may
    send "idle" for another request than the one that ended. Only this keeper sees the replies to its own
    requests.
    """

    _MOST = 64

    def __init__(self, state: str) -> None:
        self.state = state
        self._busy: Dict[str, None] = {}
        self._answered: Dict[str, None] = {}

    @property
    def requests(self) -> List[str]:
        """The runs that have started and not ended."""
        return list(self._busy)

    def follow(self, state: str, requests: Sequence[str]) -> None:
        """Continue from another keeper's state."""
        self.state = state
        self._busy = dict.fromkeys(requests)

    def saw(self, frames: Sequence[bytes]) -> Optional[bool]:
        """Handle a message on iopub. None unless it is a status; otherwise whether it says idle while a cell
        runs."""
        start = after_delimiter(frames)
        if start is None or msg_type(frames[start]) != b"status":
            return None
        parent = _msg_id(frames[start + 1])
        try:
            state = str(json.loads(frames[start + 3])["execution_state"])
        except (ValueError, KeyError, TypeError):
            return None
        if state != "busy":
            self._busy.pop(parent, None)
        elif parent not in self._answered and msg_type(frames[start + 1]) == b"execute_request":
            self._busy[parent] = None
            _bound(self._busy, self._MOST)
        self.state = "busy" if self._busy else state
        return self.state != state

    def answered(self, frames: Sequence[bytes]) -> None:
        """Handle a reply. Its request has ended, also where the kernel sends "idle" for another request of
        the same thread (ipykernel 6 does)."""
        start = after_delimiter(frames)
        if start is None:
            return
        parent = _msg_id(frames[start + 1])
        self._answered[parent] = None
        _bound(self._answered, self._MOST)
        if parent in self._busy:
            del self._busy[parent]
            self.state = "busy" if self._busy else "idle"


def _msg_id(header: bytes) -> str:
    try:
        return str(json.loads(header).get("msg_id", ""))
    except (ValueError, AttributeError):
        return ""


def _bound(kept: Dict[str, None], most: int) -> None:
    if len(kept) > most:
        del kept[next(iter(kept))]


class Signer:
    """Makes the keeper's own requests."""

    def __init__(self, key: str, scheme: str) -> None:
        self._key = key.encode()
        self._digest = scheme.rpartition("-")[2] or "sha256"
        if self._key:
            hashlib.new(self._digest)  # raises ValueError for one that this Python does not have
        self._session = uuid.uuid4().hex
        #: In the id of each request, and so in the parent header of each answer.
        self.mark = f"genops-{self._session}".encode()
        self._number = 0

    def take_key(self, key: str) -> None:
        """Sign with another key from now on."""
        self._key = key.encode()

    def request(self, kind: str, content: Dict[str, Any]) -> List[bytes]:
        """Return the frames of a request."""
        self._number += 1
        header = {
            "msg_id": f"{self.mark.decode()}_{self._number}",
            "msg_type": kind,
            "username": "",
            "session": self._session,
            "date": time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime()),
            "version": "5.3",
        }
        parts = [json.dumps(part).encode() for part in (header, {}, {}, content)]
        signature = b""
        if self._key:
            digest = hmac.new(self._key, digestmod=self._digest)
            for part in parts:
                digest.update(part)
            signature = digest.hexdigest().encode()
        return [DELIMITER, signature, *parts]

    def is_mine(self, frames: Sequence[bytes]) -> bool:
        """Return whether a message answers a request of this keeper."""
        start = after_delimiter(frames)
        return start is not None and self.mark in frames[start + 1]


def write_connection_file(path: str, prefix: str, key: str, scheme: str, kernel_name: str) -> None:
    """Write the kernel's connection file: ipc, mode 0600. Raises OSError."""
    body = {
        "transport": "ipc",
        "ip": prefix,
        "shell_port": 1,
        "iopub_port": 2,
        "stdin_port": 3,
        "hb_port": 4,
        "control_port": 5,
        "key": key,
        "signature_scheme": scheme,
        "kernel_name": kernel_name,
    }
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        os.write(descriptor, json.dumps(body).encode())
    finally:
        os.close(descriptor)
