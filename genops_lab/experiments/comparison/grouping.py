"""Which runs are repeats of each other."""

from __future__ import annotations

from collections.abc import Sequence

from .gathered import Gathered

#: Usual names of what differs between repeats, whatever stands before a dot or slash (``trainer.seed``).
SEEDS = (
    "seed",
    "random_seed",
    "rng_seed",
    "random_state",
    "torch_seed",
    "numpy_seed",
    "np_seed",
    "manual_seed",
)
REPEAT_TAG = "genops.repeat"

Groups = list[list[int]]


def is_repeat_name(name: str, repeats: Sequence[str] | None) -> bool:
    """Whether a parameter or tag of this name tells repeats apart."""
    if repeats is not None:
        return name in repeats
    return name.replace("/", ".").rpartition(".")[2].lower().replace("-", "_") in SEEDS


def groups(runs: Sequence[Gathered], repeats: Sequence[str] | None) -> Groups:
    """Positions of runs, those of repeats together, in the order in which their first one stands.

    Repeats have the same tag ``genops.repeat``; or they are of one experiment and commit, have the same parameters but
    for those that ``repeats`` names, and each its own value of these. Runs with the same seed are no repeats: a
    program that always does the same says nothing of the spread.
    """
    if repeats is not None and not repeats:
        return [[position] for position in range(len(runs))]
    found: dict[object, list[int]] = {}
    for position, run in enumerate(runs):
        found.setdefault(_key(position, run, repeats), []).append(position)
    result: Groups = []
    for key, members in found.items():
        labels = [repeat_label(runs[position], repeats) for position in members]
        if _is_tagged(key) or len(set(labels)) == len(labels):
            result.append(members)
        else:
            result.extend([position] for position in members)
    return sorted(result)


def repeat_label(run: Gathered, repeats: Sequence[str] | None) -> str:
    """What tells a run from its repeats, such as ``seed=3``; empty where nothing does."""
    return ", ".join(
        f"{name}={value}"
        for name, value in sorted({**run.tags, **run.params}.items())
        if is_repeat_name(name, repeats)
    )


def _key(position: int, run: Gathered, repeats: Sequence[str] | None) -> object:
    tag = run.tags.get(REPEAT_TAG, "")
    if tag:
        return ("tag", tag)
    if not repeat_label(run, repeats):
        return ("alone", position)
    rest = sorted((name, value) for name, value in run.params.items() if not is_repeat_name(name, repeats))
    return ("params", run.experiment_id, run.git_commit, tuple(rest))


def _is_tagged(key: object) -> bool:
    return isinstance(key, tuple) and key[0] == "tag"
