"""From an alias that is set with a reason to its history, and one click back."""

from __future__ import annotations

import re

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
client.create_registered_model("scored")
for _ in range(3):
    client.create_model_version("scored", f"{run.info.artifact_uri}/model", run.info.run_id)
"""
OUTSIDE = """
import mlflow

mlflow.MlflowClient().set_registered_model_alias("scored", "champion", "3")
"""


def test_an_alias_is_moved_with_a_reason_and_back_with_a_click(lab: LabPage, server: LabServer) -> None:
    mlflow = own_mlflow(server)
    run_script(server, MODEL, **mlflow)
    server.request(
        "PUT", "genops/models/scored/aliases/champion", {"version": "1", "reason": "The first one"}
    )
    models = lab.section("Models")
    model = models.get_by_role("button", name=re.compile("^scored"))
    if model.get_attribute("aria-expanded") == "false":
        model.click()
    models.get_by_role("button", name="Set an alias of scored version 2…").click()
    dialog = lab.page.get_by_role("dialog")
    dialog.get_by_label("Alias", exact=True).fill("champion")
    expect(dialog.get_by_text("from version 1 to version 2")).to_be_attached()
    dialog.get_by_label("Reason (optional)").fill("0.4 % better on the test set of November")
    lab.looks("alias-dialog", ".jp-Dialog")
    lab.page.keyboard.press("Enter")
    expect(dialog).to_have_count(0)

    models.get_by_role("button", name="Alias history").click()
    history = lab.page.locator(".gol-History")
    moves = history.get_by_role("listitem")
    expect(moves).to_have_count(2)
    expect(moves.first).to_contain_text("0.4 % better on the test set of November")
    run_script(server, OUTSIDE, **mlflow)
    expect(moves).to_have_count(3)
    expect(moves.first).to_contain_text("Outside GenOps Lab")
    expect(moves.first).to_contain_text(re.compile(r"Between .+ and .+"))
    lab.looks("alias-history", ".gol-History", NARROW, WIDE)
    back = history.get_by_role("button", name="Back to v2")
    back.focus()
    lab.page.keyboard.press("Enter")
    expect(moves).to_have_count(4)
    expect(moves.first).to_contain_text("Back to version 2")
    expect(history.get_by_role("button", name="Back to v3")).to_be_focused()
    lab.shot("alias-history-back")
    [shown] = [each for each in server.get("genops/models") if each["name"] == "scored"]
    assert [each["aliases"] for each in shown["versions"]] == [[], ["champion"], []]
