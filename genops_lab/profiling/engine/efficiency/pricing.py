"""What a step costs, from the price an hour of what it ran on."""

from __future__ import annotations

from statistics import fmean

import msgspec

from ...models import ProfileSummary, StepPrice

WITHOUT_STEPS = "The trace has no steps (ProfilerStep), so the cost per step is not known."
_US_AN_HOUR = 3600 * 1e6


def priced(summary: ProfileSummary, usd_per_hour: float | None, target: str = "") -> ProfileSummary:
    """The same summary with the price of a step, in place of any that it had.

    ``usd_per_hour``: what all the traced ranks cost together, in USD; without one nothing changes. A step's length is
    the mean of all ranks' steps on the host without warm-up. ``target``: whose price that is, empty where a person
    gave it.
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
