"""From a version to its lineage: the picture, the keyboard, and the way to a run and to the section of models."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.support.browser import NARROW, WIDE, LabPage
from tests.support.lab_server import LabServer

from .keyboard import Keyboard
from .programs import own_mlflow, run_script

pytestmark = [pytest.mark.ui, pytest.mark.slow, pytest.mark.timeout(300)]

WORLD = """
import json
import mlflow
from mlflow.entities import Dataset, DatasetInput, InputTag

client = mlflow.MlflowClient()

def run(name, data, context):
    made = client.create_run("0", run_name=name)
    tags = [InputTag("mlflow.data.context", context)]
    source = json.dumps({"uri": f"/data/{data}.parquet"})
    inputs = [DatasetInput(Dataset(data, "3fa4b2c1", "local", source), tags)]
    client.log_inputs(made.info.run_id, inputs)
    client.set_tag(made.info.run_id, "mlflow.source.git.commit", "9f8e7d6c" * 5)
    client.set_tag(made.info.run_id, "mlflow.source.name", "train.ipynb")
    client.set_terminated(made.info.run_id)
    return made.info

trained = run("trained", "letters", "training")
judged = run("judged", "exam", "evaluation")
for name in ("traced", "traced-int8"):
    client.create_registered_model(name)
for _ in range(2):
    client.create_model_version("traced", f"{trained.artifact_uri}/model", trained.run_id)
client.set_registered_model_alias("traced", "champion", "2")
client.create_model_version("traced-int8", "s3://elsewhere/model", tags={"genops.parent": "models:/traced/2"})
for number in range(60):
    run(f"crowd {number}", "crowd", "training")
client.create_model_version("traced", "s3://elsewhere/crowd", run("crowned", "crowd", "training").run_id)
client.set_tag(judged.run_id, "genops.evaluation.model", "traced")
client.set_tag(judged.run_id, "genops.evaluation.version", "2")
client.set_model_version_tag("traced", "2", "genops.evaluation.exam:3fa4b2c1", judged.run_id)
"""


def test_the_lineage_of_a_version_is_walked_with_the_keyboard(lab: LabPage, server: LabServer) -> None:
    run_script(server, WORLD, **own_mlflow(server))
    models = lab.section("Models")
    model = models.get_by_role("button", name=re.compile("^traced(?!-)"))
    if model.get_attribute("aria-expanded") == "false":
        model.click()
    models.get_by_role("button", name="Details of traced version 2").click()
    models.get_by_role("button", name="Lineage of traced version 2").click()

    page = lab.page.locator(".gol-Page:has(.gol-Lineage)")
    expect(page.get_by_role("heading", name="Lineage of traced version 2")).to_be_visible()
    picture = page.get_by_role("group", name=re.compile("^Lineage"))
    expect(picture.get_by_role("button")).to_have_count(6)
    root = picture.get_by_role("button", name=re.compile("traced v2"))
    expect(root).to_contain_text("champion")
    lab.looks("lineage", ".gol-Page:has(.gol-Lineage)", NARROW, WIDE)

    keyboard = Keyboard(lab.page)
    root.focus()
    keyboard.press("ArrowRight")
    expect(picture.get_by_role("button", name=re.compile("traced-int8 v1"))).to_be_focused()
    keyboard.press("Home", "ArrowLeft")
    runs = picture.get_by_role("button", name=re.compile("^Run"))
    expect(runs).to_have_count(2)
    trained = runs.filter(has_text="trained")
    if not trained.evaluate("node => node === document.activeElement"):
        other = runs.first.evaluate("node => node === document.activeElement")
        keyboard.press("ArrowDown" if other else "ArrowUp")
    expect(trained).to_be_focused()
    detail = page.get_by_role("region", name="Selected object")
    expect(detail).to_contain_text("9f8e7d6c" * 5)
    keyboard.press("ArrowLeft")
    expect(picture.get_by_role("button", name=re.compile("letters"))).to_be_focused()
    expect(detail).to_contain_text("/data/letters.parquet")

    # The same as a list, for those who see no picture.
    keyboard.choose(page.get_by_role("button", name="As a list"))
    made_from = page.locator(".gol-Lineage-list").first
    expect(made_from.get_by_role("button", name="Data set letters")).to_be_visible()
    lab.shot("lineage-list")

    # Enter opens what has the focus: of data its own lineage, of a run its details.
    picture.get_by_role("button", name=re.compile("letters")).focus()
    lab.page.keyboard.press("Enter")
    data = lab.page.locator(".gol-Page:has(.gol-Lineage):visible")
    expect(data.get_by_role("heading", name="Lineage of letters")).to_be_visible()
    expect(data.get_by_role("button", name=re.compile("traced v1")).first).to_be_visible()
    expect(data.get_by_role("button", name=re.compile("exam"))).to_have_count(0)
    data.get_by_role("button", name=re.compile("^Run")).first.focus()
    lab.page.keyboard.press("Enter")
    expect(lab.page.locator("#genops-runs")).to_contain_text("trained")
    runs_page = lab.page.locator("#genops-runs")
    runs_page.get_by_role("button", name="Lineage").click()
    expect(
        lab.page.locator(".gol-Page:has(.gol-Lineage):visible").get_by_role(
            "heading", name="Lineage of trained"
        )
    ).to_be_visible()


def test_runs_without_a_version_are_counted_and_listed_by_keyboard(lab: LabPage) -> None:
    lab.execute("genops:open-lineage", {"of": "data:crowd@3fa4b2c1"})
    page = lab.page.locator(".gol-Page:has(.gol-Lineage):visible")
    picture = page.get_by_role("group", name=re.compile("^Lineage"))
    expect(picture.get_by_role("button", name=re.compile("crowned"))).to_be_visible()
    group = picture.get_by_role("button", name="60 runs without a version")
    lab.looks("lineage-group", ".gol-Page:has(.gol-Lineage)", NARROW, WIDE)
    group.focus()
    lab.page.keyboard.press("Enter")
    listed = page.get_by_role("list", name="Runs without a version")
    expect(listed.get_by_role("listitem")).to_have_count(50)
    expect(listed.get_by_role("button").first).to_have_text("crowd 59")
    expect(page.get_by_role("button", name="60 runs without a version").last).to_be_focused()
    lab.shot("lineage-group-listed")
    page.get_by_role("button", name="Show more").click()
    expect(listed.get_by_role("listitem")).to_have_count(60)


def test_a_reload_brings_back_lineage_card_and_history(lab: LabPage) -> None:
    lab.execute("genops:open-alias-history", {"model": "traced"})
    lab.execute("genops:open-model-card", {"model": "traced", "version": "2"})
    card = lab.page.locator(".gol-Card:visible")
    expect(card).to_contain_text("The files of traced version 2 do not exist.")
    lab.execute("genops:open-lineage", {"of": "model:traced@champion"})
    heading = lab.page.locator(".gol-Page:has(.gol-Lineage):visible").get_by_role(
        "heading", name="Lineage of traced version 2"
    )
    expect(heading).to_be_visible()
    lab.kept_open(
        "genops-lineage:genops-lineage-model:traced@champion",
        "genops-model-card:genops-model-card-traced-2",
        "genops-alias-history:genops-alias-history-traced",
    )
    lab.page.reload()
    lab.ready()
    expect(heading).to_be_visible()
    for title in ("Lineage of traced version 2", "Card of traced version 2", "Aliases of traced"):
        expect(lab.page.locator(".lm-TabBar-tabLabel", has_text=title)).to_have_count(1)
    lab.page.locator(".lm-TabBar-tabLabel", has_text="Card of traced version 2").click()
    expect(card).to_contain_text("The files of traced version 2 do not exist.")
    lab.execute("genops:open-alias-history", {"model": "traced"})
    expect(lab.page.locator(".gol-History:visible")).to_contain_text("Alias history of traced")


def test_an_unknown_object_is_asked_for_and_refused_with_a_hint(lab: LabPage) -> None:
    lab.page.evaluate("() => { void window.jupyterapp.commands.execute('genops:open-lineage', {}); }")
    dialog = lab.page.get_by_role("dialog")
    dialog.get_by_role("textbox").fill("model:tracd@1")
    lab.page.keyboard.press("Enter")
    page = lab.page.locator(".gol-Page:visible")
    expect(page).to_contain_text("The lineage cannot be read.")
    expect(page).to_contain_text("Did you mean traced")
