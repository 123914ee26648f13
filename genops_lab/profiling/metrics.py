"""What a run keeps of a profile as metrics, so that runs can be compared by it."""

from __future__ import annotations

from .models import ProfileSummary

PREFIX = "profile/"


def metrics(summary: ProfileSummary) -> dict[str, float]:
    """``idle_percent`` and ``exposed_comm_percent`` of all devices' spans, ``mfu_percent`` and
    ``usd_a_step`` where they are known.

    Without a device there is no idle time to speak of, nor of kernels that Nsight Compute ran one by one: no metric.
    """
    found: dict[str, float] = {}
    span = sum(device.span_us for device in summary.devices)
    if span > 0 and summary.measured is None:
        found["idle_percent"] = 100 * sum(device.idle_us for device in summary.devices) / span
        exposed = sum(device.exposed_comm_us for device in summary.devices)
        found["exposed_comm_percent"] = 100 * exposed / span
    mfu = None if summary.roofline is None else summary.roofline.mfu
    if mfu is not None:
        found["mfu_percent"] = 100 * mfu
    if summary.price is not None and summary.price.usd_a_step is not None:
        found["usd_a_step"] = summary.price.usd_a_step
    return {PREFIX + name: value for name, value in found.items()}
