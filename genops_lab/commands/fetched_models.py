"""``genops deployments fetched``."""

from __future__ import annotations

from typing import Annotated

import typer

from genops_lab.deployments.fetched import FetchedService, freed

from .grammar import noun
from .session import Json, command
from .views import fetched_models as views

fetched_models = noun()


@fetched_models.command("fetched")
def list_fetched(
    delete_unused: Annotated[
        bool, typer.Option("--delete-unused", help="Delete the files of models that no revision uses.")
    ] = False,
    json: Json = False,
) -> None:
    """List the models that were fetched from the Hugging Face hub. Revisions share their files."""
    with command(json) as session:
        if delete_unused:
            found = session.call(FetchedService.delete_unused_models)
            session.say(freed(found))
        else:
            found = session.call(FetchedService.list_fetched_models)
        session.show(found, views.fetched_models(found))
