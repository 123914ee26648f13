"""Kernels that could be fewer or faster: in one chain, in another layout, in a smaller type."""

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
    # Inductor's (triton_poi_) are not among them: they are what torch.compile has fused as far as it could.
    r"elementwise_kernel|CUDAFunctor|vectorized_layer_norm|softmax_warp|Elementwise"
)
#: Kernels of a chain; a shorter one is hardly worth fusing. Of the traced time at stake.
CHAIN, CHAIN_SHARE = 3, 0.05
#: Shorter kernels are bound by their launch, which is another advice.
LONG_ENOUGH_NS = 5_000


def memory_bound_chain(case: Context) -> Iterable[Advice]:
    """Consecutive element-wise kernels of one stream with the same grid, each of another operator than the last.

    Each reads and writes the whole tensor; fused they do so once. Saving: all of a chain's time but that of its
    longest kernel.
    """
    columns = case.columns
    fits = columns.named(_ELEMENTWISE)
    if "grid" not in columns.sparse or not fits.any():
        return
    chains: list[Int64] = []
    for members in case.trace.devices.values():
        kernels = members[columns.kind[members] <= Kind.COMMUNICATION]
        for lane in present(len(columns.lanes), columns.lane[kernels]).tolist():
            chains += _chains(case, kernels[columns.lane[kernels] == lane], fits)
    if not chains:
        return
    saving = case.on_one(sum(int(columns.dur[chain].sum() - columns.dur[chain].max()) for chain in chains))
    if not case.worth(saving, CHAIN_SHARE):
        return
    slices = np.sort(np.concatenate(chains))
    total = case.on_one(int(columns.dur[slices].sum()))
    longest = max(chains, key=lambda chain: int(columns.dur[chain].sum()))
    yield case.advice(
        "memory_bound_chain",
        "Element-wise operators in a row could be one kernel",
        f"{counted(len(chains), 'chain', 'chains')} of {len(slices) / len(chains):.1f} kernels on average"
        f" {'takes' if len(chains) == 1 else 'take'} {milliseconds(total)}"
        f" ({case.share(total)} of the trace); each kernel reads and writes the whole tensor. The longest:"
        f" {' → '.join(columns.names[name] for name in _operators(case, longest).tolist())}.",
        Stake(saving, slices),
        f"Fuse them: {'torch.compile' if case.uses_torch else 'a compiler'}, or an operator that does it all (fused"
        " activation, norm, optimizer).",
        "model = torch.compile(model)",
    )


def _chains(case: Context, kernels: Int64, fits: Bools) -> list[Int64]:
    columns, grid = case.columns, case.columns.values("grid", kernels)
    good = fits[columns.name[kernels]] & (columns.dur[kernels] >= LONG_ENOUGH_NS) & (grid != NOTHING)
    joined = good[1:] & good[:-1] & (grid[1:] == grid[:-1])
    edges = np.flatnonzero(np.diff(np.concatenate([[False], joined, [False]]).astype(np.int8)))
    runs = zip(edges[::2].tolist(), (edges[1::2] + 1).tolist(), strict=True)
    # One operator that is called again and again works on other tensors, as far as is known.
    name = _operators(case, kernels)
    changes = np.concatenate([[True], name[1:] != name[:-1]])
    parts = []
    for first, last in runs:
        if last - first >= CHAIN:
            changed = changes[first:last].copy()
            changed[0] = True
            parts.append(kernels[first:last][changed])
    return [part for part in parts if len(part) >= CHAIN]


def _operators(case: Context, kernels: Int64) -> Int32:
    """The names of their operators, else their own."""
    owner = case.trace.owner[kernels]
    return np.where(owner != NOTHING, case.columns.name[owner], case.columns.name[kernels])


LAYOUT_SHARE = 0.03


def conv_layout(case: Context) -> Iterable[Advice]:
    """Kernels of the library that change NCHW to NHWC and back, around each convolution. Saving: all their time."""
    columns = case.columns
    device = case.trace.device
    kernels = device[(columns.kind[device] == Kind.COMPUTE) & turn_tensors(columns, device)]
    saving = case.on_one(int(columns.dur[kernels].sum()))
    if case.worth(saving, LAYOUT_SHARE):
        yield case.advice(
            "conv_layout",
            "Convolutions transpose their tensors between NCHW and NHWC",
            f"{counted(len(kernels), 'transposing kernel takes', 'transposing kernels take')} "
            f"{milliseconds(saving)} ({case.share(saving)} of the trace).",
            Stake(saving, kernels),
            "Keep model and inputs in channels_last.",
            "model = model.to(memory_format=torch.channels_last)\nx = x.to(memory_format=torch.channels_last)",
        )


_FP32 = re.compile(r"sgemm|scudnn|Cijk_\w*_SB_|gemmSN_|gemv2|f32f32_f32f32|convolve_sgemm", re.IGNORECASE)
_LESS = re.compile(r"tf32|xf32|_h16|half|bf16|bfloat16|fp16", re.IGNORECASE)
FP32_SHARE = 0.05


def fp32_kernels(case: Context) -> Iterable[Advice]:
    """Matrix kernels that compute in fp32. Silent where shapes tell: they say more.

    Saving: their time, less the part that is left when the arithmetic runs at the peak of 16 bits.
    """
    if case.speed is None or any(each.work.matrices for each in case.groups):
        return
    columns = case.columns
    fits = np.array([bool(_FP32.search(name)) and not _LESS.search(name) for name in columns.names], bool)
    device = case.trace.device
    kernels = device[(columns.kind[device] == Kind.COMPUTE) & fits[columns.name[device]]]
    total = case.on_one(int(columns.dur[kernels].sum()))
    saving = int(total * max(0.0, 1 - case.speed.fp32 / case.speed.half))
    if case.worth(saving, FP32_SHARE):
        cause = CAUSES["fp32_math"]
        yield case.advice(
            "fp32_math",
            cause.title,
            f"{counted(len(kernels), 'matrix kernel in fp32 takes', 'matrix kernels in fp32 take')} "
            f"{milliseconds(total)} ({case.share(total)} of the trace);"
            f" the device has {case.speed.half / case.speed.fp32:.0f} times the speed in 16 bits. The trace has no"
            f" shapes{' (record_shapes)' if case.uses_torch else ''}, so what memory allows is not in this.",
            Stake(saving, kernels),
            cause.suggestion,
            cause.code_hint,
        )
