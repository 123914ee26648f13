"""Chains of element-wise kernels that write and read the same tensor again and again."""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np

from ...models import Advice
from ..columns import Int32, Int64
from ..formatting import counted
from ..kinds import Kind
from ..nesting import NOTHING
from ..positions import present
from ..sums.host import Bools
from .context import Context, Stake, milliseconds

_ELEMENTWISE = re.compile(
    # Inductor's (triton_poi_) are not among them: they are what torch.compile has fused as far as it could.
    r"elementwise_kernel|CUDAFunctor|vectorized_layer_norm|softmax_warp|Elementwise"
)
#: Kernels of a chain; a shorter one is hardly worth fusing. Of the traced time at stake.
CHAIN, SHARE = 3, 0.05
#: Shorter kernels are bound by their launch, which is another advice.
LONG_ENOUGH_NS = 5_000


def memory_bound_chain(case: Context) -> Iterable[Advice]:
    """Consecutive element-wise kernels of one stream with the same grid, each of another operator than the last.

    Each reads and writes the whole tensor; fused they do so once. Saving: all of a chain's time but that of its
    longest kernel.
    """
    columns = case.columns
    fits = np.array([_ELEMENTWISE.search(name) is not None for name in columns.names], bool)
    grid = np.full(len(columns), NOTHING, np.int32)
    sparse = columns.sparse.get("grid")
    if sparse is None or not fits.any():
        return
    grid[sparse.index] = sparse.value
    chains: list[Int64] = []
    for members in case.trace.devices.values():
        kernels = members[columns.kind[members] <= Kind.COMMUNICATION]
        for lane in present(len(columns.lanes), columns.lane[kernels]).tolist():
            chains += _chains(case, kernels[columns.lane[kernels] == lane], fits, grid)
    if not chains:
        return
    saving = case.on_one(sum(int(columns.dur[chain].sum() - columns.dur[chain].max()) for chain in chains))
    if not case.worth(saving, SHARE):
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


def _chains(case: Context, kernels: Int64, fits: Bools, grid: Int32) -> list[Int64]:
    columns = case.columns
    good = fits[columns.name[kernels]] & (columns.dur[kernels] >= LONG_ENOUGH_NS) & (grid[kernels] != NOTHING)
    joined = good[1:] & good[:-1] & (grid[kernels[1:]] == grid[kernels[:-1]])
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
