"""The page of labels: answers one at a time by keys, undo, a note, a reload, two raters, the results."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.genai.answering import Answering, answer, questions
from tests.support.browser import NARROW, WIDE, LabPage
from tests.support.lab_server import LabServer

from .keyboard import Keyboard

pytestmark = [pytest.mark.ui, pytest.mark.slow, pytest.mark.timeout(300)]

ROWS = 3


def evaluated(server: LabServer, folder: Path) -> str:
    """Evaluate two models on three rows, and return the result's id."""
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in questions(ROWS)))
    with Answering(lambda _, text, _headers: (200, answer(text.split()[-1]), 0.0)).serving() as url:
        model = {"url": url, "model": "secret-model"}
        file = {
            "apiVersion": "genops/v1", "kind": "Evaluation", "metadata": {"name": "labels-ui"},
            "data": "rows.jsonl", "prompt": "{{q}}", "scorers": [{"scorer": "exact"}],
            "models": {"a": model, "b": model},
        }  # fmt: skip
        body = {"text": json.dumps(file), "folder": str(folder)}
        status, begun = server.request("POST", "genops/v1/answer-evaluations", body)
        assert status == 200, begun
        id, deadline = str(begun["evaluation"]["id"]), time.monotonic() + 60
        while server.get(f"genops/v1/answer-evaluations/{id}")["evaluation"]["stage"] != "done":
            assert time.monotonic() < deadline, server.log
            time.sleep(0.2)
        return id


def test_answers_are_labelled_by_keys(lab: LabPage, server: LabServer, tmp_path: Path) -> None:
    id = evaluated(server, tmp_path)
    lab.section("Generative AI").get_by_role("button", name=re.compile("^Labels")).click()
    page = lab.page.locator(".gol-Labels")
    keys = Keyboard(lab.page)
    keys.choose(page.get_by_role("button", name="Begin to label…"))
    dialog = lab.page.get_by_role("dialog", name="Begin to label")
    dialog.get_by_label("Evaluation", exact=True).select_option(id)
    dialog.get_by_label("Choices (optional)").fill("bad, fair, good")
    lab.looks("labels-begin", ".jp-Dialog", daily=False)
    dialog.get_by_role("button", name="Begin", exact=True).click()

    progress = page.get_by_role("meter", name="Labelled")
    expect(page.get_by_role("article", name="Answer to label")).to_contain_text("Question")
    expect(page).not_to_contain_text("secret-model")
    expect(progress).to_have_attribute("aria-valuetext", "0 of 6")
    lab.looks("labels", ".gol-Labels", NARROW, WIDE)

    # A note, a label, and its way back.
    keys.press("n")
    keys.write("nearly")
    keys.press("Enter", "2")
    expect(progress).to_have_attribute("aria-valuetext", "1 of 6")
    expect(page.get_by_role("status").first).to_have_text("All labels are saved.")
    keys.press("u")
    expect(progress).to_have_attribute("aria-valuetext", "0 of 6")
    expect(page.get_by_label("Note (n)")).to_have_value("nearly")
    keys.press("3", "1", "Space")
    expect(progress).to_have_attribute("aria-valuetext", "2 of 6")

    # A reload loses nothing that was labelled.
    expect(page.get_by_role("status").first).to_have_text("All labels are saved.")
    name = f"{id}: quality"
    page.get_by_role("button", name="All queues").click()
    page.get_by_role("button", name=re.compile(f"^{re.escape(name)}")).click()
    expect(progress).to_have_attribute("aria-valuetext", "2 of 6")
    keys.press("3", "3", "3", "1")
    expect(page.get_by_text("You labelled all answers of this queue.")).to_be_visible()
    results = page.get_by_role("region", name="Results of the labels")
    expect(results.get_by_role("table", name="Scorers beside labels")).to_contain_text("exact")

    # Another person has labels of their own.
    rater = page.get_by_label("Rater")
    rater.fill("Bob")
    rater.press("Enter")
    expect(progress).to_have_attribute("aria-valuetext", "0 of 6")
    page.get_by_role("button", name=re.compile("good$")).click()
    expect(progress).to_have_attribute("aria-valuetext", "1 of 6")
    keys.choose(page.get_by_role("button", name="Show results"))
    expect(results).to_contain_text("Labels by rater: bob 1, ")
    expect(page.get_by_role("button", name="Undo (u)")).to_be_enabled()
    lab.looks("labels-results", ".gol-Labels")
    found = next(each for each in server.get("genops/v1/label-queues")["items"] if each["name"] == name)
    assert found["labelled"] == 6
    assert server.request("DELETE", f"genops/v1/label-queues/{found['id']}")[0] == 204
