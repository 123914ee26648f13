"""The scores of live traces in the row of their deployment: means, what waits, sentences, pause by the keyboard."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.genai.live_deployment import LiveDeployment
from tests.kernels.outputs.pages import eventually
from tests.support.browser import LabPage
from tests.support.lab_server import LabServer
from tests.support.openai_stub import OpenAIStub

from .keyboard import Keyboard

pytestmark = [pytest.mark.ui, pytest.mark.slow, pytest.mark.timeout(300)]

NAME = "scored-live"
SCORERS = [
    {"scorer": "refusal", "name": "answers"},
    {
        "scorer": "rubric", "name": "polite", "model": "judge", "criterion": "The answer is polite.",
        "scale": ["no", "yes"],
    },
]  # fmt: skip


def test_scores_of_live_traces_are_shown_paused_and_changed_by_a_file(
    lab: LabPage, server: LabServer, folder: Path
) -> None:
    live = LiveDeployment(server, NAME)
    live.deploy()
    live.done("PUT", f"genops/v1/deployments/{NAME}/traces", {"sample": 1.0})
    with OpenAIStub(key="", answers={"": '{"reason": "kind", "mark": 2}'}) as stub:
        judge = {
            "url": stub.url, "model": "stub-1", "settings": {"max_tokens": 50}, "price": {"input": 1, "output": 1},
        }  # fmt: skip
        text = json.dumps({"scorers": SCORERS, "judges": {"judge": judge}})
        live.done("PUT", live.path, {"text": text, "money_per_day": 0.5})
        row = lab.section("Deployments").get_by_role("button", name=re.compile(f"^{NAME}"))
        expect(row).to_be_visible()
        if row.get_attribute("aria-expanded") == "false":
            row.click()
        body = lab.page.locator("#genops-lab-section-deployments-body")
        keys = Keyboard(lab.page)
        keys.choose(body.get_by_role("button", name="Scores of live traces"))
        expect(body.get_by_text("answers: 0 scored", exact=True)).to_be_visible()
        live.ask("one", "two", "a forbidden one", "a broken one")
        live.settled(4)
    expect(body.get_by_text("0.667 (0.092 to 0.99)")).to_be_visible()
    expect(body.get_by_text("answers: 3 scored, 1 not scored", exact=True)).to_be_visible()
    expect(body.get_by_text(re.compile(r"USD of 0\.5$"))).to_be_visible()
    expect(
        body.get_by_text(re.compile("^The judge polite is not calibrated: nobody labelled"))
    ).to_be_visible()
    lab.looks("online-scorers", "#genops-lab-section-deployments-body", (1280, 1100))
    keys.choose(body.get_by_role("button", name="Pause the scorers"))
    expect(body.get_by_role("button", name="Resume the scorers")).to_be_focused()
    expect(body.get_by_text(re.compile("^Scoring is paused."))).to_be_visible()
    # The dialog that applies a deployment file shows which scorers would change, and changes them.
    now, _, _ = server.get(f"genops/v1/deployments/{NAME}/file")["now"].partition("scorers:")
    (folder / "scorers.yaml").write_text(json.dumps({"scorers": SCORERS[:1]}))
    (folder / "live.yaml").write_text(f"{now}scorers: {{file: scorers.yaml, sample: 0.5}}\n")
    lab.go_to_folder(folder.name)
    lab.page.locator(".jp-DirListing-item", has_text="live.yaml").click(button="right")
    lab.page.get_by_role("menuitem", name="Apply as Deployment…").click()
    dialog = lab.page.get_by_role("dialog", name="Apply a deployment file")
    expect(dialog.get_by_role("row", name="scorers answers, polite answers", exact=True)).to_be_visible()
    expect(
        dialog.get_by_role("row", name=re.compile("100 % of the traces 50 % of the traces$"))
    ).to_be_visible()
    expect(dialog.get_by_role("row", name=re.compile(r"0\.5 USD a day –$"))).to_be_visible()
    lab.looks("apply-scorers", ".jp-Dialog", daily=False)
    dialog.get_by_role("button", name="Apply", exact=True).press("Enter")
    eventually(live.scores, lambda found: found["sample"] == 0.5 and len(found["scorers"]) == 1)
    live.running()
    live.remove()
