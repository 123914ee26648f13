"""Errors inside the user's process.

GenOpsError
|-- LabAway          no GenOps Lab of this user answers
|-- Refused          the Lab answered with an error
|-- FileLost         a file for the Lab cannot be read (any more)
`-- CommandFailed    a ``%genops`` command ended with an exit code other than 0
"""

from __future__ import annotations

import functools
import os
from typing import Any, Dict, List, Optional, TypeVar

from .display import shell

Error = TypeVar("Error", bound=BaseException)


class GenOpsError(Exception):
    """An error with a message (what happened, and to what) and a hint (what to do)."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()

    def _render_traceback_(self) -> List[str]:
        # In a notebook the message is enough; our own frames would only hide it.
        return [f"{type(self).__name__}: {self.message}", *([self.hint] if self.hint else [])]


class LabAway(GenOpsError):
    """No GenOps Lab of this user answers."""


class Refused(GenOpsError):
    """The Lab answered with an error: ``status`` is its HTTP status, ``details`` is for programs."""

    def __init__(
        self, status: int, message: str, hint: str = "", details: Optional[Dict[str, Any]] = None
    ) -> None:
        super().__init__(message, hint)
        self.status = status
        self.details = details or {}


class FileLost(GenOpsError):
    """A file for the Lab cannot be read (any more)."""


class CommandFailed(GenOpsError):
    """A command ended with an exit code other than 0."""

    def __init__(self, exit_code: int, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.exit_code = exit_code


def of_the_users_line(error: Error) -> Error:
    """Make a notebook show only the user's line and the message, without our own frames."""
    error.__dict__["_render_traceback_"] = functools.partial(_users_traceback, error)
    return error


def _users_traceback(error: BaseException) -> List[str]:
    ours = os.path.dirname(__file__) + os.sep
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        if last.tb_next.tb_frame.f_code.co_filename.startswith(ours):
            last.tb_next = None
        else:
            last = last.tb_next
    lines: List[str] = shell().InteractiveTB.structured_traceback(type(error), error, error.__traceback__)
    return lines
