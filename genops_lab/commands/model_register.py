"""``genops models register``."""

from __future__ import annotations

import secrets
from typing import Annotated

import typer

from genops_lab.core.errors import InvalidRequest
from genops_lab.registry.importing import ModelImports
from genops_lab.registry.models import ImportModel, ModelVersion, RegisterBest, RegisterModel
from genops_lab.registry.service import RegistryService

from .completion import model_names, run_ids
from .grammar import noun
from .session import Json, Session, command
from .views import models as views
from .waiting import followed

sources = noun()


@sources.command("register")
def register(
    name: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="The registered model that gets the version. A new name registers a new model.",
            autocompletion=model_names,
        ),
    ],
    source: Annotated[
        str,
        typer.Argument(
            metavar="[SOURCE]",
            help="hf:ORG/NAME@REVISION, a URI that MLflow reads, or with --from models:/NAME/VERSION. "
            "Default: the model of a run.",
            show_default=False,
        ),
    ] = "",
    run: Annotated[
        str,
        typer.Option(
            "--run",
            metavar="RUN",
            help="The run: an id, a unique prefix of it, a name that only one run has, or 'latest' (the default).",
            autocompletion=run_ids,
        ),
    ] = "",
    model: Annotated[
        str, typer.Option("--model", metavar="NAME", help="The name of the model, if the run logged several.")
    ] = "",
    best: Annotated[
        str,
        typer.Option(
            "--best",
            metavar="METRIC",
            help="Register the model of the best finished run by this metric, such as metrics.accuracy.",
        ),
    ] = "",
    experiment: Annotated[
        str, typer.Option("--experiment", metavar="NAME", help="The experiment of --best: a name or an id.")
    ] = "",
    smallest: Annotated[
        bool,
        typer.Option("--smallest", help="With --best: the smallest value is the best. Default: the largest."),
    ] = False,
    path: Annotated[
        str,
        typer.Option(
            "--path",
            metavar="PATH",
            help="A folder or a file: safetensors, ONNX, GGUF, a snapshot of transformers, an adapter, an MLmodel.",
        ),
    ] = "",
    base: Annotated[
        str,
        typer.Option(
            "--base",
            metavar="MODEL",
            help="The base model of an adapter: hf:ORG/NAME or models:/NAME/VERSION. Default: as the adapter says.",
        ),
    ] = "",
    allow_code: Annotated[
        bool, typer.Option("--allow-code", help="Register files that run code when they are loaded, too.")
    ] = False,
    mlflow: Annotated[
        str, typer.Option("--from", metavar="URI", help="The address of another MLflow that has SOURCE.")
    ] = "",
    secret: Annotated[
        str,
        typer.Option(
            "--secret",
            metavar="NAME",
            help="The variable of the Lab's environment that has the token for the hub or the other MLflow.",
        ),
    ] = "",
    alias: Annotated[
        str, typer.Option("--alias", metavar="ALIAS", help="An alias to point at the new version.")
    ] = "",
    json: Json = False,
) -> None:
    """Register the model of a run, or files, as a new version."""
    with command(json) as session:
        _only_one({"SOURCE": source, "--run": run, "--best": best, "--path": path})
        key = secrets.token_hex(16)
        if source or path or mlflow:
            body = ImportModel(
                source=_absolute(path) if path else _remote(source),
                base=base,
                alias=alias,
                mlflow=mlflow,
                secret=secret,
                allow_code=allow_code,
            )
            version = imported(session, name, body)
        elif best:
            chosen = RegisterBest(
                metric=best,
                experiment=experiment,
                smallest=smallest,
                model=model,
                alias=alias,
                idempotency_key=key,
            )
            version = session.call(RegistryService.register_best, name=name, body=chosen)
        else:
            given = RegisterModel(
                name=name, run=run or "latest", model=model, alias=alias, idempotency_key=key
            )
            version = session.call(RegistryService.register_model, body=given)
        session.show(version, views.model_version(version))


def imported(session: Session, name: str, body: ImportModel) -> ModelVersion:
    """Import files, print the progress, and return the version. Raises Failed."""
    task = session.call(ModelImports.import_model, name=name, body=body)
    followed(session, task)
    return session.call(ModelImports.get_import, name=name, task=task.id)


def _only_one(given: dict[str, str]) -> None:
    named = [option for option, value in given.items() if value]
    if len(named) > 1:
        raise InvalidRequest(
            f"{' and '.join(named)} name two sources.", hint="Give one source: a run, the best run or files."
        )


def _remote(source: str) -> str:
    if ":" not in source:
        raise InvalidRequest(
            f"{source!r} is not a source.",
            hint="For a folder or a file use --path. Other sources: hf:ORG/NAME@REVISION, or a URI.",
        )
    return source


def _absolute(path: str) -> str:
    """Return a path from the folder of this command: the Lab may run in another one."""
    from pathlib import Path

    return str(Path(path).expanduser().absolute())
