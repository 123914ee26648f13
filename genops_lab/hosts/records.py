"""A target as it is remembered, and what may be remembered."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import msgspec

from genops_lab.core.errors import InvalidRequest
from genops_lab.hosts.link.route import Route

from .configuration import check, limited
from .models import NewTarget, TargetPolicy
from .names import check_name, check_secrets
from .providers import provider_of, route_of
from .providers.base import HostProvider

MAX_TEXT = 1024
MAX_WARM = 8
MAX_IDLE_MINUTES = 30 * 24 * 60.0


class TargetRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A target as the store remembers it. ``locked``: the administrator's."""

    route: Route
    price_per_hour: float | None = None
    secrets: list[str] = []
    policy: TargetPolicy = TargetPolicy()
    locked: bool = False
    created_at: float = 0.0

    @property
    def name(self) -> str:
        """The target's name."""
        return self.route.target

    @property
    def where(self) -> str:
        """The host, as a person knows it."""
        return provider_of(self.route.kind).where(self.route.config)


def record_of(
    new: NewTarget, *, locked: bool = False, limits: Mapping[str, Mapping[str, Any]] | None = None
) -> TargetRecord:
    """What to remember of a new target. ``limits`` are those of its kind's fields (``limited``).

    Raises InvalidRequest, naming the field that cannot be used.
    """
    check_name(new.name)
    provider = provider_of(new.kind)
    form = limited(provider.form(), limits or {})
    fields = {field.name: field for field in form}
    given = {name: value.strip() if isinstance(value, str) else value for name, value in new.given().items()}
    for name, value in given.items():
        if name not in fields:
            raise InvalidRequest(
                f"A target of the kind {provider.label!r} has no {name.replace('_', ' ')}.",
                hint=f"Leave it out, or choose another kind. It has: {', '.join(fields)}.",
            )
        if isinstance(value, str) and len(value) > MAX_TEXT:
            raise InvalidRequest(f"{name} is longer than {MAX_TEXT} characters.", hint="Give a shorter one.")
    defaults = {name: fields[name].default for name in limits or {}}
    route = route_of(new.name, new.kind, **{**defaults, **given})
    check(route.config, form)
    provider.check(route.config)
    return TargetRecord(
        route=route,
        price_per_hour=check_price(new.price_per_hour),
        secrets=check_secrets(new.secrets),
        policy=check_policy(new.policy, provider),
        locked=locked,
    )


def check_price(price: float | None) -> float | None:
    """A price in USD an hour. Raises InvalidRequest for one below 0 or without end."""
    if price is not None and (not math.isfinite(price) or price < 0):
        raise InvalidRequest(f"{price} is not a price.", hint="Give USD an hour, such as 2.49.")
    return price


def check_policy(policy: TargetPolicy, provider: HostProvider) -> TargetPolicy:
    """The policy itself. Raises InvalidRequest, naming what cannot be done."""
    if policy.warm_kernels and provider.allocates:
        raise InvalidRequest(
            f"No kernels can stand ready: each gets a {provider.host_noun} of its own when it starts.",
            hint="Keep 0 ready.",
        )
    if not 0 <= policy.warm_kernels <= MAX_WARM:
        raise InvalidRequest(
            f"{policy.warm_kernels} kernels cannot be kept ready.", hint=f"Keep 0 to {MAX_WARM} ready."
        )
    minutes = policy.idle_minutes
    if minutes is not None and not 1 <= minutes <= MAX_IDLE_MINUTES:
        raise InvalidRequest(
            f"Kernels cannot be ended after {minutes:g} minutes without work.",
            hint="Give 1 minute to 30 days, or leave it off.",
        )
    if policy.folder_max_files < 0 or policy.folder_max_bytes < 0:
        raise InvalidRequest(
            "No folder has less than nothing in it.", hint="Give 0 to be asked about every file, or more."
        )
    if not 0 <= policy.idle_gpu_percent <= 100:
        raise InvalidRequest(
            f"{policy.idle_gpu_percent:g} % is no use of a GPU.", hint="Give 0 to 100 percent, such as 5."
        )
    return policy
