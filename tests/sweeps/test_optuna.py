"""TPE and pruning: by Optuna, from what is known of the trials alone."""

from __future__ import annotations

import msgspec
import pytest

from genops_lab.sweeps.backends.suggestions import KnownTrial, Suggestions
from genops_lab.sweeps.space import Dimension, Value, grid_point, grid_size, random_point, read_space

from .conftest import Sweeper

SPACE = [
    "lr=loguniform(1e-4, 1)",
    "n=int(1, 9, 2)",
    "w=logint(1, 1024)",
    "act='relu',1,True",
    "p=uniform(0, 1, 0.25)",
]


def searched(space: list[Dimension], seed: int, trials: int) -> list[KnownTrial]:
    """A whole search, each suggestion asked of an Optuna that knows nothing but what it is told."""
    known: list[KnownTrial] = []
    for number in range(trials):
        params = Suggestions().suggest(space, "minimize", known, seed, number)
        lr = params["lr"]
        assert isinstance(lr, float)
        known.append(KnownTrial(number=number, state="complete", params=params, value=(lr - 0.01) ** 2))
    return known


def test_a_search_is_the_same_by_its_seed_and_gets_better() -> None:
    space = read_space(SPACE)
    one = searched(space, 1, 25)
    assert one == searched(space, 1, 25)
    assert one != searched(space, 2, 25)
    for trial in one:
        values = trial.params
        assert 1e-4 <= float(str(values["lr"])) <= 1
        assert values["n"] in (1, 3, 5, 7, 9) and values["p"] in (0, 0.25, 0.5, 0.75, 1)
        assert isinstance(values["w"], int) and 1 <= values["w"] <= 1024
        assert any(values["act"] is choice for choice in space[3].values)
    first, last = one[:10], one[-10:]
    assert min(trial.value or 0 for trial in last) < min(trial.value or 0 for trial in first)


def test_a_worse_trial_is_pruned_once_others_went_its_way() -> None:
    space = read_space(["lr=1,2,3,4,5"])

    def known(values: list[float]) -> list[KnownTrial]:
        good = [
            KnownTrial(
                number=number,
                state="complete",
                params={"lr": number + 1},
                value=0.1,
                steps=[0, 1],
                values=[0.5, 0.1],
            )
            for number in range(3)
        ]
        return [*good, KnownTrial(number=3, state="running", params={"lr": 4}, steps=[0, 1], values=values)]

    assert Suggestions().should_prune(space, "minimize", known([0.6, 0.6]), 3, "median")
    assert not Suggestions().should_prune(space, "minimize", known([0.4, 0.05]), 3, "median")
    assert not Suggestions().should_prune(space, "maximize", known([0.6, 0.6]), 3, "median")
    few = [known([0.6, 0.6])[0], msgspec.structs.replace(known([0.6, 0.6])[3], number=1)]
    assert not Suggestions().should_prune(space, "minimize", few, 1, "median"), "too few to judge by"
    assert isinstance(Suggestions().should_prune(space, "minimize", known([0.6, 0.6]), 3, "hyperband"), bool)


def test_spaces_are_read() -> None:
    space = read_space(["a=1, 2.5, x, 'y,z', None, True", "b=uniform(0, 0.3, 0.1)", "c=int(2, 4)"])
    assert space[0].values == [1, 2.5, "x", "y,z", None, True]
    points = [grid_point(space[1:], number) for number in range(grid_size(space[1:]))]
    assert points[:4] == [{"b": 0.0, "c": 2}, {"b": 0.0, "c": 3}, {"b": 0.0, "c": 4}, {"b": 0.1, "c": 2}]
    assert points[-1] == {"b": 0.3, "c": 4} and len(points) == 12
    drawn: list[dict[str, Value]] = [random_point(space, 7, number) for number in range(50)]
    assert drawn == [random_point(space, 7, number) for number in range(50)]
    assert {repr(point["a"]) for point in drawn} == {repr(value) for value in space[0].values}


PRUNED = """import time
import genops
lr = 1.0
deadline = time.monotonic() + 100
for step in range(3):
    genops.log({"loss": lr + 1 / (step + 1)}, step=step)
while lr == 9.0 and time.monotonic() < deadline:
    time.sleep(0.05)
"""


def test_a_pruned_trial_is_interrupted_and_its_run_says_so(sweeper: Sweeper) -> None:
    done = sweeper.ended(
        sweeper.start(PRUNED, "lr=1.0,1.1,1.2,9.0,0.9", metric="loss", method="grid", prune="median")
    )
    assert [trial["state"] for trial in done["trials"]] == ["finished"] * 3 + ["pruned", "finished"], done
    assert done["trials"][3]["message"].startswith("Pruned at step")
    assert done["best"] == 4
    runs = sweeper.runs(done)
    assert [run.status for run in runs] == ["FINISHED"] * 3 + ["KILLED", "FINISHED"]
    assert [run.tags.get("genops.pruned") for run in runs] == [None, None, None, "true", None]


@pytest.mark.exhaustive  # the search itself is proven above; eight kernels ask it here
def test_tpe_is_the_same_by_its_seed_in_kernels_too(sweeper: Sweeper) -> None:
    code = "import genops\ngenops.log({'loss': (lr - 0.3) ** 2})"
    tried = []
    for _ in range(2):
        done = sweeper.ended(
            sweeper.start(code, "lr=uniform(0, 1)", metric="loss", method="tpe", trials=4, seed=5)
        )
        assert done["state"] == "done"
        tried.append([trial["params"] for trial in done["trials"]])
    assert tried[0] == tried[1]
    assert len({str(point) for point in tried[0]}) == 4
