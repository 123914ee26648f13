"""Wire types of the resources that a person chooses for a new host, and of their presets."""

from __future__ import annotations

from typing import Literal

import msgspec

from ..configuration import FormField
from ..providers.base import Resources


class Preset(msgspec.Struct, frozen=True, kw_only=True):
    """Named resources of a target's hosts, with a kernelspec of their own.

    ``price_per_hour`` is that of one such host in USD; None: that of the target. ``locked``: the operator of
    the Lab gave it, and it cannot be deleted.
    """

    name: str
    kernel_name: str
    resources: Resources
    price_per_hour: float | None = None
    locked: bool = False


class NewPreset(msgspec.Struct, frozen=True, kw_only=True):
    """A preset to add. Without a name it is named after its resources, such as ``1 x H100``."""

    name: str = ""
    resources: Resources
    price_per_hour: float | None = None


class RequestQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The preset whose resources are requested; empty: these resources, or those of the target."""

    preset: str = ""
    gpus: int | None = None
    gpu_type: str | None = None
    cpus: float | None = None
    memory_bytes: int | None = None
    time_s: float | None = None

    @property
    def resources(self) -> Resources:
        """Return the resources without the preset."""
        return Resources(**{name: getattr(self, name) for name in Resources.__struct_fields__})


class HostRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A Pod manifest or a batch script, as a start sends it. ``KERNEL`` stands for the kernel's id.

    ``template`` is the file of this machine that it is built on; empty without one. ``can_keep``: an edited
    text can be kept as the target's template.
    """

    text: str
    language: Literal["", "yaml", "shell"] = ""
    template: str = ""
    can_keep: bool = False


class KeptRequest(msgspec.Struct, frozen=True, kw_only=True):
    """An edited Pod manifest or batch script; empty for none."""

    text: str


class ResourceForm(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of a new host's resources, in bytes and seconds, with the target's own values as defaults
    and the administrator's limits."""

    fields: list[FormField]
    presets: list[Preset] = []
