"""An MLflow that hangs: the panel says what it waits for, and a promotion can be cancelled."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.gates.made import Made, pair
from tests.support.browser import NARROW, WIDE, LabPage
from tests.support.homes import Home
from tests.support.lab_server import LabServer, running_lab
from tests.support.mlflow_file import place_server_store
from tests.support.mlflow_server import running_mlflow
from tests.support.slow_mlflow import SlowMlflow, slow_mlflow

pytestmark = [pytest.mark.ui, pytest.mark.slow, pytest.mark.timeout(300)]

BETTER = "kind: Gates\ndata: holdout\nrules:\n  - {rule: better, metric: accuracy}\n"


@pytest.fixture(scope="module")
def slow(module_home: Home) -> Iterator[SlowMlflow]:
    place_server_store(module_home.path / "far.db")
    store = f"sqlite:///{module_home.path}/far.db"
    with running_mlflow(module_home, store, module_home.path / "far") as url, slow_mlflow(url) as found:
        yield found


@pytest.fixture(scope="module")
def server(module_home: Home, slow: SlowMlflow) -> Iterator[LabServer]:
    env = {"MLFLOW_TRACKING_URI": slow.url, "MLFLOW_HTTP_REQUEST_TIMEOUT": "60"}
    with running_lab(module_home, env=env) as found:
        yield found
        slow.go_on()


def test_the_panel_says_what_it_waits_for(lab: LabPage, server: LabServer, slow: SlowMlflow) -> None:
    made = Made(slow.url, None)
    made.compared("hanging", *pair(("A", 1000, 60, 5)))
    (server.home.work / "gates.yaml").write_text(BETTER)
    slow.hang("registered-models/search")
    models = lab.section("Models")
    waits = models.get_by_text("MLflow is slow: waiting for the list of models.")
    expect(waits).to_be_visible()
    below = lab.page.locator(".gol-Loading").bounding_box()
    text = waits.bounding_box()
    assert below is not None and text is not None and text["y"] > below["y"], "the bar cuts off what is in it"
    lab.looks("models-slow", ".gol-Loading", NARROW, WIDE)
    slow.go_on()
    model = models.get_by_role("button", name=re.compile("^hanging"))
    expect(model).to_be_visible()
    expect(waits).to_have_count(0)

    if model.get_attribute("aria-expanded") == "false":
        model.click()
    models.get_by_role("button", name="Details of hanging version 2").click()
    models.get_by_role("button", name="Promote hanging version 2…").click()
    dialog = lab.page.get_by_role("dialog")
    expect(dialog.get_by_label("Gate file")).to_be_focused()
    slow.hang("model-versions/set-tag")  # its look
    dialog.get_by_role("button", name="Check gates").press("Enter")
    expect(dialog.get_by_text("MLflow is slow: waiting for the verdict.")).to_be_visible()
    lab.looks("promote-slow", ".jp-Dialog", NARROW, WIDE)
    dialog.get_by_role("button", name="Cancel").press("Enter")
    expect(dialog).to_have_count(0)
    slow.go_on()
    expect(models.get_by_text(re.compile("No gate has judged|Pass: the rule holds"))).to_be_visible()
    assert made.champion("hanging") == "1"
