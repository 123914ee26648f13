"""The price of a step, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from genops_lab.profiling.models import StepPrice


def price_words(price: StepPrice) -> str:
    """``$0.00012 a step, at $2.5 an hour (target gpu1)``."""
    rate = f"${price.usd_per_hour:.3g} an hour"
    rate += f" (the price of target {price.target})" if price.target else ""
    if price.usd_a_step is None:
        return f"No steps are known, so none has a price; {rate}."
    return f"${price.usd_a_step:.3g} a step, at {rate}"
