"""Causes of slow operators, with the sentences that explain them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from ..efficiency.accelerators import Speed
from .groups import Group
from .shapes import Matrices

#: Matrix units load 16 bytes at once: a dimension that is not a multiple of that many numbers needs slower
#: loads.
LOAD_BITS = 128
TILE = 128
#: Rows of a vector-like operand, and rows below which reading the other operand takes longer than
#: multiplying.
FEW_ROWS, BOUND_ROWS = 16, 64

# Library kernels on matrix units (tensorop, nvjet) have no fp32 path.
_LESS_THAN_FP32 = re.compile(
    r"tf32|xf32|bf16|_h16|f16f16|s1688|s16816|tensorop|nvjet|_BBS_|_HHS_|_B8_", re.IGNORECASE
)


class Misaligned(NamedTuple):
    """Contiguous dimensions that are not a multiple of the numbers that one load takes."""

    lengths: list[int]
    multiple: int


def runs_in_fp32(group: Group, speed: Speed) -> bool:
    """Return whether the operands are fp32, computed on full-precision units, on a device that has faster
    units."""
    if group.work.bits != 32 or group.work.depthwise or speed.half < 2 * speed.fp32:
        return False
    if any(_LESS_THAN_FP32.search(name) for name in group.kernels):
        return False
    # Triton kernel names do not show the type, but a kernel that is faster than the fp32 peak is not fp32.
    # Convolutions may multiply less (Winograd).
    exact = group.work.family == "matmul" and not speed.assumed
    return not exact or group.work.flops <= group.each_ns * 1e-9 * speed.fp32


def tiles(found: Matrices) -> int:
    """Return the number of output tiles, of 128 by 128 at most."""
    return found.batch * -(-found.rows // TILE) * -(-found.columns // TILE)


def misaligned(group: Group) -> Misaligned:
    """Return the misaligned dimensions: those contiguous in memory, and the columns of the result. The number
    of rows matters only for a transposed operand. Shapes do not show transposition, so rows are left out when
    another dimension is aligned."""
    found = group.work.matrices
    multiple = max(1, LOAD_BITS // group.work.bits)
    if found is None:
        return Misaligned([], multiple)
    lengths = [found.inner, found.columns] if group.work.family == "matmul" else _channels(group)
    return Misaligned(sorted({each for each in lengths if each > FEW_ROWS and each % multiple}), multiple)


def matmul_cause(group: Group, speed: Speed) -> str:
    """Return the code of the cause for a product that is far from its roofline."""
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
    """Return the code of the cause for a convolution that is far from its roofline."""
    if group.work.depthwise:
        return "depthwise_conv"
    if misaligned(group).lengths:
        return "misaligned_shapes"
    return "low_conv_efficiency"


def _channels(group: Group) -> list[int]:
    weight = group.call.dims[2 if group.call.name.endswith("backward") else 1]
    return [weight[1], weight[0]]


def _tiles(group: Group, speed: Speed) -> str:
    count = tiles(group.work.matrices) if group.work.matrices else 0
    return f" Its result has {count} tiles of 128 × 128 for {speed.processors} processors."


def _alignment(group: Group, _speed: Speed) -> str:
    found = misaligned(group)
    lengths = " and ".join(str(each) for each in found.lengths)
    return f" {lengths} {'is' if len(found.lengths) == 1 else 'are'} not a multiple of {found.multiple}."


class Cause(NamedTuple):
    """A cause. ``title`` may have ``{name}`` for the operator and ``{share}`` for its share of the possible
    speed."""

    title: str
    suggestion: str
    code_hint: str = ""
    detail: Callable[[Group, Speed], str] = lambda _group, _speed: ""


_FEW_COLUMNS, _ATTENTION_AMD = "skinny_gemm, columns", "attention_low_efficiency, AMD"
CAUSES = {
    "fp32_math": Cause(
        "Matrix products run in fp32, where tf32 or bf16 is enough",
        "Compute in bfloat16 (float16 before Ampere), or allow tf32 for fp32 products.",
        'torch.set_float32_matmul_precision("high")\nwith torch.autocast("cuda", dtype=torch.bfloat16):\n    ...',
    ),
    "misaligned_shapes": Cause(
        "{name} has shapes that are not aligned to matrix units and runs at {share} of the possible speed",
        "Pad the dimensions (vocabulary, channels, sequence) to a multiple of 8 for 16-bit numbers, better of 64.",
        "padded = -(-size // 64) * 64",
        _alignment,
    ),
    "few_tiles": Cause(
        "{name} has too few output tiles to fill the device ({share} of the possible speed)",
        "Make the result larger (batch the calls, multiply several weights at once), or split the inner dimension.",
        "y = x @ torch.cat([w_q, w_k, w_v], dim=1)  # one product instead of three",
        _tiles,
    ),
    "skinny_gemm": Cause(
        "{name} multiplies only a few rows and uses {share} of the memory bandwidth",
        "Batch more rows, or use a matrix-vector kernel. Quantised weights are read faster.",
    ),
    _FEW_COLUMNS: Cause(
        "{name} computes only a few columns and uses {share} of the memory bandwidth",
        "Compute several such products at once (concatenate their weights), or use a kernel for tall matrices.",
    ),
    "small_gemms": Cause(
        "{name} is many small matrix products",
        "Batch them (torch.bmm) or group them. Give each expert more tokens (larger batch, fewer experts).",
    ),
    "low_gemm_efficiency": Cause(
        "{name} reaches {share} of the possible speed",
        "Try other layouts (transposes), torch.compile with max-autotune, or the library's tuning (TunableOp).",
        'model = torch.compile(model, mode="max-autotune")',
    ),
    "depthwise_conv": Cause(
        "Depthwise convolution is bound by memory and uses {share} of the bandwidth",
        "Use channels_last with 16-bit numbers, or fuse it with its neighbours (torch.compile).",
        "model = model.to(memory_format=torch.channels_last)",
    ),
    "low_conv_efficiency": Cause(
        "{name} reaches {share} of the possible speed",
        "Let the library search for the fastest algorithm, and use channels_last with 16-bit numbers.",
        "torch.backends.cudnn.benchmark = True",
    ),
    "attention_unfused": Cause(
        "Attention runs as separate operators, although a fused kernel exists",
        "Use scaled_dot_product_attention with the flash or memory-efficient kernel (16-bit, no dense mask).",
        "y = F.scaled_dot_product_attention(q, k, v, is_causal=True)",
    ),
    "attention_low_efficiency": Cause(
        "Attention reaches {share} of the possible speed",
        "Use an attention kernel for this device (newer flash attention, cuDNN). Mask instead of padding.",
        "with torch.nn.attention.sdpa_kernel(SDPBackend.CUDNN_ATTENTION):\n    ...",
    ),
    _ATTENTION_AMD: Cause(
        "Attention reaches {share} of the possible speed",
        "Use an attention kernel for this device (AITER, Composable Kernel). Mask instead of padding.",
    ),
    "low_bandwidth": Cause(
        "{name} is bound by memory and uses {share} of the bandwidth",
        "Make its tensors contiguous in one order, use 16-bit numbers, and fuse it with its neighbours.",
        "model = torch.compile(model)",
    ),
}


def cause_of(code: str, group: Group, *, amd: bool) -> Cause:
    """Return the cause with the sentences for the largest group's shape and the device's maker."""
    found = group.work.matrices
    if code == "skinny_gemm" and found is not None and found.columns < found.rows:
        return CAUSES[_FEW_COLUMNS]
    return CAUSES[_ATTENTION_AMD if amd and code == "attention_low_efficiency" else code]
