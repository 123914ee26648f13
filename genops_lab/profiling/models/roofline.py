"""Work done against what the device can do."""

from __future__ import annotations

from typing import Literal

import msgspec


class Peak(msgspec.Struct, frozen=True, kw_only=True):
    """What a device can do, from its maker's data sheet (dense)."""

    model: str
    dtype: str
    tflops: float
    gb_per_s: float


class OperatorWork(msgspec.Struct, frozen=True, kw_only=True):
    """An operator of one set of shapes against the roofline.

    ``share`` is the part of the attainable speed that it has reached, 0 to 1; attainable is the lesser of the
    peak and bandwidth times intensity (Williams, Waterman, Patterson: Roofline, 2009). ``tflops``, ``intensity`` and
    ``share`` are of ``dtype``: of several that were counted that which reaches most of its peak. ``flops`` are of all.
    """

    name: str
    shapes: str
    dtype: str
    count: int
    device_us: float
    flops: float
    bytes: float
    tflops: float
    gb_per_s: float
    #: FLOPs a byte.
    intensity: float
    share: float
    bound: Literal["compute", "memory", ""]


class Roofline(msgspec.Struct, frozen=True, kw_only=True):
    """``mfu``: FLOPs of the steps over their time and the peak, 0 to 1; without steps of the whole trace.

    None where it is not known. Each FLOP is measured by the peak of its dtype; ``flops`` are those of the same time.
    """

    peaks: list[Peak]
    flops: float
    mfu: float | None
    #: Of the device's compute time, the part whose FLOPs are known.
    covered: float
    operators: list[OperatorWork]
    #: As in the summary's ``price``; None where there is none.
    usd_a_step: float | None = None
    #: What is missing, for people; "" where nothing is.
    missing: str = ""
