"""The card of a version in the main area: what is missing is written by keyboard and kept."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.support.browser import NARROW, WIDE, LabPage
from tests.support.lab_server import LabServer

from .programs import own_mlflow, run_script

pytestmark = [pytest.mark.ui, pytest.mark.slow, pytest.mark.timeout(300)]

MODEL = """
import tempfile, pathlib
import mlflow

client = mlflow.MlflowClient()
run = client.create_run("0", tags={"mlflow.source.git.commit": "c" * 40})
client.log_param(run.info.run_id, "lr", "0.1")
client.log_metric(run.info.run_id, "accuracy", 0.91)
folder = pathlib.Path(tempfile.mkdtemp())
(folder / "MLmodel").write_text("flavors: {python_function: {loader_module: mlflow.sklearn}, sklearn: {}}\\n")
client.log_artifacts(run.info.run_id, str(folder), "model")
client.create_registered_model(
    "carded", description="Reads digits. <img src=x onerror=document.title='pwned'>"
)
client.create_model_version("carded", f"{run.info.artifact_uri}/model", run.info.run_id)
"""


def test_a_card_is_read_and_written(lab: LabPage, server: LabServer) -> None:
    run_script(server, MODEL, **own_mlflow(server))
    models = lab.section("Models")
    model = models.get_by_role("button", name=re.compile("^carded"))
    expect(model).to_be_visible()
    if model.get_attribute("aria-expanded") == "false":
        model.click()
    models.get_by_role("button", name="Details of carded version 1").click()
    models.get_by_role("button", name="Card of carded version 1").click()
    page = lab.page.locator(".gol-Card")
    expect(page.get_by_role("heading", name="Model card of carded version 1")).to_be_visible()
    training = page.get_by_role("region", name="Training procedure")
    expect(training.get_by_role("cell", name="lr")).to_be_visible()
    expect(page.get_by_text("Missing: intended use.")).to_be_visible()
    expect(page.get_by_role("button", name="license")).to_be_visible()
    assert "pwned" not in lab.page.title()
    lab.looks("model-card", ".gol-Card", NARROW, WIDE)

    # A person without a mouse: from what is missing to its box, and back to the button beside the section.
    page.get_by_role("button", name="intended use").focus()
    lab.page.keyboard.press("Enter")
    box = page.get_by_role("textbox")
    expect(box).to_be_focused()
    lab.page.keyboard.press("Control+A")
    lab.page.keyboard.type("Post offices that **sort** letters.")
    lab.looks("model-card-writing", ".gol-Card")
    lab.page.keyboard.press("Control+Enter")
    expect(box).to_have_count(0)
    uses = page.get_by_role("region", name="Uses")
    expect(uses.locator("strong", has_text="sort")).to_be_visible()
    expect(uses.get_by_text("Written by a person")).to_be_visible()
    expect(uses.get_by_role("button", name="Edit Uses")).to_be_focused()
    expect(page.get_by_text("Kept", exact=True)).to_be_visible()

    page.get_by_role("button", name="license").click()
    lab.page.keyboard.press("Control+Home")
    lab.page.keyboard.type("license: mit\n")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("button", name="license")).to_have_count(0)
    kept = server.get("genops/models/carded/versions/1/card")
    assert "license: mit\n" in kept["text"] and "Post offices that **sort** letters." in kept["text"]
    lab.shot("model-card-kept")
