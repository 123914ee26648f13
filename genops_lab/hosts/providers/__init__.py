"""List the kinds of targets. A new one is added to :data:`PROVIDERS`; no other code knows kinds."""

from __future__ import annotations

from typing import Any

import msgspec

from ...core.errors import InvalidRequest
from ..link.route import Route
from .base import HostProvider
from .kubernetes.provider import PROVIDER as KUBERNETES
from .local import PROVIDER as LOCAL
from .slurm.provider import PROVIDER as SLURM
from .ssh.provider import PROVIDER as SSH

PROVIDERS: dict[str, HostProvider] = {each.kind: each for each in (SSH, SLURM, KUBERNETES, LOCAL)}


def provider_of(kind: str) -> HostProvider:
    """Return the provider of a kind of target. Raises InvalidRequest."""
    found = PROVIDERS.get(kind)
    if found is None:
        raise InvalidRequest(
            f"{kind[:40]!r} is not a kind of target.", hint=f"Choose one of: {', '.join(PROVIDERS)}."
        )
    return found


def route_of(target: str, kind: str = "ssh", *, host_id: str = "", **config: Any) -> Route:
    """Return the route to a target from plain values; fields that the kind does not have are ignored.

    Raises InvalidRequest for a value of another type.
    """
    try:
        found = msgspec.convert(config, provider_of(kind).config_type)
    except msgspec.ValidationError as error:
        raise InvalidRequest(
            f"The configuration of {target} is invalid: {error}", hint="Correct this field."
        ) from error
    return Route(target=target, kind=kind, config=found, host_id=host_id)
