"""Terminals on hosts."""

from __future__ import annotations

import msgspec


class OpenTerminal(msgspec.Struct, frozen=True, kw_only=True):
    """A terminal to open. ``where``: a notebook, a kernel's id or its beginning, or a target.

    ``rows`` and ``columns`` are the size of the terminal, ``term`` its kind (``TERM``).
    """

    where: str
    rows: int = 24
    columns: int = 80
    term: str = "xterm-256color"


class Terminal(msgspec.Struct, frozen=True, kw_only=True):
    """A shell that waits for its one caller at ``socket``, a unix socket of this user.

    :mod:`genops_lab.agent.terminals` has its protocol. ``kernel_id`` is empty without a kernel.
    """

    socket: str
    target: str
    host_id: str = ""
    kernel_id: str = ""
    notebook: str = ""


class TabQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The terminal of JupyterLab to make. ``where``: as in :class:`OpenTerminal`."""

    where: str


class TerminalTab(msgspec.Struct, frozen=True, kw_only=True):
    """A terminal of JupyterLab, by the name that JupyterLab gave it."""

    name: str
