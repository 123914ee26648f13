"""The page of prompts: a new one by keyboard, versions, what changed between them, aliases, two people at once."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import expect

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
