"""Define the errors of GenOps Lab, each with a message and a hint.

    GenOpsError (500)
    |-- InvalidRequest (400)      the request is invalid
    |-- NotAllowed (403)          locked by the administrator, or of another user
    |-- NotFound (404)            the run, model, deployment, ... does not exist
    |-- Conflict (409)            the object exists already, is busy, or needs a confirmation
    |-- Unavailable (503)         a backend does not answer; it may later
    `-- Failed (500)              the work did not succeed

Each error has a stable ``code`` for programs, a ``message`` that says what happened to which object, and a ``hint``
that says what to do. Errors have no traceback and no secret. :mod:`genops_lab.core.api` turns them into HTTP answers,
:mod:`genops_lab.commands` into exit codes.
"""

from __future__ import annotations

from typing import Any

import msgspec


class ErrorInfo(msgspec.Struct, frozen=True, kw_only=True):
    """The wire form of an error."""

    code: str
    message: str
    hint: str = ""
    details: dict[str, Any] = {}


class ErrorBody(msgspec.Struct, frozen=True):
    """The body of each answer with a status of 400 or more."""

    error: ErrorInfo


class GenOpsError(Exception):
    """Base class of all errors that GenOps Lab raises on purpose."""

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
        """Return the wire form."""
        return ErrorInfo(code=self.code, message=self.message, hint=self.hint, details=self.details)

    @staticmethod
    def from_info(status: int, info: ErrorInfo) -> GenOpsError:
        """Return the error that another process raised."""
        kind = _BY_STATUS.get(status, GenOpsError)
        return kind(info.message, hint=info.hint, code=info.code, details=dict(info.details))


class InvalidRequest(GenOpsError):
    """The request is invalid."""

    status = 400
    code = "invalid"


class NotAllowed(GenOpsError):
    """The administrator locked the setting, or the object belongs to another user."""

    status = 403
    code = "not_allowed"


class NotFound(GenOpsError):
    """The object does not exist, perhaps because it was deleted."""

    status = 404
    code = "not_found"


class Conflict(GenOpsError):
    """The object exists already, is busy, or needs a confirmation first."""

    status = 409
    code = "conflict"


class Failed(GenOpsError):
    """The work did not succeed."""

    status = 500
    code = "failed"


class Unavailable(GenOpsError):
    """A backend does not answer; the same call may succeed later."""

    status = 503
    code = "unavailable"


_BY_STATUS: dict[int, type[GenOpsError]] = {
    kind.status: kind for kind in (InvalidRequest, NotAllowed, NotFound, Conflict, Failed, Unavailable)
}
