"""What others see of a link, and the errors of calls over it."""

from __future__ import annotations

import time
from typing import Literal

import msgspec

from ...core.errors import GenOpsError

LinkStateName = Literal["idle", "connecting", "asking", "pending", "up", "down", "failed"]


class LinkState(msgspec.Struct, frozen=True, kw_only=True):
    """A link at one moment.

    ``idle``: nobody wants it. ``asking``: a person has to answer something. ``pending``: the host is asked for and not
    there yet; ``message`` says why. ``down``: it broke and comes back
    by itself; the next attempt is at ``retry_at``. ``failed``: it stays so until somebody connects. Times in
    seconds since 1970; ``rtt_s`` in seconds.
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
    """The host refused a call, or the connection went while it was under way (``code`` "gone")."""

    code = "remote"

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(message, hint=hint, code=code or "remote")
        self.status = _STATUS.get(self.code, 502)


class LinkDown(GenOpsError):
    """The target is not connected (now)."""

    status = 503
    code = "not_connected"
