"""Compute the cost of a step from the price of the hardware."""

from __future__ import annotations

from statistics import fmean

import msgspec

from ...models import ProfileSummary, StepPrice

WITHOUT_STEPS = "The trace has no steps (ProfilerStep), so the cost per step is not known."
_US_AN_HOUR = 3600 * 1e6


def priced(summary: ProfileSummary, usd_per_hour: float | None, target: str = "") -> ProfileSummary:
    """Return the summary with the cost of a step, which replaces an earlier one.

    ``usd_per_hour`` is the price of all traced ranks together, in USD; None changes nothing. The length of a
    step is the mean of all ranks' steps on the host, without warm-up. ``target`` has this price; it is empty
    where the user gave the price.
    """
    if usd_per_hour is None:
        return summary
    spans = [step.span_us for step in summary.steps if not step.warmup]
    usd_a_step = usd_per_hour * fmean(spans) / _US_AN_HOUR if spans else None
    price = StepPrice(usd_per_hour=usd_per_hour, target=target, usd_a_step=usd_a_step)
    roofline = summary.roofline
    if roofline is not None:
        missing = roofline.missing
        if usd_a_step is None and WITHOUT_STEPS not in missing:
            missing = f"{missing} {WITHOUT_STEPS}".strip()
        roofline = msgspec.structs.replace(roofline, usd_a_step=usd_a_step, missing=missing)
    return msgspec.structs.replace(summary, price=price, roofline=roofline)
