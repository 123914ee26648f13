"""The page of labels: answers one at a time by keys, undo, a note, a reload, two raters, the results."""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from tests.genai.answering import Answering, answer, questions
from tests.support.browser import NARROW, WIDE, LabPage
from tests.support.lab_server import LabServer

from .keyboard import Keyboard

pytestmark = [pytest.mark.ui, pytest.mark.slow, pytest.mark.timeout(300)]

ROWS = 3


def evaluated(server: LabServer, folder: Path, name: str = "labels-ui", wrong: str = "") -> str:
    """Evaluate two models on three rows, and return the result's id. ``wrong``: what they answer in place of right."""
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in questions(ROWS)))
    with Answering(lambda _, text, _headers: (200, answer(wrong or text.split()[-1]), 0.0)).serving() as url:
        model = {"url": url, "model": "secret-model"}
        file = {
            "apiVersion": "genops/v1", "kind": "Evaluation", "metadata": {"name": name},
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
    labelled(page, keys, "3", "1", "Space")
    expect(progress).to_have_attribute("aria-valuetext", "2 of 6")

    # An answer that has a label is shown again, and gets another one.
    keys.press("p")
    again = page.get_by_text(re.compile("^You labelled this answer: "))
    expect(again).to_have_text("You labelled this answer: bad. Another label takes its place.")
    expect(page.get_by_role("button", name=re.compile("bad$"), pressed=True)).to_be_visible()
    keys.press("2")
    expect(again).not_to_be_visible()
    page.get_by_role("button", name="My labels").click()
    mine = page.get_by_role("list", name="My labels")
    expect(mine.get_by_role("button")).to_have_text(["good: nearly", "fair"])
    mine.get_by_role("button", name="fair").click()
    expect(again).to_contain_text("fair")
    keys.press("1", "u")  # undo brings the label back that the last one replaced
    expect(again).to_contain_text("fair")
    keys.press("1")
    expect(progress).to_have_attribute("aria-valuetext", "2 of 6")

    # A reload loses nothing that was labelled.
    expect(page.get_by_role("status").first).to_have_text("All labels are saved.")
    name = f"{id}: quality"
    page.get_by_role("button", name="All queues").click()
    page.get_by_role("button", name=re.compile(f"^{re.escape(name)}")).click()
    expect(progress).to_have_attribute("aria-valuetext", "2 of 6")
    labelled(page, keys, "3", "3", "3", "1")
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
    update = results.get_by_role("button", name="Update the evaluation")
    keys.choose(update)
    expect(update).not_to_be_visible(timeout=60_000)
    removed(server, name, 6)


def test_pairs_are_compared_blind(lab: LabPage, server: LabServer, tmp_path: Path) -> None:
    id = evaluated(server, tmp_path, "pairs-ui")
    page, keys = begun(lab, id, "Compare two answers")
    article = page.get_by_role("article", name="Answer to label")
    expect(article.get_by_role("heading", name="First answer")).to_be_visible()
    expect(article.get_by_role("heading", name="Second answer")).to_be_visible()
    expect(page).not_to_contain_text("secret-model")
    lab.looks("labels-pairs", ".gol-Labels", NARROW, WIDE)
    labelled(page, keys, "1", "2", "3")
    expect(page.get_by_text("You labelled all answers of this queue.")).to_be_visible()
    expect(page.get_by_role("status").first).to_have_text("All labels are saved.")
    removed(server, f"{id}: better", 3)


def test_failures_become_modes_a_scorer_and_a_data_set(
    lab: LabPage, server: LabServer, tmp_path: Path
) -> None:
    id = evaluated(server, tmp_path, "failures-ui", wrong="7 miles")
    page, keys = begun(lab, id, "Read failures of exact")
    progress = page.get_by_role("meter", name="Labelled")
    for at, note in enumerate(["wrong unit", "the unit is missing", "rude"], start=1):
        expect(page.get_by_role("article", name="Answer to label")).to_contain_text("7 miles")
        keys.press("n")
        keys.write(note)
        keys.press("Enter")
        expect(progress).to_have_attribute("aria-valuetext", f"{at} of 6")
    keys.press("p")
    expect(page.get_by_label("Answer (n)")).to_have_value("rude")
    keys.press("Space")
    modes = page.get_by_role("region", name="Failure modes")
    with sorter(server):
        keys.press("f")
        expect(modes).to_contain_text("3 answers have a note, 3 of them without a failure mode.")
        suggested(modes, keys)
    keys.choose(modes.get_by_role("button", name="Name this group…"))
    dialog = lab.page.get_by_role("dialog", name="Name a failure mode")
    dialog.get_by_label("Name", exact=True).fill("unit")
    dialog.get_by_label("Description").fill("The unit is wrong.")
    lab.looks("labels-mode", ".jp-Dialog", daily=False)
    keys.choose(dialog.get_by_role("button", name="Save", exact=True))
    row = modes.get_by_role("row", name=re.compile("^unit"))
    expect(row).to_contain_text("2 of 3")
    expect(row).to_contain_text("0.667 (0.094 to 0.992)")

    modes.get_by_label("Failure mode of: rude").select_option("New failure mode…")
    dialog.get_by_label("Name", exact=True).fill("tone")
    dialog.get_by_role("button", name="Save", exact=True).click()
    expect(modes.get_by_role("row", name=re.compile("^tone"))).to_contain_text("1 of 3")
    expect(modes).to_contain_text("3 answers have a note, 0 of them without a failure mode.")
    expect(dialog).to_have_count(0)
    # Not at the page's begin, though the list that opened the dialog has gone.
    expect(modes.locator(":focus")).to_have_count(1)
    keys.choose(row.get_by_role("button", name="Answers"), "Shift+Tab")
    notes = modes.get_by_role("list", name="Answers of unit")
    notes.get_by_role("button", name="wrong unit").click()
    expect(notes).to_contain_text("7 miles")
    lab.looks("labels-failures", ".gol-Failures", NARROW, WIDE)
    notes.get_by_label("Failure mode of: the unit is missing").select_option("tone")
    expect(row).to_contain_text("1 of 3")

    keys.choose(row.get_by_role("button", name="Describe…"), "Shift+Tab")
    described = lab.page.get_by_role("dialog", name="Describe the failure mode")
    expect(described.get_by_label("Description")).to_have_value("The unit is wrong.")
    described.get_by_label("Description").fill("The unit is not metres.")
    described.get_by_role("button", name="Save", exact=True).click()
    expect(row).to_contain_text("The unit is not metres.")
    keys.choose(row.get_by_role("button", name="Make a scorer"))
    expect(modes.get_by_label("Scorer of unit")).to_contain_text("The unit is not metres.")
    lab.looks("labels-scorer", ".gol-Failures", daily=False)
    keys.choose(modes.get_by_role("button", name="Save as file"))
    expect(modes.get_by_text("The scorer is in the file scorer-unit.yaml.")).to_be_visible()
    assert "- scorer: rubric" in (server.home.work / "scorer-unit.yaml").read_text()
    keys.choose(row.get_by_role("button", name="Make a data set"), "Shift+Tab")
    expect(lab.page.get_by_text("The data set unit has 1 new and 0 updated rows.")).to_be_visible()

    keys.choose(modes.get_by_role("button", name="Read answers"), "Shift+Tab")
    expect(progress).to_be_visible()
    removed(server, f"{id}: Failure note", 3)


def labelled(page: Locator, keys: Keyboard, *pressed: str) -> None:
    """Press keys, each once an answer is shown: others label nothing."""
    for key in pressed:
        expect(page.locator(".gol-Labels-choices button").first).to_be_enabled()
        keys.press(key)


def suggested(modes: Locator, keys: Keyboard) -> None:
    """A model suggests groups after its cost was said; nothing is kept."""
    modes.get_by_label("Groups by").select_option("sorter")
    expect(modes).to_contain_text(re.compile(r"At most [\d,]+ tokens in and 4,000 out\. Cost at most: 0\.00"))
    keys.choose(modes.get_by_role("button", name="Ask the model"))
    expect(modes).to_contain_text("sorter suggests 1 group. You decide.")
    expect(modes.get_by_role("heading", name="no metres")).to_be_visible()
    expect(modes).to_contain_text("3 of them without a failure mode.")
    modes.get_by_label("Groups by").select_option("words in common")


@contextlib.contextmanager
def sorter(server: LabServer) -> Iterator[None]:
    """An endpoint that puts the first two notes into a group."""
    groups = {"groups": [{"name": "no metres", "description": "It is not in metres.", "notes": [1, 2]}]}
    with Answering(lambda *_: (200, answer(json.dumps(groups)), 0.0)).serving() as url:
        body = {"name": "sorter", "url": url, "model": "stub", "price": {"input": 1, "output": 2}}
        assert server.request("POST", "genops/v1/endpoints", body)[0] == 200
        yield
    assert server.request("DELETE", "genops/v1/endpoints/sorter")[0] == 204


def begun(lab: LabPage, id: str, task: str) -> tuple[Locator, Keyboard]:
    """Begin a queue of an evaluation on the page."""
    lab.section("Generative AI").get_by_role("button", name=re.compile("^Labels")).click()
    page = lab.page.locator(".gol-Labels")
    page.get_by_role("button", name="Begin to label…").click()
    dialog = lab.page.get_by_role("dialog", name="Begin to label")
    dialog.get_by_label("Evaluation", exact=True).select_option(id)
    dialog.get_by_label("Task", exact=True).select_option(task)
    dialog.get_by_role("button", name="Begin", exact=True).click()
    expect(page.get_by_role("article", name="Answer to label")).to_contain_text("Question")
    return page, Keyboard(lab.page)


def removed(server: LabServer, name: str, labelled: int) -> None:
    """Delete a queue that has this many labels."""
    found = next(each for each in server.get("genops/v1/label-queues")["items"] if each["name"] == name)
    assert found["labelled"] == labelled
    assert server.request("DELETE", f"genops/v1/label-queues/{found['id']}")[0] == 204
