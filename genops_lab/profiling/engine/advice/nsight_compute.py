"""What the rules of Nsight Compute estimate could be saved, over all kernels."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import numpy as np

from ...models import Advice, KernelRule
from ..formatting import percent
from ..nsight_compute.launch import Launch
from .context import Context, Stake, milliseconds

CODE = "ncu_"
#: So many kernels are told of a rule.
NAMED = 3
_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_LONGEST_NAME = 60
_BANKS = "Change the layout in shared memory (pad rows, swizzle): the threads of a warp should use different banks."
#: What to do, by rule; of others their own words are told.
_DO = {
    "SOLFPRoofline": "Compute in a smaller type where the result allows it: float32 in place of float64 is many times "
    "faster on most devices.",
    "FPInstructions": "Let multiplications and additions be fused: write a * b + c in one expression, and do not "
    "compile with -fmad=false.",
    "UncoalescedGlobalAccess": "Let neighbouring threads read neighbouring addresses: change the layout (contiguous(), "
    "structures of arrays) or the index that runs fastest.",
    "UncoalescedSharedAccess": _BANKS,
    "SharedMemoryConflicts": _BANKS,
    "MemoryCacheAccessPattern": "Let each request use all the bytes that it fetches: contiguous accesses, wider loads.",
    "AchievedOccupancy": "Give the device more even work: blocks that take alike long, smaller blocks, more of them.",
    "TheoreticalOccupancy": "Let more warps run at once: fewer registers a thread or less shared memory a block, or "
    "another block size.",
    "LaunchConfiguration": "Launch a grid that fills the device in whole rounds: more or smaller blocks, larger "
    "batches.",
    "CPIStall": "Remove what the warps wait for: see the stalls of the kernel, the first one most.",
    "IssueSlotUtilization": "Give the schedulers more to choose from: more warps at once, or more independent work in "
    "each.",
    "ThreadDivergence": "Let the threads of a warp take the same branches.",
    "SlowPipeLimiter": "Use instructions of a faster pipeline.",
    "WorkloadImbalance": "Spread the work evenly over the multiprocessors.",
}  # fmt: skip


def measured(case: Context) -> Iterable[Advice]:
    """One advice a rule that estimates a gain of whole kernels. Saving: their time times that part, added up."""
    columns = case.columns
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
        if not case.worth(saving):
            continue
        most = sorted(members, key=lambda place: -gained[place])
        rule = _words(launches, identifier, launches[launch_of[most[0]]])
        time = sum(launches[launch_of[place]].us * 1000 for place in members)
        often = "one launch" if len(members) == 1 else f"{len(members):,} launches"
        told = "; ".join(_kernels(launches, [launch_of[place] for place in most], identifier))
        yield case.advice(
            code_of(identifier),
            rule.title.partition(":")[0] if rule is not None else identifier,
            f"Nsight Compute estimates that {milliseconds(saving)} of the {milliseconds(time)} of"
            f" {often} could be saved ({case.share(saving)} of all that was"
            f" measured): {told}." + (f" {rule.text}" if rule is not None else ""),
            Stake(saving, np.array(sorted(members), np.int64)),
            _DO.get(identifier, "See what the rule says of the kernel."),
        )


def code_of(identifier: str) -> str:
    """``ncu_uncoalesced_global_access``."""
    return CODE + re.sub(r"\W+", "_", _WORD.sub("_", identifier)).lower()


def _saved(launch: Launch, identifier: str) -> float:
    return launch.us * 1000 * launch.gains[identifier] / 100


def _kernels(launches: list[Launch], numbers: list[int], identifier: str) -> Iterator[str]:
    """The kernels with most to gain, each once."""
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
    """What the rule says of the launch with most to gain, or of another one: not all are kept."""
    same = (first, *(each for each in launches if each.name == first.name), *launches)
    for launch in same:
        fitting = [rule for rule in launch.rules if rule.identifier == identifier and rule.of == "kernel"]
        if fitting:
            return max(fitting, key=lambda rule: rule.speedup_pct or 0.0)
    return None
