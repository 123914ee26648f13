"""``genops targets``."""

from __future__ import annotations

import math
import re
import time
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import msgspec
import typer

from genops_lab.core.errors import Failed, GenOpsError, InvalidRequest, Unavailable
from genops_lab.core.tasks import TasksService
from genops_lab.hosts.environments import EnvironmentsService
from genops_lab.hosts.models import (
    Addition,
    Additions,
    CarrierChoice,
    ChangeTarget,
    NewEnvironment,
    NewTarget,
    RemoveQuery,
    RemoveStored,
    SourcesQuery,
    StorageQuery,
    StoredItem,
    SweepQuery,
    Target,
    TargetKind,
    TargetPolicy,
    TargetReport,
)
from genops_lab.hosts.service import TargetsService
from genops_lab.hosts.test_reports import what_to_do
from genops_lab.kernels.storage import StorageService

from .completion import target_names
from .session import Json, Session, command
from .views import targets as views
from .waiting import Prompts, followed

targets = typer.Typer(help="Places that run kernels: hosts over SSH, this machine.", no_args_is_help=True)

POLL_S = 0.25

Name = Annotated[str, typer.Argument(help="A target.", autocompletion=target_names)]
Timeout = Annotated[float, typer.Option("--timeout", min=1, help="Wait at most so many seconds.")]

_TIME = re.compile(r"(\d+(?:\.\d+)?)(m|min|h|d)")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(b|[kmg]i?b)")
_BYTES: dict[str, int] = {
    "b": 1,
    **{f"{prefix}b": 1000**power for power, prefix in enumerate("kmg", start=1)},
    **{f"{prefix}ib": 1024**power for power, prefix in enumerate("kmg", start=1)},
}
_MINUTES = {"m": 1.0, "min": 1.0, "h": 60.0, "d": 1440.0}

ADDITIONS = ("ipykernel", "mlflow")
NOTHING = "none"


@targets.command("list")
def list_targets(json: Json = False) -> None:
    """List targets, whether they are connected, and their last readings; connects nowhere."""
    with command(json) as session:
        found = session.call(TargetsService.list_targets)
        session.show(found, views.targets(found))


@targets.command("candidates")
def list_candidates(json: Json = False) -> None:
    """List the hosts of your ~/.ssh/config that are no targets yet."""
    with command(json) as session:
        found = session.call(TargetsService.list_candidates)
        session.show(found, views.candidates(found))


@targets.command("kinds")
def list_kinds(
    kind: Annotated[str, typer.Argument(help="One kind alone.")] = "",
    json: Json = False,
) -> None:
    """List the kinds of targets with their fields, and the administrator's defaults, limits and locks."""
    with command(json) as session:
        from genops_lab.hosts.service import TargetsService

        found = session.call(TargetsService.list_target_kinds)
        found = [each for each in found if kind in ("", each.kind)]
        session.show(found, views.kinds(found))


@targets.command("show")
def show_target(name: Name, json: Json = False) -> None:
    """Show a target: its configuration, what of it the administrator chose, and its hosts where it has many."""
    with command(json) as session:
        from genops_lab.hosts.service import TargetsService

        found = session.call(TargetsService.get_target, name=name)
        kinds = session.call(TargetsService.list_target_kinds)
        fields = [field for each in kinds if each.kind == found.kind for field in each.fields]
        session.show({"target": found, "fields": fields}, views.configuration(found, fields))


@targets.command("hosts")
def list_hosts(name: Name, json: Json = False) -> None:
    """List the hosts (pods, jobs) of a target that gets one for each kernel; also those that nobody needs any more."""
    with command(json) as session:
        from genops_lab.hosts.service import TargetsService

        found = session.call(TargetsService.list_target_hosts, name=name)
        shown = session.call(TargetsService.get_target, name=name)
        session.show(found, views.hosts(shown, found))


@targets.command("release")
def release_host(
    name: Name,
    host: Annotated[str, typer.Argument(help="A host, as `genops targets hosts` names it.")],
    json: Json = False,
) -> None:
    """Give back a host (pod, job) that no kernel needs."""
    with command(json) as session:
        from genops_lab.hosts.service import TargetsService

        session.call(TargetsService.release_host, name=name, host_id=host)
        session.show({"target": name, "released": host}, views.released(name, host))


@targets.command("add")
def add_target(
    name: Annotated[str, typer.Argument(help="How to call it: a-z, digits, '.', '_' and '-'.")],
    ssh: Annotated[
        str, typer.Option("--ssh", metavar="HOST", help="An alias of your ssh_config, or [USER@]HOST.")
    ] = "",
    local: Annotated[bool, typer.Option("--local", help="This machine, in place of a host.")] = False,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="The SSH server's port.")] = 0,
    identity_file: Annotated[str, typer.Option("--identity-file", help="A private key.")] = "",
    python: Annotated[
        str, typer.Option("--python", help="The interpreter of its kernels: a path, or a name on its PATH.")
    ] = "python3",
    carrier: Annotated[
        str, typer.Option("--carrier", help="auto, paramiko, or openssh (the system's ssh).")
    ] = "auto",
    price_per_hour: Annotated[
        float | None, typer.Option("--price-per-hour", min=0, help="USD an hour, for the picker.")
    ] = None,
    secret: Annotated[
        list[str] | None,
        typer.Option("--secret", help="A variable that its kernels get from the Lab (HF_TOKEN); repeatable."),
    ] = None,
    no_folder: Annotated[
        bool, typer.Option("--no-folder", help="Do not send the notebook's folder before its kernels start.")
    ] = False,
    kind: Annotated[
        str,
        typer.Option(
            "--kind",
            help="A kind of target in place of --ssh or --local; `genops targets kinds` lists them with their fields, "
            "and the administrator's defaults, limits and locks.",
        ),
    ] = "",
    field: Annotated[
        list[str] | None,
        typer.Option("--field", metavar="NAME=VALUE", help="A field of the kind's form; repeatable."),
    ] = None,
    json: Json = False,
) -> None:
    """Add a target and its kernel. Nothing is connected; the same again changes nothing."""
    with command(json) as session:
        if bool(ssh) + local + bool(kind) != 1:
            raise InvalidRequest(
                "Give one of --ssh HOST, --local and --kind KIND.",
                hint=f"Such as: genops targets add {name} --ssh HOST",
            )
        kind = kind or ("local" if local else "ssh")
        kinds = {each.kind: each for each in session.call(TargetsService.list_target_kinds)}
        if kind not in kinds:
            raise InvalidRequest(
                f"There is no kind of target {kind!r}.", hint=f"Choose one of: {', '.join(kinds)}."
            )
        user, _, host = ssh.rpartition("@")
        body = NewTarget(
            name=name,
            kind=kind,
            config=field_values(field or [], kinds[kind]),
            host=host,
            user=user,
            port=port,
            identity_file=identity_file,
            python=python,
            carrier=_carrier(carrier),
            price_per_hour=price_per_hour,
            secrets=secret or [],
            policy=TargetPolicy(folder="off" if no_folder else "sync"),
        )
        aliases = [each.alias for each in session.call(TargetsService.list_candidates)] if host else []
        found = session.call(TargetsService.add_target, body=body)
        session.show(found, views.added(found))
        if host not in aliases and (near := get_close_matches(host, aliases, n=1, cutoff=0.6)):
            session.say(
                f"Did you mean {near[0]}, which your ssh_config has? Then run `genops targets remove {name}` and "
                f"`genops targets add {name} --ssh {near[0]}`."
            )


def _carrier(word: str) -> CarrierChoice:
    if word not in ("auto", "paramiko", "openssh"):
        raise InvalidRequest(f"{word!r} is not a carrier.", hint="Choose auto, paramiko or openssh.")
    return cast("Literal['auto', 'paramiko', 'openssh']", word)


@targets.command("set")
def set_target(
    name: Name,
    price_per_hour: Annotated[
        float | None, typer.Option("--price-per-hour", min=0, help="USD an hour, for the picker.")
    ] = None,
    secret: Annotated[
        list[str] | None,
        typer.Option("--secret", help="A variable that its kernels get from the Lab (HF_TOKEN); repeatable."),
    ] = None,
    no_secret: Annotated[
        list[str] | None, typer.Option("--no-secret", help="One that they get no more; repeatable.")
    ] = None,
    warm: Annotated[
        int | None, typer.Option("--warm", min=0, max=8, help="Kernels that stand ready there.")
    ] = None,
    idle: Annotated[
        str,
        typer.Option("--idle", metavar="TIME", help="End kernels without work after 30m, 8h, 2d; or: off."),
    ] = "",
    idle_gpu: Annotated[
        float | None,
        typer.Option("--idle-gpu", min=0, max=100, help="Percent up to which a used GPU is no work (5)."),
    ] = None,
    folder: Annotated[
        bool | None,
        typer.Option(
            "--folder/--no-folder", help="Whether notebooks' folders are sent there before a start."
        ),
    ] = None,
    folder_size: Annotated[
        str,
        typer.Option("--folder-size", metavar="SIZE", help="Ask before more of a folder is sent (200MiB)."),
    ] = "",
    folder_files: Annotated[
        int | None, typer.Option("--folder-files", min=0, help="Ask before more files are sent (5000).")
    ] = None,
    json: Json = False,
) -> None:
    """Change a target: what is not named stays. Running kernels follow where it is connected."""
    with command(json) as session:
        sending = (folder, folder_size or None, folder_files)
        given = (price_per_hour, secret, no_secret, warm, idle or None, idle_gpu, *sending)
        if all(each is None for each in given):
            raise InvalidRequest(
                "Nothing is to be changed.", hint=f"Such as: genops targets set {name} --warm 2 --idle 30m"
            )
        found = session.call(TargetsService.get_target, name=name)
        body = changed(
            found, price_per_hour, secret or [], no_secret or [], warm, idle, idle_gpu,
            folder, folder_size, folder_files,
        )  # fmt: skip
        found = session.call(TargetsService.change_target, name=name, body=body)
        session.show(found, views.target(found))


@targets.command("connect")
def connect_target(name: Name, timeout: Timeout = 300.0, json: Json = False) -> None:
    """Connect a target in the running JupyterLab; what must be asked is asked here."""
    with command(json) as session:
        session.call(TargetsService.get_target, name=name)
        if session.local:
            raise Unavailable(
                "No JupyterLab with GenOps Lab is running, and connections are kept by it.",
                hint=f"Start JupyterLab. Whether the host can be used, this tells: genops targets test {name}",
            )
        found = connected(session, session.call(TargetsService.connect_target, name=name), timeout)
        session.show(found, views.target(found))


def connected(session: Session, target: Target, timeout_s: float) -> Target:
    """The target once it is connected; its questions are asked here. Raises Unavailable, Failed."""
    prompts = Prompts(session, target.name)
    deadline = time.monotonic() + timeout_s
    while target.state != "up":
        if target.state in ("failed", "idle"):
            reason = target.message or "somebody disconnected it meanwhile."
            raise Unavailable(f"{target.name} is not connected: {reason}", hint=target.hint)
        if time.monotonic() > deadline:
            raise Failed(
                f"{target.name} is still {target.state} after {timeout_s:.0f} s.",
                hint="It goes on in JupyterLab: genops targets list",
            )
        prompts.look()
        time.sleep(POLL_S)
        target = session.call(TargetsService.get_target, name=target.name)
    return target


@targets.command("disconnect")
def disconnect_target(name: Name, json: Json = False) -> None:
    """Disconnect a target; its kernels run on."""
    with command(json) as session:
        found = session.call(TargetsService.disconnect_target, name=name)
        session.show(found, views.target(found))


@targets.command("test")
def test_target(name: Name, json: Json = False) -> None:
    """Test a target step by step; what fails is told with what to do. Exits with 1 when something failed.

    It logs out and in again to see whether kernels survive that.
    """
    with command(json) as session:
        report = tested(session, name)
        if session.json or not session.can_ask:  # a person has seen each step
            session.show(report, views.report(report))
        check_report(name, report)


def check_report(name: str, report: TargetReport) -> None:
    """Raises Failed where a step of a test failed, or the test was cancelled."""
    failed = [step for step in report.steps if step.state == "failed"]
    if failed:
        raise Failed(f"{name}, {failed[0].step}: {failed[0].message}", hint=what_to_do(failed[0]))
    if report.state == "cancelled":
        raise Failed(f"The test of {name} was cancelled.")


def tested(session: Session, name: str) -> TargetReport:
    """Test a target; at a terminal, and beside JSON, say each step as it is done. Interrupting cancels the test."""
    task = session.call(TargetsService.test_target, name=name)
    prompts, told = Prompts(session, name), 0
    follows = session.json or session.can_ask
    try:
        while True:
            report = session.call(TargetsService.get_report, name=name)
            if follows:
                for step in report.steps[told:]:
                    if session.json or step.state != "skipped":
                        session.say(f"{step.step}: {step.state}. {step.message}")
            told = len(report.steps)
            if report.state != "running":
                skipped = [step.step for step in report.steps if step.state == "skipped"]
                if skipped and follows and not session.json:
                    session.say(f"skipped: {', '.join(skipped)}.")
                return report
            prompts.look()
            time.sleep(POLL_S)
    except KeyboardInterrupt:
        session.call(TasksService.cancel_task, task_id=task.id)
        raise


@targets.command("remove")
def remove_target(
    name: Name,
    force: Annotated[
        bool, typer.Option("--force", help="Also while kernels of this Lab run there; they run on.")
    ] = False,
    json: Json = False,
) -> None:
    """Remove a target and its kernel; what runs on the host is left alone."""
    with command(json) as session:
        found = session.call(TargetsService.remove_target, name=name, query=RemoveQuery(force=force))
        session.show(found, views.removed(found))


def changed(
    target: Target,
    price_per_hour: float | None,
    secrets: list[str],
    no_secrets: list[str],
    warm: int | None,
    idle: str,
    idle_gpu: float | None,
    folder: bool | None,
    folder_size: str,
    folder_files: int | None,
) -> ChangeTarget:
    """The target's changeable parts with these in place of its own. Raises InvalidRequest."""
    strange = [name for name in no_secrets if name not in target.secrets]
    if strange:
        raise InvalidRequest(
            f"{target.name} gives its kernels no {strange[0]}.",
            hint=f"It gives: {', '.join(target.secrets) or 'nothing'}",
        )
    parts = {
        "warm_kernels": warm,
        "idle_gpu_percent": idle_gpu,
        "folder": None if folder is None else "sync" if folder else "off",
        "folder_max_files": folder_files,
        "folder_max_bytes": size(folder_size) if folder_size else None,
        **({"idle_minutes": minutes(idle)} if idle and idle != "off" else {}),
    }
    policy = msgspec.structs.replace(
        target.policy, **{name: value for name, value in parts.items() if value is not None}
    )
    if idle == "off":
        policy = msgspec.structs.replace(policy, idle_minutes=None)
    return ChangeTarget(
        price_per_hour=target.price_per_hour if price_per_hour is None else price_per_hour,
        secrets=sorted({*target.secrets, *secrets} - set(no_secrets)),
        policy=policy,
    )


def minutes(text: str) -> float:
    """``30m``, ``8h``, ``2d`` in minutes. Raises InvalidRequest."""
    found = _TIME.fullmatch(text.strip().lower())
    if found is None:
        raise InvalidRequest(
            f"{text[:40]!r} is no length of time.", hint="Give one such as 30m, 8h or 2d; or: off"
        )
    return float(found[1]) * _MINUTES[found[2]]


def size(text: str) -> int:
    """``500MiB``, ``2GiB`` (powers of 1024), ``500MB``, ``2GB`` (of 1000) in bytes. Raises InvalidRequest."""
    found = _SIZE.fullmatch(text.strip().lower())
    if found is None:
        raise InvalidRequest(f"{text[:40]!r} is no size.", hint="Give one such as 500MiB or 2GiB.")
    return round(float(found[1]) * _BYTES[found[2]])


def field_values(given: list[str], kind: TargetKind) -> dict[str, Any]:
    """The values of ``--field NAME=VALUE``, as the kind's form takes them. Raises InvalidRequest."""
    fields = {field.name: field for field in kind.fields}
    values: dict[str, Any] = {}
    for each in given:
        name, equals, text = each.partition("=")
        if not equals or name not in fields:
            raise InvalidRequest(
                f"{each!r} is no field of a target of the kind {kind.kind}.",
                hint=f"Write NAME=VALUE, with one of: {', '.join(fields)}.",
            )
        values[name] = _value(text, fields[name].widget, name)
    return values


def _value(text: str, widget: str, name: str) -> Any:
    if widget == "switch" and text.lower() in ("true", "false"):
        return text.lower() == "true"
    if widget == "number":
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if math.isfinite(number):
            return int(number) if number.is_integer() else number
    if widget in ("switch", "number"):
        raise InvalidRequest(
            f"{name} cannot be {text!r}.",
            hint=f"Give {'a number' if widget == 'number' else 'true or false'}.",
        )
    return text


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
    report = tested(session, name)
    target = session.call(TargetsService.get_target, name=name)
    session.show({"target": target, "report": report}, views.built(target, report))
    check_report(name, report)


@targets.command("clean")
def clean_target(
    name: Name,
    older_than: Annotated[
        float, typer.Option("--older-than", metavar="DAYS", min=0, help="What was used since then stays.")
    ] = 30.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Remove nothing, say what would go.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Also folders with results that were not brought here.")
    ] = False,
    timeout: Timeout = 300.0,
    json: Json = False,
) -> None:
    """Remove from a target's host what nobody uses: environments that were built there, copies of folders.

    What a kernel or another process uses stays, and the interpreters of your targets. A target that is not connected
    is connected first.
    """
    with command(json) as session:
        target = session.call(TargetsService.get_target, name=name)
        if target.state != "up":
            connected(session, session.call(TargetsService.connect_target, name=name), timeout)
        query = StorageQuery(older_than_days=older_than, force=force)
        items = session.call(StorageService.list_target_storage, name=name, query=query).items
        go, stay = [each for each in items if not each.stays], [each for each in items if each.stays]
        gone, failures = ([], {}) if dry_run else _remove(session, name, go, query)
        answer = {"target": name, "dry_run": dry_run, "removable": go if dry_run else [], "removed": gone}
        session.show(
            {**answer, "stays": stay, "failed": failures}, views.cleaned(go, stay, failures, dry_run)
        )
        if failures:
            raise Failed("; ".join(f"{path} was not removed: {why}" for path, why in failures.items()))


def _remove(
    session: Session, name: str, items: list[StoredItem], query: StorageQuery
) -> tuple[list[StoredItem], dict[str, str]]:
    """What was removed, and why the others were not, by path."""
    gone: list[StoredItem] = []
    failures: dict[str, str] = {}
    for item in items:
        session.say(f"Removing {item.path}")
        body = RemoveStored(
            path=item.path,
            host_id=item.host_id,
            older_than_days=query.older_than_days,
            force=query.force,
        )
        try:
            removed = session.call(StorageService.remove_stored, name=name, body=body)
        except GenOpsError as error:  # one that somebody began to use meanwhile must not keep the others
            failures[item.path] = error.message
            continue
        gone.append(item)
        left, trouble = removed.left, removed.trouble
        while left:
            time.sleep(POLL_S)
            swept = session.call(
                StorageService.sweep_target, name=name, query=SweepQuery(host_id=item.host_id)
            )
            left, trouble = swept.left, swept.trouble
        if trouble:
            session.say(f"Not all of its files can be deleted: {trouble}")
    return gone, failures
