"""Wire types that belong to no feature."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from .paging import Page

TaskState = Literal["running", "done", "failed", "cancelled"]


class Changed(msgspec.Struct, frozen=True):
    """The payload of an event: something of this kind changed; fetch it."""

    kind: str
    id: str
    revision: int


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """Long work. ``subject`` is what it works for, such as ``deployment:digits``; ``kind`` tells who offers what comes
    next which work it was, such as ``environment``. ``client`` is who asked for it: the id that a page of the Lab gave
    itself, ``socket`` for the user's other programs, empty where it is not known. Times in seconds since 1970."""

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
    """The last lines that a task wrote."""

    id: str
    lines: list[str]


class Locked(msgspec.Struct, frozen=True):
    """A setting that the administrator fixed by a traitlet."""

    name: str
    value: str


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """What the front end needs to know first."""

    version: str
    mlflow_uri: str
    mlflow_kind: Literal["embedded", "remote"]
    hub: bool
    rooms: list[str]
    locked: list[Locked]
    notices: list[str]


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One finding of the doctor."""

    id: str
    title: str
    state: Literal["ok", "info", "warning", "error"]
    detail: str
    hint: str = ""


class Diagnosis(msgspec.Struct, frozen=True):
    """All findings, and the same as text that is safe to paste into an issue."""

    checks: list[Check]
    text: str


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """What ``principal`` did or tried. ``operation`` is its id, ``outcome`` ``ok`` or an error's code. ``detail`` holds
    no secret: names, never values."""

    principal: str
    action: Literal["read", "write", "execute"]
    resource: str
    operation: str
    outcome: str
    detail: dict[str, Any] = {}


class AuditedEntry(AuditEntry, frozen=True, kw_only=True):
    """An entry with its time, in seconds since 1970, and whose GenOps Lab wrote it."""

    id: str
    at: float
    owner: str


class AuditPage(Page[AuditedEntry], frozen=True, kw_only=True):
    """Entries, the newest first. ``waiting``: changes that the shared store does not have yet."""

    waiting: int = 0
