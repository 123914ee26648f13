"""``genops sweeps`` against a running JupyterLab."""

from __future__ import annotations

import json

from tests.commands.conftest import genops

from .conftest import Sweeper

SCRIPT = """import sys
import genops

lr = 0.5
assert __name__ == "__main__" and sys.argv == [__file__]
genops.log({"loss": (lr - 0.2) ** 2})
"""


def test_a_script_is_swept_and_its_sweep_is_shown(sweeper: Sweeper) -> None:
    (sweeper.home.work / "train.py").write_text(SCRIPT)
    ran = genops(sweeper.home, "sweeps", "run", "train.py", "lr=0.1,0.2", "--metric", "loss", "--json")
    assert ran.code == 0, ran.err
    assert (ran.json["state"], ran.json["best"], ran.json["name"]) == ("done", 1, "train")
    assert "trial 1 finished, lr=0.2: loss 0" in ran.err
    shown = genops(sweeper.home, "sweeps", "show", ran.json["id"][:6])
    assert "LR" in shown.out and "0.01" in shown.out and "(best)" in shown.out
    listed = genops(sweeper.home, "sweeps", "list", "--json")
    assert ran.json["id"] in [each["id"] for each in listed.json]
    runs = genops(
        sweeper.home, "runs", "list", "--filter", f'tags."genops.sweep" = "{ran.json["id"]}"', "--json"
    )
    assert len(runs.json) == 2
    asked = genops(sweeper.home, "sweeps", "delete", ran.json["id"][:6])
    assert asked.code == 4 and "Add --yes" in asked.err
    deleted = genops(sweeper.home, "sweeps", "delete", ran.json["id"][:6], "--yes", "--json")
    assert deleted.json == {"id": ran.json["id"], "deleted": True}
    assert genops(sweeper.home, "sweeps", "show", ran.json["id"]).code == 3
    listed = genops(sweeper.home, "sweeps", "list", "--json")
    assert ran.json["id"] not in [each["id"] for each in listed.json]
    assert genops(sweeper.home, "runs", "show", runs.json[0]["run_id"]).code == 0, "runs stay"


def test_a_notebook_is_swept_by_its_one_cell(sweeper: Sweeper) -> None:
    cells = [
        "%load_ext genops_lab\nbase = 3",
        "%%track\nn = 1\ngenops_value = n * base\nimport genops\ngenops.log({'y': genops_value})",
    ]
    notebook = {
        "cells": [{"cell_type": "code", "source": source, "metadata": {}, "outputs": []} for source in cells],
        "metadata": {},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    path = sweeper.home.work / "lesson.ipynb"
    path.write_text(json.dumps(notebook))
    options = ["--metric", "y", "--maximize", "--on", "forked", "--json"]
    ran = genops(sweeper.home, "sweeps", "run", "lesson.ipynb", "n=1,2", *options)
    assert ran.code == 0, ran.err
    assert [trial["value"] for trial in ran.json["trials"]] == [3, 6]
    assert ran.json["best"] == 1


def test_commands_say_what_is_wrong(sweeper: Sweeper) -> None:
    assert genops(sweeper.home, "sweeps", "run", "nowhere.py", "lr=1").code == 3
    (sweeper.home.work / "bad.py").write_text("raise ValueError('never')")
    ran = genops(sweeper.home, "sweeps", "run", "bad.py", "lr=1,2")
    assert ran.code == 1
    assert "The cell neither assigns lr at its top level nor reads it." in ran.out
    assert genops(sweeper.home, "sweeps", "stop", "no-such").code == 3
    wrong = genops(sweeper.home, "sweeps", "run", "bad.py", "lr=1,2", "--method", "luck")
    assert wrong.code == 2 and "method" in wrong.err
