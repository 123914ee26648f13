"""Advice from the rules of Nsight Compute: the estimated savings over all kernels."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import numpy as np

from ...models import Advice, KernelRule
from ..formatting import percent
from ..nsight_compute.launch import Launch
from .context import Context, Stake, milliseconds

CODE = "ncu_"
#: Most kernels that an advice names.
NAMED = 3
_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_LONGEST_NAME = 60
_BANKS = "Change the layout in shared memory (pad rows, swizzle): the threads of a warp should use different banks."
#: Suggestions by rule. For other rules, the advice shows the rule's own text.
_SUGGESTIONS = {
    "SOLFPRoofline": "Compute in a smaller type where the result allows it: float32 is many times faster than "
    "float64 on most devices.",
    "FPInstructions": "Let the compiler fuse multiplications and additions: write a * b + c in one expression, and do "
    "not compile with -fmad=false.",
    "UncoalescedGlobalAccess": "Let neighbouring threads read neighbouring addresses: change the layout (contiguous(), "
    "structures of arrays) or the fastest index.",
    "UncoalescedSharedAccess": _BANKS,
    "SharedMemoryConflicts": _BANKS,
    "MemoryCacheAccessPattern": "Let each request use all the bytes that it fetches: contiguous accesses, wider loads.",
    "AchievedOccupancy": "Balance the work: use blocks of equal length, or more and smaller blocks.",
    "TheoreticalOccupancy": "Let more warps run at once: fewer registers per thread, less shared memory per block, or "
    "another block size.",
    "LaunchConfiguration": "Launch a grid that fills the device in whole waves: more or smaller blocks, larger "
    "batches.",
    "CPIStall": "Shorten the stalls of the kernel, the largest one first.",
    "IssueSlotUtilization": "Give the schedulers more choice: more warps at once, or more independent work in "
    "each warp.",
    "ThreadDivergence": "Let the threads of a warp take the same branches.",
    "SlowPipeLimiter": "Use instructions of a faster pipeline.",
    "WorkloadImbalance": "Spread the work evenly over the multiprocessors.",
}  # fmt: skip


def measured(context: Context) -> Iterable[Advice]:
    """Yield one advice per rule with an estimated speedup. Saving: the kernels' time times the estimate,
    summed."""
    columns = context.columns
    numbers = columns.sparse.get("launch")
    if columns.measured is None or numbers is None:
        return
    launches = columns.measured.launches
    slices: dict[str, list[int]] = {}
    for place, number in zip(numbers.index.tolist(), numbers.value.tolist(), strict=True):
        for rule in launches[number].gains:
            slices.setdefault(rule, []).append(place)
    launch_of = dict(zip(numbers.index.tolist(), numbers.value.tolist(), strict=True))
    for identifier, members in sorted(slices.items()):
        gained = {place: _saved(launches[launch_of[place]], identifier) for place in members}
        saving = round(sum(gained.values()))
        if not context.worth(saving):
            continue
        most = sorted(members, key=lambda place: -gained[place])
        rule = _words(launches, identifier, launches[launch_of[most[0]]])
        time = sum(launches[launch_of[place]].us * 1000 for place in members)
        often = "one launch" if len(members) == 1 else f"{len(members):,} launches"
        kernels = "; ".join(_kernels(launches, [launch_of[place] for place in most], identifier))
        yield context.advice(
            code_of(identifier),
            rule.title.partition(":")[0] if rule is not None else identifier,
            f"Nsight Compute estimates that {milliseconds(saving)} of the {milliseconds(time)} of"
            f" {often} can be saved ({context.share(saving)} of the measured"
            f" time): {kernels}." + (f" {rule.text}" if rule is not None else ""),
            Stake(saving, np.array(sorted(members), np.int64)),
            _SUGGESTIONS.get(identifier, "Read the text of the rule."),
        )


def code_of(identifier: str) -> str:
    """Return the code of an advice, such as ``ncu_uncoalesced_global_access``."""
    return CODE + re.sub(r"\W+", "_", _WORD.sub("_", identifier)).lower()


def _saved(launch: Launch, identifier: str) -> float:
    return launch.us * 1000 * launch.gains[identifier] / 100


def _kernels(launches: list[Launch], numbers: list[int], identifier: str) -> Iterator[str]:
    """Yield the kernels with the largest savings, each once."""
    by_name: dict[str, list[Launch]] = {}
    for number in numbers:
        by_name.setdefault(launches[number].name, []).append(launches[number])
    ranking = sorted(by_name.items(), key=lambda item: -sum(_saved(each, identifier) for each in item[1]))
    for name, mine in ranking[:NAMED]:
        time = sum(each.us * 1000 for each in mine)
        saved = sum(_saved(each, identifier) for each in mine)
        shown = name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"
        often = f" in {len(mine)} launches" if len(mine) > 1 else ""
        yield f"{shown} {percent(saved, time)} of {milliseconds(time)}{often}"


def _words(launches: list[Launch], identifier: str, first: Launch) -> KernelRule | None:
    """Return the rule's text for the launch with the largest saving, or for another one, since not all texts
    are kept."""
    same = (first, *(each for each in launches if each.name == first.name), *launches)
    for launch in same:
        fitting = [rule for rule in launch.rules if rule.identifier == identifier and rule.of == "kernel"]
        if fitting:
            return max(fitting, key=lambda rule: rule.speedup_pct or 0.0)
    return None
