"""Wire types that several features share."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from .paging import Page

TaskState = Literal["running", "done", "failed", "cancelled"]


class Changed(msgspec.Struct, frozen=True):
    """The payload of an event: an object of this kind changed. An empty ``id`` means several objects."""

    kind: str
    id: str
    revision: int


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """Long work. Times in seconds since 1970.

    ``subject`` is the object of the work, such as ``deployment:digits``. ``kind`` is the kind of the work, such as
    ``environment``, for views that offer the next action. ``client`` is the id of the page of JupyterLab that asked for
    the work, ``socket`` for the user's other programs, or empty if unknown.
    """

    id: str
    title: str
    state: TaskState
    subject: str = ""
    kind: str = ""
    client: str = ""
    message: str = ""
    hint: str = ""
    progress: float | None = None
    created_at: float
    finished_at: float | None = None


class TaskLog(msgspec.Struct, frozen=True):
    """The last lines of a task's log."""

    id: str
    lines: list[str]


class Locked(msgspec.Struct, frozen=True):
    """A setting that the administrator locked, with its value."""

    name: str
    value: str


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """The status of GenOps Lab: versions, MLflow, features, locked settings and notices."""

    version: str
    mlflow_uri: str
    mlflow_kind: Literal["embedded", "remote"]
    hub: bool
    rooms: list[str]
    locked: list[Locked]
    notices: list[str]


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """The result of one check of the doctor."""

    id: str
    title: str
    state: Literal["ok", "info", "warning", "error"]
    detail: str
    hint: str = ""


class Diagnosis(msgspec.Struct, frozen=True):
    """The results of all checks, also as text without secrets for an issue report."""

    checks: list[Check]
    text: str


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """An operation that ``principal`` ran or tried to run.

    ``operation`` is the operation's id, ``outcome`` is ``ok`` or an error's code. ``detail`` has names, never values,
    and so no secret.
    """

    principal: str
    action: Literal["read", "write", "execute"]
    resource: str
    operation: str
    outcome: str
    detail: dict[str, Any] = {}


class AuditedEntry(AuditEntry, frozen=True, kw_only=True):
    """An entry with its time in seconds since 1970. ``owner`` is the user whose GenOps Lab wrote it."""

    id: str
    at: float
    owner: str


class AuditPage(Page[AuditedEntry], frozen=True, kw_only=True):
    """Entries, newest first. ``waiting`` is the number of changes that the shared store does not have yet."""

    waiting: int = 0
