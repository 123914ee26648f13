"""The page of prompts: a new one by keyboard, versions, what changed between them, aliases, two people at once."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.genai.answering import Answering
from tests.support.browser import NARROW, WIDE, LabPage
from tests.support.lab_server import LabServer

from .keyboard import Keyboard

pytestmark = [pytest.mark.ui, pytest.mark.slow, pytest.mark.timeout(300)]

PATH = "genops/v1/prompts/capital-ui/versions"


def save(server: LabServer, text: str, **more: Any) -> None:
    turns = [{"role": "system", "content": text}, {"role": "user", "content": "Capital of {{country}}?"}]
    status, answer = server.request("POST", PATH, {"turns": turns, **more})
    assert status == 200, answer


def test_versions_are_edited_compared_and_named(lab: LabPage, server: LabServer) -> None:
    save(server, "Answer in one word.", message="first", alias="production")
    save(server, "Answer in three words, politely.", message="longer")
    lab.execute("genops:open-prompts", {"id": "capital-ui"})
    page = lab.page.locator(".gol-Prompts")
    editor = page.get_by_role("form", name="Text of the prompt")
    expect(editor.get_by_label("Text of turn 1")).to_have_value("Answer in three words, politely.")
    expect(editor).to_contain_text("Variables: country")
    keys = Keyboard(lab.page)

    # JSON is checked while it is written; the button waits for it.
    keys.choose(editor.get_by_role("button", name="Settings, tools and output schema"))
    settings = editor.get_by_label("Settings of a call")
    keys.to(settings)
    keys.write('{"temperature": ')
    expect(editor).to_contain_text("This is not JSON")
    expect(editor.get_by_role("button", name="Save as version 3")).to_be_disabled()
    keys.write("0}")
    lab.looks("prompts", ".gol-Prompts", NARROW, WIDE)
    keys.press("Control+Enter")
    expect(editor.get_by_role("status")).to_have_text("Saved as version 3.")

    # Another person saves while this one writes.
    text = editor.get_by_label("Text of turn 1")
    text.fill("Mine.")
    save(server, "Theirs.")
    editor.get_by_role("button", name=re.compile("Save as version")).click()
    expect(page.get_by_role("alert")).to_contain_text("has version 4 by now: you began with version 3")
    keys.choose(page.get_by_role("button", name="Show what they changed"))
    compared = page.locator(".gol-Prompt-comparison")
    expect(compared.locator("del").first).to_contain_text("Answer")
    expect(compared.locator("ins").first).to_contain_text("Theirs")
    lab.looks("prompts-compared", ".gol-Prompts")
    page.get_by_role("tab", name="Compare").focus()
    keys.press("ArrowLeft")
    keys.choose(page.get_by_role("button", name="Save mine as version 5"))
    expect(editor.get_by_role("status")).to_have_text("Saved as version 5.")

    # An alias moves from where the page shows it, and the dialog says so.
    keys.choose(page.get_by_role("button", name="Set alias…"), "Shift+Tab")
    dialog = lab.page.locator(".jp-Dialog")
    dialog.get_by_label("Alias", exact=True).fill("production")
    expect(dialog).to_contain_text("from version 1 to version 5")
    lab.looks("prompts-alias", ".jp-Dialog")
    keys.press("Enter")
    expect(page.get_by_role("button", name="Remove the alias production")).to_be_visible()
    assert server.get(f"{PATH}/production")["version"] == "5"


def test_a_new_prompt_is_written(lab: LabPage, server: LabServer) -> None:
    lab.execute("genops:open-prompts")
    page = lab.page.locator(".gol-Prompts")
    keys = Keyboard(lab.page)
    keys.choose(page.get_by_role("button", name="New prompt"))
    editor = page.get_by_role("form", name="Text of the prompt")
    name = editor.get_by_label("Name")
    name.fill("two words")
    expect(editor).to_contain_text("Use letters, digits, dots, hyphens and underscores.")
    name.fill("written-ui")
    editor.get_by_label("Text of turn 2").fill("Hello {{ user.name }}")
    keys.choose(editor.get_by_role("button", name="Save as version 1"))
    expect(editor.get_by_role("status")).to_have_text("Saved as version 1.")
    found = server.get("genops/v1/prompts/written-ui/versions/latest")
    assert found["variables"] == ["user.name"]
    assert server.request("DELETE", "genops/v1/prompts/written-ui")[0] == 204


def test_versions_run_on_rows_side_by_side(lab: LabPage, server: LabServer) -> None:
    """The cost first; then progress, cancel and resume, and errors apart."""
    path = "genops/v1/prompts/rows-ui/versions"
    for text in ("Answer in one word.", "Answer politely, in one word."):
        turns = [{"role": "system", "content": text}, {"role": "user", "content": "Capital of {{country}}?"}]
        status, answer = server.request("POST", path, {"turns": turns, "settings": {"max_tokens": 20}})
        assert status == 200, answer
    countries = [f"Land {at}" for at in range(1, 13)]
    rows = "".join(json.dumps({"country": each}) + "\n" for each in countries)
    (server.home.work / "countries.jsonl").write_text(rows)
    hangs = [True]

    def reply(number: int, text: str, _headers: dict[str, str]) -> tuple[int, Any, float]:
        if "Land 3?" in text:
            return 400, b'{"error": {"message": "this country is refused"}}', 0.0
        polite = "politely" in endpoint.bodies[number]["messages"][0]["content"]
        return 200, None if hangs[0] and number > 15 else ("Lima, if you please" if polite else "Lima"), 0.0

    endpoint = Answering(reply)
    with endpoint.serving() as url:
        added = server.request(
            "POST", "genops/v1/endpoints", {"name": "rows-ui", "url": url, "model": "stub"}
        )
        assert added[0] == 200, added
        lab.execute("genops:open-prompts", {"id": "rows-ui"})
        page = lab.page.locator(".gol-Prompts")
        keys = Keyboard(lab.page)
        page.get_by_role("tab", name="Text").focus()
        keys.press("End")
        expect(page.get_by_text("This prompt was not run on rows yet.")).to_be_visible()
        form = page.get_by_role("form", name="Run on rows")
        cost = form.get_by_role("button", name="Show cost")
        expect(cost).to_be_disabled()
        form.get_by_label("File with rows").fill("nowhere.jsonl")
        form.get_by_label("rows-ui").check()
        form.get_by_label("v1", exact=True).check()
        keys.choose(cost)
        expect(form.get_by_role("alert")).to_contain_text("There is no file")
        form.get_by_label("File with rows").fill("countries.jsonl")
        keys.choose(cost)
        calls = form.get_by_role("button", name="Make 24 calls")
        expect(form.get_by_role("status")).to_contain_text("24 calls with at most")
        expect(form.get_by_role("status")).to_contain_text("The price is unknown: rows-ui has none.")
        assert endpoint.said == []
        expect(calls).to_be_focused()
        lab.looks("prompts-rows-cost", ".gol-Prompts")
        keys.press("Enter")

        # A run that was cancelled keeps its answers, and asks for the others alone.
        answers = page.get_by_role("region", name="Answers").first
        expect(answers.get_by_role("progressbar")).to_be_visible()
        answers.get_by_role("button", name="Cancel").click()
        resume = answers.get_by_role("button", name="Resume")
        expect(resume).to_be_visible()
        expect(answers.get_by_text("Not asked yet").first).to_be_visible()
        hangs[0] = False
        kept = {
            json.dumps(body["messages"])
            for body in endpoint.bodies[:16]
            if "Land 3?" not in str(body["messages"])
        }
        before = len(endpoint.bodies)
        keys.choose(resume)
        expect(answers.get_by_text("22 of 24 answers")).to_be_visible()
        expect(answers.get_by_role("button", name="Rerun failed calls")).to_be_visible()
        assert not kept & {json.dumps(body["messages"]) for body in endpoint.bodies[before:]}

        # Words that differ are marked, and errors stand apart.
        row = answers.get_by_role("row", name=re.compile("^1 country: Land 1"))
        expect(row.locator("ins")).to_have_text(", if you please")
        expect(answers).to_contain_text("2 calls gave no answer.")
        expect(answers).to_contain_text("HTTP 400: this country is refused")
        lab.looks("prompts-rows", ".gol-Prompts", NARROW, WIDE)
        keys.choose(answers.get_by_label("Rows with errors alone"), by="Space")
        expect(answers.get_by_role("row")).to_have_count(2)
    assert server.request("DELETE", "genops/v1/prompts/rows-ui")[0] == 204
    assert server.request("DELETE", "genops/v1/endpoints/rows-ui")[0] == 204
