"""Ports of programs on hosts."""

from __future__ import annotations

import msgspec


class PortsQuery(msgspec.Struct, frozen=True, kw_only=True):
    """``where``: a notebook, a kernel's id or its beginning, or a target; empty: all kernels on connected targets."""

    where: str = ""


class ListeningPort(msgspec.Struct, frozen=True, kw_only=True):
    """A port that a process on a host listens on. ``kernel_id`` is empty for a process of no kernel."""

    target: str
    host_id: str = ""
    kernel_id: str = ""
    notebook: str = ""
    port: str
    pid: int
    command: str = ""


class OpenPort(msgspec.Struct, frozen=True, kw_only=True):
    """A port to open: a number, or the path of a unix socket on the host.

    With a notebook or a kernel as ``where``, a process of that kernel must listen on it. With a target, any process of
    the same user may. ``trusted``: its pages may act as the user in JupyterLab.
    """

    where: str
    port: str
    trusted: bool = False


class OpenedPort(msgspec.Struct, frozen=True, kw_only=True):
    """A port that JupyterLab passes on. ``path`` is that of the address ``url``; ``host`` and ``name`` are in it."""

    host: str
    name: str
    target: str
    host_id: str = ""
    kernel_id: str = ""
    port: str
    trusted: bool
    path: str
    url: str
