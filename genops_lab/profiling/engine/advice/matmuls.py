"""Causes of slow matrix products and convolutions."""

from __future__ import annotations

import re
from typing import NamedTuple

from .groups import Group
from .shapes import Matrices
from .speeds import Speed

#: Matrix units load 16 bytes at once: a dimension that is no multiple of that many numbers needs slower loads.
LOAD_BITS = 128
TILE = 128
#: Vectors, not matrices; and so few that reading the other operand takes longer than multiplying.
FEW_ROWS, BOUND_ROWS = 16, 64

# Libraries' kernels on matrix units (tensorop, nvjet) have no fp32 there.
_LESS_THAN_FP32 = re.compile(
    r"tf32|xf32|bf16|_h16|f16f16|s1688|s16816|tensorop|nvjet|_BBS_|_HHS_|_B8_", re.IGNORECASE
)


class Misaligned(NamedTuple):
    """Contiguous dimensions that are no multiple of what is loaded at once."""

    lengths: list[int]
    multiple: int


def runs_in_fp32(group: Group, speed: Speed) -> bool:
    """fp32 operands on units without less precision, where the device has faster ones."""
    if group.work.bits != 32 or group.work.depthwise or speed.half < 2 * speed.fp32:
        return False
    if any(_LESS_THAN_FP32.search(name) for name in group.kernels):
        return False
    # Triton's names do not tell, but what is faster than fp32 can be is none. Convolutions may multiply less
    # (Winograd).
    exact = group.work.family == "matmul" and not speed.assumed
    return not exact or group.work.flops <= group.each_ns * 1e-9 * speed.fp32


def tiles(found: Matrices) -> int:
    """Output tiles, of 128 by 128 at most."""
    return found.batch * -(-found.rows // TILE) * -(-found.columns // TILE)


def misaligned(group: Group) -> Misaligned:
    """Dimensions along which memory is contiguous or which the result's rows have. The rows' number matters
    only where the operand is transposed, which shapes do not tell: it is left out when another is aligned."""
    found = group.work.matrices
    multiple = max(1, LOAD_BITS // group.work.bits)
    if found is None:
        return Misaligned([], multiple)
    lengths = [found.inner, found.columns] if group.work.family == "matmul" else _channels(group)
    return Misaligned(sorted({each for each in lengths if each > FEW_ROWS and each % multiple}), multiple)


def matmul_cause(group: Group, speed: Speed) -> str:
    """Of a product that is far from its roofline."""
    found = group.work.matrices
    if found is None:
        return "low_gemm_efficiency"
    work = group.work
    bound_by_memory = work.bytes / speed.bandwidth > work.flops / speed.peak(work.bits)
    if min(found.rows, found.columns) <= (BOUND_ROWS if bound_by_memory else FEW_ROWS):
        return "skinny_gemm"
    if misaligned(group).lengths:
        return "misaligned_shapes"
    if tiles(found) * 2 <= speed.processors:
        return "few_tiles"
    return "low_gemm_efficiency"


def convolution_cause(group: Group) -> str:
    """Of a convolution that is far from its roofline."""
    if group.work.depthwise:
        return "depthwise_conv"
    if misaligned(group).lengths:
        return "misaligned_shapes"
    return "low_conv_efficiency"


def _channels(group: Group) -> list[int]:
    weight = group.call.dims[2 if group.call.name.endswith("backward") else 1]
    return [weight[1], weight[0]]
