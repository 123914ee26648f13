"""``genops deploy`` and ``genops deployments``."""

from __future__ import annotations

import secrets
import time
from typing import Annotated

import msgspec
import typer

from genops_lab.core.errors import Conflict, Failed, InvalidRequest
from genops_lab.deployments.models import (
    CheckDeploy,
    DeployCheck,
    Deployment,
    KeyedDeployment,
    LogQuery,
    NewDeployment,
)
from genops_lab.deployments.service import DeploymentsService

from .completion import deployment_names, model_names
from .session import Json, Session, command
from .terminal import render
from .views import deployments as views
from .views import lab as lab_views

deployments = typer.Typer(help="Models that answer requests.", no_args_is_help=True)

POLL_S = 0.25
LOG_TAIL_LINES = 20
_UNSETTLED = ("preparing", "starting", "stopping")

Name = Annotated[str, typer.Argument(help="A deployment.", autocompletion=deployment_names)]


def deploy(
    model: Annotated[str, typer.Argument(help="A registered model.", autocompletion=model_names)],
    version: Annotated[
        str, typer.Option("--version", help="A number or an alias; the newest without it.")
    ] = "",
    name: Annotated[str, typer.Option("--name", help="The deployment's name; the model's without it.")] = "",
    wait: Annotated[bool, typer.Option("--wait", help="Wait until it answers, or failed.")] = False,
    timeout: Annotated[float, typer.Option("--timeout", min=1, help="Wait at most so many seconds.")] = 900.0,
    trust: Annotated[
        str,
        typer.Option(
            "--trust",
            metavar="DIGEST",
            help="Load it although no run of yours recorded it, if its files are those of this digest (sha256:...).",
        ),
    ] = "",
    json: Json = False,
) -> None:
    """Deploy a version of a model on this machine.

    Without a running JupyterLab the command always waits: the work is done in its own process.
    """
    with command(json) as session:
        if not trust:
            check = session.call(
                DeploymentsService.check_deploy, body=CheckDeploy(model=model, version=version)
            )
            if not check.trusted:
                _confirm(session, check)
                trust = check.digest
            version = check.version
        body = NewDeployment(
            model=model, version=version, name=name, trust=trust, idempotency_key=secrets.token_hex(16)
        )
        deployment = session.call(DeploymentsService.deploy, body=body)
        if wait or session.local:
            try:
                deployment = _settled(session, deployment, timeout)
            except (Failed, KeyboardInterrupt):
                if session.local:  # nobody waits for it to come up in the next Lab
                    session.call(DeploymentsService.stop_deployment, name=deployment.name)
                raise
        session.show(deployment, views.deployment(deployment), view="deployment")
        if deployment.state in ("failed", "ended"):
            raise _failure(session, deployment)


def _confirm(session: Session, check: DeployCheck) -> None:
    """Ask for the model's files as they are now. Raises Conflict for a no, and where nobody can be asked."""
    if session.can_ask:
        session.say(render(views.origin(check)))
        if session.confirm("Load this model?"):
            return
        raise Conflict(f"{check.model} version {check.version} was not deployed.", code="confirmation_needed")

    loader = f", loader {check.loader}" if check.loader else ""
    pickle = ", holds pickle" if check.holds_pickle else ""
    raise Conflict(
        f"{check.model} version {check.version} is of unknown origin: {check.reason} "
        f"(flavors {', '.join(check.flavors) or 'none'}{loader}{pickle}, {len(check.files)} files)",
        code="confirmation_needed",
        hint=f"Loading a model may run code. If you trust it, give --trust {check.digest}",
        details={"check": msgspec.to_builtins(check)},
    )


def _settled(session: Session, deployment: Deployment, timeout_s: float) -> Deployment:
    deadline = time.monotonic() + timeout_s
    told = ""
    while deployment.state in _UNSETTLED:
        news = f"{deployment.name}: {deployment.state}" + (
            f", {deployment.message}" if deployment.message else ""
        )
        if news != told:
            session.say(news)
            told = news
        if time.monotonic() > deadline:
            goes_on = (
                f"It goes on: see `genops deployments show {deployment.name}`, or give a larger --timeout."
            )
            raise Failed(
                f"{deployment.name} was still {deployment.state} after {timeout_s:g} s.",
                code="timeout",
                hint="Give a larger --timeout." if session.local else goes_on,
            )
        time.sleep(POLL_S)
        deployment = session.call(DeploymentsService.get_deployment, name=deployment.name)
    return deployment


def _failure(session: Session, deployment: Deployment) -> Failed:
    tail = session.call(
        DeploymentsService.get_deployment_log, name=deployment.name, query=LogQuery(lines=LOG_TAIL_LINES)
    )
    if tail.lines:
        session.say(render(views.log_tail(tail)))
    reason = deployment.message or f"it is {deployment.state}"
    return Failed(f"{deployment.name} does not run: {reason}", hint=deployment.hint)


@deployments.command("list")
def list_deployments(json: Json = False) -> None:
    """List deployments, newest first."""
    with command(json) as session:
        found = session.every(DeploymentsService.list_deployments, key="name")
        session.show(found, views.deployments(found))


@deployments.command("show")
def show_deployment(
    name: Name,
    with_key: Annotated[
        bool,
        typer.Option("--with-key", help="Also the key that requests must carry; the audit log notes it."),
    ] = False,
    json: Json = False,
) -> None:
    """Show a deployment."""
    with command(json) as session:
        found = session.call(DeploymentsService.get_deployment, name=name)
        key = ""
        if with_key:
            key = session.call(DeploymentsService.get_deployment_key, name=name).key
            found = KeyedDeployment(**msgspec.structs.asdict(found), key=key)
        # A notebook would keep it: there it is in the data alone.
        session.show(found, views.deployment(found, "" if session.notebook else key), view="deployment")


@deployments.command("stop")
def stop_deployment(name: Name, json: Json = False) -> None:
    """Stop a deployment after the requests in flight."""
    with command(json) as session:
        found = session.call(DeploymentsService.stop_deployment, name=name)
        session.show(found, views.deployment(found), view="deployment")


@deployments.command("renew")
def renew_deployment(name: Name, json: Json = False) -> None:
    """Renew a deployment's lease."""
    with command(json) as session:
        found = session.call(DeploymentsService.renew_deployment, name=name)
        session.show(found, views.deployment(found), view="deployment")


@deployments.command("delete")
def delete_deployment(name: Name, json: Json = False) -> None:
    """Forget a deployment that has ended; a second time does no harm."""
    with command(json) as session:
        session.call(DeploymentsService.delete_deployment, name=name)
        session.show({"name": name, "deleted": True}, lab_views.done(f"{name} is forgotten."))


@deployments.command("logs")
def show_log(
    name: Name,
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, max=5000, help="How many.")] = 100,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with the lines that come, until it has ended.")
    ] = False,
    json: Json = False,
) -> None:
    """Show the last lines of a deployment's log."""
    with command(json) as session:
        query = LogQuery(lines=lines)
        if follow:
            if session.notebook:
                raise InvalidRequest("A cell cannot follow a log.", hint=f"Open {name} in the GenOps panel.")
            for news in session.stream(DeploymentsService.follow_deployment_log, name=name, query=query):
                session.show_line(news, views.log_tail(news))
            return
        tail = session.call(DeploymentsService.get_deployment_log, name=name, query=query)
        session.show(tail, views.log_tail(tail))
