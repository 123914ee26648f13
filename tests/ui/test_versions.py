"""All versions of all models on one page: query, sort, columns, comparison, details, keyboard, after a reload."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Response, expect

from tests.support.browser import LabPage
from tests.support.lab_server import LabServer

from .keyboard import Keyboard
from .programs import own_mlflow, run_script

pytestmark = [pytest.mark.ui, pytest.mark.slow, pytest.mark.timeout(300)]

MADE = """
import json, mlflow
client = mlflow.MlflowClient()
experiment = client.create_experiment("of versions")
runs = []
for number in range(3):
    run = client.create_run(experiment, run_name=f"versions-{number}")
    client.log_metric(run.info.run_id, "accuracy", 0.9 + number / 100)
    client.log_param(run.info.run_id, "depth", number)
    client.set_terminated(run.info.run_id)
    runs.append(run.info.run_id)
evaluation = client.create_run(experiment, run_name="evaluation")
client.log_metric(evaluation.info.run_id, "f1", 0.8123)
for name in ("digits-of-versions", "faces-of-versions"):
    client.create_registered_model(name)
for number, run in enumerate(runs):
    client.create_model_version("digits-of-versions", f"runs:/{run}/model", run, description=f"take {number}")
client.create_model_version("faces-of-versions", "/nowhere/faces")
client.set_registered_model_alias("digits-of-versions", "champion", "3")
client.set_registered_model_alias("digits-of-versions", "shadow", "3")
for version, verdict in (("3", "pass"), ("2", "fail"), ("1", "not_enough_data")):
    client.set_model_version_tag("digits-of-versions", version, "genops.gates", json.dumps({"verdict": verdict}))
client.set_model_version_tag(
    "digits-of-versions", "3", "genops.evaluation.holdout:3f2a91c0", evaluation.info.run_id
)
"""
DELETED = """
import mlflow
mlflow.MlflowClient().delete_model_version("digits-of-versions", "1")
"""
REWRITTEN = """
import mlflow
mlflow.MlflowClient().update_model_version("digits-of-versions", "2", "Theirs")
"""
OURS = "model CONTAINS of-versions"
#: Other tests register models that pass, and deploy some, in the same MLflow.
GATED = "model = 'digits-of-versions' and gates = pass"


def table(lab: LabPage) -> Locator:
    return lab.page.locator(".gol-RunTable")


def rows(lab: LabPage) -> Locator:
    return table(lab).locator(".gol-RunTable-rdg .rdg-row")


def ask(lab: LabPage, query: str) -> None:
    box = table(lab).get_by_role("combobox", name="Query")
    box.fill(query)
    box.press("Enter")


def select(lab: LabPage, *versions: int) -> None:
    for version in versions:
        table(lab).get_by_role("checkbox", name=f"Select digits-of-versions version {version}").check()


def test_the_page_opens_from_the_panel_and_answers_queries(lab: LabPage, server: LabServer) -> None:
    run_script(server, MADE, **own_mlflow(server))
    lab.section("Models")
    lab.panel().get_by_role("button", name="All versions").click()
    expect(rows(lab).first).to_be_visible()
    ask(lab, OURS)
    expect(rows(lab)).to_have_count(4)
    ask(lab, "model = 'digits-of-versions' and metrics.accuracy > 0.905")
    expect(rows(lab)).to_have_count(2)
    expect(rows(lab).first).to_contain_text("champion")
    expect(rows(lab).first).to_contain_text("Pass")
    ask(lab, "aliases contains shadow")
    expect(rows(lab)).to_have_count(1)
    ask(lab, "aliases contians shadow")
    expect(table(lab).get_by_role("alert")).to_contain_text("Did you mean CONTAINS?")
    ask(lab, f"{OURS} and deployed")
    expect(table(lab)).to_contain_text("No version matches this query.")
    ask(lab, OURS)
    expect(rows(lab).first).to_contain_text("faces-of-versions")
    table(lab).get_by_role("columnheader", name="Model").click()
    expect(rows(lab).first).to_contain_text("digits-of-versions")
    lab.looks("versions", ".gol-RunTable")
    lab.shot("versions", width=1920, height=1000)
    table(lab).get_by_role("button", name="Columns").click()
    table(lab).get_by_role("checkbox", name=re.compile("^depth")).check()
    expect(table(lab).get_by_role("columnheader", name=re.compile("^depth"))).to_be_visible()


def test_two_versions_stand_side_by_side_and_then_their_runs(lab: LabPage) -> None:
    open_page(lab)
    select(lab, 2, 3)
    table(lab).get_by_role("button", name="Compare", exact=True).click()
    drawer = table(lab).locator(".gol-RunTable-drawer")
    line = drawer.get_by_role("row", name=re.compile("^Aliases"))
    expect(line).to_contain_text("champion, shadow")
    expect(drawer.get_by_role("row", name=re.compile("^accuracy"))).to_contain_text("0.9100")
    expect(drawer.get_by_role("row", name="holdout@3f2a91c0/f1")).to_contain_text("0.8123")
    lab.looks("versions-compared", ".gol-RunTable")
    drawer.get_by_role("button", name="Compare runs").click()
    expect(
        lab.page.locator(".gol-Comparison").get_by_role("columnheader", name="B versions-1").first
    ).to_be_visible()


def test_details_by_keyboard_and_a_version_that_is_deleted_outside(lab: LabPage, server: LabServer) -> None:
    open_page(lab)
    ask(lab, "model = 'digits-of-versions' and version = 1")
    expect(rows(lab)).to_have_count(1)
    keyboard = Keyboard(lab.page)
    rows(lab).first.get_by_role("gridcell").nth(2).click()
    keyboard.press("Enter")
    drawer = table(lab).locator(".gol-RunTable-drawer")
    expect(drawer).to_contain_text("Not enough data")
    expect(drawer.get_by_role("button", name="versions-0")).to_be_visible()
    lab.looks("versions-detail", ".gol-RunTable")
    run_script(server, DELETED, **own_mlflow(server))
    expect(drawer).to_contain_text("This version does not exist any more.")
    expect(rows(lab)).to_have_count(0)
    drawer.get_by_role("button", name="Close").focus()
    keyboard.press("Escape")
    expect(drawer).to_have_count(0)


def test_an_alias_is_set_from_the_menu_of_a_row(lab: LabPage) -> None:
    open_page(lab)
    rows(lab).filter(has_text="Fail").get_by_role("gridcell").nth(2).click(button="right")
    lab.page.get_by_role("menuitem", name="Set Alias…").click()
    dialog = lab.page.get_by_role("dialog")
    dialog.get_by_label("Alias", exact=True).fill("challenger")
    lab.page.keyboard.press("Enter")
    expect(dialog).to_have_count(0)
    expect(rows(lab).filter(has_text="Fail")).to_contain_text("challenger")


def test_a_description_is_written_and_a_change_from_outside_is_not_overwritten(
    lab: LabPage, server: LabServer
) -> None:
    open_page(lab)
    ask(lab, "model = 'digits-of-versions' and version = 2")
    expect(rows(lab)).to_have_count(1)
    keyboard = Keyboard(lab.page)
    rows(lab).first.get_by_role("gridcell").nth(2).click()
    keyboard.press("Enter")
    drawer = table(lab).locator(".gol-RunTable-drawer")
    described = drawer.get_by_role("group", name="Description and tags of digits-of-versions version 2")
    edit = described.get_by_role("button", name="Edit description of digits-of-versions version 2…")
    edit.focus()
    keyboard.press("Enter")
    box = described.get_by_role("textbox")
    expect(box).to_be_focused()
    expect(box).to_have_value("take 1")
    box.fill("Better on **night** pictures. <img src=x onerror=document.title='run'>")
    keyboard.press("Control+Enter")
    expect(described.locator("strong")).to_have_text("night")
    expect(edit).to_be_focused()
    assert lab.page.title() != "run"

    keyboard.press("Enter")
    box.fill("Mine")
    run_script(server, REWRITTEN, **own_mlflow(server))
    keyboard.press("Control+Enter")
    expect(described.get_by_role("alert")).to_contain_text("was changed while you wrote")
    expect(described.locator(".gol-Described-now")).to_contain_text("Theirs")
    lab.looks("versions-description", ".gol-RunTable")
    described.get_by_role("button", name="Replace").click()
    expect(edit).to_be_focused()
    expect(described.locator(".gol-Markdown")).to_have_text("Mine")

    described.get_by_role("button", name="Add tag to digits-of-versions version 2…").click()
    described.get_by_label("Tag", exact=True).fill("team")
    described.get_by_label("Value").fill("vision")
    keyboard.press("Enter")
    expect(described.get_by_role("button", name="Edit the tag team: vision")).to_be_visible()
    keyboard.press("Escape")
    ask(lab, "tags.team = vision and description = Mine")
    expect(rows(lab)).to_have_count(1)


def test_a_reload_brings_the_page_back_with_its_query(lab: LabPage) -> None:
    open_page(lab)
    with lab.page.expect_response(_saved):
        ask(lab, GATED)
    expect(rows(lab)).to_have_count(1)
    lab.page.reload()
    lab.ready()
    expect(rows(lab)).to_have_count(1)
    expect(table(lab).get_by_role("combobox", name="Query")).to_have_value(GATED)


def _saved(answer: Response) -> bool:
    """Whether the page has told the server its query: a reload ends a request that is under way."""
    return "/api/workspaces/" in answer.request.url and "gates = pass" in (answer.request.post_data or "")


def open_page(lab: LabPage) -> None:
    lab.execute("genops:open-versions")
    expect(table(lab)).to_be_visible()
    ask(lab, OURS)
    expect(rows(lab).first).to_contain_text("of-versions")
