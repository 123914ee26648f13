"""The kinds of targets. A new one is added to :data:`PROVIDERS`; nothing else knows kinds."""

from __future__ import annotations

from typing import Any

import msgspec

from ...core.errors import InvalidRequest
from ..link.route import Route
from .base import HostProvider
from .local import PROVIDER as LOCAL
from .ssh.provider import PROVIDER as SSH

PROVIDERS: dict[str, HostProvider] = {each.kind: each for each in (SSH, LOCAL)}


def provider_of(kind: str) -> HostProvider:
    """The provider of a kind of target. Raises InvalidRequest."""
    found = PROVIDERS.get(kind)
    if found is None:
        raise InvalidRequest(
            f"There is no kind of target {kind[:40]!r}.", hint=f"Choose one of: {', '.join(PROVIDERS)}."
        )
    return found


def route_of(target: str, kind: str = "ssh", *, host_id: str = "", **config: Any) -> Route:
    """The way to a target, its configuration as plain values; what the kind does not know is left out.

    Raises InvalidRequest for a value of another type.
    """
    try:
        found = msgspec.convert(config, provider_of(kind).config_type)
    except msgspec.ValidationError as error:
        raise InvalidRequest(
            f"The configuration of {target} cannot be used: {error}", hint="Correct that field."
        ) from error
    return Route(target=target, kind=kind, config=found, host_id=host_id)
