"""Say why a call to a model has no answer."""

from __future__ import annotations

from typing import Literal

#: Why a call has no answer. ``away``: a proxy answers that no model is behind it now, or the model is overloaded.
Failure = Literal["refused", "key", "rate", "away", "server", "timeout", "connection", "cut", "malformed"]
#: Failures that may pass: the call is made again.
PASSING = frozenset({"rate", "away", "server", "timeout", "connection", "cut", "malformed"})
#: Failures of calls that the endpoint may have answered, and charged.
MAY_COST = frozenset({"timeout", "cut", "malformed"})


class CallFailed(Exception):
    """A call without an answer. ``after_s``: how long the endpoint asks to wait."""

    def __init__(self, kind: Failure, message: str, after_s: float | None = None) -> None:
        super().__init__(message)
        self.kind, self.message, self.after_s = kind, message, after_s
