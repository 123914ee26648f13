"""Align a judge on the page of labels: the cost first, cancel, a killed Lab, both criteria, and one press keeps it."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from genops_lab.genai.evaluations.journal import read
from tests.genai.judged_units import BETTER, OLD, PRICE, RIGHT, WRONG, Models, evaluation_file, is_right
from tests.support.browser import NARROW, WIDE, LabPage
from tests.support.homes import Home
from tests.support.lab_server import LabServer, start_lab
from tests.support.rooms import eventually

from .keyboard import Keyboard

pytestmark = [pytest.mark.ui, pytest.mark.slow, pytest.mark.timeout(400)]

#: 20 labels are held out, and 20 train.
ROWS = 40
AGAIN_MS = 120_000


class KilledLab:
    """A Lab of this module's own, which is killed and started again."""

    def __init__(self, home: Home) -> None:
        self.home, self.server = home, start_lab(home)

    def killed(self) -> None:
        os.killpg(self.server.process.pid, signal.SIGKILL)
        self.server.process.wait()

    def started(self) -> None:
        self.server = start_lab(self.home, after=self.server)

    def marks(self) -> int:
        """Return how many marks of the judge are on disk."""
        found = (self.home.data / "answers").rglob("marks.jsonl")
        return sum(call.answer is not None for path in found for call in read(path).values())


@pytest.fixture(scope="module")
def own(module_home: Home) -> Iterator[KilledLab]:
    found = KilledLab(module_home)
    yield found
    found.server.stop()


@pytest.fixture(scope="module")
def server(own: KilledLab) -> LabServer:
    return own.server


@pytest.fixture
def lab(module_page: LabPage) -> LabPage:
    """The page. A killed Lab leaves errors of the browser's on it."""
    module_page.start()
    return module_page


def labelled(server: LabServer, url: str, folder: Path) -> str:
    """Evaluate, and label all answers as people do; return the name of the queue."""
    writer = {
        "name": "writer",
        "url": url,
        "model": "stub",
        "price": {"input": PRICE.input, "output": PRICE.output},
    }
    assert server.request("POST", "genops/v1/endpoints", writer)[0] == 200
    body = {"text": json.dumps(evaluation_file(url, folder, ROWS)), "folder": str(folder)}
    status, begun = server.request("POST", "genops/v1/answer-evaluations", body)
    assert status == 200, begun
    id = begun["evaluation"]["id"]
    eventually(
        lambda: server.get(f"genops/v1/answer-evaluations/{id}")["evaluation"]["stage"],
        lambda it: it == "done",
    )
    status, queue = server.request(
        "POST", "genops/v1/label-queues", {"evaluation": id, "rows": ROWS, "judge": "measure"}
    )
    assert status == 200, queue
    path = f"genops/v1/label-queues/{queue['id']}/items"
    for item in server.get(path)["items"]:
        content = server.get(f"{path}/{item['trace_id']}")
        number = int(content["turns"][0]["text"].split()[-1])
        label = {"label": RIGHT if is_right(number) else WRONG}
        assert server.request("PUT", f"{path}/{item['trace_id']}", label)[0] == 200
    return str(queue["name"])


def test_a_judge_is_aligned_and_kept_by_one_press(lab: LabPage, own: KilledLab, tmp_path: Path) -> None:
    models = Models()
    with models.stub.serving() as url:
        queue = labelled(own.server, url, tmp_path)
        models.forget()
        lab.execute("genops:open-labels")
        labels, keys = lab.page.locator(".gol-Labels"), Keyboard(lab.page)
        labels.get_by_role("button", name=re.compile(f"^{re.escape(queue)}")).click()
        keys.choose(labels.get_by_role("button", name="Align a judge…"))
        page = labels.get_by_role("region", name="Align a judge", exact=True)
        expect(page.get_by_text("No judge of this evaluation was aligned yet.")).to_be_visible()
        expect(page.get_by_label("Judge", exact=True).locator("option")).to_have_text(["measure"])
        expect(page).to_contain_text(OLD)

        # Which labels count, and what the calls cost at most: nothing is asked yet.
        form = page.get_by_role("form", name="Align the judge")
        keys.option(form.get_by_label("Model that writes"), "writer")
        form.get_by_label("Held-out labels, in %").fill("90")
        keys.choose(form.get_by_role("button", name="Show cost"))
        expect(form.get_by_role("alert")).to_contain_text("40 answers chosen at random have a label")
        form.get_by_label("Held-out labels, in %").fill("50")
        form.get_by_label("Criteria that are written").fill("1")
        keys.choose(form.get_by_role("button", name="Show cost"))
        start = form.get_by_role("button", name=re.compile(r"^Align with at most \d+ calls$"))
        expect(start).to_be_focused()
        said = form.get_by_role("status")
        expect(said).to_contain_text("Labels of the question measure: 20 train, 20 are held out.")
        expect(said).to_contain_text("writer writes: 1 call, at most ")
        expect(said).to_contain_text("j judges, held-out labels: 20 calls, at most ")
        assert models.stub.said == []
        lab.looks("labels-align-cost", ".gol-Labels", NARROW, WIDE)

        # A cancel, and after it a killed Lab: no call that was answered is made again.
        models.hangs = lambda text: "<answer>" in text and len(models.of_judge) > 10
        keys.press("Enter")
        result = page.get_by_role("region", name="Result")
        expect(result.get_by_role("status").first).to_contain_text("marks of the judge and criteria.")
        eventually(own.marks, lambda count: count == 10)
        keys.choose(result.get_by_role("button", name="Cancel"))
        expect(result.get_by_role("button", name="Resume")).to_be_visible()
        answered = models.of_judge[:10]
        assert len(models.of_writer) == 1
        models.forget()
        models.hangs = lambda text: "<answer>" in text and len(models.of_judge) > 5
        keys.choose(result.get_by_role("button", name="Resume"))
        eventually(own.marks, lambda count: count == 15)
        answered += models.of_judge[:5]
        own.killed()
        models.forget()
        own.started()

        # It goes on by itself, and the page shows both criteria beside held-out labels.
        expect(result.locator("ins").first).to_be_visible(timeout=AGAIN_MS)
        keep = result.get_by_role("button", name="Keep", exact=True)
        expect(keep).to_be_visible(timeout=AGAIN_MS)
        assert models.of_writer == [] and not set(answered) & set(models.of_judge)
        expect(result).to_contain_text(
            re.compile(
                r"The new criterion changes the agreement of measure with people by \+[\d.]+ points on 20 held-out"
            )
        )
        expect(result).to_contain_text("The held-out labels show that it is better. It is not kept yet.")
        # The page says it: no notification covers the result.
        expect(lab.page.locator(".Toastify__toast").filter(has_text="Align the judge")).to_have_count(0)
        expect(result.locator(".gol-Interval-text")).to_have_text(
            re.compile(r"^\+0\.\d+ \(0\.\d+ to 0\.\d+\)$")
        )
        rows = result.get_by_role("table", name="Both criteria beside held-out labels").get_by_role("row")
        expect(rows.nth(1)).to_contain_text("Old")
        expect(rows.nth(2)).to_contain_text(re.compile(r"New\s*1\.00"))
        criterion = result.get_by_role("region", name="Criterion")
        expect(criterion.locator("ins")).to_contain_text(["A number without a unit is wrong"])
        assert (
            "".join(criterion.locator("p > :not(del)").all_inner_texts()) == BETTER
            and "".join(criterion.locator("p > :not(ins)").all_inner_texts()) == OLD
        )
        lab.looks("labels-aligned", ".gol-Labels", NARROW, WIDE)

        # Nothing has changed; one press keeps the judge, and another one uses it.
        (found,) = own.server.get("genops/v1/judge-alignments")["items"]
        assert (found["verdict"], found["kept_as"]) == ("better", "")
        keys.choose(keep)
        expect(result.get_by_text("MLflow has the judge measure-aligned.")).to_be_visible()
        listed = page.get_by_role("region", name="Alignments of this evaluation")
        expect(listed.get_by_role("row").filter(has_text="measure → measure-aligned")).to_contain_text("+")
        expect(result.get_by_label("Scorer of measure-aligned")).to_contain_text(
            "A number without a unit is wrong."
        )
        keys.choose(result.get_by_role("button", name="Save as file"))
        expect(result.get_by_text("The scorer is in the file scorer-measure-aligned.yaml.")).to_be_visible()
        assert "aligned:" in (own.home.work / "scorer-measure-aligned.yaml").read_text()
        lab.looks("labels-aligned-kept", ".gol-Labels", daily=False)
        keys.choose(result.get_by_role("button", name="Score the answers with it"), "Shift+Tab")
        expect(result.get_by_text("measure-aligned marks the answers.")).to_be_visible()
        path = f"genops/v1/answer-evaluations/{found['evaluation']}"
        eventually(
            lambda: {each["scorer"] for each in own.server.get(path)["report"]["judges"]},
            lambda scorers: "measure-aligned" in scorers,
        )
        keys.choose(page.get_by_role("button", name="Back to labels"), "Shift+Tab")
        expect(labels.get_by_role("table", name="Scorers beside labels")).to_contain_text("measure-aligned")
