"""Wire types of notebooks' folders on targets. Sizes in bytes; times in seconds since 1970; paths are
relative to the folder, with slashes."""

from __future__ import annotations

from typing import Literal

import msgspec

#: The most files that an answer names; the counts include all.
MAX_NAMED = 500

Change = Literal["new", "changed", "deleted", "conflict"]


class FolderFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file that will be transferred, was transferred, or failed with the reason ``why``. ``kept`` names
    the copy of the replaced file, in the same folder."""

    path: str
    change: Change = "changed"
    size: int = 0
    modified_at: float = 0.0
    why: str = ""
    kept: str = ""


class FolderQuery(msgspec.Struct, frozen=True, kw_only=True):
    """A folder: that of ``notebook`` (a path of the file browser), or the one around the absolute path
    ``folder``.

    ``target`` may be left out where the folder is on only one. ``paths`` limits it to these files, folders or
    patterns, relative to ``notebook``'s folder or to ``folder``.
    """

    folder: str = ""
    notebook: str = ""
    target: str = ""
    paths: list[str] = []


class FolderTransfer(FolderQuery, frozen=True, kw_only=True):
    """``replace``: also transfer files that were changed on both sides; a copy of the replaced file is kept.
    ``confirmed``: also transfer more than the limit without a question."""

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
    """The result of a push or pull. ``done`` were transferred, ``conflicts`` were changed on both sides and
    left alone, ``failed`` could not be written or read."""

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
    """A transfer of files. ``result`` is set once it is ``done``; the answer's error reports a failure.
    ``task_id``: the task that shows and cancels it, where it takes over a second."""

    id: str
    state: Literal["running", "done"]
    task_id: str = ""
    result: FolderResult | None = None
