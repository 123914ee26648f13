"""Which parameters matter, against a truth that was planted."""

from __future__ import annotations

import random

import numpy as np
import pytest

from genops_lab.experiments.charts.importance import Floats, Parameter, importance, spearman


def _planted(runs: int = 400) -> tuple[Floats, list[Parameter]]:
    """lr matters most and in a curve (best in the middle), the optimizer somewhat, dropout and seed not at all."""
    noise = random.Random(4)
    rows = []
    for number in range(runs):
        power, optimizer = noise.uniform(-5, -1), noise.choice(["adam", "sgd", "lion"])
        loss = (power + 3) ** 2 + {"adam": 0.0, "sgd": 0.8, "lion": 0.2}[optimizer] + noise.gauss(0, 0.2)
        row = {
            "lr": f"{10**power:.3e}", "optimizer": optimizer, "dropout": f"{noise.choice([0.1, 0.2, 0.5])}",
            "seed": str(noise.randrange(10**6)), "path": f"/data/{number}", "model": "resnet",
        }  # fmt: skip
        rows.append((loss, row))
    names = rows[0][1]
    return np.array([loss for loss, _ in rows]), [
        Parameter(name, [row[name] for _, row in rows]) for name in names
    ]


def test_the_planted_order_is_found() -> None:
    found = importance("loss", *_planted())
    by_name = {each.parameter: each for each in found.parameters}
    assert [each.parameter for each in found.parameters][:2] == ["lr", "optimizer"]
    assert by_name["lr"].importance > 0.6
    assert by_name["lr"].direction == pytest.approx(0, abs=0.2), (
        "a curve has no direction, and is found all the same"
    )
    assert by_name["optimizer"].p < 0.001
    for name in ("dropout", "seed"):
        assert by_name[name].importance < 0.05
        assert by_name[name].p > 0.05
    assert (found.constant, found.unique) == (["model"], ["path"])
    assert found.runs == 400


def test_it_is_kruskals_and_spearmans_statistic() -> None:
    from scipy.stats import kruskal, spearmanr

    noise = random.Random(5)
    values = np.array([noise.choice([1.0, 2.0, 3.0, 4.0]) for _ in range(60)])  # with ties
    groups = [noise.choice("abc") for _ in range(60)]
    answer = importance("m", values, [Parameter("g", groups)]).parameters[0]
    h, p = kruskal(*(values[[each == name for each in groups]] for name in "abc"))
    by_chance = 2 / 59
    assert answer.importance == pytest.approx(max(0, (h / 59 - by_chance) / (1 - by_chance)))
    assert answer.p == pytest.approx(p)
    other = values * -1 + np.array([noise.random() * 3 for _ in range(60)])
    assert spearman(values, other) == pytest.approx(spearmanr(values, other).statistic)


def test_runs_without_the_metric_or_the_parameter_are_left_out() -> None:
    values = np.array([1.0, 2.0, 3.0, 4.0, np.nan, np.inf, 7.0, 8.0])
    answer = importance("m", values, [Parameter("g", ["a", "a", "b", "b", "b", "b", None, "a"])])
    assert answer.runs == 6
    assert answer.parameters[0].runs == 5


def test_few_runs_and_a_metric_that_never_changes_tell_nothing() -> None:
    assert importance("m", np.array([1.0]), [Parameter("g", ["a"])]).parameters == []
    same = importance("m", np.ones(10), [Parameter("g", list("aabbaabbab"))]).parameters[0]
    assert (same.importance, same.p) == (0.0, 1.0)
    assert importance("m", np.empty(0), []).runs == 0
