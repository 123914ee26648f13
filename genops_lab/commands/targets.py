"""``genops targets``."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Annotated, Literal, cast

import typer

from genops_lab.core.errors import InvalidRequest, NotFound
from genops_lab.hosts.models import CarrierChoice, NewTarget, RemoveQuery, TargetPolicy
from genops_lab.hosts.service import TargetsService
from genops_lab.kernels.service import ComputeService

from . import cluster_options
from .completion import target_names
from .grammar import noun
from .session import Json, command
from .target_argument import Name
from .target_connection import connect_target, disconnect_target, test_target
from .target_environments import build_environment, install_packages
from .target_presets import presets
from .target_role import show_role
from .target_settings import changed, field_values
from .target_storage import prune_target
from .target_terminal import open_terminal
from .views import lab as lab_views
from .views import targets as views

targets = noun()
targets.command("connect")(connect_target)
targets.command("disconnect")(disconnect_target)
targets.command("test")(test_target)
targets.command("build")(build_environment)
targets.command("install")(install_packages)
targets.command("free-space")(prune_target)
targets.command("role")(show_role)
targets.command("terminal")(open_terminal)
targets.add_typer(presets)

Price = Annotated[
    float | None,
    typer.Option("--price-per-hour", metavar="USD", min=0, help="The price in USD an hour, for the picker."),
]
Secrets = Annotated[
    list[str] | None,
    typer.Option(
        "--secret",
        metavar="VARIABLE",
        help="A variable of the Lab that kernels get, such as HF_TOKEN. Repeatable.",
    ),
]

#: What stands for this machine where a target's name is asked for.
LOCAL = "local"


@targets.command("list")
def list_targets(json: Json = False) -> None:
    """List targets with their state and last readings. Nothing is connected."""
    with command(json) as session:
        found = session.call(TargetsService.list_targets)
        session.show(found, views.targets(found))


@targets.command("discover")
def discover_targets(json: Json = False) -> None:
    """List hosts of your ~/.ssh/config that you can add as targets."""
    with command(json) as session:
        found = session.call(TargetsService.list_candidates)
        session.show(found, views.candidates(found))


@targets.command("kinds")
def list_kinds(
    kind: Annotated[
        str, typer.Argument(metavar="KIND", help="Only this kind. Default: all kinds.", show_default=False)
    ] = "",
    json: Json = False,
) -> None:
    """List the kinds of targets that you can add. Each has its fields and limits."""
    with command(json) as session:
        found = session.call(TargetsService.list_target_kinds)
        found = [each for each in found if kind in ("", each.kind)]
        session.show(found, views.kinds(found))


@targets.command("show")
def show_target(
    name: Annotated[
        str,
        typer.Argument(
            metavar="TARGET",
            help=f"A target. '{LOCAL}' is this machine, unless a target has that name.",
            autocompletion=target_names,
        ),
    ] = LOCAL,
    json: Json = False,
) -> None:
    """Show a target: its configuration and its hosts. Without a name, show this machine: cores, memory, disk, GPUs."""
    with command(json) as session:
        try:
            found = session.call(TargetsService.get_target, name=name)
        except NotFound:
            if name != LOCAL:
                raise
            machine = session.call(ComputeService.get_machine)
            session.show(machine, lab_views.machine(machine))
            return
        kinds = session.call(TargetsService.list_target_kinds)
        fields = [field for each in kinds if each.kind == found.kind for field in each.fields]
        session.show({"target": found, "fields": fields}, views.configuration(found, fields))


@targets.command("hosts")
def list_hosts(name: Name, json: Json = False) -> None:
    """List the pods or jobs that a target started for its kernels."""
    with command(json) as session:
        found = session.call(TargetsService.list_target_hosts, name=name)
        shown = session.call(TargetsService.get_target, name=name)
        session.show(found, views.hosts(shown, found))


@targets.command("capacity")
def show_capacity(
    name: Annotated[
        str,
        typer.Argument(
            metavar="TARGET",
            help="Only this target. Default: all clusters.",
            autocompletion=target_names,
            show_default=False,
        ),
    ] = "",
    json: Json = False,
) -> None:
    """Show free GPUs of clusters and how many jobs or pods wait."""
    with command(json) as session:
        names = (
            [name]
            if name
            else [each.name for each in session.call(TargetsService.list_targets) if each.allocates]
        )
        found = [session.call(TargetsService.look_at_capacity, name=each) for each in names]
        session.show(found, views.capacity(found))


@targets.command("savings")
def list_savings(json: Json = False) -> None:
    """List the hours that ends of idle kernels saved, by month."""
    with command(json) as session:
        found = session.call(TargetsService.list_savings)
        session.show(found, views.savings(found))


@targets.command("stop-host")
def stop_host(
    name: Name,
    host: Annotated[
        str, typer.Argument(metavar="HOST", help="A pod or job, as `genops targets hosts` names it.")
    ],
    json: Json = False,
) -> None:
    """Stop a pod or job that no kernel uses; its GPUs become free."""
    with command(json) as session:
        session.call(TargetsService.release_host, name=name, host_id=host)
        session.show({"target": name, "released": host}, views.stopped(name, host))


@targets.command("add")
def add_target(
    name: Annotated[
        str, typer.Argument(metavar="TARGET", help="The name of the new target: a-z, 0-9, '.', '_' and '-'.")
    ],
    ssh: Annotated[
        str, typer.Option("--ssh", metavar="HOST", help="An alias of your ssh_config, or [USER@]HOST.")
    ] = "",
    local: Annotated[bool, typer.Option("--local", help="Add this machine.")] = False,
    slurm: cluster_options.Login = "",
    partition: cluster_options.Partition = "",
    batch_script: cluster_options.BatchScript = "",
    kubernetes: cluster_options.Context = "",
    namespace: cluster_options.Namespace = "",
    image: cluster_options.Image = "",
    pod_template: cluster_options.PodTemplate = "",
    gpus: cluster_options.Gpus = 0,
    port: Annotated[
        int,
        typer.Option(
            "--port",
            min=0,
            max=65535,
            help="The port of the SSH server. Default: as in ssh_config.",
            show_default=False,
        ),
    ] = 0,
    identity_file: Annotated[
        str,
        typer.Option("--identity-file", metavar="FILE", help="A private key. Default: as in ssh_config."),
    ] = "",
    python: Annotated[
        str,
        typer.Option(
            "--python", metavar="PYTHON", help="The Python of its kernels: a path, or a name on its PATH."
        ),
    ] = "python3",
    carrier: Annotated[
        str,
        typer.Option("--carrier", metavar="CARRIER", help="auto, paramiko, or openssh (the system's ssh)."),
    ] = "auto",
    price_per_hour: Price = None,
    secret: Secrets = None,
    no_folder: Annotated[
        bool, typer.Option("--no-folder", help="Do not send the notebook's folder before a kernel starts.")
    ] = False,
    kind: Annotated[
        str,
        typer.Option(
            "--kind",
            metavar="KIND",
            help="A kind of target other than these: genops targets kinds",
        ),
    ] = "",
    field: Annotated[
        list[str] | None,
        typer.Option("--field", metavar="NAME=VALUE", help="A field of the kind. Repeatable."),
    ] = None,
    json: Json = False,
) -> None:
    """Add a target and its kernelspec. Nothing is connected."""
    with command(json) as session:
        kinds_given = {"ssh": ssh, "slurm": slurm, "kubernetes": kubernetes, "local": local}
        asked = [each for each, value in kinds_given.items() if value] + ([kind] if kind else [])
        if len(asked) != 1:
            raise InvalidRequest(
                "A target needs exactly one of --ssh HOST, --slurm HOST, --kubernetes CONTEXT, --local and "
                "--kind KIND.",
                hint=f"Such as: genops targets add {name} --ssh HOST",
            )
        (kind,) = asked
        given = cluster_options.fields(
            kind, context=kubernetes, namespace=namespace, image=image, pod_template=pod_template,
            partition=partition, batch_script=batch_script, gpus=gpus,
        )  # fmt: skip
        kinds = {each.kind: each for each in session.call(TargetsService.list_target_kinds)}
        if kind not in kinds:
            raise InvalidRequest(
                f"There is no kind of target {kind!r}.", hint=f"Choose one of: {', '.join(kinds)}."
            )
        user, _, host = (ssh or slurm).rpartition("@")
        body = NewTarget(
            name=name,
            kind=kind,
            config={**given, **field_values(field or [], kinds[kind])},
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
        if ssh and host not in aliases and (near := get_close_matches(host, aliases, n=1, cutoff=0.6)):
            session.say(
                f"Did you mean {near[0]} of your ssh_config? Then run: genops targets delete {name} && "
                f"genops targets add {name} --ssh {near[0]}"
            )


def _carrier(word: str) -> CarrierChoice:
    if word not in ("auto", "paramiko", "openssh"):
        raise InvalidRequest(f"There is no carrier {word!r}.", hint="Choose auto, paramiko or openssh.")
    return cast("Literal['auto', 'paramiko', 'openssh']", word)


@targets.command("set")
def set_target(
    name: Name,
    price_per_hour: Price = None,
    secret: Secrets = None,
    no_secret: Annotated[
        list[str] | None,
        typer.Option(
            "--no-secret", metavar="VARIABLE", help="A variable that kernels no longer get. Repeatable."
        ),
    ] = None,
    warm: Annotated[
        int | None,
        typer.Option("--warm", min=0, max=8, help="The number of kernels that are started in advance."),
    ] = None,
    warm_time: Annotated[
        str,
        typer.Option(
            "--warm-time",
            metavar="TIME",
            help="How long a pod or job waits for a kernel at most, such as 30m. A new target has 1h.",
        ),
    ] = "",
    idle: Annotated[
        str,
        typer.Option(
            "--idle", metavar="TIME", help="Stop idle kernels after this time: 30m, 8h or 2d; or: off."
        ),
    ] = "",
    idle_gpu: Annotated[
        float | None,
        typer.Option(
            "--idle-gpu",
            metavar="PERCENT",
            min=0,
            max=100,
            help="A kernel is idle up to this use of its GPU, in percent. A new target has 5.",
        ),
    ] = None,
    folder: Annotated[
        bool | None,
        typer.Option("--folder/--no-folder", help="Send the notebook's folder before a kernel starts."),
    ] = None,
    folder_size: Annotated[
        str,
        typer.Option(
            "--folder-size",
            metavar="SIZE",
            help="Ask before more than this is sent. A new target has 200MiB.",
        ),
    ] = "",
    folder_files: Annotated[
        int | None,
        typer.Option(
            "--folder-files",
            min=0,
            help="Ask before more than this many files are sent. A new target has 5000.",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Change settings of a target. Settings without an option stay; running kernels get the new ones."""
    with command(json) as session:
        sending = (folder, folder_size or None, folder_files)
        given = (price_per_hour, secret, no_secret, warm, warm_time or None, idle or None, idle_gpu, *sending)
        if all(each is None for each in given):
            raise InvalidRequest(
                "No setting is given.", hint=f"Such as: genops targets set {name} --warm 2 --idle 30m"
            )
        found = session.call(TargetsService.get_target, name=name)
        body = changed(
            found, price_per_hour, secret or [], no_secret or [], warm, warm_time, idle, idle_gpu,
            folder, folder_size, folder_files,
        )  # fmt: skip
        found = session.call(TargetsService.change_target, name=name, body=body)
        session.show(found, views.target(found))


@targets.command("delete")
def delete_target(
    name: Name,
    force: Annotated[
        bool,
        typer.Option("--force", help="Delete it while kernels of this Lab run there. They keep running."),
    ] = False,
    json: Json = False,
) -> None:
    """Delete a target and its kernelspec. Kernels and files on the host stay."""
    with command(json) as session:
        found = session.call(TargetsService.remove_target, name=name, query=RemoveQuery(force=force))
        session.show(found, views.removed(found))
