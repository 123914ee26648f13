"""The argument of commands about one target, and the time that a command waits for it."""

from __future__ import annotations

from typing import Annotated

import typer

from .completion import target_names

Name = Annotated[str, typer.Argument(metavar="TARGET", help="A target.", autocompletion=target_names)]
Timeout = Annotated[
    float, typer.Option("--timeout", metavar="SECONDS", min=1, help="The most seconds to wait.")
]
