"""``genops models pull``, ``push``, ``code`` and ``set``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from genops_lab.core.errors import InvalidRequest
from genops_lab.registry.models import Describe, PullModel, PushModel
from genops_lab.registry.using import ModelUses

from .completion import model_names
from .document import Document, Lines
from .grammar import noun
from .session import Json, command
from .views import lab as lab_views
from .views import models as views
from .waiting import followed

uses = noun()

Name = Annotated[str, typer.Argument(metavar="MODEL", help="A registered model.", autocompletion=model_names)]
Version = Annotated[
    str,
    typer.Option("--version", metavar="VERSION", help="A number or an alias. Default: the newest version."),
]


@uses.command("pull")
def pull(
    name: Name,
    folder: Annotated[str, typer.Argument(metavar="FOLDER", help="The new folder for the files.")],
    version: Version = "",
    json: Json = False,
) -> None:
    """Download the files of a model version into a new folder.

    A pull that was interrupted goes on where it was: give the same command again.
    """
    with command(json) as session:
        place = str(Path(folder).expanduser().absolute())
        task = session.call(ModelUses.pull_version, name=name, body=PullModel(folder=place, version=version))
        end = followed(session, task)
        session.show({"name": name, "folder": place}, lab_views.done(end.message))


@uses.command("push")
def push(
    name: Name,
    target: Annotated[str, typer.Argument(metavar="TARGET", help="The repository: hf:ORG/NAME.")],
    version: Version = "",
    secret: Annotated[
        str,
        typer.Option(
            "--secret",
            metavar="NAME",
            help="The variable of the Lab's environment that has the hub's token. Default: the hub's own login.",
        ),
    ] = "",
    public: Annotated[
        bool, typer.Option("--public", help="Make a new repository public. Default: private.")
    ] = False,
    json: Json = False,
) -> None:
    """Upload the files of a model version to the Hugging Face hub.

    After a break give the same command again: large files that arrived are not uploaded again.
    """
    with command(json) as session:
        body = PushModel(target=target, version=version, private=not public, secret=secret)
        end = followed(session, session.call(ModelUses.push_version, name=name, body=body))
        session.show({"name": name, "target": target}, lab_views.done(end.message))


@uses.command("code")
def code(name: Name, version: Version = "", json: Json = False) -> None:
    """Print Python code that loads a version."""
    with command(json) as session:
        found = session.call(ModelUses.get_loading_code, name=name, version=version or "latest")
        session.show(found, Document([Lines(found.code.splitlines())]))


@uses.command("set")
def describe(
    name: Name,
    version: Annotated[
        str,
        typer.Option("--version", metavar="VERSION", help="Change this version. Default: change the model."),
    ] = "",
    description: Annotated[
        str | None,
        typer.Option(
            "--description", metavar="TEXT", help="The description, at most 5,000 characters; '' for none."
        ),
    ] = None,
    tag: Annotated[
        list[str] | None, typer.Option("--tag", metavar="KEY=VALUE", help="Set this tag; may be repeated.")
    ] = None,
    untag: Annotated[
        list[str] | None, typer.Option("--untag", metavar="KEY", help="Remove this tag; may be repeated.")
    ] = None,
    json: Json = False,
) -> None:
    """Change the description and tags of a model or version."""
    with command(json) as session:
        tags = dict(_pair(each) for each in tag or [])
        if description is None and not tags and not untag:
            raise InvalidRequest(
                "Nothing to change was given.", hint="Add --description TEXT, --tag KEY=VALUE or --untag KEY."
            )
        body = Describe(description=description, tags=tags, untag=untag or [])
        if version:
            changed = session.call(ModelUses.describe_version, name=name, version=version, body=body)
            session.show(changed, views.model_version(changed))
        else:
            model = session.call(ModelUses.describe_model, name=name, body=body)
            session.show(model, views.model(model))


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise InvalidRequest(f"{text!r} is not a tag.", hint="Write --tag KEY=VALUE.")
    return key, value
