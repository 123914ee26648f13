"""A target, as kernels need it: its route, secrets, policy and price."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from ..hosts.link.route import Route

if TYPE_CHECKING:
    from ..hosts.models import TargetPolicy


class TargetEntry(Protocol):
    """A target as the store has it (``targets.ledger.TargetRecord``)."""

    @property
    def route(self) -> Route:
        """Return the route to the target."""

    @property
    def secrets(self) -> list[str]:
        """Return the names of this process's variables that the target's kernels get."""

    @property
    def policy(self) -> TargetPolicy:
        """Return the policy for its kernels."""

    @property
    def price_per_hour(self) -> float | None:
        """Return the price of one of its hosts in USD; None if it is not known."""


def idle_order(target: TargetEntry, preset_price: float | None = None) -> dict[str, float] | None:
    """Return the part of a target's policy about idle kernels, in the agents' format. The price of a kernel's preset
    goes before the target's."""
    policy, price = target.policy, target.price_per_hour if preset_price is None else preset_price
    if policy.idle_minutes is None:
        return None
    order = {"seconds": policy.idle_minutes * 60.0, "gpu_percent": policy.idle_gpu_percent}
    return order if price is None else {**order, "price_per_hour": price}
