"""Pictures and PDFs of rows: on the page of an evaluation, where a person labels, and in MLflow's own page."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from tests.genai.attached import LARGE_SIDE, file_with_attachments, looking
from tests.support.browser import NARROW, WIDE, LabPage
from tests.support.lab_server import LabServer

pytestmark = [pytest.mark.ui, pytest.mark.slow, pytest.mark.timeout(300)]


def evaluated(server: LabServer, folder: Path, name: str) -> str:
    with looking().serving() as url:
        body = {"text": file_with_attachments(folder, url, name), "folder": str(folder)}
        status, begun = server.request("POST", "genops/v1/answer-evaluations", body)
        assert status == 200, begun
        id, deadline = str(begun["evaluation"]["id"]), time.monotonic() + 60
        while server.get(f"genops/v1/answer-evaluations/{id}")["evaluation"]["stage"] != "done":
            assert time.monotonic() < deadline, server.log
            time.sleep(0.2)
        return id


def is_drawn(picture: Locator, side: int) -> None:
    expect(picture).to_be_visible()
    expect(picture).to_have_js_property("naturalWidth", side)


def test_attachments_are_seen_where_answers_are_read(lab: LabPage, server: LabServer, tmp_path: Path) -> None:
    id = evaluated(server, tmp_path, "attached-ui")
    lab.execute("genops:open-evaluations", {"id": id})
    result = lab.page.locator(f"#genops-evaluations-{id}")
    for example, side in (("small", 8), ("large", LARGE_SIDE)):
        result.get_by_role("gridcell", name=example, exact=True).click()
        shown = result.get_by_role("region", name=f"Answers to the example {example}")
        expect(shown).to_contain_text("I see text and image_url")
        is_drawn(shown.get_by_role("img", name="Picture of at"), side)
    expect(result.get_by_role("gridcell", name="See large [picture]")).to_be_visible()
    result.locator(".gol-Examples").scroll_into_view_if_needed()
    lab.looks("answers-picture", f"#genops-evaluations-{id}", NARROW, WIDE)
    result.get_by_role("gridcell", name="paper", exact=True).click()
    expect(result.get_by_role("region", name="Answers to the example paper")).to_contain_text(
        re.compile(r"A PDF of \d+ bytes\.")
    )


def test_a_person_labels_what_the_model_saw(lab: LabPage, server: LabServer, tmp_path: Path) -> None:
    id = evaluated(server, tmp_path, "attached-labels")
    asked = {"evaluation": id, "rows": 3, "question": "Is it so?", "choices": ["no", "yes"]}
    status, queue = server.request("POST", "genops/v1/label-queues", asked)
    assert status == 200, queue
    lab.section("Generative AI").get_by_role("button", name=re.compile("^Labels")).click()
    page = lab.page.locator(".gol-Labels")
    page.get_by_role("button", name=re.compile(f"^{re.escape(queue['name'])}")).click()
    article = page.get_by_role("article", name="Answer to label")
    seen = set()
    for _ in range(3):
        expect(article).to_contain_text("I see text and")
        name = next(each for each in ("small", "large", "paper") if f"See {each}" in article.inner_text())
        seen.add(name)
        if name == "paper":
            expect(article).to_contain_text("[file at.pdf]")
        else:
            is_drawn(article.get_by_role("img"), 8 if name == "small" else LARGE_SIDE)
        if name == "large":
            lab.looks("labels-picture", ".gol-Labels", NARROW, WIDE)
        page.get_by_role("button", name="Skip (space)").click()
        expect(article).not_to_contain_text(f"See {name}")
    assert seen == {"small", "large", "paper"}
    assert server.request("DELETE", f"genops/v1/label-queues/{queue['id']}")[0] == 204
