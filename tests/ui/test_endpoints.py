"""The section Generative AI, and the page of models that answer, against a stub of OpenAI's chat completions."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.support.browser import WIDE, LabPage
from tests.support.lab_server import LabServer
from tests.support.openai_stub import OpenAIStub

pytestmark = [pytest.mark.ui, pytest.mark.slow, pytest.mark.timeout(180)]


def test_an_endpoint_is_added_tested_and_deleted(lab: LabPage, server: LabServer) -> None:
    page = lab.page
    with OpenAIStub() as stub:
        server.request("PUT", "genops/v1/deployment-secrets/STUB_KEY", {"value": stub.key})
        lab.section("Generative AI").get_by_role("button", name=re.compile("^Endpoints")).click()
        shown = page.locator("#genops-endpoints")
        add = shown.get_by_role("button", name="Add an endpoint…").first
        add.focus()
        page.keyboard.press("Enter")
        dialog = page.get_by_role("dialog", name="Add an endpoint")
        expect(dialog.get_by_label("Name")).to_be_focused()
        page.keyboard.type("bad name!")
        expect(dialog.get_by_text("Use up to 100 letters, digits, dots")).to_be_visible()
        expect(dialog.get_by_label("Name")).to_have_attribute("aria-invalid", "true")
        dialog.get_by_label("URL").fill("https://api.example.com/v1/chat/completions")
        expect(dialog.get_by_text("Leave out /chat/completions: it is added.")).to_be_visible()
        lab.looks("endpoints-problems", ".jp-Dialog", daily=False)
        dialog.get_by_label("Name").fill("house")
        dialog.get_by_label("Kind").select_option("litellm")
        expect(dialog.get_by_label("URL (optional)")).to_be_visible()
        lab.looks("endpoints-litellm", ".jp-Dialog", daily=False)
        dialog.get_by_label("Kind").select_option("chat")
        dialog.get_by_label("URL").fill(stub.url)
        dialog.get_by_label("Model", exact=True).fill("m")
        dialog.get_by_label("Secret with the key").select_option("STUB_KEY")
        expect(dialog.get_by_text("The price is not known.")).to_be_visible()
        dialog.get_by_label(re.compile("input tokens")).fill("2")
        expect(dialog.get_by_role("button", name="Add", exact=True)).to_be_disabled()
        dialog.get_by_label(re.compile("output tokens")).fill("8")
        dialog.get_by_label("Date of the prices").fill("2026-05-01")
        dialog.get_by_text("Limits", exact=True).click()
        dialog.get_by_label("Calls at once").fill("3")
        dialog.get_by_label(re.compile("^USD an evaluation")).fill("1.5")
        lab.looks("endpoints-add", ".jp-Dialog", daily=False)
        page.keyboard.press("Enter")
        row = shown.get_by_role("row", name=re.compile("^house"))
        expect(row.get_by_text("Answers", exact=True)).to_be_visible(timeout=30_000)
        expect(row.get_by_text("2 in, 8 out (USD)")).to_be_visible()
        expect(row.get_by_title("given, 2026-05-01")).to_have_count(1)
        shown.get_by_role("button", name="Steps of the test").click()
        steps = shown.get_by_role("list", name="Steps of the test of house")
        expect(steps.get_by_role("listitem")).to_have_count(10)
        expect(steps.get_by_text("5 of 5 questions are answered")).to_be_visible()
        expect(steps.get_by_text("It lists stub-1.")).to_be_visible()
        expect(row.get_by_text("3 at once, 1.5 USD/evaluation")).to_have_count(1)
        stub.set(model="stub-2")
        test = row.get_by_role("button", name="Test")
        test.focus()
        page.keyboard.press("Enter")
        expect(row.get_by_text("Another model answers")).to_be_visible(timeout=30_000)
        expect(shown.get_by_text("The endpoint returns the model stub-2; it was stub-1.")).to_be_visible()
        lab.looks("endpoints", "#genops-endpoints", (1280, 800), WIDE)
        row.get_by_role("button", name="Accept").click()
        expect(row.get_by_text("Answers", exact=True)).to_be_visible(timeout=30_000)
        # A test shows its steps while it runs, and is cancelled.
        stub.set(hang_share=1.0)
        test.click()
        expect(steps.get_by_role("listitem").filter(has_text="127.0.0.1")).to_be_visible()
        expect(
            steps.get_by_role("listitem").filter(has_text=re.compile(r"Fingerprint\s*not started"))
        ).to_be_visible()
        lab.looks("endpoints-testing", "#genops-endpoints", (1280, 800), daily=False)
        row.get_by_role("button", name="Cancel").click()
        expect(row.get_by_text("Answers", exact=True)).to_be_visible()
        # What failed stands open, with what to do.
        stub.set(key="revoked", hang_share=0.0)
        test.click()
        expect(row.get_by_text("Key refused")).to_be_visible(timeout=30_000)
        expect(steps.get_by_text("Set the key again: genops secrets set STUB_KEY")).to_be_visible()
        lab.looks("endpoints-steps", "#genops-endpoints", (1280, 800), WIDE)
        row.get_by_role("button", name="Delete…").click()
        page.get_by_role("dialog").get_by_role("button", name="Delete", exact=True).click()
        expect(row).to_have_count(0)
