"""Advice on kernels that could be fused, use another layout or a smaller type."""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np

from ...models import Advice
from ..columns import NOTHING, Bools, Int32, Int64, present
from ..formatting import counted
from ..kinds import Kind
from .causes import CAUSES
from .context import Context, Stake, milliseconds
from .groups import turn_tensors

_ELEMENTWISE = re.compile(
    # Inductor's kernels (triton_poi_) do not count: torch.compile has fused them already.
    r"elementwise_kernel|CUDAFunctor|vectorized_layer_norm|softmax_warp|Elementwise"
)
#: Least kernels of a chain worth fusing, and least share of the traced time.
CHAIN, CHAIN_SHARE = 3, 0.05
#: Shorter kernels are limited by their launch, which has its own advice.
LONG_ENOUGH_NS = 5_000


def memory_bound_chain(context: Context) -> Iterable[Advice]:
    """Find consecutive element-wise kernels of one stream with the same grid, each of another operator than
    the last.

    Each kernel reads and writes the whole tensor; one fused kernel does so once. Saving: the time of a chain
    less that of its longest kernel.
    """
    columns = context.columns
    fits = columns.named(_ELEMENTWISE)
    if "grid" not in columns.sparse or not fits.any():
        return
    chains: list[Int64] = []
    for members in context.trace.devices.values():
        kernels = members[columns.kind[members] <= Kind.COMMUNICATION]
        for lane in present(len(columns.lanes), columns.lane[kernels]).tolist():
            chains += _chains(context, kernels[columns.lane[kernels] == lane], fits)
    if not chains:
        return
    saving = context.on_one(sum(int(columns.dur[chain].sum() - columns.dur[chain].max()) for chain in chains))
    if not context.worth(saving, CHAIN_SHARE):
        return
    slices = np.sort(np.concatenate(chains))
    total = context.on_one(int(columns.dur[slices].sum()))
    longest = max(chains, key=lambda chain: int(columns.dur[chain].sum()))
    yield context.advice(
        "memory_bound_chain",
        "Consecutive element-wise operators could be one GPU kernel",
        f"{counted(len(chains), 'chain', 'chains')} of {len(slices) / len(chains):.1f} kernels on average"
        f" {'takes' if len(chains) == 1 else 'take'} {milliseconds(total)}"
        f" ({context.share(total)} of the trace); each kernel reads and writes the whole tensor. The longest:"
        f" {' → '.join(columns.names[name] for name in _operators(context, longest).tolist())}.",
        Stake(saving, slices),
        f"Fuse them: {'torch.compile' if context.uses_torch else 'a compiler'}, or one fused operator (activation,"
        " norm, optimizer).",
        "model = torch.compile(model)",
    )


def _chains(context: Context, kernels: Int64, fits: Bools) -> list[Int64]:
    columns, grid = context.columns, context.columns.values("grid", kernels)
    good = fits[columns.name[kernels]] & (columns.dur[kernels] >= LONG_ENOUGH_NS) & (grid != NOTHING)
    joined = good[1:] & good[:-1] & (grid[1:] == grid[:-1])
    edges = np.flatnonzero(np.diff(np.concatenate([[False], joined, [False]]).astype(np.int8)))
    runs = zip(edges[::2].tolist(), (edges[1::2] + 1).tolist(), strict=True)
    # Repeated calls of one operator are assumed to work on different tensors.
    name = _operators(context, kernels)
    changes = np.concatenate([[True], name[1:] != name[:-1]])
    parts = []
    for first, last in runs:
        if last - first >= CHAIN:
            changed = changes[first:last].copy()
            changed[0] = True
            parts.append(kernels[first:last][changed])
    return [part for part in parts if len(part) >= CHAIN]


def _operators(context: Context, kernels: Int64) -> Int32:
    """Return the names of the kernels' operators, or the kernel names where there is none."""
    owner = context.trace.owner[kernels]
    return np.where(owner != NOTHING, context.columns.name[owner], context.columns.name[kernels])


LAYOUT_SHARE = 0.03


def conv_layout(context: Context) -> Iterable[Advice]:
    """Find library kernels that convert NCHW to NHWC and back around convolutions. Saving: all their time."""
    columns = context.columns
    device = context.trace.device
    kernels = device[(columns.kind[device] == Kind.COMPUTE) & turn_tensors(columns, device)]
    saving = context.on_one(int(columns.dur[kernels].sum()))
    if context.worth(saving, LAYOUT_SHARE):
        yield context.advice(
            "conv_layout",
            "Convolutions transpose their tensors between NCHW and NHWC",
            f"{counted(len(kernels), 'transposing kernel takes', 'transposing kernels take')} "
            f"{milliseconds(saving)} ({context.share(saving)} of the trace).",
            Stake(saving, kernels),
            "Keep model and inputs in channels_last.",
            "model = model.to(memory_format=torch.channels_last)\nx = x.to(memory_format=torch.channels_last)",
        )


_FP32 = re.compile(r"sgemm|scudnn|Cijk_\w*_SB_|gemmSN_|gemv2|f32f32_f32f32|convolve_sgemm", re.IGNORECASE)
_LESS = re.compile(r"tf32|xf32|_h16|half|bf16|bfloat16|fp16", re.IGNORECASE)
FP32_SHARE = 0.05


def fp32_kernels(context: Context) -> Iterable[Advice]:
    """Find matrix kernels that compute in fp32. Does nothing where the trace has shapes, because the shapes
    show more.

    Saving: their time, less the time that is left at the 16-bit peak.
    """
    if context.speed is None or any(each.work.matrices for each in context.groups):
        return
    columns = context.columns
    fits = np.array([bool(_FP32.search(name)) and not _LESS.search(name) for name in columns.names], bool)
    device = context.trace.device
    kernels = device[(columns.kind[device] == Kind.COMPUTE) & fits[columns.name[device]]]
    total = context.on_one(int(columns.dur[kernels].sum()))
    saving = int(total * max(0.0, 1 - context.speed.fp32 / context.speed.half))
    if context.worth(saving, FP32_SHARE):
        cause = CAUSES["fp32_math"]
        yield context.advice(
            "fp32_math",
            cause.title,
            f"{counted(len(kernels), 'matrix kernel in fp32 takes', 'matrix kernels in fp32 take')} "
            f"{milliseconds(total)} ({context.share(total)} of the trace);"
            f" the device has {context.speed.half / context.speed.fp32:.0f} times the speed in 16 bits. The trace has"
            f" no shapes{' (record_shapes)' if context.uses_torch else ''}, so the memory limit is not considered.",
            Stake(saving, kernels),
            cause.suggestion,
            cause.code_hint,
        )
