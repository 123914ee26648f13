"""The scores of live traces in the row of their deployment: means, what waits, sentences, pause by the keyboard."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import expect

from tests.genai.live_deployment import LiveDeployment
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


def test_scores_of_live_traces_are_shown_and_paused(lab: LabPage, server: LabServer) -> None:
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
    live.remove()
