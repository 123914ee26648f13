"""The quickstart, top to bottom in the browser, with the panel telling each step while it happens."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import expect

from tests.support.browser import SECTIONS, LabPage
from tests.support.lab_server import LabServer

#: Each step takes seconds of CPU, which on a busy machine are minutes.
PATIENT_MS = 240_000

pytestmark = [pytest.mark.ui, pytest.mark.slow, pytest.mark.timeout(600)]


def test_the_quickstart_runs_and_the_panel_follows(lab: LabPage, server: LabServer) -> None:
    card = lab.page.locator(".jp-LauncherCard", has_text="GenOps quickstart")
    expect(card.locator("img")).to_be_visible()
    card.click()
    lab.page.get_by_role("tab", name="quickstart.ipynb").wait_for()
    lab.kernel_idle()
    experiments = lab.section("Runs")
    models = lab.section("Models")
    deployments = lab.section("Deployments")
    lab.run_all_but_the_last()  # it stops the deployment, whose state was gone before a busy machine looked at it

    here = lab.section("This notebook")
    expect(here.get_by_role("button", name="digits-mlp")).to_be_visible(timeout=PATIENT_MS)
    expect(experiments.get_by_text("digits-mlp").first).to_be_visible(timeout=PATIENT_MS)
    expect(models.get_by_text("digits", exact=True).first).to_be_visible(timeout=PATIENT_MS)
    expect(deployments.get_by_text(re.compile("running", re.I)).first).to_be_visible(timeout=PATIENT_MS)
    key = server.get("genops/deployments/digits/key")["key"]
    lab.execute("notebook:run-cell")
    lab.wait_for_last_cell(PATIENT_MS)

    profiles = lab.main_page("genops:open-profiles", "genops-profiles")
    expect(profiles.get_by_role("row", name=re.compile("ten training steps.*Ready"))).to_be_visible()
    lab.page.locator("#jp-main-dock-panel").get_by_role("tab", name="quickstart.ipynb").click()
    text = "\n".join(lab.outputs())
    assert "Traceback" not in text, text
    assert re.search(r"served: \[[\d ]+\]\s+own: \[[\d ]+\]", text), text
    expect(deployments.get_by_text(re.compile("stopped", re.I)).first).to_be_visible(timeout=PATIENT_MS)
    assert lab.problems == [], lab.problems

    runs = server.get("genops/runs?experiment=quickstart")["runs"]
    assert [run["name"] for run in runs] == ["digits-mlp"]
    assert runs[0]["status"] == "FINISHED"
    assert runs[0]["metrics"]["accuracy"] > 0.9
    assert runs[0]["params"]["learning_rate"] == "0.002"
    detail = server.get(f"genops/runs/{runs[0]['run_id']}")
    paths = {artifact["path"] for artifact in detail["artifacts"]}
    assert {"source", "profiles"} <= paths
    metrics = server.get(f"genops/runs/{runs[0]['run_id']}/metrics")
    assert len(next(s for s in metrics["series"] if s["key"] == "loss")["steps"]) == 20
    assert metrics["system"], "system metrics were recorded"
    assert not list(server.home.work.rglob("mlruns")) and not list(server.home.work.rglob("mlflow.db"))

    with lab.page.expect_response(
        lambda answer: answer.request.method == "PUT" and "/api/contents/quickstart.ipynb" in answer.url
    ):
        lab.execute("docmanager:save")
    saved = json.loads((server.home.work / "quickstart.ipynb").read_text(encoding="utf-8"))
    outputs = json.dumps([cell.get("outputs") for cell in saved["cells"]])
    assert "application/vnd.jupyter.widget-view+json" not in outputs, "the saved picture needs no kernel"
    assert "image/svg+xml" in outputs or "data:image/svg" in outputs
    assert key and key not in json.dumps(saved), "the key stays out of the notebook"

    for name in SECTIONS:
        expect(lab.section(name).get_by_role("status", name="Loading")).to_have_count(0)
    lab.looks("panel", "#genops-lab-panel", (1280, 1000), (1920, 1000))
