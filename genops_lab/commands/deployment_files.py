"""``genops apply``, ``genops diff``, ``genops deployments init`` and ``show --as-file``."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Annotated

import typer

from genops_lab.core.errors import GenOpsError, InvalidRequest, NotFound
from genops_lab.core.yaml_files import MAX_BYTES
from genops_lab.deployments.description.models import (
    ApplyDescription,
    DescribeVersion,
    DescriptionPlan,
    PlanDescription,
)
from genops_lab.deployments.description.naming import known_as
from genops_lab.deployments.description.reading import read_description
from genops_lab.deployments.description.service import DescriptionsService
from genops_lab.deployments.service import DeploymentsService

from .completion import deployment_names
from .deployment_waiting import check_outcome, followed
from .document import Document, Lines, Note
from .fetching import call_fetched
from .grammar import noun
from .session import EXIT_FAILED, Json, Session, command, exit_code
from .terminal import render
from .views import deployment_files as views
from .writing import write_new

files = noun()

#: ``genops diff`` found a difference; an error that ends other commands with 1 ends this one with 20.
EXIT_DIFFERENT, EXIT_NO_DIFF = 1, 20

File = Annotated[str, typer.Argument(metavar="FILE", help="A deployment file; - is standard input.")]
Trust = Annotated[
    str,
    typer.Option("--trust", metavar="DIGEST", help="Trust model files of this digest, not that of the file."),
]


@files.command("init")
def init(
    name: Annotated[
        str,
        typer.Argument(
            metavar="DEPLOYMENT|MODEL",
            help="A deployment; or a registered model or hf:ORG/NAME@REVISION that has none.",
            autocompletion=deployment_names,
        ),
    ],
    version: Annotated[
        str,
        typer.Option(
            "--version", metavar="VERSION", help="A number or an alias. Default: what runs, or the newest."
        ),
    ] = "",
    file: Annotated[
        Path | None, typer.Option("--file", metavar="FILE", help="Write this new file, and print nothing.")
    ] = None,
    json: Json = False,
) -> None:
    """Print the deployment file of a deployment or of a model.

    `genops deploy --as-file` prints that of a path, a command, or anything else that it deploys.
    """
    with command(json) as session:
        text = _first_file(session, name, version)
        if file is None:
            session.show({"text": text}, Document([Lines(text.splitlines())]))
            return
        write_new(file, text)
        session.show({"written": str(file)}, Document([Note(f"{file} was written.")]))


def _first_file(session: Session, name: str, version: str) -> str:
    """Return the file of a deployment as it is, also with another version; or that of a model."""
    asked = DescribeVersion(model=name, version=version)
    with contextlib.suppress(NotFound):
        found = session.call(DeploymentsService.get_deployment, name=name)
        if not version:
            return session.call(DescriptionsService.get_description, name=name).now
        asked = DescribeVersion(model=found.model, version=version, name=name)
    return call_fetched(session, DescriptionsService.describe_version, body=asked).text


@files.command("diff")
def diff(file: File, trust: Trust = "", json: Json = False) -> None:
    """Show what `genops apply` would change.

    Exit code 0: nothing; 1: something; 20: the difference cannot be told. Others are those of all commands.
    """
    try:
        with command(json) as session:
            try:
                plan = call_fetched(session, DescriptionsService.plan_description, body=asked_of(file, trust))
            except GenOpsError as error:
                if exit_code(error) != EXIT_FAILED:
                    raise
                session.report(error)
                raise typer.Exit(EXIT_NO_DIFF) from error
            session.show(plan, views.plan(plan))
            raise typer.Exit(EXIT_DIFFERENT if plan.changes else 0)
    except BrokenPipeError:
        raise typer.Exit(EXIT_NO_DIFF) from None


@files.command("apply")
def apply(
    file: File,
    trust: Trust = "",
    expect: Annotated[
        str,
        typer.Option(
            "--expect",
            metavar="TOKEN",
            help="Apply only if the deployment is as `genops diff --json` saw it.",
        ),
    ] = "",
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait until the deployment answers or has failed.")
    ] = False,
    timeout: Annotated[
        float, typer.Option("--timeout", metavar="SECONDS", min=1, help="The most seconds to wait.")
    ] = 900.0,
    replace_first: Annotated[
        bool,
        typer.Option(
            "--replace-first", help="Stop the earlier version first, where memory is too small for both."
        ),
    ] = False,
    take_over: Annotated[
        bool, typer.Option("--take-over", help="Apply to a deployment that another file made.")
    ] = False,
    json: Json = False,
) -> None:
    """Make a deployment what a file says. The difference is printed first.

    Applied twice, a file changes nothing. Without a running JupyterLab the command does the work itself, so it waits.
    """
    with command(json) as session:
        asked = asked_of(file, trust)
        plan = call_fetched(session, DescriptionsService.plan_description, body=asked)
        if not session.json:
            session.say(render(views.plan(plan)))
        body = ApplyDescription(
            text=asked.text,
            file=asked.file,
            folder=asked.folder,
            trust=asked.trust,
            expect=expect or plan.expect,
            seen=plan.now,
            replace_first=replace_first,
            take_over=take_over,
        )
        applied = call_fetched(session, DescriptionsService.apply_description, body=body)
        # Before the wait: a key is shown once.
        keys = views.new_keys(applied, hidden=session.notebook)
        if keys.blocks and not (session.json or session.notebook):
            session.say(render(keys))
        updating_to = applied.deployment.updating_to
        found = followed(session, applied.deployment, timeout, wait=wait)
        session.show(views.settled(applied, found), views.applied(applied, found))
        check_outcome(session, found, updating_to)


def asked_of(file: str, trust: str = "") -> PlanDescription:
    """Read a deployment file. Raises DeploymentFileError with its line and column, NotFound, InvalidRequest."""
    text = text_of(file, f"Write one: genops deployments init MODEL --file {file}")
    read_description(text, file)
    if file == "-":
        return PlanDescription(text=text, file="standard input", folder=str(Path.cwd()), trust=trust)
    path = Path(file).resolve()
    return PlanDescription(text=text, file=known_as(path), folder=str(path.parent), trust=trust)


def text_of(file: str, hint: str = "Check its path: it counts from the folder that you are in.") -> str:
    """Return the text of a file, or of standard input. Raises NotFound, with ``hint``, and InvalidRequest."""
    try:
        if file == "-":
            content = sys.stdin.buffer.read(4 * MAX_BYTES + 1)
        else:
            with Path(file).open("rb") as stream:
                content = stream.read(4 * MAX_BYTES + 1)
        return content.decode("utf-8-sig")
    except FileNotFoundError as error:
        raise NotFound(f"The file {file} does not exist.", hint=hint) from error
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text in UTF-8"
        raise InvalidRequest(
            f"The file {file} cannot be read: {reason}.", hint="Give a text file that you may read."
        ) from error


def as_file(session: Session, asked: DescribeVersion, _trust: str = "") -> None:
    """Print the file that deploys a version."""
    text = call_fetched(session, DescriptionsService.describe_version, body=asked).text
    session.show({"text": text}, Document([Lines(text.splitlines())]))


def dry_run(session: Session, asked: DescribeVersion, trust: str) -> None:
    """Print what the deployment of a version would change."""
    text = call_fetched(session, DescriptionsService.describe_version, body=asked).text
    plan: DescriptionPlan = call_fetched(
        session,
        DescriptionsService.plan_description,
        body=PlanDescription(text=text, file="", trust=trust),
    )
    session.show(plan, views.plan(plan))


def show_file(session: Session, name: str) -> None:
    """Print the file that a deployment was applied from, or one of what runs, with remarks on what differs."""
    found = session.call(DescriptionsService.get_description, name=name)
    session.show(found, Document([Lines(found.text.splitlines())]))
    if found.drift and not session.json:
        session.say(render(views.drift(found)))


def say_drift(session: Session, name: str) -> None:
    """Say what differs from the file that a deployment was applied from."""
    if session.json:
        return
    found = session.call(DescriptionsService.get_description, name=name)
    session.say(render(views.drift(found)))
