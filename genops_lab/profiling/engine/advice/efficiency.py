"""Operators that are slower than their shapes ask for, by the cause that shapes and kernels show.

The measure is the roofline (Williams, Waterman, Patterson, 2009): a call cannot be shorter than its FLOPs over
the peak, nor than its bytes over the bandwidth. Well-made kernels reach about four fifths of the larger; a call
that takes far longer has a cause. Each group of calls gets one cause, so that no time is at stake twice.
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
#: Below this length the scores are small and nothing is to be gained.
LONG_SEQUENCE = 128
#: What the scores cost when a fused kernel keeps them on the chip: its products alone, at the speed that good
#: fused kernels reach (0.35 of the peak on every maker's hardware, FlashAttention-2, Dao 2023).
FUSED_SPEED = 0.35


def attention_cause(group: Group, share: float, slow: float) -> str:
    """ "" when it is neither. The mathematical path of ``scaled_dot_product_attention`` runs a softmax of its own."""
    if any(_SOFTMAX.search(name) and "attn" not in name.lower() for name in group.kernels):
        return UNFUSED
    return "attention_low_efficiency" if share < slow else ""


def unfused_parts(case: Context) -> list[tuple[Group, list[Group]]]:
    """Each softmax over scores with the products before and after it.

    Recognised by shapes: the softmax's last two dimensions are those of the result of one product and of the
    first operand of another.
    """
    products = [each for each in case.groups if each.work.family == "matmul"]
    found = []
    for softmax in case.groups:
        dims = softmax.call.dims[0] if softmax.call.dims else []
        if "softmax" not in softmax.call.name or len(dims) < 3 or min(dims[-2:]) < LONG_SEQUENCE:
            continue
        scores = [each for each in products if _result(each) == dims[-2:]]
        values = [each for each in products if _left(each)[-2:] == dims[-2:]]
        if scores and values:
            found.append((softmax, [*scores, *(each for each in values if each not in scores)]))
    return found


def unfused_attention(case: Context) -> Iterable[Advice]:
    """Attention as operators of their own. Saving: all its time, less a fused kernel's for the same products."""
    found = unfused_parts(case)
    if not found or case.speed is None:
        return
    groups = {id(each): each for softmax, products in found for each in (softmax, *products)}
    spent = sum(each.device_ns for each in groups.values())
    flops = sum(each.work.flops * each.count for each in groups.values() if each.work.family == "matmul")
    saving = case.on_one(int(max(0.0, spent - 1e9 * flops / (case.speed.half * FUSED_SPEED))))
    total = case.on_one(spent)
    if not case.worth(saving):
        return
    cause, softmax = (
        CAUSES[UNFUSED],
        max((each for each, _products in found), key=lambda each: each.device_ns),
    )
    scores = softmax.call.dims[0]
    yield case.advice(
        UNFUSED,
        cause.title,
        f"Products, softmax and products again take {milliseconds(total)} of device time ({case.share(total)} of"
        f" the trace); {softmax.count} times scores of {scores} ({softmax.call.size(0) / 1e6:.0f} MB) are written"
        " and read, which a fused kernel keeps on the chip.",
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
#: Below this share of the roofline a call is slow, by what it is: what good kernels surpass on every maker's
#: hardware (matrix products 45 to 75 %, attention 35 to 75 %, streaming 70 to 90 %).
SLOW = {"matmul": 0.4, "convolution": 0.3, "attention": 0.3, "experts": 0.3}
SLOW_STREAMING = 0.5
#: A shorter kernel is mostly its own start and end.
LONG_ENOUGH_NS = 10_000
#: Calls of one shape, and below which share of the roofline, to be many small ones.
MANY, TINY = 32, 0.1
#: Rows that a matrix unit takes at least.
_FULL_ROWS = 16


class Slow(NamedTuple):
    """A group with its cause; ``ideal_ns`` for one call."""

    group: Group
    code: str
    ideal_ns: float
    share: float

    @property
    def saving(self) -> int:
        """The group's time beyond four fifths of the roofline."""
        return int(max(0.0, self.group.device_ns - self.group.count * self.ideal_ns / REACHABLE))


def ideal_ns(work: Work, speed: Speed) -> float:
    """The roofline's time of one call."""
    return 1e9 * max(work.flops / speed.peak(work.bits), work.bytes / speed.bandwidth)


def slow_groups(case: Context, speed: Speed) -> Iterator[Slow]:
    """Groups that are far from their roofline or that their shapes make slow, with the cause."""
    told = {id(each) for softmax, products in unfused_parts(case) for each in (softmax, *products)}
    for group in case.groups:
        if id(group) not in told:
            found = _judged(group, speed) if group.each_ns >= LONG_ENOUGH_NS else _tiny(group, speed)
            if found is not None:
                yield found


def efficiency(case: Context) -> Iterable[Advice]:
    """One advice a cause. Saving: what the groups take beyond four fifths of their roofline; for fp32 the
    roofline is that of the faster number format."""
    if case.speed is None:
        return
    by_code: dict[str, list[Slow]] = {}
    for slow in slow_groups(case, case.speed):
        by_code.setdefault(slow.code, []).append(slow)
    for code, slows in by_code.items():
        saving = case.on_one(sum(each.saving for each in slows))
        if case.worth(saving):
            yield _advice(case, case.speed, code, slows, saving)


def _judged(group: Group, speed: Speed) -> Slow | None:
    work = group.work
    family = work.family
    if family == "experts" and work.rows_an_expert < _FULL_ROWS:
        # A matrix unit takes 16 rows whether they are there or not.
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
    # A reduction reads what it is given; where tensors are small the caches' speed would be the measure.
    return Slow(group, "low_bandwidth", ideal, share) if work.bytes >= LARGE_BYTES else None


def _tiny(group: Group, speed: Speed) -> Slow | None:
    """Many products so small that each is mostly its kernel's start and end."""
    ideal = ideal_ns(group.work, speed)
    share = ideal / group.each_ns if group.each_ns else 1.0
    is_tiny = group.work.family == "matmul" and group.count >= MANY and share < TINY
    return Slow(group, "small_gemms", ideal, share) if is_tiny else None


def _advice(case: Context, speed: Speed, code: str, slows: list[Slow], saving: int) -> Advice:
    slows.sort(key=lambda each: -each.group.device_ns)
    first = slows[0]
    group, work, cause = first.group, first.group.work, cause_of(code, first.group, amd=case.is_amd)
    total = case.on_one(sum(each.group.device_ns for each in slows))
    count = sum(each.group.count for each in slows)
    rate = work.flops / group.each_ns * 1e-3, work.bytes / group.each_ns
    reached = (
        f"{rate[0]:.1f} TFLOP/s and {rate[1]:.0f} GB/s, {percent(min(first.share, 1.0), 1.0)} of what"
        f" {_device(speed)} allows for these shapes"
    )
    if code == "small_gemms" and work.rows_an_expert:
        reached = (
            f"each expert multiplies {work.rows_an_expert:.2g} rows, where a matrix unit takes {_FULL_ROWS}"
        )
    if code == "fp32_math":
        half = f"{speed.half / 1e12:.0f} in 16 bits"
        reached = f"{rate[0]:.1f} TFLOP/s in fp32, where {_device(speed)} has {half}"
    kernels = ", ".join(_short(name) for name in group.kernels[:2])
    return case.advice(
        code,
        ("Many experts with few tokens each: " if code == "small_gemms" and work.rows_an_expert else "")
        + cause.title.format(name=group.call.name, share=percent(min(first.share, 1.0), 1.0)),
        f"{counted(count, 'call takes', 'calls take')} {milliseconds(total)} of device time"
        f" ({case.share(total)} of the trace). The largest:"
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
        return f"{like} (what this one can do is not known)"
    if speed.by_kernels:
        return f"a GPU like the {speed.model} (the trace names none, its kernels are made for such)"
    return f"the {speed.model}"


def _short(name: str) -> str:
    plain = re.sub(r"\(.*", "", name).removeprefix("void ")
    return plain if len(plain) <= 60 else f"{plain[:57]}..."
