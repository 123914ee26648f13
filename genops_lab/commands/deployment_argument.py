"""The argument of commands about one deployment."""

from __future__ import annotations

from typing import Annotated

import typer

from .completion import deployment_names

Deployed = Annotated[
    str, typer.Argument(metavar="DEPLOYMENT", help="A deployment.", autocompletion=deployment_names)
]
