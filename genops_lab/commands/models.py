"""``genops models``."""

from __future__ import annotations

from typing import Annotated

import typer

from genops_lab.registry.deleting import ModelDeletion
from genops_lab.registry.models import (
    DeleteQuery,
    MovesQuery,
    RemoveAlias,
    RevertAlias,
    SetAlias,
)
from genops_lab.registry.service import RegistryService

from .completion import model_names
from .grammar import noun
from .model_cards import cards
from .model_cleaning import cleaning
from .model_evaluate import evaluate
from .model_promote import promotions
from .model_register import sources
from .model_signing import signatures
from .model_use import uses
from .session import Json, Yes, command
from .views import lab as lab_views
from .views import models as views
from .views.model_facts import version_facts

models = noun()

Name = Annotated[str, typer.Argument(metavar="MODEL", help="A registered model.", autocompletion=model_names)]
Alias = Annotated[str, typer.Argument(metavar="ALIAS", help="An alias, such as production.")]

Reason = Annotated[
    str,
    typer.Option(
        "--reason", metavar="TEXT", help="Why, for the history of the model; at most 1,000 characters."
    ),
]
Expected = Annotated[
    str | None,
    typer.Option(
        "--expected",
        metavar="VERSION",
        help="Move nothing unless the alias names this version now; '' for none. Default: any.",
    ),
]


@models.command("list")
def list_models(
    versions: Annotated[
        bool, typer.Option("--versions", help="List the versions of all models, the newest first.")
    ] = False,
    filter: Annotated[
        str,
        typer.Option(
            "--filter",
            metavar="QUERY",
            help="With --versions: a query, such as 'metrics.accuracy > 0.9 and aliases contains champion'. "
            "Default: all versions.",
        ),
    ] = "",
    sort: Annotated[
        list[str] | None,
        typer.Option(
            "--sort",
            metavar="COLUMN",
            help="With --versions: a column, such as metrics.accuracy; -metrics.accuracy sorts the largest first. "
            "Repeatable. Default: the newest version first.",
        ),
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", min=1, help="With --versions: the most versions to list.")
    ] = 50,
    json: Json = False,
) -> None:
    """List registered models, or all their versions."""
    with command(json) as session:
        from .model_versions import list_versions, refuse_without_versions

        if versions:
            list_versions(session, filter, sort or [], limit)
            return
        refuse_without_versions(filter, sort or [])
        with session.waiting("the list of models"):
            found = session.every(RegistryService.list_models, key="name")
        session.show(found, views.models(found))
        if not found:
            session.say_unread_store()


@models.command("show")
def show_model(
    name: Name,
    version: Annotated[
        str,
        typer.Option(
            "--version",
            metavar="VERSION",
            help="Show the files of this version, a number or an alias: format, parameters, signature, trust.",
        ),
    ] = "",
    json: Json = False,
) -> None:
    """Show the versions of a model, or the files of one version."""
    with command(json) as session:
        if version:
            with session.waiting(f"the files of {name!r} version {version}"):
                facts = session.call(RegistryService.get_version_facts, name=name, version=version)
            session.show(facts, version_facts(name, version, facts))
            return
        with session.waiting(f"the model {name!r}"):
            found = session.call(RegistryService.get_model, name=name)
        if found.older:
            from msgspec.structs import replace

            from genops_lab.core.paging import every_page

            pages = every_page(
                lambda query: session.call(RegistryService.list_versions, name=name, query=query),
                lambda version: version.version,
            )
            found = replace(found, versions=list(pages), older="")
        session.show(found, views.model(found))


@models.command("delete")
def delete_model(
    name: Name,
    version: Annotated[
        str, typer.Option("--version", metavar="NUMBER", help="Only this version. Default: the whole model.")
    ] = "",
    force: Annotated[
        bool, typer.Option("--force", help="Delete aliases too. A deployed version always stays.")
    ] = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Delete a model, or a version of a model. The runs and their files stay."""
    with command(json) as session:
        query = DeleteQuery(force=force)
        if version:
            session.agree(f"Version {version} of the model {name} will be deleted.", yes)
            left = session.call(ModelDeletion.delete_version, name=name, version=version, query=query)
            session.show(left, views.model(left))
            return
        found = session.call(RegistryService.get_model, name=name)
        several = f"more than {len(found.versions)}" if found.older else str(len(found.versions))
        session.agree(f"The model {name} will be deleted with its versions: {several}.", yes)
        session.call(ModelDeletion.delete_model, name=name, query=query)
        session.show({"name": name, "deleted": True}, lab_views.done(f"Model {name} is deleted."))


@models.command("alias")
def set_alias(
    name: Name,
    alias: Alias,
    version: Annotated[str, typer.Argument(metavar="VERSION", help="The number of a version.")],
    reason: Reason = "",
    expected: Expected = None,
    json: Json = False,
) -> None:
    """Point an alias at a version of a model."""
    with command(json) as session:
        body = SetAlias(version=version, reason=reason, expected=expected)
        found = session.call(RegistryService.set_alias, name=name, alias=alias, body=body)
        session.show(found, views.model(found))


@models.command("unalias")
def delete_alias(
    name: Name, alias: Alias, reason: Reason = "", expected: Expected = None, json: Json = False
) -> None:
    """Remove an alias of a model."""
    with command(json) as session:
        query = RemoveAlias(reason=reason, expected=expected)
        found = session.call(RegistryService.delete_alias, name=name, alias=alias, query=query)
        session.show(found, views.model(found))


@models.command("revert-alias")
def revert_alias(
    name: Name, alias: Alias, reason: Reason = "", expected: Expected = None, json: Json = False
) -> None:
    """Undo the last move of an alias: back to the version before."""
    with command(json) as session:
        body = RevertAlias(reason=reason, expected=expected)
        found = session.call(RegistryService.revert_alias, name=name, alias=alias, body=body)
        session.show(found, views.model(found))


@models.command("alias-history")
def history(
    name: Name,
    alias: Annotated[
        str, typer.Option("--alias", metavar="ALIAS", help="Show this alias alone. Default: all.")
    ] = "",
    json: Json = False,
) -> None:
    """Show who moved which alias, when and why, newest first."""
    from genops_lab.core.paging import every_page

    with command(json) as session:
        pages = every_page(
            lambda query: session.call(
                RegistryService.list_moves,
                name=name,
                query=MovesQuery(limit=query.limit, after=query.after, alias=alias),
            ),
            lambda move: move.id,
        )
        found = list(pages)
        session.show(found, views.history(found))


models.add_typer(signatures)
models.add_typer(cards)
models.add_typer(evaluate)
models.add_typer(promotions)
models.add_typer(sources)
models.add_typer(uses)
models.add_typer(cleaning)
