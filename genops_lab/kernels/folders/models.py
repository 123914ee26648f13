"""Wire types of notebooks' folders on targets. Sizes in bytes; times in seconds since 1970; paths are relative to the
folder, with slashes."""

from __future__ import annotations

from typing import Literal

import msgspec

#: At most so many files are named in an answer; the counts count all.
MAX_NAMED = 500

Change = Literal["new", "changed", "deleted", "conflict"]


class FolderFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file that would travel, has travelled, or cannot: ``why`` says so. ``kept`` names the copy of what it
    replaced, beside it."""

    path: str
    change: Change = "changed"
    size: int = 0
    modified_at: float = 0.0
    why: str = ""
    kept: str = ""


class FolderQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which folder: that of ``notebook`` (a path as the file browser has it), or the one around the absolute path
    ``folder``. ``target`` may be left out where the folder is on one only. ``paths``: these alone (files, folders or
    patterns), relative to ``notebook``'s or to ``folder``."""

    folder: str = ""
    notebook: str = ""
    target: str = ""
    paths: list[str] = []


class FolderTransfer(FolderQuery, frozen=True, kw_only=True):
    """``replace``: also files that were changed on both sides; the one that is replaced is kept beside it.
    ``confirmed``: also more than a person is asked for first."""

    replace: bool = False
    confirmed: bool = False


class FolderState(msgspec.Struct, frozen=True, kw_only=True):
    """A folder on both sides. ``here`` is the folder on the Lab's machine, ``there`` the one on the target."""

    target: str
    here: str
    there: str
    synced_at: float | None = None
    to_send: list[FolderFile] = []
    to_send_count: int = 0
    to_send_bytes: int = 0
    to_bring: list[FolderFile] = []
    to_bring_count: int = 0
    to_bring_bytes: int = 0
    conflicts: list[FolderFile] = []
    left_out: list[FolderFile] = []
    message: str = ""


class FolderResult(msgspec.Struct, frozen=True, kw_only=True):
    """What was sent or brought. ``done`` travelled, ``conflicts`` were changed on both sides and left alone,
    ``failed`` could not be written or read."""

    target: str
    here: str
    there: str
    direction: Literal["sent", "brought"]
    done: list[FolderFile] = []
    done_count: int = 0
    done_bytes: int = 0
    conflicts: list[FolderFile] = []
    failed: list[FolderFile] = []
    message: str


class FolderJob(msgspec.Struct, frozen=True, kw_only=True):
    """A passage of files. ``result`` is there once it is ``done``; a failure is the answer's error. ``task_id``: the
    task that shows and cancels it, where it takes over a second."""

    id: str
    state: Literal["running", "done"]
    task_id: str = ""
    result: FolderResult | None = None
