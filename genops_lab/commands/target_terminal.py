"""``genops targets terminal``: a shell on a host, in this terminal."""

from __future__ import annotations

import os
import sys
from pathlib import PurePath
from typing import Annotated, Any

import typer

from genops_lab.core.errors import Failed, GenOpsError, InvalidRequest, NotFound
from genops_lab.hosts.service import TargetsService
from genops_lab.terminals.models import OpenTerminal, Terminal
from genops_lab.terminals.service import TerminalsService

from .completion import target_names
from .session import Json, Session, command
from .target_connection import connected

_CONNECT_S = 300.0


def open_terminal(
    where: Annotated[
        str,
        typer.Argument(
            metavar="TARGET",
            help="A target, a notebook, or the id of a kernel or its beginning.",
            autocompletion=target_names,
        ),
    ],
    json: Json = False,
) -> None:
    """Open a shell on a target, or in the pod or job of a kernel. It ends with this terminal.

    The exit code is that of the shell.
    """
    with command(json) as session:
        if session.notebook or not (sys.stdin.isatty() and sys.stdout.isatty()):
            raise InvalidRequest(
                "A shell on a target needs a terminal.",
                hint=f"Run in a terminal: genops targets terminal {where}",
            )
        _connect(session, where)
        ending = _shell(session, where)
        while ending is None:
            session.say(f"\r\nThe connection to {where} was cut, and the programs of this shell have ended.")
            ending = _again(session, where)
        if "message" in ending:
            raise Failed(ending["message"], hint=ending["hint"])
        if ending["code"]:
            raise typer.Exit(ending["code"] if 0 < ending["code"] < 256 else 1)


def _connect(session: Session, where: str) -> None:
    """Connect a target whose one host always exists; a kernel's host is connected already."""
    try:
        target = session.call(TargetsService.get_target, name=where)
    except NotFound:
        return  # a kernel or a notebook
    if target.state != "up" and not target.allocates:
        connected(session, session.call(TargetsService.connect_target, name=where), _CONNECT_S)


def _again(session: Session, where: str) -> dict[str, Any] | None:
    """Ask whether to open another shell, and open it. Return how it ended."""
    while True:
        session.say("Press Enter for a new shell, or Ctrl-D to close.")
        if not sys.stdin.readline():
            return {"code": 0}
        try:
            _connect(session, where)
            return _shell(session, where)
        except GenOpsError as error:
            session.report(error)


def _shell(session: Session, where: str) -> dict[str, Any] | None:
    """Return how a shell ended, as the agent says; None where the connection was cut."""
    from .terminal_stream import carry_shell, size  # Unix alone

    rows, columns = size()
    term = os.environ.get("TERM") or "xterm-256color"
    body = OpenTerminal(where=where, rows=rows, columns=columns, term=term)
    opened = session.call(TerminalsService.open_terminal, body=body)
    return carry_shell(opened.socket, _title(opened))


def _title(opened: Terminal) -> str:
    name = PurePath(opened.notebook).name or opened.host_id
    return f"{opened.target}: {name}" if name else opened.target
