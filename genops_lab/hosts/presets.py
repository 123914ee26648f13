"""Named resources of a target's hosts, each with a kernelspec."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from genops_lab.core.errors import InvalidRequest, NotAllowed, NotFound
from genops_lab.core.services import Service
from genops_lab.core.settings import Settings

from .models import HostRequest, NewPreset, Preset, RequestQuery, ResourceForm
from .names import check_preset_name, preset_kernel_name
from .operator_rules import allowed, rules_of
from .providers import provider_of
from .providers.base import Resources
from .records import check_price
from .resources import check_resources, fields_of, resources_of, variables_of, words_of

if TYPE_CHECKING:
    from .records import TargetRecord
    from .service import TargetsService
    from .target_kernels import TargetKernels


def preset_of(target: str, given: NewPreset, *, locked: bool = False) -> Preset:
    """Return the preset of a target. Raises InvalidRequest."""
    words = words_of(given.resources)
    if not words:
        raise InvalidRequest(
            "The preset names no resource.", hint="Give at least one, such as the number of GPUs."
        )
    name = check_preset_name((given.name or words).strip())
    return Preset(
        name=name,
        kernel_name=preset_kernel_name(target, name),
        resources=given.resources,
        price_per_hour=check_price(given.price_per_hour),
        locked=locked,
    )


class PresetsService(Service):
    """Says which resources a new host can have, and keeps presets of them.

    A preset is a kernelspec of the user, so that every program can start with it, and an administrator's
    target can have presets too.
    """

    def __init__(self, settings: Settings, targets: TargetsService, kernels: TargetKernels) -> None:
        self._settings = settings
        self._targets = targets
        self._kernels = kernels

    async def get_resource_form(self, name: str) -> ResourceForm:
        """Return the fields of a new host's resources with their defaults and limits, and the target's
        presets. Raises InvalidRequest for a target that is one host."""
        record = await self._allocating(name)
        limits = (await asyncio.to_thread(rules_of, self._settings)).fields.get(record.route.kind, {})
        fields = fields_of(provider_of(record.route.kind), record.route, limits)
        return ResourceForm(fields=fields, presets=await self._presets(name))

    async def get_request(self, name: str, query: RequestQuery) -> HostRequest:
        """Return what the start of a kernel on a target sends to its scheduler. Raises NotFound for a preset
        that the target does not have, and InvalidRequest for what the administrator does not allow."""
        record = await self._allocating(name)
        preset = await self._preset(name, query.preset) if query.preset else None
        resources = query.resources if preset is None else preset.resources
        if preset is None:
            await self.check(name, resources)
        provider, route = provider_of(record.route.kind), record.route

        def shown() -> str:
            may_have = allowed(rules_of(self._settings), route, "KERNEL", resources)
            return provider.request(route, "KERNEL", may_have)

        return HostRequest(
            text=await asyncio.to_thread(shown),
            language=provider.request_language,
            template=getattr(route.config, provider.template_field or "template", ""),
            can_keep=provider.template_field != "" and not record.locked,
        )

    async def check(self, name: str, resources: Resources) -> None:
        """Raise InvalidRequest for resources that a new host of the target cannot have."""
        resources_of(variables_of(resources))
        check_resources(resources, (await self.get_resource_form(name)).fields)

    async def add_preset(self, name: str, body: NewPreset) -> Preset:
        """Add or replace a preset of a target."""
        await self.check(name, body.resources)
        preset = preset_of(name, body)
        if any(each.locked for each in await self._presets(name) if each.name == preset.name):
            raise _administrators(name, preset.name)
        await asyncio.to_thread(self._kernels.add_preset, await self._targets.record(name), preset)
        self._targets.changed(name)
        return preset

    async def delete_preset(self, name: str, preset: str) -> None:
        """Delete a preset; kernels that it started keep running. Raises NotFound."""
        found = await self._preset((await self._allocating(name)).name, preset)
        if found.locked:
            raise _administrators(name, preset)
        await asyncio.to_thread(self._kernels.remove_preset, name, found)
        self._targets.changed(name)

    async def _preset(self, name: str, preset: str) -> Preset:
        found = next((each for each in await self._presets(name) if each.name == preset), None)
        if found is None:
            raise NotFound(
                f"{name} has no preset {preset[:80]!r}.", hint=f"List them: genops targets presets {name}"
            )
        return found

    async def _presets(self, name: str) -> list[Preset]:
        return (await asyncio.to_thread(self._kernels.presets)).get(name, [])

    async def _allocating(self, name: str) -> TargetRecord:
        record = await self._targets.record(name)
        if not provider_of(record.route.kind).allocates:
            raise InvalidRequest(
                f"{name} is one host, so its resources cannot be chosen.", hint="Choose among its GPUs."
            )
        return record


def _administrators(target: str, preset: str) -> NotAllowed:
    return NotAllowed(
        f"The administrator manages the preset {preset!r} of {target}.",
        hint="Give your preset another name, or ask the administrator to change GenOpsLab.target_presets.",
    )
