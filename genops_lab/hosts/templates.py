"""Keep an edited Pod manifest or batch script as the template of a target."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from genops_lab.core.errors import GenOpsError, InvalidRequest, NotAllowed
from genops_lab.core.paths import write_private
from genops_lab.core.services import Service
from genops_lab.core.settings import Settings

from .configuration import limited
from .models import HostRequest, KeptRequest, RequestQuery
from .operator_rules import allowed, rules_of
from .providers import provider_of
from .providers.base import Resources

if TYPE_CHECKING:
    from .link.route import Route
    from .presets import PresetsService
    from .service import TargetsService

#: The most characters of a template.
MAX_TEXT = 200_000
_ENDINGS = {"yaml": ".yaml", "shell": ".sh"}


def _file(data_dir: Path, target: str, ending: str) -> Path:
    return data_dir / "templates" / f"{target}{ending}"


def forget(data_dir: Path, target: str) -> None:
    """Delete the template of a target that was removed. Blocks."""
    for ending in _ENDINGS.values():
        _file(data_dir, target, ending).unlink(missing_ok=True)


class TemplatesService(Service):
    """The templates that people edit in the panel: a private file a target, in the data directory."""

    def __init__(self, settings: Settings, targets: TargetsService, presets: PresetsService) -> None:
        self._settings = settings
        self._targets = targets
        self._presets = presets

    async def keep_request(self, name: str, body: KeptRequest) -> HostRequest:
        """Keep an edited text as the template of a target, and return what a start sends from now on.

        An empty text keeps none: the target's fields alone count. Raises InvalidRequest for a text from which
        no request can be made (``details`` has its ``line``, where one is to blame), and NotAllowed for the
        administrator's targets.
        """
        route = (await self._targets.record(name)).route
        provider = provider_of(route.kind)
        if not provider.template_field:
            raise InvalidRequest(
                f"{name} takes no template.", hint=f"Change the target's fields: genops targets show {name}"
            )
        limits = self._settings.target_fields.get(route.kind, {})
        if any(
            each.locked and each.name == provider.template_field for each in limited(provider.form(), limits)
        ):
            raise NotAllowed(
                f"The administrator set the template of targets of the kind {route.kind}.",
                hint="Ask the administrator of this Lab to change GenOpsLab.target_fields.",
            )
        if len(body.text) > MAX_TEXT:
            raise InvalidRequest(
                f"The text has {len(body.text)} characters, at most {MAX_TEXT} are kept.",
                hint="Keep large parts in the image or on a volume.",
            )
        await asyncio.to_thread(self._keep, route, body.text)
        self._targets.changed(name)
        return await self._presets.get_request(name, RequestQuery())

    def _keep(self, route: Route, text: str) -> None:
        provider = provider_of(route.kind)
        file = _file(self._settings.data_dir, route.target, _ENDINGS[provider.request_language])
        draft = file.with_name(f".draft-{file.name}")
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            kept = ""
            if text.strip():
                write_private(draft, text)
                kept = str(file)
            tried = route.with_fields(**{provider.template_field: str(draft) if kept else ""})
            self._try(tried, draft)
            self._targets.ledger.use_fields(route.target, **{provider.template_field: kept})
            if kept:
                draft.replace(file)
            else:
                file.unlink(missing_ok=True)
        finally:
            draft.unlink(missing_ok=True)

    def _try(self, route: Route, draft: Path) -> None:
        """Make a request of the route, within the administrator's rules. Raises InvalidRequest, without the name
        of the draft."""
        provider = provider_of(route.kind)
        try:
            provider.check(route.config)
            may_have = allowed(rules_of(self._settings), route, "KERNEL", Resources())
            provider.request(route, "KERNEL", may_have)
        except GenOpsError as error:
            message = error.message.replace(f" {draft}", "").replace(str(draft), "The text")
            raise InvalidRequest(message, hint=error.hint, details=error.details) from error
