"""The files of hosts."""

from __future__ import annotations

import msgspec


class FilesQuery(msgspec.Struct, frozen=True, kw_only=True):
    """``where``: a notebook, a kernel's id or its beginning, or a target."""

    where: str


class HostFiles(msgspec.Struct, frozen=True, kw_only=True):
    """The home of a host in JupyterLab. ``drive`` is its name in paths and addresses."""

    drive: str
    target: str
    host_id: str = ""
    writable: bool
