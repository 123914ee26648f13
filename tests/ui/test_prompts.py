"""The page of prompts: a new one by keyboard, versions, what changed between them, aliases, two people at once."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from playwright.sync_api import Locator, Route, expect

from tests.genai.answering import Answering
from tests.support.browser import NARROW, WIDE, LabPage
from tests.support.lab_server import LabServer
from tests.support.rooms import eventually

from .keyboard import Keyboard
from .programs import own_mlflow, run_script

pytestmark = [pytest.mark.ui, pytest.mark.slow, pytest.mark.timeout(300)]

PATH = "genops/v1/prompts/capital-ui/versions"
BETTER = "Answer with the number alone."
#: A person's own code: a data set of MLflow.
DATA_SET = """
import mlflow

rows = mlflow.genai.datasets.create_dataset(name="countries-ui", experiment_id=["0"])
rows.merge_records([
    {"inputs": {"country": f"Land {at:03}"}, "expectations": {"expected_response": str(at)}} for at in range(20)
])
"""


def save(server: LabServer, text: str, name: str = "capital-ui", **more: Any) -> None:
    turns = [{"role": "system", "content": text}, {"role": "user", "content": "Capital of {{country}}?"}]
    status, answer = server.request("POST", f"genops/v1/prompts/{name}/versions", {"turns": turns, **more})
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
    expect(editor).to_contain_text("Use up to 250 letters, digits, dots, hyphens and underscores.")
    name.fill("written-ui")
    editor.get_by_label("Text of turn 2").fill("Hello {{ user.name }}")
    keys.choose(editor.get_by_role("button", name="Save as version 1"))
    expect(editor.get_by_role("status")).to_have_text("Saved as version 1.")
    found = server.get("genops/v1/prompts/written-ui/versions/latest")
    assert found["variables"] == ["user.name"]
    assert server.request("DELETE", "genops/v1/prompts/written-ui")[0] == 204


def test_a_reload_keeps_what_was_not_saved(lab: LabPage, server: LabServer) -> None:
    save(server, "Answer.", "draft-ui")
    lab.execute("genops:open-prompts", {"id": "draft-ui"})
    editor = lab.page.locator(".gol-Prompts").get_by_role("form", name="Text of the prompt")
    text = editor.get_by_label("Text of turn 1")
    expect(text).to_have_value("Answer.")
    with lab.page.expect_response(
        lambda answer: "/api/workspaces/" in answer.url and "Half of a" in (answer.request.post_data or ""),
        timeout=60_000,
    ):
        text.fill("Half of a")
    lab.page.reload()
    lab.ready()
    expect(text).to_have_value("Half of a")
    editor.get_by_role("button", name="Save as version 2").click()
    expect(editor.get_by_role("status")).to_have_text("Saved as version 2.")
    assert server.get("genops/v1/prompts/draft-ui/versions/2")["turns"][0]["content"] == "Half of a"
    assert server.request("DELETE", "genops/v1/prompts/draft-ui")[0] == 204


def opened(lab: LabPage, name: str, tab: str) -> Locator:
    """Open the page of prompts at one of them, and a tab by keys."""
    lab.execute("genops:open-prompts", {"id": name})
    page = lab.page.locator(".gol-Prompts")
    page.get_by_role("tab", name="Text").focus()
    Keyboard(lab.page).press("End")
    for _ in range(4):
        if page.get_by_role("tab", name=tab).get_attribute("aria-selected") == "true":
            break
        Keyboard(lab.page).press("ArrowLeft")
    return page


def add_endpoint(server: LabServer, name: str, url: str) -> None:
    status, answer = server.request(
        "POST", "genops/v1/endpoints", {"name": name, "url": url, "model": "stub"}
    )
    assert status == 200, answer


def test_versions_run_on_rows_side_by_side(lab: LabPage, server: LabServer) -> None:
    """The cost first; then progress, cancel and resume, and errors apart."""
    for text in ("Answer in one word.", "Answer politely, in one word."):
        save(server, text, "rows-ui", settings={"max_tokens": 20})
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
        add_endpoint(server, "rows-ui", url)
        page, keys = opened(lab, "rows-ui", "Run on rows"), Keyboard(lab.page)
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
        expect(form.get_by_role("status")).to_contain_text("12 rows of data with the digest ")
        expect(form.get_by_role("status")).to_contain_text("24 calls with at most")
        expect(form.get_by_role("status")).to_contain_text("The price is unknown: rows-ui has none.")
        assert endpoint.said == []
        expect(calls).to_be_focused()
        lab.looks("prompts-rows-cost", ".gol-Prompts")
        keys.press("Enter")

        # A run that was cancelled keeps its answers, and asks for the others alone.
        answers = page.get_by_role("region", name="Answers").first
        expect(answers.get_by_role("progressbar")).to_be_visible()
        # All calls that get an answer have it, and the others hang: eight are asked at once.
        eventually(lambda: len(endpoint.bodies), (24).__eq__)
        # The list of runs that Cancel reads again is slow: Resume does not wait for it.
        held: list[Route] = []
        lab.page.route(re.compile(r"/prompt-trials\?"), lambda route: held.append(route))
        answers.get_by_role("button", name="Cancel").click()
        resume = answers.get_by_role("button", name="Resume")
        expect(resume).to_be_visible()
        expect(resume).not_to_have_attribute("aria-disabled", "true")
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
        assert held
        lab.page.unroute_all()  # they go on
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


def test_rows_are_those_of_a_data_set_of_mlflow(lab: LabPage, server: LabServer) -> None:
    save(server, "Answer in one word.", "data-ui", settings={"max_tokens": 20})
    run_script(server, DATA_SET, **own_mlflow(server))
    endpoint = Answering(lambda number, text, headers: (200, "Lima", 0.0))
    with endpoint.serving() as url:
        add_endpoint(server, "data-ui", url)
        page, keys = opened(lab, "data-ui", "Run on rows"), Keyboard(lab.page)
        form = page.get_by_role("form", name="Run on rows")
        keys.option(form.get_by_label("Rows from"), "A data set of MLflow")
        keys.option(form.get_by_label("Data set", exact=True), "countries-ui · 20 rows")
        form.get_by_label("First rows").fill("3")
        keys.to(form.get_by_label("data-ui"))
        keys.press("Space")
        keys.choose(form.get_by_role("button", name="Show cost"))
        expect(form.get_by_role("status")).to_contain_text("3 rows of data with the digest ")
        lab.looks("prompts-data-set", ".gol-Prompts", NARROW, WIDE)
        expect(form.get_by_role("button", name="Make 3 calls")).to_be_focused()
        keys.press("Enter")
        answers = page.get_by_role("region", name="Answers").first
        expect(answers.get_by_text("3 of 3 answers")).to_be_visible()
        expect(answers).to_contain_text("dataset:countries-ui · 3 rows of data with the digest ")
    assert len(set(endpoint.said)) == 3 and all(
        re.fullmatch(r"Capital of Land 0\d\d\?", each) for each in endpoint.said
    )
    assert server.request("DELETE", "genops/v1/endpoints/data-ui")[0] == 204


def test_a_prompt_is_optimized_and_its_text_is_kept(lab: LabPage, server: LabServer) -> None:
    """The cost first; cancel and resume; what held-out rows show beside what the text changes; one press keeps it."""
    save(server, "Answer.", "better-ui", settings={"max_tokens": 20})
    rows = [{"country": f"Land {at:03}", "expected": str(at)} for at in range(20)]
    (server.home.work / "numbers.jsonl").write_text("".join(json.dumps(each) + "\n" for each in rows))
    hangs = [True]

    def reply(number: int, text: str, _headers: dict[str, str]) -> tuple[int, Any, float]:
        if text.startswith("You are an expert prompt engineer"):
            turns = [
                {"role": "system", "content": BETTER},
                {"role": "user", "content": "Capital of {{country}}?"},
            ]
            return 200, None if hangs[0] else json.dumps({"better-ui": json.dumps(turns)}), 0.0
        found = re.search(r"Land (\d+)", text)
        assert found is not None, text
        says = BETTER in str(endpoint.bodies[number]["messages"]) or int(found[1]) % 4 == 0
        return 200, str(int(found[1])) if says else "I do not know.", 0.0

    endpoint = Answering(reply)
    with endpoint.serving() as url:
        add_endpoint(server, "better-ui", url)
        page, keys = opened(lab, "better-ui", "Optimize"), Keyboard(lab.page)
        expect(page.get_by_text("This prompt was not optimized yet.")).to_be_visible()
        form = page.get_by_role("form", name="Optimize")
        cost = form.get_by_role("button", name="Show cost")
        expect(cost).to_be_disabled()
        form.get_by_label("File with rows").fill("numbers.jsonl")
        for label in ("Model that answers", "Model that writes"):
            keys.option(form.get_by_label(label), "better-ui")
        form.get_by_label("Scorers (YAML)").fill("- scorer: latency")
        keys.choose(cost)
        expect(form.get_by_role("alert")).to_contain_text("'latency' gives no mark of 0 to 1")
        form.get_by_label("Scorers (YAML)").fill("- scorer: exact")
        expect(form.get_by_label("Example").locator("option:checked")).to_have_text("exact")
        form.get_by_label("Budget (optional)").fill("1")
        keys.choose(cost)
        expect(form.get_by_role("alert")).to_contain_text("needs a price of each model: better-ui")
        form.get_by_label("Budget (optional)").fill("")
        keys.choose(cost)
        said = form.get_by_role("status")
        expect(said).to_contain_text("20 rows of data with the digest ")
        expect(said).to_contain_text("10 train, 10 are held out.")
        expect(said).to_contain_text("better-ui writes: 1 call")
        expect(said).to_contain_text("The held-out rows are too few to show a difference.")
        assert endpoint.said == []
        lab.looks("prompts-optimize-cost", ".gol-Prompts", NARROW, WIDE)
        expect(form.get_by_role("button", name="Optimize with at most 41 calls")).to_be_focused()
        keys.press("Enter")

        # It hangs where the text is written, and goes on from there.
        result = page.get_by_role("region", name="Result")
        expect(result.get_by_role("status").first).to_contain_text("answers to training rows and texts.")
        eventually(lambda: len(endpoint.said), (11).__eq__)
        keys.choose(result.get_by_role("button", name="Cancel"))
        resume = result.get_by_role("button", name="Resume")
        expect(resume).to_be_visible()
        hangs[0] = False
        keys.choose(resume)
        keep = result.get_by_role("button", name="Keep as a new version")
        expect(keep).to_be_visible(timeout=60_000)
        expect(result).to_contain_text(re.compile(r"The new text is \+[\d.]+ points on 10 held-out rows"))
        expect(result.locator("ins")).to_contain_text("with the number alone")
        expect(result.locator(".gol-Interval-text")).to_have_text(re.compile(r"^\+0\.\d+ \(.* to .*\)$"))
        assert len(server.get("genops/v1/prompts/better-ui/versions")["items"]) == 1
        lab.looks("prompts-optimized", ".gol-Prompts", NARROW, WIDE)
        keys.choose(keep)
        expect(result.get_by_text("Saved as version 2.")).to_be_visible()
        kept = server.get("genops/v1/prompts/better-ui/versions/2")
        assert kept["turns"][0]["content"] == BETTER and kept["settings"] == {"max_tokens": 20}

        # It is in the list of the prompt, and its versions are compared.
        listed = page.get_by_role("region", name="Optimizations of this prompt")
        expect(listed.get_by_role("row").filter(has_text="v1 → v2")).to_contain_text("The new text is +")
        keys.choose(result.get_by_role("button", name="Compare with version 1"), "Shift+Tab")
        expect(page.get_by_role("tab", name="Compare")).to_be_focused()
        expect(page.locator(".gol-Prompt-comparison ins")).to_contain_text("with the number alone")
    assert server.request("DELETE", "genops/v1/prompts/better-ui")[0] == 204
    assert server.request("DELETE", "genops/v1/endpoints/better-ui")[0] == 204
