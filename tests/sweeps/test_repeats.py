"""``%%track --repeat``: in fresh kernels, and in the notebook's own where that is no lie."""

from __future__ import annotations

import math
import statistics

import pytest

from tests.runtime.kernels import RunningKernel

from .conftest import Sweeper, id_of, shown

CELL = """import os
import random
import numpy
import genops
seed = 0
genops.log({"own": random.random(), "numpy": float(numpy.random.rand()), "seed is": seed})
genops.log({"hash": hash("a") % 1000})
print("drawn with", seed)
"""


def test_repeats_have_seeds_and_an_interval(kernel: RunningKernel, sweeper: Sweeper) -> None:
    kernel.ok("import genops")
    top = "%%track --repeat 3 --seeds 4,5,6 --tag team=a --param width=7 --parallel 2 --wait\n"
    cell = kernel.ok(top + CELL)
    sweep = id_of(cell)
    runs = sweeper.runs(sweep)
    assert [run.params["seed"] for run in runs] == ["4", "5", "6"]
    assert [run.metrics["seed is"] for run in runs] == [4, 5, 6]
    assert {run.tags["genops.repeat"] for run in runs} == {sweep["id"]}
    assert {(run.tags["team"], run.params["width"]) for run in runs} == {("a", "7")}
    texts = [sweeper.lab.get(f"genops/runs/{run.run_id}/output")["texts"] for run in runs]
    assert [[text["text"] for text in kept] for kept in texts] == [[f"drawn with {n}\n"] for n in (4, 5, 6)]
    own = [run.metrics["own"] for run in runs]
    assert len(set(own)) == 3
    (summary,) = [one for one in sweeper.get(sweep)["summary"] if one["metric"] == "own"]
    # 4.303: t(0.975) of 2 degrees of freedom, as tables have it.
    half = 4.30265 * statistics.stdev(own) / math.sqrt(3)
    assert summary["mean"] == pytest.approx(statistics.fmean(own))
    assert summary["high"] - summary["mean"] == pytest.approx(half, rel=1e-4)
    assert "95 % interval" in shown(kernel, cell, lambda html: "95 % interval" in html)
    again = sweeper.runs(id_of(kernel.ok(top.replace("--wait", "--no-output --wait") + CELL)))
    assert sweeper.lab.get(f"genops/runs/{again[0].run_id}/output")["texts"] == []
    for name in ("own", "numpy", "hash"):
        assert [run.metrics[name] for run in again] == [run.metrics[name] for run in runs], name
    status, compared = sweeper.lab.request(
        "POST", "genops/run-comparison", {"run_ids": [run.run_id for run in [*runs, *again]]}
    )
    assert status == 200
    assert [len(column["run_ids"]) for column in compared["columns"]] == [3, 3]
    assert kernel.ok("'seed' in dir()").result == "False"


def test_repeats_in_this_kernel_are_refused_where_they_would_lie(
    kernel: RunningKernel, sweeper: Sweeper
) -> None:
    kernel.ok(
        "import genops, random\nfrom sklearn.linear_model import SGDClassifier\nmodel = SGDClassifier()"
    )
    refused = kernel.run(
        "%%track --repeat 3 --here\nx = [[0.0], [1.0]]\nmodel.partial_fit(x, [0, 1], [0, 1])"
    )
    assert refused.status == "error"
    assert "Line 2 of the cell calls it: model was made outside the cell" in refused.reply["evalue"]
    cell = kernel.ok(
        "%%track --repeat 3 --here --no-source --name h\nvalue = random.random()\ngenops.log({'v': value})"
    )
    assert "3 repeats:\n  v: mean 0." in cell.stream("stdout")
    assert "95 % interval" in cell.stream("stdout")
    found = sweeper.lab.get("genops/runs?filter=" + "attributes.run_name%20%3D%20'h'")["runs"]
    assert sorted(run["params"]["seed"] for run in found) == ["1", "2", "3"]
    assert len({run["tags"]["genops.repeat"] for run in found}) == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--repeat 1", "An interval needs 2 to 1000 repeats, not 1."),
        ("--repeat 3 --seeds 1,2", "do not match"),
        ("--seeds 1,1", "do not match"),
        ("--seeds a,b", "is not a list of whole numbers"),
        ("--repeat 3 --resume latest", "cannot continue a run"),
    ],
)
def test_wrong_repeats_are_said(refusing: RunningKernel, options: str, words: str) -> None:
    ran = refusing.run(f"%%track {options}\nx = 1")
    assert ran.status == "error" and words in ran.reply["evalue"]
