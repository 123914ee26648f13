"""``genops targets build`` and ``install``: the Python environment of a target."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, cast

import typer

from genops_lab.core.errors import InvalidRequest
from genops_lab.hosts.environments import EnvironmentsService
from genops_lab.hosts.models import Addition, Additions, NewEnvironment, SourcesQuery
from genops_lab.hosts.service import TargetsService

from .session import Json, Session, command
from .target_argument import Name
from .target_connection import check_report, tested
from .views import targets as views
from .waiting import Prompts, followed

ADDITIONS = ("ipykernel", "mlflow")
NOTHING = "none"


def build_environment(
    name: Name,
    source: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="FILE",
            help="uv.lock, pylock.toml or a requirements file; or: none. Default: the best of this folder.",
        ),
    ] = "",
    packages: Annotated[
        list[str] | None,
        typer.Option("--with", metavar="PACKAGE", help="mlflow; ipykernel is always installed. Repeatable."),
    ] = None,
    python: Annotated[
        str,
        typer.Option(
            "--python",
            metavar="PYTHON",
            help="A version (3.12), or a path on the host. Default: the target's Python.",
        ),
    ] = "",
    environment: Annotated[
        str,
        typer.Option(
            "--name", metavar="NAME", help="The name or folder of the environment. Default: by its contents."
        ),
    ] = "",
    json: Json = False,
) -> None:
    """Build a Python environment for the kernels of a target.

    The host builds it with uv, or with pip if it has no uv. A test of the target follows. The build survives a broken
    connection. Ctrl-C cancels it.
    """
    with command(json) as session:
        body = NewEnvironment(
            source=_source(session, source),
            packages=_additions(packages or []),
            python=python,
            folder=environment,
        )
        if body.source:
            session.say(f"Building from {body.source}.")
        task = session.call(EnvironmentsService.build_environment, name=name, body=body)
        followed(session, task, Prompts(session, name).look)
        _show(session, name)


def install_packages(
    name: Name,
    packages: Annotated[list[str], typer.Argument(metavar="PACKAGE", help="mlflow or ipykernel.")],
    json: Json = False,
) -> None:
    """Install packages into the environment of a target.

    A test of the target follows. Ctrl-C cancels the installation.
    """
    with command(json) as session:
        body = Additions(packages=_additions(packages))
        task = session.call(EnvironmentsService.install_packages, name=name, body=body)
        followed(session, task, Prompts(session, name).look)
        _show(session, name)


def _source(session: Session, given: str) -> str:
    """Return the path of the environment's source; empty for none."""
    if given == NOTHING:
        return ""
    if given:
        return str(Path(given).expanduser().absolute())

    query = SourcesQuery(path=str(Path.cwd()))
    found = session.call(EnvironmentsService.list_environment_sources, query=query)
    for each in found:
        if each.problem:
            session.say(f"{each.file} is not used: {each.problem}")
    return next((each.path for each in found if each.preferred), "")


def _additions(names: list[str]) -> list[Addition]:
    for name in names:
        if name not in ADDITIONS:
            raise InvalidRequest(
                f"This command does not install {name!r}.",
                hint=f"It installs {' and '.join(ADDITIONS)}. Put other packages into a requirements file, and build "
                "from that: genops targets build TARGET --from FILE",
            )
    return cast("list[Addition]", names)


def _show(session: Session, name: str) -> None:
    report = tested(session, name)
    target = session.call(TargetsService.get_target, name=name)
    session.show({"target": target, "report": report}, views.built(target, report))
    check_report(name, report)
