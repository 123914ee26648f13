"""A version's evaluations in its row, and the dialog that begins one."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.support.browser import NARROW, WIDE, LabPage
from tests.support.lab_server import LabServer

from .programs import own_mlflow, run_script

pytestmark = [pytest.mark.ui, pytest.mark.slow, pytest.mark.timeout(300)]

MODEL = """
import mlflow

client = mlflow.MlflowClient()
run = client.create_run("0")
client.create_registered_model("weighed")
for _ in range(2):
    client.create_model_version("weighed", f"{run.info.artifact_uri}/model", run.info.run_id)
client.set_registered_model_alias("weighed", "champion", "1")
"""
ROWS = 300


def _log(server: LabServer, folder: Path, version: str, wrong: int) -> None:
    """Keep predictions of a version, of which the first ``wrong`` are wrong."""
    labels = [at % 2 for at in range(ROWS)]
    content = {
        "ids": [f"row {at}" for at in range(ROWS)],
        "labels": labels,
        "predictions": [1 - each if at < wrong else each for at, each in enumerate(labels)],
        "groups": {"region": ["north" if at % 3 else "south" for at in range(ROWS)]},
        "latency_s": [0.001 + at % 7 / 10_000 for at in range(ROWS)],
    }
    path = folder / f"version-{version}.json"
    path.write_text(json.dumps(content))
    body = {"path": str(path), "model": "weighed", "version": version, "data": "holdout", "digest": "ab" * 18}
    server.request("POST", "genops/v1/evaluations/predictions", body)


def test_a_version_shows_how_it_was_judged(lab: LabPage, server: LabServer, tmp_path: Path) -> None:
    run_script(server, MODEL, **own_mlflow(server))
    _log(server, tmp_path, "1", wrong=60)
    models = lab.section("Models")
    model = models.get_by_role("button", name=re.compile("^weighed"))
    if model.get_attribute("aria-expanded") == "false":
        model.click()
    models.get_by_role("button", name="Details of weighed version 2").click()
    judged = models.get_by_role("region", name="Evaluations of weighed version 2")
    expect(judged).to_contain_text("This version was not evaluated on any data set yet.")
    _log(server, tmp_path, "2", wrong=20)
    expect(judged).to_contain_text("0.933 (")
    expect(judged).to_contain_text("against version 1")
    expect(judged.get_by_text("better", exact=True).first).to_be_visible()
    expect(judged).to_contain_text("This data set has judged 2 versions.")
    judged.get_by_text("Accuracy by region").click()
    expect(judged.get_by_text("north", exact=True)).to_be_visible()
    judged.scroll_into_view_if_needed()
    lab.looks("evaluations", ".gol-Evaluations", NARROW, WIDE)

    evaluate = judged.get_by_role("button", name="Evaluate weighed version 2…")
    evaluate.focus()
    lab.page.keyboard.press("Enter")
    dialog = lab.page.get_by_role("dialog")
    expect(dialog.get_by_label("Data", exact=True)).to_be_focused()
    expect(dialog.get_by_label("Data", exact=True)).to_have_value("holdout@abababab")
    expect(dialog.get_by_label("Compare with")).to_have_value("1")
    lab.looks("evaluate", ".jp-Dialog")
    dialog.get_by_label("Data", exact=True).fill("no-such-file.parquet")
    lab.page.keyboard.press("Enter")
    expect(dialog.get_by_role("alert")).to_contain_text("MLflow knows no data set 'no-such-file.parquet'.")
    lab.page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
