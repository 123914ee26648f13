"""``genops targets presets``: named resources of a target's pods or jobs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from genops_lab.core.errors import InvalidRequest
from genops_lab.hosts.models import KeptRequest, NewPreset, RequestQuery
from genops_lab.hosts.presets import PresetsService
from genops_lab.hosts.providers.base import Resources
from genops_lab.hosts.templates import TemplatesService

from .completion import target_names
from .document import Document, Lines
from .grammar import noun
from .session import Json, command
from .target_settings import minutes, size
from .views import targets as views

presets = noun()

Name = Annotated[str, typer.Argument(metavar="TARGET", help="A target.", autocompletion=target_names)]


@presets.command("presets")
def list_presets(name: Name, json: Json = False) -> None:
    """List named resources of a target's pods or jobs."""
    with command(json) as session:
        found = session.call(PresetsService.get_resource_form, name=name).presets
        session.show(found, views.presets(name, found))


@presets.command("request")
def show_request(
    name: Name,
    preset: Annotated[
        str, typer.Option("--preset", metavar="PRESET", help="A preset of the target. Default: none.")
    ] = "",
    keep: Annotated[
        Path | None,
        typer.Option(
            "--keep",
            metavar="FILE",
            help="Keep this edited text as the target's template. An empty file keeps none. Default: print only.",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Print the Pod manifest or batch script of a start."""
    with command(json) as session:
        if keep:
            body = KeptRequest(text=_read(keep))
            session.call(TemplatesService.keep_request, name=name, body=body)
        found = session.call(PresetsService.get_request, name=name, query=RequestQuery(preset=preset))
        session.show(found, Document([Lines(found.text.splitlines())]))


def _read(file: Path) -> str:
    try:
        return file.expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise InvalidRequest(
            f"{file} cannot be read: {reason}.", hint="Give the text that genops targets request printed."
        ) from error


@presets.command("add-preset")
def add_preset(
    name: Name,
    preset: Annotated[
        str, typer.Argument(metavar="[PRESET]", help="A name. Default: its resources, such as '1 x H100'.")
    ] = "",
    gpus: Annotated[
        int | None, typer.Option("--gpus", metavar="COUNT", min=0, help="The number of GPUs.")
    ] = None,
    gpu_type: Annotated[
        str, typer.Option("--gpu-type", metavar="KIND", help="The kind of GPU, such as H100.")
    ] = "",
    cpus: Annotated[
        float | None, typer.Option("--cpus", metavar="COUNT", min=0, help="The number of CPU cores.")
    ] = None,
    memory: Annotated[str, typer.Option("--memory", metavar="SIZE", help="The memory, such as 64GiB.")] = "",
    time: Annotated[
        str, typer.Option("--time", metavar="TIME", help="The time until the pod or job ends: 30m, 8h or 2d.")
    ] = "",
    price_per_hour: Annotated[
        float | None,
        typer.Option("--price-per-hour", metavar="USD", min=0, help="Its price. Default: the target's."),
    ] = None,
    json: Json = False,
) -> None:
    """Name the resources of a pod or job; adds a kernel."""
    with command(json) as session:
        resources = Resources(
            gpus=gpus,
            gpu_type=gpu_type or None,
            cpus=cpus,
            memory_bytes=size(memory) if memory else None,
            time_s=60 * minutes(time) if time else None,
        )
        body = NewPreset(name=preset, resources=resources, price_per_hour=price_per_hour)
        found = session.call(PresetsService.add_preset, name=name, body=body)
        session.show(found, views.preset_added(name, found))


@presets.command("delete-preset")
def delete_preset(
    name: Name,
    preset: Annotated[str, typer.Argument(metavar="PRESET", help="A preset of the target.")],
    json: Json = False,
) -> None:
    """Delete a preset and its kernelspec. Kernels that it started keep running."""
    with command(json) as session:
        session.call(PresetsService.delete_preset, name=name, preset=preset)
        session.show({"target": name, "deleted": preset}, views.preset_deleted(name, preset))
