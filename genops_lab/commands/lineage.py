"""``genops lineage``."""

from __future__ import annotations

from typing import Annotated

import typer

from genops_lab.core.errors import InvalidRequest
from genops_lab.lineage.models import Direction, LineageQuery, LineageRunsQuery
from genops_lab.lineage.service import LineageService

from .grammar import noun
from .session import Json, command
from .views.lineage import lineage_tree, runs_without_version

lineage = noun()


@lineage.command("show")
def show_lineage(
    of: Annotated[
        str,
        typer.Argument(
            metavar="OBJECT",
            help="data:NAME@DIGEST, commit:SHA, run:ID, model:NAME@VERSION, base:SOURCE or deployment:NAME. "
            "A unique beginning of a digest, a commit or an id is enough.",
        ),
    ],
    up: Annotated[bool, typer.Option("--up", help="Show only what the object was made from.")] = False,
    down: Annotated[bool, typer.Option("--down", help="Show only what stands on the object.")] = False,
    runs: Annotated[
        bool,
        typer.Option(
            "--runs", help="List the runs of a data set or commit that lead to no version, newest first."
        ),
    ] = False,
    limit: Annotated[
        int, typer.Option("--limit", metavar="NUMBER", help="The most objects, 1 to 1,000. Default: 200.")
    ] = 200,
    json: Json = False,
) -> None:
    """Show what an object was made from, and what depends on it."""
    with command(json) as session:
        if up and down:
            raise InvalidRequest("--up and --down exclude each other.", hint="Leave out both to see both.")
        if runs:
            without = LineageRunsQuery(of=of, limit=limit)
            page = session.call(LineageService.list_runs_without_version, query=without)
            session.show(page, runs_without_version(page.items, of, bool(page.next)))
            return
        direction: Direction = "up" if up else "down" if down else "both"
        query = LineageQuery(of=of, direction=direction, limit=limit)
        found = session.call(LineageService.get_lineage, query=query)
        session.show(found, lineage_tree(found, direction))
