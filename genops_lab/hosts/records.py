"""A target as it is remembered, and what may be remembered."""

from __future__ import annotations

import math

import msgspec

from genops_lab.core.errors import InvalidRequest
from genops_lab.hosts.link.route import Route

from .models import NewTarget, TargetPolicy
from .names import check_name, check_secrets

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
        return self.route.host or "this machine"


def record_of(new: NewTarget, *, locked: bool = False) -> TargetRecord:
    """What to remember of a new target. Raises InvalidRequest, naming the field that cannot be used."""
    check_name(new.name)
    for field in ("host", "user", "identity_file", "python"):
        if len(getattr(new, field)) > MAX_TEXT:
            raise InvalidRequest(f"{field} is longer than {MAX_TEXT} characters.", hint="Give a shorter one.")
    if new.kind == "local" and (new.host or new.user or new.port or new.identity_file):
        raise InvalidRequest(
            "A target on this machine has no host, user, port or key.",
            hint="Leave them out, or add the host over SSH.",
        )
    route = Route(
        target=new.name,
        kind=new.kind,
        host=new.host.strip(),
        user=new.user.strip(),
        port=new.port,
        identity_file=new.identity_file.strip(),
        python=new.python.strip() or "python3",
        carrier=new.carrier,
    )
    route.check()
    return TargetRecord(
        route=route,
        price_per_hour=check_price(new.price_per_hour),
        secrets=check_secrets(new.secrets),
        policy=check_policy(new.policy),
        locked=locked,
    )


def check_price(price: float | None) -> float | None:
    """A price in USD an hour. Raises InvalidRequest for one below 0 or without end."""
    if price is not None and (not math.isfinite(price) or price < 0):
        raise InvalidRequest(f"{price} is not a price.", hint="Give USD an hour, such as 2.49.")
    return price


def check_policy(policy: TargetPolicy) -> TargetPolicy:
    """The policy itself. Raises InvalidRequest, naming what cannot be done."""
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
