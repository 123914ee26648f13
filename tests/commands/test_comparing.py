"""``genops runs compare``."""

from __future__ import annotations

import json

import pytest

from .conftest import RunningLab


@pytest.fixture(scope="module")
def runs(lab: RunningLab) -> list[str]:
    """Two settings with two seeds each; the second has other code."""
    from mlflow import MlflowClient

    lab.run(lab.mlflow.ensure())
    client = MlflowClient(lab.mlflow.uri)
    found = []
    for lr, values in (("0.1", (0.80, 0.81)), ("0.2", (0.90, 0.91))):
        for seed, value in enumerate(values):
            run_id = client.create_run("0", run_name=f"lr {lr}").info.run_id
            client.log_param(run_id, "lr", lr)
            client.log_param(run_id, "seed", seed)
            client.log_param(run_id, "same", "x")
            client.log_metric(run_id, "acc", value)
            cells = json.dumps([{"source": f"import torch\nlr = {lr}\ntrain(lr)"}])
            client.log_text(run_id, cells, "source/cells.json")
            client.log_text(run_id, lr, "out/\x1b[31m.txt")
            client.set_terminated(run_id)
            found.append(run_id)
    return found


def test_the_differences_are_shown(lab: RunningLab, runs: list[str]) -> None:
    shown = lab.call("runs", "compare", *runs, "--baseline", runs[2])
    assert shown.code == 0, shown.err
    lines = [" ".join(line.split()) for line in shown.out.splitlines()]
    assert f"B (baseline) {runs[2][:8]} lr 0.2 FINISHED seed=0" in lines
    assert "lr 0.1 0.2" in lines
    assert not any(line.startswith("same ") for line in lines)
    acc = next(line for line in lines if line.startswith("acc "))
    assert "lower)" in acc and "(n=2)" in acc and "±" in acc
    assert "-lr = 0.2" in lines and "+lr = 0.1" in lines
    assert "\x1b" not in shown.out


def test_json_has_the_whole_comparison(lab: RunningLab, runs: list[str]) -> None:
    found = lab.call("runs", "compare", *runs, "--single", "--json").json
    assert len(found["columns"]) == 4
    bundle = lab.call("runs", "compare", *runs[:3], GENOPS_OUTPUT="notebook").json
    assert bundle["html"].startswith("<div") and "<script" not in bundle["html"]


def test_runs_that_cannot_be_compared_have_an_exit_code(lab: RunningLab, runs: list[str]) -> None:
    assert lab.call("runs", "compare", runs[0], "--json").code == 2
    assert lab.call("runs", "compare", runs[0], "f" * 32, "--json").code == 3
    assert lab.call("runs", "compare", *runs[:2], "--single", "--repeats", "lr").code == 2
