"""Run the advice rules: each one checks one rank's trace (or all ranks) for one problem."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import structs

from ...models import Advice
from .. import threads
from ..formatting import ranks_text
from .allocator import alloc_retries, fragmentation
from .communication import Collectives, collectives_of, exposed_comm, small_buckets, straggler
from .context import Context, PlacesOf, Rule
from .copies import exposed_copies, h2d_blocking, h2d_unpinned
from .efficiency import efficiency, unfused_attention
from .idleness import gpu_idle
from .kernels import conv_layout, fp32_kernels, memory_bound_chain
from .launches import launch_bound, warmup_counted
from .nsight_compute import measured
from .synchronization import dataloader_bound, sync_item, sync_other

_RULES: tuple[Rule, ...] = (
    # Waits.
    dataloader_bound,
    h2d_blocking,
    h2d_unpinned,
    exposed_copies,
    sync_item,
    sync_other,
    launch_bound,
    # Slow work.
    efficiency,
    fp32_kernels,
    conv_layout,
    unfused_attention,
    memory_bound_chain,
    # Other problems.
    exposed_comm,
    small_buckets,
    alloc_retries,
    fragmentation,
    warmup_counted,
    gpu_idle,
)


def advise(context: Context) -> list[Advice]:
    """Return the advice for one rank's trace, most time first."""
    if context.columns.measured is not None:
        # Nsight Compute has no real clock, so no other rule applies.
        return by_saving(measured(context))

    def ask(rule: Rule) -> list[Advice]:
        found = list(rule(context))
        # Each rule needs other columns, so the cached ones are released.
        context.columns.rest()
        return found

    return by_saving(advice for found in threads.each(ask, _RULES) for advice in found)


def over_ranks(advice: Iterable[Advice]) -> list[Advice]:
    """Return one advice per code, that of the rank with the largest saving. It names the other ranks. Most
    time first."""
    by_code: dict[str, list[Advice]] = {}
    for each in by_saving(advice):
        by_code.setdefault(each.code, []).append(each)
    return [_with_others(*same) for same in by_code.values()]


def _with_others(worst: Advice, *others: Advice) -> Advice:
    ranks = sorted({each.rank for each in others if each.rank is not None and each.rank != worst.rank})
    if not ranks:
        return worst
    names = f"rank {ranks[0]}" if len(ranks) == 1 else f"ranks {ranks_text(ranks)}"
    return structs.replace(worst, evidence=f"{worst.evidence} The same applies to {names}.")


def by_saving(advice: Iterable[Advice]) -> list[Advice]:
    """Sort advice by saving, largest first."""
    return sorted(advice, key=lambda each: (-each.saving_us, each.code))


__all__ = ["Collectives", "Context", "PlacesOf", "advise", "collectives_of", "over_ranks", "straggler"]
