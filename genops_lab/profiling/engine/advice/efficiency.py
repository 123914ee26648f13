"""Advice on operators that are slower than their shapes allow, by cause.

The measure is the roofline (Williams, Waterman, Patterson, 2009): a call cannot be shorter than its FLOPs
over the peak, nor than its bytes over the bandwidth. Good kernels reach about four fifths of this bound. A
call that takes far longer has a cause. Each group of calls gets one cause, so that no time counts twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from ...models import Advice
from ..efficiency.accelerators import Speed
from ..formatting import counted, percent
from .causes import CAUSES, cause_of, convolution_cause, matmul_cause, runs_in_fp32
from .context import Context, Stake, milliseconds
from .groups import LARGE_BYTES, Group
from .shapes import Work

UNFUSED = "attention_unfused"
_SOFTMAX = re.compile(r"softmax", re.IGNORECASE)
#: Below this length the scores are small, and fusing saves nothing.
LONG_SEQUENCE = 128
#: Speed of a good fused kernel, as a share of the peak, for the two products of attention (0.35 on every
#: maker's hardware, FlashAttention-2, Dao 2023).
FUSED_SPEED = 0.35


def attention_cause(group: Group, share: float, slow: float) -> str:
    """Return the cause, or "" for fast fused attention. The math path of ``scaled_dot_product_attention``
    runs a softmax operator."""
    if any(_SOFTMAX.search(name) and "attn" not in name.lower() for name in group.kernels):
        return UNFUSED
    return "attention_low_efficiency" if share < slow else ""


def unfused_parts(context: Context) -> list[tuple[Group, list[Group]]]:
    """Return each softmax over scores with the products before and after it.

    The match is by shapes: the softmax's last two dimensions equal those of one product's result and of
    another product's first operand.
    """
    products = [each for each in context.groups if each.work.family == "matmul"]
    found = []
    for softmax in context.groups:
        dims = softmax.call.dims[0] if softmax.call.dims else []
        if "softmax" not in softmax.call.name or len(dims) < 3 or min(dims[-2:]) < LONG_SEQUENCE:
            continue
        scores = [each for each in products if _result(each) == dims[-2:]]
        values = [each for each in products if _left(each)[-2:] == dims[-2:]]
        if scores and values:
            found.append((softmax, [*scores, *(each for each in values if each not in scores)]))
    return found


def unfused_attention(context: Context) -> Iterable[Advice]:
    """Find attention as separate operators. Saving: its time less that of a fused kernel for the same
    products."""
    found = unfused_parts(context)
    if not found or context.speed is None:
        return
    groups = {id(each): each for softmax, products in found for each in (softmax, *products)}
    spent = sum(each.device_ns for each in groups.values())
    flops = sum(each.work.flops * each.count for each in groups.values() if each.work.family == "matmul")
    saving = context.on_one(int(max(0.0, spent - 1e9 * flops / (context.speed.half * FUSED_SPEED))))
    total = context.on_one(spent)
    if not context.worth(saving):
        return
    cause, softmax = (
        CAUSES[UNFUSED],
        max((each for each, _products in found), key=lambda each: each.device_ns),
    )
    scores = softmax.call.dims[0]
    yield context.advice(
        UNFUSED,
        cause.title,
        f"Two products and a softmax take {milliseconds(total)} of device time ({context.share(total)} of"
        f" the trace). They write and read scores of {scores} ({softmax.call.size(0) / 1e6:.0f} MB) {softmax.count}"
        " times; a fused kernel keeps the scores on the chip.",
        Stake(saving, np.concatenate([each.slices for each in groups.values()])),
        cause.suggestion,
        cause.code_hint,
    )


def _result(group: Group) -> list[int]:
    found = group.work.matrices
    return [found.rows, found.columns] if found else []


def _left(group: Group) -> list[int]:
    dims = group.call.dims
    return dims[1] if group.call.name in ("aten::baddbmm", "aten::addmm") and len(dims) > 1 else dims[0]


REACHABLE = 0.8
#: Share of the roofline below which a call is slow, by family. Good kernels exceed it on every maker's
#: hardware (matrix products 45 to 75 %, attention 35 to 75 %, streaming 70 to 90 %).
SLOW = {"matmul": 0.4, "convolution": 0.3, "attention": 0.3, "experts": 0.3}
SLOW_STREAMING = 0.5
#: A shorter kernel is mostly start and end overhead.
LONG_ENOUGH_NS = 10_000
#: Calls of one shape, and the share of the roofline below which they are many small ones.
MANY, TINY = 32, 0.1
#: Least rows of a matrix unit.
_FULL_ROWS = 16


class Slow(NamedTuple):
    """A group with its cause; ``ideal_ns`` is for one call."""

    group: Group
    code: str
    ideal_ns: float
    share: float

    @property
    def saving(self) -> int:
        """Return the group's time beyond four fifths of the roofline."""
        return int(max(0.0, self.group.device_ns - self.group.count * self.ideal_ns / REACHABLE))


def ideal_ns(work: Work, speed: Speed) -> float:
    """Return the roofline time of one call, in nanoseconds."""
    return 1e9 * max(work.flops / speed.peak(work.bits), work.bytes / speed.bandwidth)


def slow_groups(context: Context, speed: Speed) -> Iterator[Slow]:
    """Yield the groups that are far from their roofline or slow because of their shapes, with the cause."""
    covered = {id(each) for softmax, products in unfused_parts(context) for each in (softmax, *products)}
    for group in context.groups:
        if id(group) not in covered:
            found = _judged(group, speed) if group.each_ns >= LONG_ENOUGH_NS else _tiny(group, speed)
            if found is not None:
                yield found


def efficiency(context: Context) -> Iterable[Advice]:
    """Yield one advice per cause. Saving: the groups' time beyond four fifths of their roofline. For fp32,
    the roofline is that of the faster number format."""
    if context.speed is None:
        return
    by_code: dict[str, list[Slow]] = {}
    for slow in slow_groups(context, context.speed):
        by_code.setdefault(slow.code, []).append(slow)
    for code, slows in by_code.items():
        saving = context.on_one(sum(each.saving for each in slows))
        if context.worth(saving):
            yield _advice(context, context.speed, code, slows, saving)


def _judged(group: Group, speed: Speed) -> Slow | None:
    work = group.work
    family = work.family
    if family == "experts" and work.rows_an_expert < _FULL_ROWS:
        # A matrix unit processes 16 rows, also where fewer are used.
        part = work.rows_an_expert / _FULL_ROWS
        return Slow(group, "small_gemms", group.each_ns * part, part)
    if family in ("matmul", "convolution") and runs_in_fp32(group, speed):
        faster = 1e9 * max(work.flops / max(speed.half, 1.0), work.bytes / 2 / speed.bandwidth)
        slowest = 1e9 * work.flops / speed.fp32
        if slowest > 1e9 * work.bytes / speed.bandwidth and faster < group.each_ns * SLOW["matmul"]:
            return Slow(group, "fp32_math", faster, faster / group.each_ns)
    ideal = ideal_ns(work, speed)
    share = ideal / group.each_ns
    if family == "attention":
        code = attention_cause(group, share, SLOW["attention"])
        return Slow(group, code, ideal, share) if code else None
    if share >= SLOW.get(family, SLOW_STREAMING):
        return None
    if family == "experts":
        return Slow(group, "low_gemm_efficiency", ideal, share)
    if family == "matmul":
        return Slow(group, matmul_cause(group, speed), ideal, share)
    if family == "convolution":
        return Slow(group, convolution_cause(group), ideal, share)
    # A reduction reads its whole input. Small tensors are limited by the speed of caches instead.
    return Slow(group, "low_bandwidth", ideal, share) if work.bytes >= LARGE_BYTES else None


def _tiny(group: Group, speed: Speed) -> Slow | None:
    """Return many products that are each mostly start and end overhead."""
    ideal = ideal_ns(group.work, speed)
    share = ideal / group.each_ns if group.each_ns else 1.0
    is_tiny = group.work.family == "matmul" and group.count >= MANY and share < TINY
    return Slow(group, "small_gemms", ideal, share) if is_tiny else None


def _advice(context: Context, speed: Speed, code: str, slows: list[Slow], saving: int) -> Advice:
    slows.sort(key=lambda each: -each.group.device_ns)
    first = slows[0]
    group, work, cause = first.group, first.group.work, cause_of(code, first.group, amd=context.is_amd)
    total = context.on_one(sum(each.group.device_ns for each in slows))
    count = sum(each.group.count for each in slows)
    rate = work.flops / group.each_ns * 1e-3, work.bytes / group.each_ns
    reached = (
        f"{rate[0]:.1f} TFLOP/s and {rate[1]:.0f} GB/s, {percent(min(first.share, 1.0), 1.0)} of what"
        f" {_device(speed)} allows for these shapes"
    )
    if code == "small_gemms" and work.rows_an_expert:
        reached = f"each expert multiplies {work.rows_an_expert:.2g} rows, a matrix unit takes {_FULL_ROWS}"
    if code == "fp32_math":
        half = f"{speed.half / 1e12:.0f} in 16 bits"
        reached = f"{rate[0]:.1f} TFLOP/s in fp32; {_device(speed)} has {half}"
    kernels = ", ".join(_short(name) for name in group.kernels[:2])
    return context.advice(
        code,
        ("Many experts with few tokens each: " if code == "small_gemms" and work.rows_an_expert else "")
        + cause.title.format(name=group.call.name, share=percent(min(first.share, 1.0), 1.0)),
        f"{counted(count, 'call takes', 'calls take')} {milliseconds(total)} of device time"
        f" ({context.share(total)} of the trace). The largest:"
        f" {group.call.name} {group.shapes} ({group.call.types[0] if group.call.types else '?'}),"
        f" {milliseconds(group.each_ns)} a call: {reached}.{cause.detail(group, speed)}"
        f"{f' Kernel: {kernels}.' if kernels else ''}",
        Stake(saving, np.concatenate([each.group.slices for each in slows])),
        cause.suggestion,
        cause.code_hint,
    )


def _device(speed: Speed) -> str:
    if speed.assumed:
        like = f"a GPU like the {speed.model}" if speed.model else "a small data-centre GPU"
        return f"{like} (the speed of this device is not known)"
    if speed.by_kernels:
        return (
            f"a GPU like the {speed.model} (the trace names no device; its kernels are compiled for this one)"
        )
    return f"the {speed.model}"


def _short(name: str) -> str:
    plain = re.sub(r"\(.*", "", name).removeprefix("void ")
    return plain if len(plain) <= 60 else f"{plain[:57]}..."
