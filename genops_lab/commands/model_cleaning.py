"""``genops models prune``, ``free-space`` and ``stages``."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from genops_lab.core.errors import InvalidRequest
from genops_lab.core.formatting import size_of
from genops_lab.registry.cleaning import ModelCleaning
from genops_lab.registry.leftovers import ModelLeftovers
from genops_lab.registry.models import DeleteLeftovers, Leftover, OldVersions, Prune, VersionStage

from .completion import model_names
from .document import Column, Document, Note, Row, Table, moment, size
from .grammar import noun
from .session import Json, Yes, command
from .terminal import render

cleaning = noun()

Name = Annotated[str, typer.Argument(metavar="MODEL", help="A registered model.", autocompletion=model_names)]


@cleaning.command("prune")
def prune(
    name: Name,
    keep: Annotated[
        int, typer.Option("--keep", metavar="COUNT", help="Newest versions that stay. Default: 5.")
    ] = 5,
    older_than: Annotated[
        str,
        typer.Option(
            "--older-than", metavar="DAYS", help="Only versions of this age, such as 90d. Default: 0d."
        ),
    ] = "0d",
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Delete old versions without an alias, deployment or adapter.

    It says first which ones, and asks.
    """
    with command(json) as session:
        days = re.fullmatch(r"(\d{1,5})d?", older_than)
        if days is None:
            raise InvalidRequest(f"{older_than!r} is not an age.", hint="Write days, such as 90d.")
        query = OldVersions(keep=keep, older_than_days=int(days[1]))
        found = session.call(ModelCleaning.list_old_versions, name=name, query=query)
        for number, reason in found.stays.items():
            session.say(f"Version {number} stays: {reason}.")
        if not found.deletes:
            session.show(found, Document([Note(f"No version of {name} is to be deleted.")]))
            return
        shown = ", ".join(found.deletes)
        session.agree(f"Versions of the model {name} will be deleted: {shown}.", yes)
        done = session.call(ModelCleaning.delete_old_versions, name=name, body=Prune(versions=found.deletes))
        for number, reason in done.stays.items():
            session.say(f"Version {number} stays: {reason}")
        session.show(
            done, Document([Note(f"Deleted versions of {name}: {', '.join(done.deleted) or 'none'}.")])
        )


@cleaning.command("free-space")
def free_space(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List what would be deleted, and delete nothing.")
    ] = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Delete what interrupted pulls and pushes left.

    The same pull or push would go on from it. Copies of tasks that run now stay.
    """
    with command(json) as session:
        found = session.call(ModelLeftovers.list_leftovers)
        idle = [each for each in found if not each.in_use]
        if dry_run or not idle:
            session.show(found, _leftovers(found))
            return
        session.say(render(_leftovers(found)))
        session.agree("Unfinished copies of versions will be deleted.", yes)
        body = DeleteLeftovers(paths=[each.path for each in idle])
        done = session.call(ModelLeftovers.delete_leftovers, body=body)
        freed = size_of(sum(each.size_bytes for each in done))
        session.show(done, Document([Note(f"{freed} freed.", "good")]))


def _leftovers(found: list[Leftover]) -> Document:
    rows: list[Row] = [
        [
            each.model,
            each.version,
            "pull" if each.folder else "push",
            each.folder or each.path,
            size(each.size_bytes),
            moment(each.changed_at),
            "in use" if each.in_use else "",
        ]
        for each in found
    ]
    columns = [
        Column("model", shrinks=True),
        Column("version", right=True),
        Column("of"),
        Column("folder", shrinks=True),
        Column("size", right=True),
        Column("begun", leaves=1),
        Column(""),
    ]
    return Document([Table(columns, rows, empty="No pull or push left anything.")])


@cleaning.command("stages")
def stages(
    name: Name,
    to_aliases: Annotated[
        bool,
        typer.Option(
            "--to-aliases", help="Point an alias such as production at the newest version of each stage."
        ),
    ] = False,
    json: Json = False,
) -> None:
    """List old MLflow stages (Production), or copy them to aliases."""
    with command(json) as session:
        if to_aliases:
            found = session.call(ModelCleaning.alias_stages, name=name)
        else:
            found = session.call(ModelCleaning.list_stages, name=name)
        session.show(found, _stages(found))


def _stages(found: list[VersionStage]) -> Document:
    rows: list[Row] = [[each.version, each.stage, each.alias] for each in found]
    columns = [Column("version", right=True), Column("stage"), Column("new alias")]
    return Document([Table(columns, rows, empty="No version of this model has a stage.")])
