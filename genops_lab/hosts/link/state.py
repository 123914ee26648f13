"""The observable state of a connection, and the errors of calls over it."""

from __future__ import annotations

import time
from typing import Literal

import msgspec

from ...core.errors import GenOpsError

LinkStateName = Literal["idle", "connecting", "asking", "pending", "up", "down", "failed"]


class LinkState(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a connection at one moment. Times are in seconds since 1970; ``rtt_s`` is in seconds.

    ``idle``: nobody wants the connection. ``asking``: a person has to answer a question. ``pending``: the
    host is requested and does not run yet; ``message`` says why. ``down``: the connection broke; the next
    attempt is at ``retry_at``. ``failed``: no attempt follows until somebody connects.
    """

    state: LinkStateName = "idle"
    since: float = msgspec.field(default_factory=time.time)
    rtt_s: float | None = None
    message: str = ""
    hint: str = ""
    retry_at: float | None = None
    carrier: str = ""
    code: str = ""
    step: str = ""


_STATUS = {"not_found": 404, "unknown_method": 404, "invalid": 400, "running": 409, "busy": 409, "gone": 503}


class RemoteError(GenOpsError):
    """The host refused a call, or the connection broke during the call (``code`` "gone")."""

    code = "remote"

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(message, hint=hint, code=code or "remote")
        self.status = _STATUS.get(self.code, 502)


class LinkDown(GenOpsError):
    """The target is not connected at the moment."""

    status = 503
    code = "not_connected"
