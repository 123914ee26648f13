"""``genops targets build`` and ``genops targets install``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from genops_lab.core.errors import InvalidRequest

from .questions import Prompts
from .session import Json, Session, command
from .targets import Name, check_report, targets, tested
from .tasks import followed
from .views import targets as views

if TYPE_CHECKING:
    from genops_lab.hosts.models import Addition

ADDITIONS = ("ipykernel", "mlflow")
NOTHING = "none"


@targets.command("build")
def build_environment(
    name: Name,
    source: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="FILE",
            help="uv.lock, pylock.toml or a requirements file; the best of this folder without it, none with 'none'.",
        ),
    ] = "",
    packages: Annotated[
        list[str] | None, typer.Option("--with", help="Also install mlflow; ipykernel always comes along.")
    ] = None,
    python: Annotated[
        str, typer.Option("--python", help="A version (3.12) or a path there; the target's own without it.")
    ] = "",
    environment: Annotated[
        str,
        typer.Option("--name", help="What to call it there, or a folder; without it, one by its contents."),
    ] = "",
    json: Json = False,
) -> None:
    """Build a Python environment on a target, let its kernels use it, and test it. Ctrl-C cancels.

    It is built on the host with uv, or pip where there is no uv. A cut connection does not end it.
    """
    with command(json) as session:
        from genops_lab.hosts.environments import EnvironmentsService
        from genops_lab.hosts.models import NewEnvironment

        body = NewEnvironment(
            source=_source(session, source),
            packages=_additions(packages or []),
            python=python,
            folder=environment,
        )
        if body.source:
            session.say(f"From {body.source}.")
        task = session.call(EnvironmentsService.build_environment, name=name, body=body)
        followed(session, task, Prompts(session, name).look)
        _show(session, name)


@targets.command("install")
def install_packages(
    name: Name,
    packages: Annotated[list[str], typer.Argument(help="mlflow, ipykernel.")],
    json: Json = False,
) -> None:
    """Install into the environment that a target's kernels use now, and test it. Ctrl-C cancels."""
    with command(json) as session:
        from genops_lab.hosts.environments import EnvironmentsService
        from genops_lab.hosts.models import Additions

        body = Additions(packages=_additions(packages))
        task = session.call(EnvironmentsService.install_packages, name=name, body=body)
        followed(session, task, Prompts(session, name).look)
        _show(session, name)


def _source(session: Session, given: str) -> str:
    """The path of the source that is meant; empty for none."""
    if given == NOTHING:
        return ""
    if given:
        return str(Path(given).expanduser().absolute())
    from genops_lab.hosts.environments import EnvironmentsService
    from genops_lab.hosts.models import SourcesQuery

    query = SourcesQuery(path=str(Path.cwd()))
    found = session.call(EnvironmentsService.list_environment_sources, query=query)
    for each in found:
        if each.problem:
            session.say(f"Not from {each.file}: {each.problem}")
    return next((each.path for each in found if each.preferred), "")


def _additions(names: list[str]) -> list[Addition]:
    for name in names:
        if name not in ADDITIONS:
            raise InvalidRequest(
                f"{name!r} is not installed by this command.",
                hint=f"It installs {' and '.join(ADDITIONS)}; put everything else into a requirements file (--from).",
            )
    return cast("list[Addition]", names)


def _show(session: Session, name: str) -> None:
    from genops_lab.hosts.service import TargetsService

    report = tested(session, name)
    target = session.call(TargetsService.get_target, name=name)
    session.show({"target": target, "report": report}, views.built(target, report))
    check_report(name, report)
