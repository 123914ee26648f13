"""A canary from the panel: chosen in the form, seen with its evidence, harm stopped while nobody looks."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, expect

from tests.support.browser import LabPage
from tests.support.lab_server import LabServer
from tests.support.rooms import eventually

from .programs import TRAIN, own_mlflow, run_script

pytestmark = [pytest.mark.ui, pytest.mark.slow, pytest.mark.timeout(300)]

NAME = "canary"
#: The second version expects two numbers a row: it refuses what the first one answers.
WIDER = TRAIN.replace("[[0.0], [1.0], [2.0]]", "[[0.0, 1.0], [1.0, 0.0], [2.0, 3.0]]").replace(
    "[[0.5]]", "[[0.5, 0.5]]"
)


@pytest.fixture(scope="module")
def lab(module_page: LabPage, server: LabServer) -> Iterator[LabPage]:
    """A deployment of version 1; version 2 refuses its requests."""
    for source in (TRAIN, WIDER):
        run_script(server, source, **own_mlflow(server))
        status, _ = server.request("POST", "genops/models", {"name": NAME, "run": "latest"})
        assert status == 200
    body = {"model": NAME, "version": "1"}
    digest = server.request("POST", "genops/deployment-checks", body)[1]["digest"]
    server.request("POST", "genops/deployments", {**body, "name": NAME, "trust": digest})
    eventually(lambda: server.get(f"genops/deployments/{NAME}")["state"], lambda now: now == "running", 90)
    module_page.start()
    yield module_page
    server.request("POST", f"genops/deployments/{NAME}/stop")
    server.request("DELETE", f"genops/deployments/{NAME}")


def send(server: LabServer, count: int) -> None:
    found = server.get(f"genops/deployments/{NAME}")
    key = server.get(f"genops/deployments/{NAME}/key")["key"]
    for _ in range(count):
        request = urllib.request.Request(
            found["url"] + "/invocations",
            data=json.dumps({"inputs": [[1.0]]}).encode(),
            headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
        )
        try:
            urllib.request.urlopen(request, timeout=30).close()
        except urllib.error.HTTPError as error:
            error.close()


def region(lab: LabPage) -> Locator:
    button = lab.section("Deployments").get_by_role("button", name=re.compile(f"^{NAME}"))
    if button.get_attribute("aria-expanded") == "false":
        button.click()
    return lab.page.get_by_role("region", name=f"Rollout of {NAME}")


def test_a_canary_is_chosen_in_the_form(lab: LabPage, server: LabServer) -> None:
    send(server, 30)
    lab.execute("genops:deploy-model", {"model": NAME, "version": "2", "name": NAME})
    dialog = lab.page.get_by_role("dialog")
    dialog.get_by_label("Rollout").select_option("a/b")
    expect(dialog.get_by_text(re.compile("requests an hour, 0.00% of them failed"))).to_be_visible()
    dialog.get_by_role("checkbox", name="I trust this model: it may run code on this machine.").check()
    lab.looks("rollout-form", ".jp-Dialog", (1280, 800))
    dialog.get_by_role("button", name="Deploy", exact=True).click()
    expect(region(lab)).to_contain_text("50 % of requests", timeout=90_000)
    lab.looks("rollout-begun", "#genops-lab-section-deployments-body", (1280, 900), daily=False)


def test_harm_is_stopped_and_the_evidence_is_a_picture(lab: LabPage, server: LabServer) -> None:
    shown = region(lab)
    shown.get_by_role("button", name="Hold", exact=True).focus()
    lab.page.keyboard.press("Enter")
    expect(shown.get_by_text("Held", exact=True)).to_be_visible()
    shown.get_by_role("button", name="Continue", exact=True).click()
    expect(shown.get_by_text("In progress", exact=True)).to_be_visible()

    def state() -> str:
        send(server, 20)
        return str(server.get(f"genops/deployments/{NAME}")["rollout"]["state"])

    eventually(state, lambda now: now == "rolled back", 90)
    expect(shown.get_by_text("Rolled back", exact=True)).to_be_visible(timeout=30_000)
    expect(shown).to_contain_text("Failures: 100.00% with the candidate")
    expect(shown.get_by_role("button", name="Promote")).to_have_count(0)
    shown.get_by_role("button", name="Evidence", exact=True).click()
    expect(shown.get_by_role("img", name=re.compile("Failures, new less before"))).to_be_visible()
    lab.looks("rollout", "#genops-lab-section-deployments-body", (1280, 1100))
    assert server.get(f"genops/deployments/{NAME}")["revision"] == 1
