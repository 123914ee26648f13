"""``genops secrets``."""

from __future__ import annotations

import getpass
import sys
from typing import Annotated

import typer

from genops_lab.core.errors import InvalidRequest
from genops_lab.deployments.secrets import SecretsService, SecretValue

from .document import Column, Document, Note, Table
from .grammar import noun
from .session import Json, command

secrets = noun()

Name = Annotated[str, typer.Argument(metavar="NAME", help="A name of a variable, such as HF_TOKEN.")]


@secrets.command("list")
def list_secrets(json: Json = False) -> None:
    """List the names of secrets. Nothing shows their values."""
    with command(json) as session:
        found = session.call(SecretsService.list_secrets)
        empty = "There are no secrets. Keep one: genops secrets set NAME"
        session.show(found, Document([Table([Column("name")], [[each.name] for each in found], empty=empty)]))


@secrets.command("set")
def set_secret(name: Name, json: Json = False) -> None:
    """Keep the value of a secret.

    The command asks for the value, or reads it from standard input.
    """
    with command(json) as session:
        if session.notebook:
            raise InvalidRequest(
                "A notebook would save the value of a secret.",
                hint=f"Use a terminal: genops secrets set {name}",
            )
        value = getpass.getpass(f"Value of {name}: ") if session.can_ask else sys.stdin.read(100_000)
        kept = session.call(
            SecretsService.set_secret, name=name, body=SecretValue(value=value.rstrip("\r\n"))
        )
        session.show(
            kept, Document([Note(f"The secret {name} is kept. Processes get it at their next start.")])
        )


@secrets.command("delete")
def delete_secret(name: Name, json: Json = False) -> None:
    """Delete a secret. Processes that run keep their copy."""
    with command(json) as session:
        session.call(SecretsService.delete_secret, name=name)
        session.show({"name": name, "deleted": True}, Document([Note(f"The secret {name} is deleted.")]))
