"""``genops deployments``."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from genops_lab.core.errors import Conflict, InvalidRequest
from genops_lab.deployments.description.models import DescribeVersion
from genops_lab.deployments.models import (
    CheckDeploy,
    DeployCheck,
    KeyedDeployment,
    LogQuery,
    NewDeployment,
    RollBack,
)
from genops_lab.deployments.rollout_models import DecideRollout
from genops_lab.deployments.rollout_service import RolloutsService
from genops_lab.deployments.scaling import scale_of
from genops_lab.deployments.service import DeploymentsService

from .batches import batches
from .caller_keys import caller_keys
from .checking import checking
from .completion import model_names, target_names
from .deployment_argument import Deployed
from .deployment_call import calls
from .deployment_files import as_file, dry_run, files, say_drift, show_file
from .deployment_waiting import check_outcome, followed, settled
from .fetched_models import fetched_models
from .fetching import call_fetched
from .grammar import noun
from .load_tests import load_tests
from .rollouts import Rollout, in_rollout, policy_of, rollouts, say_outlook
from .session import Json, Session, command
from .terminal import render
from .views import deployments as views
from .views import lab as lab_views

deployments = noun()


@deployments.command("add")
def add_deployment(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="A registered model, or hf:ORG/NAME@REVISION.",
            autocompletion=model_names,
            show_default=False,
        ),
    ] = "",
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
    replicas: Annotated[
        str,
        typer.Option(
            "--replicas",
            metavar="N or MIN..MAX",
            help="How many replicas answer, each a whole process, such as 1..3. Default: as before, else 1.",
        ),
    ] = "",
    concurrency: Annotated[
        float,
        typer.Option(
            "--concurrency",
            metavar="REQUESTS",
            min=0,
            help="The requests in flight that one replica is for. Default: 8; for a language model its queue decides.",
        ),
    ] = 0.0,
    rollout: Rollout = "",
    path: Annotated[
        str, typer.Option("--path", metavar="FILE", help="A GGUF file, or a folder of a language model.")
    ] = "",
    adapter: Annotated[
        str,
        typer.Option(
            "--adapter", metavar="FILE", help="A LoRA adapter of the model: a file, a folder, or hf:ORG/NAME."
        ),
    ] = "",
    program: Annotated[
        str,
        typer.Option(
            "--command", metavar="COMMAND", help="A command that answers requests at $PORT, or at --port."
        ),
    ] = "",
    port: Annotated[
        int, typer.Option("--port", metavar="PORT", min=0, help="The port of --command. Default: a free one.")
    ] = 0,
    health: Annotated[
        str,
        typer.Option(
            "--health", metavar="PATH", help="The path at which --command answers 200. Default: /health."
        ),
    ] = "",
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="A setting, such as context=4096 of a language model or batch=32. Repeatable.",
        ),
    ] = None,
    secret: Annotated[
        str,
        typer.Option(
            "--secret", metavar="VARIABLE", help="The variable that has the token of a gated repository."
        ),
    ] = "",
    only_plan: Annotated[
        bool, typer.Option("--dry-run", help="Show what would change, and deploy nothing.")
    ] = False,
    as_text: Annotated[
        bool, typer.Option("--as-file", help="Print the deployment file of this, and deploy nothing.")
    ] = False,
    json: Json = False,
) -> None:
    """Deploy a version of a model on this machine or a host. `genops deploy` is short for it.

    A language model is deployed from a repository of the Hugging Face hub (hf:), or from a file (--path). A deployment
    of this name that runs is updated: it answers until the new version does. Without a running JupyterLab the command
    does the work itself, so it always waits.
    """
    with command(json) as session:
        policy = policy_of(rollout)
        scale = scale_of(replicas, concurrency)
        asked = CheckDeploy(
            model=model, version=version, name=name, path=str(Path(path).absolute()) if path else "",
            adapter=str(Path(adapter).absolute()) if adapter and not adapter.startswith("hf:") else adapter,
            command=program, port=port, health=health, secret=secret, settings=_settings(settings or []), on=on,
        )  # fmt: skip
        if as_text or only_plan:
            described = DescribeVersion(
                **msgspec.structs.asdict(asked),
                pinned=as_text,
                sleep_minutes=sleep_after,
                scale=scale,
                rollout=policy,
            )
            (as_file if as_text else dry_run)(session, described, trust)
            return
        if not trust:
            check = call_fetched(session, DeploymentsService.check_deploy, body=asked)
            if check.memory and check.update is None:
                session.say(check.memory)
            if not check.trusted:
                _confirm(session, check)
                trust = check.digest
            if not (path or program or model.startswith("hf:")):
                asked = msgspec.structs.replace(asked, version=check.version)
            if check.update is not None and check.update.fits:
                session.say(check.update.message)
            if check.update is not None and policy is not None and policy.judged:
                say_outlook(session, check.update.name, policy)
        body = NewDeployment(
            **msgspec.structs.asdict(asked),
            trust=trust,
            replace_first=replace_first,
            sleep_minutes=sleep_after,
            scale=scale,
            rollout=policy,
            idempotency_key=secrets.token_hex(16),
        )
        deployment = call_fetched(session, DeploymentsService.deploy, body=body)
        updating_to = deployment.updating_to
        deployment = followed(session, deployment, timeout, wait=wait)
        session.show(deployment, views.deployment(deployment), view="deployment")
        check_outcome(session, deployment, updating_to)


def _settings(given: list[str]) -> dict[str, str]:
    pairs = [each.partition("=") for each in given]
    wrong = next((name for name, equals, value in pairs if not name or not equals or not value), None)
    if wrong is not None:
        raise InvalidRequest(f"--set {wrong[:80]!r} has no value.", hint="Give --set NAME=VALUE.")
    found = {name.strip(): value.strip() for name, _, value in pairs}
    if "chat_template" in found:
        found["chat_template"] = str(Path(found["chat_template"]).expanduser().absolute())
    return found


@deployments.command("rollback")
def roll_back(
    name: Deployed,
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
            found = settled(session, found, timeout)
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


@deployments.command("list")
def list_deployments(json: Json = False) -> None:
    """List deployments, the newest first."""
    with command(json) as session:
        found = session.every(DeploymentsService.list_deployments, key="name")
        session.show(found, views.deployments(found))


@deployments.command("show")
def show_deployment(
    name: Deployed,
    with_key: Annotated[
        bool,
        typer.Option("--with-key", help="Show the key of requests too. The audit log notes it."),
    ] = False,
    as_text: Annotated[
        bool,
        typer.Option("--as-file", help="Print the deployment file instead: the one that was applied last."),
    ] = False,
    json: Json = False,
) -> None:
    """Show a deployment: its state, address, end and revisions.

    Standard error has the difference from the file that was applied last.
    """
    with command(json) as session:
        if as_text:
            show_file(session, name)
            return
        found = session.call(DeploymentsService.get_deployment, name=name)
        key = ""
        if with_key:
            key = session.call(DeploymentsService.get_deployment_key, name=name).key
            found = KeyedDeployment(**msgspec.structs.asdict(found), key=key)
        # A notebook would save a key that is shown, so there the key is in the data alone.
        session.show(found, views.deployment(found, "" if session.notebook else key), view="deployment")
        if found.file:
            say_drift(session, name)


@deployments.command("stop")
def stop_deployment(name: Deployed, json: Json = False) -> None:
    """Stop a deployment, after the requests in flight."""
    with command(json) as session:
        found = session.call(DeploymentsService.stop_deployment, name=name)
        session.show(found, views.deployment(found), view="deployment")


@deployments.command("extend-lifetime")
def extend_deployment(name: Deployed, json: Json = False) -> None:
    """Extend the time until a deployment ends. Its lease begins again."""
    with command(json) as session:
        found = session.call(DeploymentsService.renew_deployment, name=name)
        session.show(found, views.deployment(found), view="deployment")


@deployments.command("delete")
def delete_deployment(name: Deployed, json: Json = False) -> None:
    """Delete a deployment that has ended."""
    with command(json) as session:
        session.call(DeploymentsService.delete_deployment, name=name)
        session.show({"name": name, "deleted": True}, lab_views.done(f"Deployment {name} is deleted."))


@deployments.command("logs")
def show_log(
    name: Deployed,
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
deployments.add_typer(files)
deployments.add_typer(calls)
deployments.add_typer(checking)
deployments.add_typer(load_tests)
deployments.add_typer(fetched_models)
