"""Errors that a person can act on.

    GenOpsError (500)
    |-- InvalidRequest (400)      what was sent cannot be used
    |-- NotAllowed (403)          locked by the administrator, or not this user's
    |-- NotFound (404)            no such run, model, deployment, ...
    |-- Conflict (409)            the thing exists, is busy, or needs a confirmation first
    |-- Unavailable (503)         a backend is down; it may come back
    `-- Failed (500)              work was tried and did not succeed

Each carries a stable ``code`` for programs, a ``message`` that says what happened to what, and a ``hint``
that says what to do next. No traceback and no secret goes over the wire; they become HTTP in
:mod:`genops_lab.core.api` and exit codes in :mod:`genops_lab.commands`, nowhere else.
"""

from __future__ import annotations

from typing import Any

import msgspec


class ErrorInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What went wrong, as it crosses the wire."""

    code: str
    message: str
    hint: str = ""
    details: dict[str, Any] = {}


class ErrorBody(msgspec.Struct, frozen=True):
    """The body of every answer whose status is 400 or above."""

    error: ErrorInfo


class GenOpsError(Exception):
    """Base of all errors that GenOps Lab raises on purpose."""

    status = 500
    code = "error"

    def __init__(
        self, message: str, *, hint: str = "", code: str | None = None, details: dict[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.code = code or type(self).code
        self.details = details or {}

    def info(self) -> ErrorInfo:
        """The wire form."""
        return ErrorInfo(code=self.code, message=self.message, hint=self.hint, details=self.details)

    @staticmethod
    def from_info(status: int, info: ErrorInfo) -> GenOpsError:
        """The error that another process raised, raised here again."""
        kind = _BY_STATUS.get(status, GenOpsError)
        return kind(info.message, hint=info.hint, code=info.code, details=dict(info.details))


class InvalidRequest(GenOpsError):
    """What was sent cannot be used as it is."""

    status = 400
    code = "invalid"


class NotAllowed(GenOpsError):
    """The administrator locked it, or it belongs to somebody else."""

    status = 403
    code = "not_allowed"


class NotFound(GenOpsError):
    """There is no such thing (any more)."""

    status = 404
    code = "not_found"


class Conflict(GenOpsError):
    """The thing exists already, is busy, or needs a confirmation first."""

    status = 409
    code = "conflict"


class Failed(GenOpsError):
    """Work was tried and did not succeed."""

    status = 500
    code = "failed"


class Unavailable(GenOpsError):
    """A backend does not answer; the same call may succeed later."""

    status = 503
    code = "unavailable"


_BY_STATUS: dict[int, type[GenOpsError]] = {
    kind.status: kind for kind in (InvalidRequest, NotAllowed, NotFound, Conflict, Failed, Unavailable)
}
