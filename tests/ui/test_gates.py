"""From a version's details to its verdict and its promotion."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from tests.gates.made import DEMO_RULES, DEMO_SENTENCE
from tests.support.browser import NARROW, WIDE, LabPage
from tests.support.lab_server import LabServer

from .programs import own_mlflow, run_script

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.ui, pytest.mark.slow, pytest.mark.timeout(300)]

MODELS = """
import sys

import mlflow

sys.path.insert(0, ROOT)
from tests.gates.made import Made, demo, pair

made = Made(mlflow.get_tracking_uri(), None)
made.compared("gated", *demo())
made.compared("gated-good", *pair(("A", 1000, 60, 5)))
"""
BETTER = "kind: Gates\ndata: holdout\nrules:\n  - {rule: better, metric: accuracy}\n"


def test_the_verdict_is_shown_before_the_move_and_a_red_one_refuses(
    lab: LabPage, server: LabServer, folder: Path
) -> None:
    run_script(server, MODELS.replace("ROOT", json.dumps(str(ROOT))), **own_mlflow(server))
    (folder / "red.yaml").write_text(DEMO_RULES)
    (folder / "green.yaml").write_text(BETTER)
    models = lab.section("Models")

    def details(name: str) -> Locator:
        model = models.get_by_role("button", name=re.compile(f"^{name}(?!-)"))
        if model.get_attribute("aria-expanded") == "false":
            model.click()
        opened = models.get_by_role("button", name=f"Details of {name} version 2")
        if opened.get_attribute("aria-expanded") == "false":
            opened.click()
        return models.get_by_role("button", name=f"Promote {name} version 2…")

    promote = details("gated")
    expect(models.get_by_text("No gate has judged this version.")).to_be_visible()
    promote.focus()
    lab.page.keyboard.press("Enter")
    dialog = lab.page.get_by_role("dialog")
    expect(dialog.get_by_role("button", name="Promote", exact=True)).to_be_disabled()
    expect(dialog.get_by_label("Gate file")).to_be_focused()  # late on a busy machine: a key would go there
    dialog.get_by_label("Gate file").fill("none.yaml")
    dialog.get_by_role("button", name="Check gates").press("Enter")
    expect(dialog.get_by_text("The gate file none.yaml cannot be read.")).to_be_visible()
    dialog.get_by_label("Gate file").fill(f"{folder.name}/red.yaml")
    lab.page.keyboard.press("Tab")
    lab.page.keyboard.press("Enter")
    expect(dialog.get_by_role("status").get_by_text(DEMO_SENTENCE)).to_be_visible()
    dialog.get_by_text("2 rules").click()
    picture = dialog.get_by_role("img", name=re.compile("Intervals of the rules"))
    expect(picture).to_be_visible()
    assert picture.evaluate("each => each.naturalWidth") > 400, "the SVG is drawn"
    lab.looks("promote-red", ".jp-Dialog", NARROW, WIDE)
    expect(dialog.get_by_role("button", name="Promote", exact=True)).to_be_disabled()
    lab.page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(models.get_by_text(DEMO_SENTENCE)).to_be_visible()
    lab.looks("version-gates", ".gol-Gates")

    details("gated-good").click()
    dialog.get_by_label("Gate file").fill(f"{folder.name}/green.yaml")
    dialog.get_by_role("button", name="Check gates").click()
    expect(dialog.get_by_text("Pass: the rule holds against version 1.")).to_be_visible()
    dialog.get_by_label("Reason (optional)").fill("5 points better")
    lab.shot("promote-green")
    lab.page.keyboard.press("Enter")
    expect(dialog).to_have_count(0)
    [model] = [each for each in server.get("genops/models") if each["name"] == "gated-good"]
    assert [each["aliases"] for each in model["versions"]] == [["champion"], []]
