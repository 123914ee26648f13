"""The stored record of a target, and the checks of its values."""

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
#: Where each one needs a pod or a job of its own.
MAX_WARM_HOSTS = 4
MAX_WARM_MINUTES = 24 * 60
MAX_IDLE_MINUTES = 30 * 24 * 60.0


class TargetRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A target in the store. ``locked``: the administrator's."""

    route: Route
    price_per_hour: float | None = None
    secrets: list[str] = []
    policy: TargetPolicy = TargetPolicy()
    locked: bool = False
    created_at: float = 0.0

    @property
    def name(self) -> str:
        """Return the target's name."""
        return self.route.target

    @property
    def where(self) -> str:
        """Return the host's name for users."""
        return provider_of(self.route.kind).where(self.route.config)


def record_of(
    new: NewTarget, *, locked: bool = False, limits: Mapping[str, Mapping[str, Any]] | None = None
) -> TargetRecord:
    """Return the record of a new target. ``limits`` are those of its kind's fields (``limited``).

    Raises InvalidRequest, which names the invalid field.
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
                hint=f"Leave it out, or choose another kind. The fields of this kind: {', '.join(fields)}.",
            )
        if isinstance(value, str) and len(value) > MAX_TEXT:
            raise InvalidRequest(f"{name} has at most {MAX_TEXT} characters.", hint="Give a shorter value.")
    defaults = {name: fields[name].default for name in limits or {} if name in fields}
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
    """Return a price in USD an hour. Raises InvalidRequest for one below 0 or infinite."""
    if price is not None and (not math.isfinite(price) or price < 0):
        raise InvalidRequest(f"{price} is not a price.", hint="Give USD an hour, such as 2.49.")
    return price


def check_policy(policy: TargetPolicy, provider: HostProvider) -> TargetPolicy:
    """Return the policy. Raises InvalidRequest, which names the invalid field."""
    if provider.allocates and policy.warm_kernels > MAX_WARM_HOSTS:
        raise InvalidRequest(
            f"warm_kernels cannot be {policy.warm_kernels}: each one needs its own {provider.host_noun}.",
            hint=f"Give a number from 0 to {MAX_WARM_HOSTS}.",
        )
    if not 1 <= policy.warm_minutes <= MAX_WARM_MINUTES:
        raise InvalidRequest(
            f"warm_minutes cannot be {policy.warm_minutes:g}.", hint="Give 1 minute to 24 hours."
        )
    if not 0 <= policy.warm_kernels <= MAX_WARM:
        raise InvalidRequest(
            f"warm_kernels cannot be {policy.warm_kernels}.", hint=f"Give a number from 0 to {MAX_WARM}."
        )
    minutes = policy.idle_minutes
    if minutes is not None and not 1 <= minutes <= MAX_IDLE_MINUTES:
        raise InvalidRequest(
            f"idle_minutes cannot be {minutes:g}.",
            hint="Give 1 minute to 30 days, or leave it empty.",
        )
    if policy.folder_max_files < 0 or policy.folder_max_bytes < 0:
        raise InvalidRequest(
            "folder_max_files and folder_max_bytes must be 0 or more.",
            hint="Give 0 to be asked before every upload, or a larger number.",
        )
    if not 0 <= policy.idle_gpu_percent <= 100:
        raise InvalidRequest(
            f"idle_gpu_percent cannot be {policy.idle_gpu_percent:g}.",
            hint="Give 0 to 100 percent, such as 5.",
        )
    return policy
