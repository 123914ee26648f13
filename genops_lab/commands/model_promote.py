"""``genops models promote``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from .completion import model_names
from .grammar import noun
from .session import Json, command

promotions = noun()


@promotions.command("promote")
def promote(
    name: Annotated[
        str, typer.Argument(metavar="MODEL", help="A registered model.", autocompletion=model_names)
    ],
    version: Annotated[
        str,
        typer.Option("--version", metavar="VERSION", help="The version to promote, a number or an alias."),
    ],
    alias: Annotated[
        str, typer.Option("--to", metavar="ALIAS", help="The alias that moves to the version.")
    ] = "champion",
    reason: Annotated[
        str,
        typer.Option(
            "--reason", metavar="TEXT", help="Why, for the history of the model; at most 1,000 characters."
        ),
    ] = "",
    file: Annotated[Path, typer.Option("--file", metavar="FILE", help="The gate file.")] = Path("gates.yaml"),
    markdown_file: Annotated[
        Path | None,
        typer.Option(
            "--markdown", metavar="FILE", help="Append the report to this file, such as a job summary."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Move an alias to a version if its gates pass.

    Exit codes as of genops gates check.
    """
    from genops_lab.gates.models import PromoteVersion
    from genops_lab.gates.service import GatesService

    from .gates import EXIT_CODES, asked, keep_markdown, named_version
    from .views.gates import promotion_view

    with command(json) as session:
        body = msgspec.convert(
            {**msgspec.to_builtins(asked(session, name, version, file)), "alias": alias, "reason": reason},
            PromoteVersion,
        )
        with session.waiting(f"the verdict on {named_version(name, version)}, then the move of {alias!r}"):
            done = session.call(GatesService.promote_version, name=name, version=version, body=body)
        session.show(done, promotion_view(done, name, version, alias))
        if done.report is not None:
            keep_markdown(done.report, markdown_file)
        raise typer.Exit(0 if done.report is None else EXIT_CODES[done.report.verdict])
