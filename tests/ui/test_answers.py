"""The page of evaluations of answers: a real evaluation, its figures, and its examples read with keys."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.support.browser import NARROW, WIDE, LabPage
from tests.support.lab_server import LabServer
from tests.support.openai_stub import OpenAIStub

from .keyboard import Keyboard
from .test_sweeps import notebook

pytestmark = [pytest.mark.ui, pytest.mark.slow, pytest.mark.timeout(300)]

RIGHT = {f"row-{at:02}": f"The parcel {at} arrives in {at + 2} days." for at in range(12)}
#: The second model has three new failures, mends two, and one of its calls fails.
OLD = {**RIGHT, "row-08": "The parcel 8 is lost.", "row-09": "The parcel 9 is lost."}
NEW = {**RIGHT, **{f"row-0{at}": f"The parcel {at} never arrives in two days." for at in range(3)}}


def begin(server: LabServer, name: str, data: str, **models: OpenAIStub) -> str:
    file: dict[str, Any] = {
        "apiVersion": "genops/v1", "kind": "Evaluation", "metadata": {"name": name},
        "data": data, "prompt": "Where is the parcel of {{id}}?", "id": "id", "repeats": 2,
        "models": {
            label: {"url": stub.url, "model": "stub-1", "price": {"input": 1, "output": 2}}
            for label, stub in models.items()
        },
        "scorers": [{"scorer": "exact"}], "tries": 1,
    }  # fmt: skip
    body = {"text": json.dumps(file), "folder": str(server.home.work)}
    status, begun = server.request("POST", "genops/v1/answer-evaluations", body)
    assert status == 200, begun
    return str(begun["evaluation"]["id"])


def write(server: LabServer, data: str, **more: str) -> None:
    rows = [{"id": id, "expected": text, **more} for id, text in RIGHT.items()]
    (server.home.work / data).write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_examples_are_read_and_a_failed_call_runs_again(lab: LabPage, server: LabServer) -> None:
    write(server, "parcels.jsonl")
    with (
        OpenAIStub(key="", answers=OLD) as before,
        OpenAIStub(key="", answers=NEW, always_fails=("row-11",)) as after,
    ):
        # Asked and scored while the list is seen.
        lab.section("Generative AI").get_by_role("button", name=re.compile("^Evaluations")).click()
        page = lab.page.locator("#genops-evaluations")
        expect(page.get_by_role("heading", name="Evaluations", exact=True)).to_be_visible()
        id = begin(server, "parcels", "parcels.jsonl", before=before, after=after)
        row = page.get_by_role("row", name="parcels")
        expect(row.get_by_text("2 calls failed")).to_be_visible(timeout=60_000)
        expect(row.locator(".gol-Interval")).to_have_count(2)
        lab.looks("answers", "#genops-evaluations", NARROW, WIDE)

        # What got worse comes first, with the words that differ; j and k go through the examples.
        keys = Keyboard(lab.page)
        row.focus()
        keys.press("Enter")
        result = lab.page.locator(f"#genops-evaluations-{id}")
        expect(result.get_by_role("list", name="Findings")).to_contain_text("3 new failures, 2 mended")
        expect(result.get_by_role("button", name="Mended: 2. Show them")).to_be_visible()
        shown = result.get_by_role("table", name="Scores").get_by_role("row", name=re.compile("after"))
        expect(shown.get_by_role("button", name="Show the 2 errors of after")).to_be_visible()
        answers = result.get_by_role("region", name="Answers to the example row-00")
        expect(answers.locator("ins").first).to_have_text("never ")
        # A paragraph in Arabic or Hebrew reads from the right.
        expect(answers.locator(".gol-Example-text").first).to_have_css("unicode-bidi", "plaintext")
        expect(answers.get_by_role("article", name="before")).to_have_count(2)
        lab.looks("answers-result", f"#genops-evaluations-{id}", NARROW, WIDE)
        at = result.get_by_role("status").filter(has_text="Example")
        answers.focus()
        keys.press("j")
        expect(at).to_have_text("Example row-01, 2 of 12")
        cell = result.get_by_role("gridcell", name="row-01", exact=True)
        cell.click()
        keys.press("j", "j", "k")
        expect(at).to_have_text("Example row-02, 3 of 12")
        expect(result.get_by_role("region", name="Answers to the example row-02")).to_contain_text("parcel 2")

        # Errors are apart; a rerun pays for them alone, and other scorers for nothing.
        shown.get_by_role("button", name="Show the 2 errors of after").click()
        expect(at).to_have_text("Example row-11, 1 of 1")
        expect(result.get_by_text("No answer:").first).to_be_visible()
        result.locator(".gol-Examples").scroll_into_view_if_needed()
        lab.looks("answers-failed", f"#genops-evaluations-{id}", daily=False)
        after.reset(always_fails=())
        result.get_by_role("button", name="Rerun failed calls").click()
        expect(result.get_by_text("Done", exact=True)).to_be_visible(timeout=60_000)
        assert after.status()["calls"] == 2
        result.get_by_role("button", name="Score with another scorer…").click()
        dialog = lab.page.get_by_role("dialog", name="Score with another scorer")
        dialog.get_by_label("Example").select_option("contains")
        lab.looks("answers-score", ".jp-Dialog")
        dialog.get_by_role("button", name="Score", exact=True).click()
        expect(result.get_by_role("table", name="Scores").get_by_role("row")).to_have_count(5, timeout=60_000)
        assert after.status()["calls"] == 2

        # One click opens the trace of an answer in MLflow's store.
        result.get_by_role("combobox", name="Show", exact=True).select_option("all")
        result.get_by_role("button", name="Trace").first.click()
        expect(lab.page.locator(".gol-TracePane")).to_contain_text("parcel")

        # The page of an evaluation closes with it.
        lab.execute("genops:open-evaluations", {"id": id})
        keys.choose(result.get_by_role("button", name="Delete…"))
        lab.page.get_by_role("dialog").get_by_role("button", name="Delete").press("Enter")
        expect(result).to_have_count(0)
        expect(page.get_by_role("heading", name="Evaluations", exact=True)).to_be_visible()
        expect(page.get_by_role("row", name="parcels")).to_have_count(0)


def test_two_results_of_the_same_rows_are_read_side_by_side(lab: LabPage, server: LabServer) -> None:
    write(server, "shared.jsonl")
    write(server, "others.jsonl", more="column")
    with OpenAIStub(key="", answers=OLD) as before, OpenAIStub(key="", answers=NEW) as after:
        march = begin(server, "march", "shared.jsonl", answers=before)
        april = begin(server, "april", "shared.jsonl", answers=after)
        others = begin(server, "of-others", "others.jsonl", answers=after)
        lab.section("Generative AI").get_by_role("button", name=re.compile("^Evaluations")).click()
        page = lab.page.locator("#genops-evaluations")
        for name in ("march", "april", "of-others"):
            done = page.get_by_role("row", name=name).get_by_text("Done", exact=True)
            expect(done).to_be_visible(timeout=60_000)
        keys = Keyboard(lab.page)
        # As one that a host asked; tests/genai/test_evaluations_on_target.py has hosts.
        state = server.home.data / "answers" / april / "state.json"
        state.write_text(state.read_text().replace('"target":""', '"target":"gpu-box"'))
        page.get_by_role("row", name="april").focus()
        keys.press("Enter")
        result = lab.page.locator(f"#genops-evaluations-{april}")
        cost = result.get_by_role("table", name="Answers by model").get_by_role("cell").last
        expect(cost).to_have_text(re.compile(r"^[\d.]+ USD$"))

        facts = result.locator(".gol-Answers-facts")
        expect(facts).to_contain_text("Targetgpu-box")

        # Results of other rows are listed with the reason, and cannot be chosen.
        result.get_by_role("button", name="Compare with another result…").click()
        choice = result.get_by_role("combobox", name="Compare with")
        refused = choice.locator("optgroup[label='Not comparable'] option").filter(has_text=others)
        expect(refused).to_have_text(re.compile("other rows$"))
        expect(refused).to_be_disabled()
        choice.select_option(march)

        # What is new comes first, with the words that differ.
        findings = result.get_by_role("list", name="Findings")
        expect(findings).to_contain_text(f"answers of {march}")
        expect(findings).to_contain_text("3 new failures, 2 mended")
        answers = result.get_by_role("region", name="Answers to the example row-00")
        expect(answers.get_by_role("article", name=f"answers of {april}")).to_have_count(2)
        expect(answers.get_by_role("article", name=f"answers of {march}").first).to_contain_text("in 2 days")
        expect(answers.locator("ins").first).to_have_text("never ")
        lab.looks("answers-comparison", f"#genops-evaluations-{april}", NARROW, WIDE)
        at = result.get_by_role("status").filter(has_text="Example")
        answers.focus()
        keys.press("j")
        expect(at).to_have_text("Example row-01, 2 of 12")
        result.get_by_role("button", name="Mended: 2. Show them").click()
        expect(at).to_have_text("Example row-08, 1 of 2")
        result.get_by_role("button", name="Show this result alone").click()
        # Three tasks that began at once, the first of the page: each success closes its toast.
        toasts = lab.page.locator(".jp-toast-message").filter(has_text="Evaluate ")
        expect(toasts).to_have_count(0)
        expect(choice).to_have_count(0)
        expect(result.get_by_role("heading", name="Scores", exact=True)).to_be_visible()
    for id in (march, april, others):
        server.request("DELETE", f"genops/v1/answer-evaluations/{id}")


CELL = """%%evaluate rows --name clicked
prompt: "{{{{id}}}}"
models:
  slow: {{url: "{url}", model: stub-1, limits: {{at_once: 1}}}}
scorers: [{{scorer: exact}}]
"""


def test_the_card_of_a_running_evaluation_opens_and_cancels_it(lab: LabPage, server: LabServer) -> None:
    with OpenAIStub(key="", hang_share=1.0) as stub:
        rows = "%load_ext genops_lab\nrows = [{'id': str(at), 'expected': ''} for at in range(3)]"
        notebook(server, "evaluating.ipynb", rows, CELL.format(url=stub.url))
        lab.open_notebook("evaluating.ipynb")
        lab.run_all()
        output = lab.page.locator(".jp-OutputArea-output").filter(has_text="Evaluate clicked")
        opens = output.get_by_role("button", name="Open the evaluation")
        expect(opens).to_be_visible(timeout=120_000)
        output.scroll_into_view_if_needed()
        lab.looks("evaluation-card", ".jp-RenderedHTMLCommon", NARROW, WIDE)
        opens.click()
        result = lab.page.locator("[id^='genops-evaluations-clicked-']")
        expect(result.get_by_role("heading", name="clicked")).to_be_visible()
        lab.page.locator("#jp-main-dock-panel").get_by_role("tab", name="evaluating.ipynb").click()
        output.get_by_role("button", name="Cancel the evaluation").click()
        expect(output).to_contain_text("cancelled", timeout=60_000)
        expect(output.get_by_role("button")).to_have_count(0)
        error = lab.page.locator(".jp-OutputArea-output").filter(has_text="ended early: Cancelled.")
        expect(error.first).to_contain_text("evaluate resume clicked-")
        stub.reset(hang_share=0.0)
