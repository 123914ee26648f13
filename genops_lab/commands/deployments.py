"""``genops deployments``."""

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
    RollBack,
)
from genops_lab.deployments.rollout_models import DecideRollout
from genops_lab.deployments.rollout_service import RolloutsService
from genops_lab.deployments.service import DeploymentsService

from .batches import batches
from .caller_keys import caller_keys
from .completion import deployment_names, model_names, target_names
from .grammar import noun
from .load_tests import load_tests
from .rollouts import Rollout, in_rollout, policy_of, rollouts, say_outlook
from .session import Json, Session, command
from .terminal import render
from .views import deployments as views
from .views import lab as lab_views

deployments = noun()

POLL_S = 0.25
LOG_TAIL_LINES = 20
_UNSETTLED = ("preparing", "starting", "stopping")

Name = Annotated[
    str, typer.Argument(metavar="DEPLOYMENT", help="A deployment.", autocompletion=deployment_names)
]


@deployments.command("add")
def add_deployment(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A registered model.", autocompletion=model_names)
    ],
    version: Annotated[
        str,
        typer.Option(
            "--version", metavar="VERSION", help="A number or an alias. Default: the newest version."
        ),
    ] = "",
    name: Annotated[
        str,
        typer.Option(
            "--name", metavar="NAME", help="The name of the deployment. Default: that of the model."
        ),
    ] = "",
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait until the deployment answers or has failed.")
    ] = False,
    timeout: Annotated[
        float, typer.Option("--timeout", metavar="SECONDS", min=1, help="The most seconds to wait.")
    ] = 900.0,
    trust: Annotated[
        str,
        typer.Option(
            "--trust",
            metavar="DIGEST",
            help="Load the model of unknown origin whose files have this digest (sha256:...).",
        ),
    ] = "",
    on: Annotated[
        str,
        typer.Option(
            "--on",
            metavar="TARGET",
            help="Deploy on the host of this connected target. Default: where the deployment is, else this machine.",
            autocompletion=target_names,
        ),
    ] = "",
    replace_first: Annotated[
        bool,
        typer.Option(
            "--replace-first",
            help="Stop the earlier version first, where memory is too small for both. Nobody is answered meanwhile.",
        ),
    ] = False,
    sleep_after: Annotated[
        float,
        typer.Option(
            "--sleep-after",
            metavar="MINUTES",
            min=0,
            help="Unload the model when nobody was connected for so long. The next request loads it. Default 0: never.",
        ),
    ] = 0.0,
    rollout: Rollout = "",
    json: Json = False,
) -> None:
    """Deploy a version of a model on this machine or a host. `genops deploy` is short for it.

    A deployment of this name that runs is updated: it answers until the new version does. Without a running JupyterLab
    the command does the work itself, so it always waits.
    """
    with command(json) as session:
        policy = policy_of(rollout)
        if not trust:
            check = session.call(
                DeploymentsService.check_deploy,
                body=CheckDeploy(model=model, version=version, name=name, on=on),
            )
            if not check.trusted:
                _confirm(session, check)
                trust = check.digest
            version = check.version
            if check.update is not None and check.update.fits:
                session.say(check.update.message)
            if check.update is not None and policy is not None and policy.judged:
                say_outlook(session, check.update.name, policy)
        body = NewDeployment(
            model=model,
            version=version,
            name=name,
            trust=trust,
            replace_first=replace_first,
            sleep_minutes=sleep_after,
            rollout=policy,
            on=on,
            idempotency_key=secrets.token_hex(16),
        )
        deployment = session.call(DeploymentsService.deploy, body=body)
        updating_to = deployment.updating_to
        if wait or session.local:
            try:
                # Without a Lab the command waits until the gateway judges; it goes on alone.
                deployment = _settled(session, deployment, timeout, judged=not wait)
            except (Failed, KeyboardInterrupt):
                if session.local:  # else the next Lab would go on
                    _undo(session, deployment)
                raise
        session.show(deployment, views.deployment(deployment), view="deployment")
        if deployment.state in ("failed", "ended"):
            raise _failure(session, deployment)
        if in_rollout(deployment):
            return  # the gateway goes on without this command
        if updating_to and not deployment.updating_to and deployment.revision != updating_to:
            raise Failed(
                deployment.message,
                hint=f"Its log: genops deployments logs {deployment.name} --revision {updating_to}",
            )


def _undo(session: Session, deployment: Deployment) -> None:
    """End what was begun: an update, or the whole deployment."""
    if deployment.updating_to:
        session.call(DeploymentsService.roll_back_deployment, name=deployment.name, body=RollBack())
    else:
        session.call(DeploymentsService.stop_deployment, name=deployment.name)


@deployments.command("rollback")
def roll_back(
    name: Name,
    to: Annotated[
        int,
        typer.Option(
            "--to", metavar="REVISION", min=0, help="A revision. Default: the one before the current."
        ),
    ] = 0,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait until the revision answers if it must be started again.")
    ] = False,
    timeout: Annotated[
        float, typer.Option("--timeout", metavar="SECONDS", min=1, help="The most seconds to wait.")
    ] = 900.0,
    json: Json = False,
) -> None:
    """Go back to an earlier revision.

    It answers at once while it is warm, else after a start. During an update this cancels the update, and in a rollout
    the revision before gets all requests.
    """
    with command(json) as session:
        if not to and in_rollout(session.call(DeploymentsService.get_deployment, name=name)):
            decided = DecideRollout(decision="rollback")
            found = session.call(RolloutsService.decide_rollout, name=name, body=decided)
            session.show(found, views.deployment(found), view="deployment")
            return
        body = RollBack(to=to, idempotency_key=secrets.token_hex(16))
        found = session.call(DeploymentsService.roll_back_deployment, name=name, body=body)
        if wait or session.local:
            found = _settled(session, found, timeout)
        session.show(found, views.deployment(found), view="deployment")


def _confirm(session: Session, check: DeployCheck) -> None:
    """Ask whether the model's files may be loaded. Raises Conflict for a no, and without a terminal."""
    from genops_lab.deployments.check import refuse_misleading

    refuse_misleading(check)
    if session.can_ask:
        session.say(render(views.origin(check)))
        if session.confirm(f"Load this model on {check.where}?" if check.where else "Load this model?"):
            return
        raise Conflict(f"{check.model} version {check.version} was not deployed.", code="confirmation_needed")

    raise Conflict(
        f"{check.model} version {check.version} needs your confirmation. {check.title} {check.reason}",
        code="confirmation_needed",
        hint=f"{check.advice} To deploy it, add --trust {check.digest}",
        details={"check": msgspec.to_builtins(check)},
    )


def _settled(
    session: Session, deployment: Deployment, timeout_s: float, *, judged: bool = False
) -> Deployment:
    deadline = time.monotonic() + timeout_s
    printed = ""
    while deployment.state in _UNSETTLED or deployment.updating_to:
        if judged and in_rollout(deployment):
            break
        news = f"{deployment.name}: {deployment.state}" + (
            f", {deployment.message}" if deployment.message else ""
        )
        if news != printed:
            session.say(news)
            printed = news
        if time.monotonic() > deadline:
            goes_on = f"It continues to start: genops deployments show {deployment.name}"
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
    return Failed(f"Deployment {deployment.name} does not run: {reason}", hint=deployment.hint)


@deployments.command("list")
def list_deployments(json: Json = False) -> None:
    """List deployments, the newest first."""
    with command(json) as session:
        found = session.every(DeploymentsService.list_deployments, key="name")
        session.show(found, views.deployments(found))


@deployments.command("show")
def show_deployment(
    name: Name,
    with_key: Annotated[
        bool,
        typer.Option("--with-key", help="Show the key of requests too. The audit log notes it."),
    ] = False,
    json: Json = False,
) -> None:
    """Show a deployment: its state, address, end and revisions."""
    with command(json) as session:
        found = session.call(DeploymentsService.get_deployment, name=name)
        key = ""
        if with_key:
            key = session.call(DeploymentsService.get_deployment_key, name=name).key
            found = KeyedDeployment(**msgspec.structs.asdict(found), key=key)
        # A notebook would save a key that is shown, so there the key is in the data alone.
        session.show(found, views.deployment(found, "" if session.notebook else key), view="deployment")


@deployments.command("stop")
def stop_deployment(name: Name, json: Json = False) -> None:
    """Stop a deployment, after the requests in flight."""
    with command(json) as session:
        found = session.call(DeploymentsService.stop_deployment, name=name)
        session.show(found, views.deployment(found), view="deployment")


@deployments.command("extend-lifetime")
def extend_deployment(name: Name, json: Json = False) -> None:
    """Extend the time until a deployment ends. Its lease begins again."""
    with command(json) as session:
        found = session.call(DeploymentsService.renew_deployment, name=name)
        session.show(found, views.deployment(found), view="deployment")


@deployments.command("delete")
def delete_deployment(name: Name, json: Json = False) -> None:
    """Delete a deployment that has ended."""
    with command(json) as session:
        session.call(DeploymentsService.delete_deployment, name=name)
        session.show({"name": name, "deleted": True}, lab_views.done(f"Deployment {name} is deleted."))


@deployments.command("logs")
def show_log(
    name: Name,
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, max=5000, help="The lines to show.")] = 100,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Show new lines too, until the deployment ends.")
    ] = False,
    revision: Annotated[
        int,
        typer.Option("--revision", min=0, help="A revision. Default: the current one, or that of an update."),
    ] = 0,
    json: Json = False,
) -> None:
    """Show the last lines of the log of a deployment."""
    with command(json) as session:
        query = LogQuery(lines=lines, revision=revision)
        if follow:
            if session.notebook:
                raise InvalidRequest(
                    "A notebook cell cannot follow a log.", hint=f"Open {name} in the GenOps panel."
                )
            for news in session.stream(DeploymentsService.follow_deployment_log, name=name, query=query):
                session.show_line(news, views.log_tail(news))
            return
        tail = session.call(DeploymentsService.get_deployment_log, name=name, query=query)
        session.show(tail, views.log_tail(tail))


deployments.add_typer(batches)
deployments.add_typer(caller_keys)
deployments.add_typer(rollouts)
deployments.add_typer(load_tests)
