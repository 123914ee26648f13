"""``genops deployments keys``, ``add-key`` and ``revoke-key``."""

from __future__ import annotations

from typing import Annotated

import typer

from genops_lab.deployments.models import NewCallerKey
from genops_lab.deployments.service import DeploymentsService

from .deployment_argument import Deployed
from .grammar import noun
from .session import Json, command
from .views import deployments as views
from .views import lab as lab_views

caller_keys = noun()

Key = Annotated[str, typer.Argument(metavar="NAME", help="The name of a key: of a person or a program.")]


@caller_keys.command("add-key")
def add_key(
    deployment: Deployed,
    name: Key,
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", min=0, help="Requests a minute. Default 0: no limit.")
    ] = 0,
    tokens: Annotated[
        int,
        typer.Option(
            "--tokens", metavar="N", min=0, help="Tokens of a language model a minute. Default 0: no limit."
        ),
    ] = 0,
    json: Json = False,
) -> None:
    """Add a key for a person or program. It is shown once: only its hash is kept."""
    with command(json) as session:
        body = NewCallerKey(name=name, limit=limit, tokens=tokens)
        made = session.call(DeploymentsService.add_caller_key, name=deployment, body=body)
        # A notebook would save a key that is shown, so there the key is in the data alone.
        session.show(made, views.new_key(deployment, made, hidden=session.notebook))


@caller_keys.command("keys")
def list_keys(deployment: Deployed, json: Json = False) -> None:
    """List the named keys of a deployment."""
    with command(json) as session:
        found = session.call(DeploymentsService.list_caller_keys, name=deployment)
        session.show(found, views.caller_keys(deployment, found))


@caller_keys.command("revoke-key")
def revoke_key(deployment: Deployed, name: Key, json: Json = False) -> None:
    """Revoke a key. Requests with it are refused at once."""
    with command(json) as session:
        session.call(DeploymentsService.revoke_caller_key, name=deployment, key=name)
        done = lab_views.done(f"The key {name} of {deployment} is revoked.")
        session.show({"name": name, "revoked": True}, done)
