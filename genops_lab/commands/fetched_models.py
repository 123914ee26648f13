"""``genops deployments fetch`` and ``fetched``."""

from __future__ import annotations

from typing import Annotated

import typer

from genops_lab.deployments.fetched import FetchedService, freed
from genops_lab.deployments.models import CheckDeploy

from .fetching import fetch
from .grammar import noun
from .session import Json, command
from .views import fetched_models as views

fetched_models = noun()


@fetched_models.command("fetch")
def fetch_model(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A repository: hf:ORG/NAME@REVISION.")],
    quantization: Annotated[
        str,
        typer.Option("--quantization", metavar="NAME", help="The one of several GGUF files, such as Q4_K_M."),
    ] = "",
    secret: Annotated[
        str,
        typer.Option(
            "--secret", metavar="VARIABLE", help="The variable that has the token of a gated repository."
        ),
    ] = "",
    json: Json = False,
) -> None:
    """Fetch the files of a model of the Hugging Face hub.

    `genops deploy` does it too. The command goes on where an earlier one was interrupted.
    """
    with command(json) as session:
        settings = {"quantization": quantization} if quantization else {}
        session.say(fetch(session, CheckDeploy(model=model, secret=secret, settings=settings)))
        found = session.call(FetchedService.list_fetched_models)
        session.show(found, views.fetched_models(found))


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
