"""Evaluations begin on the page: a file whose plan is shown first, and a form that writes such a file."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, expect

from genops_lab.genai.evaluations.evaluation_file import read_evaluation
from tests.support.browser import NARROW, WIDE, LabPage
from tests.support.lab_server import LabServer
from tests.support.openai_stub import OpenAIStub
from tests.support.sshd import Sshd

from .hosts import connected, ssh_config
from .keyboard import Keyboard

pytestmark = [pytest.mark.ui, pytest.mark.slow, pytest.mark.timeout(300)]

PRICE = {"input": 1, "output": 2, "date": "2026-11-02", "source": "given"}
TWICE = "The parcel was handed over to the neighbour on the second floor on Monday"
FILE = """\
apiVersion: genops/v1
kind: Evaluation
metadata: {{name: from-file}}
data: rows.jsonl
prompt: "Where is the parcel {{{{id}}}}? {{{{note}}}}"
models:
  cheap: {{url: "{url}", model: stub-1, key: STUB_KEY, limits: {{at_once: 1}}, price: {{input: 1, output: 2}}}}
  house: {{endpoint: house-ui, limits: {{at_once: 1}}}}
settings: {{max_tokens: 20}}
scorers: [{{scorer: {scorer}}}]
"""


@pytest.fixture(scope="module")
def server(server: LabServer) -> Iterator[LabServer]:
    """The shared Lab, with a host that it is connected to."""
    with Sshd() as host, ssh_config(server, f"Include {host.config}\n"):
        connected(server, {"name": "gpu1", "host": host.alias, "python": sys.executable})
        yield server


@pytest.fixture(scope="module")
def stub(server: LabServer) -> Iterator[OpenAIStub]:
    """A server with two endpoints of the Lab's list: one has a price, and one has none."""
    with OpenAIStub() as found:
        server.request("PUT", "genops/v1/deployment-secrets/STUB_KEY", {"value": found.key})
        common = {"url": found.url, "model": "stub-1", "key_secret": "STUB_KEY"}
        for name, price in (("house-ui", PRICE), ("free-ui", None)):
            status, answer = server.request(
                "POST", "genops/v1/endpoints", {**common, "name": name, "price": price}
            )
            assert status == 200, answer
        yield found
        for name in ("house-ui", "free-ui"):
            server.request("DELETE", f"genops/v1/endpoints/{name}")


def write(folder: Path, *more: str) -> None:
    rows = [{"id": str(at), "note": "", "expected": ""} for at in range(60)]
    rows += [{"id": "twice", "note": note, "expected": ""} for note in (TWICE, f"{TWICE}.", *more)]
    (folder / "rows.jsonl").write_text("".join(json.dumps(each) + "\n" for each in rows))


def accept(dialog: Locator, name: str) -> Locator:
    return dialog.get_by_role("button", name=name, exact=True)


def test_a_file_is_planned_and_started(
    lab: LabPage, server: LabServer, stub: OpenAIStub, folder: Path
) -> None:
    write(folder)
    path = folder / "parcels.yaml"
    path.write_text(FILE.format(url=stub.url, scorer="exatc"))
    lab.go_to_folder(folder.name)
    lab.page.locator(".jp-DirListing-item", has_text="parcels.yaml").click(button="right")
    lab.page.get_by_role("menuitem", name="Evaluate…").click()
    dialog = lab.page.get_by_role("dialog", name="Evaluate a file")
    keys = Keyboard(lab.page)

    # A mistake is told by its line, and nothing can start.
    expect(dialog.get_by_role("alert")).to_contain_text(
        re.compile(r"parcels\.yaml, line 10, column \d+: the scorer")
    )
    expect(accept(dialog, "Start")).to_be_disabled()
    path.write_text(FILE.format(url=stub.url, scorer="exact"))
    keys.choose(dialog.get_by_role("button", name="Read the file again"))

    # Rows, calls, cost with the date of its prices, what can be seen, and rows that are nearly the same.
    facts = dialog.locator(".gol-Plan .gol-Facts")
    expect(facts).to_contain_text("62 rows")
    expect(facts).to_contain_text(re.compile(r"Cost at most[\d.]+ USD"))
    expect(facts).to_contain_text("no date (cheap), 2026-11-02 (house)")
    expect(dialog.get_by_role("row", name=re.compile(r"^cheap 62 [\d,]+ 1,240 [\d.]+ USD"))).to_be_visible()
    shown = dialog.get_by_role("table", name="Differences that the rows show")
    expect(shown.get_by_role("row", name=re.compile(r"^5 % too few rows$"))).to_be_visible()
    expect(shown).to_contain_text("points")
    expect(dialog.get_by_text(re.compile("2 rows are nearly the same"))).to_be_visible()
    assert stub.status()["calls"] == 0
    lab.looks("evaluate-file", ".jp-Dialog", NARROW, WIDE)

    # On a target: what travels, which keys, and what it does not reach.
    where = dialog.get_by_label("On", exact=True)
    keys.option(where, "gpu1")
    expect(dialog.get_by_text("go to the host of gpu1. Answers and scores come back.")).to_be_visible()
    expect(facts).to_contain_text("The key of cheap goes to gpu1.")
    expect(dialog.get_by_text("gpu1 does not reach the endpoint 'house-ui'")).to_be_visible()
    expect(dialog.get_by_text("The cost is not known.")).to_have_count(0)
    expect(accept(dialog, "Start")).to_be_disabled()
    lab.looks("evaluate-on-target", ".jp-Dialog", NARROW, WIDE)
    server.request("POST", "genops/targets/gpu1/disconnect", {})
    keys.choose(dialog.get_by_role("button", name="Read the file again"), "Shift+Tab")
    expect(where.locator("option", has_text="gpu1 (not connected)")).to_be_disabled()
    keys.option(where, "This computer")

    # Rows that changed since are told: nothing began, and the plan is that of now.
    expect(accept(dialog, "Start")).to_be_enabled()
    write(folder, "Nobody has seen this one so far")
    accept(dialog, "Start").click()
    expect(dialog.get_by_role("alert")).to_contain_text("changed since the plan was made")
    expect(facts).to_contain_text("63 rows")
    assert stub.status()["calls"] == 0

    # The list has its progress and its cost so far; a cancel keeps what is paid.
    stub.set(delay_s=1.0)
    accept(dialog, "Start").click()
    row = lab.page.locator("#genops-evaluations").get_by_role("row", name="from-file")
    expect(row.get_by_role("progressbar")).to_be_visible(timeout=60_000)
    expect(row.get_by_text(re.compile(r"^0\.[\d]+ USD$"))).to_be_visible(timeout=60_000)
    row.get_by_role("button", name="Cancel").click()
    resume = row.get_by_role("button", name="Resume")
    expect(resume).to_be_visible(timeout=60_000)
    stub.set(delay_s=0.0)
    resume.click()
    expect(row.get_by_text("Done", exact=True)).to_be_visible(timeout=60_000)
    assert stub.status()["answered"] >= 126


def filled(lab: LabPage, rows: str) -> Locator:
    lab.execute("genops:new-evaluation")
    dialog = lab.page.get_by_role("dialog", name="New evaluation")
    expect(dialog.get_by_label("Name", exact=True)).not_to_have_value("")
    dialog.get_by_label("File with rows").fill(rows)
    return dialog


def test_a_form_writes_the_file_and_shows_its_plan(
    lab: LabPage, server: LabServer, stub: OpenAIStub, folder: Path
) -> None:
    write(folder)
    lab.go_to_folder(folder.name)
    lab.execute("genops:open-evaluations")
    page = lab.page.locator("#genops-evaluations")
    keys = Keyboard(lab.page)
    keys.choose(page.get_by_role("button", name="New evaluation…").first)
    dialog = lab.page.get_by_role("dialog", name="New evaluation")
    name, write_it = dialog.get_by_label("Name", exact=True), "Write the file and show the plan"
    expect(name).to_have_value("evaluation")
    expect(accept(dialog, write_it)).to_be_disabled()
    dialog.get_by_label("File with rows").fill("nowhere.jsonl")
    dialog.get_by_label("Text of the prompt").fill("Where is the parcel {{id}}?\n\n  Answer briefly: #1")
    dialog.get_by_label("Rows from").select_option("traces")
    expect(dialog.get_by_label("Query of traces")).to_have_value("")
    dialog.get_by_label("Rows from").select_option("file")
    expect(dialog.get_by_label("File with rows")).to_have_value("nowhere.jsonl")
    for model in ("house-ui", "free-ui"):
        dialog.get_by_label(model).check()
    dialog.get_by_label("Budget of each model").fill("0.5")
    expect(dialog.get_by_text("free-ui has no price, so a budget of money cannot be kept.")).to_be_visible()
    expect(accept(dialog, write_it)).to_be_disabled()
    dialog.get_by_label("Budget of each model").fill("")
    lab.looks("new-evaluation", ".jp-Dialog", NARROW, WIDE)

    # Nothing is written that the server refuses; the field says why.
    accept(dialog, write_it).click()
    expect(dialog.get_by_label("File with rows")).to_have_attribute("aria-invalid", "true")
    expect(dialog.get_by_role("alert")).to_contain_text("There is no file")
    dialog.get_by_label("File with rows").fill(f"{folder.name}/rows.jsonl")
    for field, wrong in (
        ("Text of the prompt", "Where is the parcel {{number}}?"),
        ("Scorers (YAML)", "- scorer: numeric\n  relatve: 0.1"),
        ("Scorers (YAML)", "- scorer: ["),
    ):
        right = dialog.get_by_label(field).input_value()
        dialog.get_by_label(field).fill(wrong)
        accept(dialog, write_it).click()
        expect(dialog.get_by_label(field)).to_have_attribute("aria-invalid", "true")
        dialog.get_by_label(field).fill(right)
    assert not (folder / "evaluation.yaml").exists()
    dialog.get_by_label("Example").select_option("contains")
    name.fill("parcels")
    accept(dialog, write_it).click()
    expect(dialog.get_by_role("alert")).to_contain_text("parcels.yaml exists.")
    name.fill("asked-by-form")
    accept(dialog, write_it).click()

    # A cost that is not known is told, with what to do.
    plan = lab.page.get_by_role("dialog", name="Evaluate a file")
    expect(plan.get_by_text("The cost is not known.")).to_be_visible()
    expect(plan.get_by_text("free-ui has no price.")).to_be_visible()
    file = read_evaluation((folder / "asked-by-form.yaml").read_text())
    assert file.data == "rows.jsonl" and list(file.models) == ["house-ui", "free-ui"]
    assert file.prompt == "Where is the parcel {{id}}?\n\n  Answer briefly: #1"
    keys.to(accept(plan, "Start"))
    keys.to(plan.get_by_role("button", name="Read the file again"))  # Tab goes round the whole dialog
    keys.choose(accept(plan, "Start"))
    row = page.get_by_role("row", name="asked-by-form")
    expect(row.get_by_text("Done", exact=True)).to_be_visible(timeout=60_000)


def test_two_versions_of_a_prompt_are_compared_within_a_budget(
    lab: LabPage, server: LabServer, stub: OpenAIStub, folder: Path
) -> None:
    write(folder)
    for text in ("Be brief.", "Be polite."):
        turns = [{"role": "system", "content": text}, {"role": "user", "content": "Where is {{id}}?"}]
        server.request("POST", "genops/v1/prompts/parcel-ui/versions", {"turns": turns})
    lab.go_to_folder(folder.name)
    dialog = filled(lab, f"{folder.name}/rows.jsonl")
    dialog.get_by_label("Name", exact=True).fill("versions")
    dialog.get_by_label("Prompt", exact=True).select_option("parcel-ui")
    for version in ("v1", "v2"):
        expect(dialog.get_by_label(version, exact=True)).to_be_checked()
    dialog.get_by_label("house-ui").check()
    dialog.get_by_label("Budget of each model").fill("0.5")
    accept(dialog, "Write the file and show the plan").click()
    plan = lab.page.get_by_role("dialog", name="Evaluate a file")
    expect(plan.get_by_role("row", name=re.compile("^v1 62 "))).to_be_visible()
    file = read_evaluation((folder / "versions.yaml").read_text())
    assert [file.messages_of(each)[0].content for each in ("v1", "v2")] == ["Be brief.", "Be polite."]
    assert file.models["v1"].limits.money == 0.5

    # The file opens in the editor, whose command saves it and plans it again.
    accept(plan, "Edit the file").click()
    editor = lab.page.locator(".jp-FileEditor:visible")
    expect(editor).to_contain_text("Be polite.")
    editor.locator(".cm-content").press("Control+End")
    lab.page.keyboard.insert_text("smallest_difference: 0.1\n")
    editor.locator(".cm-content").click(button="right")
    lab.page.get_by_role("menuitem", name="Evaluate…").click()
    expect(plan.get_by_role("row", name=re.compile("^v1 62 "))).to_be_visible()
    assert read_evaluation((folder / "versions.yaml").read_text()).smallest_difference == 0.1

    # The server does not answer: what is shown stays, and nothing began.
    lab.page.route(re.compile(r"/answer-evaluations(\?.*)?$"), lambda route: route.abort())
    accept(plan, "Start").click()
    expect(plan.get_by_role("alert")).to_contain_text("The Jupyter server does not answer.")
    lab.page.unroute_all()
    accept(plan, "Start").click()
    row = lab.page.locator("#genops-evaluations").get_by_role("row", name="versions")
    expect(row.get_by_text("Done", exact=True)).to_be_visible(timeout=60_000)
    found: list[dict[str, Any]] = server.get("genops/v1/answer-evaluations")["items"]
    assert [each["name"] for each in found].count("versions") == 1
