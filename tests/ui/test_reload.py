"""What was open and how the panel was come back over a reload of the page."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Locator, Response, expect

from tests.support import exhaustive
from tests.support.browser import SECTIONS, LabPage
from tests.support.lab_server import LabServer

from .programs import run_script

pytestmark = [pytest.mark.ui, pytest.mark.slow, pytest.mark.timeout(300)]

#: The second is opened as a profile on demand alone: by itself JupyterLab shows JSON.
BY_ITSELF, ON_DEMAND = "first.trace.json", "events.json"
CLOSED = ("Models", "Compute")
RUNS = """
import genops
for rate in (0.1, 0.2):
    with genops.run(f"rate-{rate}", experiment="Reload", params={"rate": rate}):
        pass
"""


def steps(count: int) -> dict[str, Any]:
    """A trace of so many steps."""
    event = {"ph": "X", "pid": 1, "tid": 1, "dur": 1000}
    names = [("user_annotation", f"ProfilerStep#{n}", n) for n in range(count)]
    names += [("cpu_op", "aten::mm", n) for n in range(count)]
    return {"traceEvents": [{**event, "cat": cat, "name": name, "ts": n * 1000} for cat, name, n in names]}


@pytest.fixture(scope="module", autouse=True)
def _traces(folder: Path) -> None:
    for number, name in enumerate((BY_ITSELF, ON_DEMAND), start=3):
        (folder / name).write_text(json.dumps(steps(number)))


def saved(answer: Response) -> bool:
    """Whether the page has told the server all of it: a reload ends a request that is under way."""
    request = answer.request
    sent = request.post_data or ""
    names = [f"genops-profile-file:reload/{name}" for name in (BY_ITSELF, ON_DEMAND)]
    panel = re.search(r'"genops-lab:panel":{"expanded":({[^}]*})', sent)
    expanded = json.loads(panel[1]) if panel else {}
    return (
        "/api/workspaces/" in urlsplit(request.url).path
        and request.method == "PUT"
        and all(name in sent for name in [*names, "genops-comparison:", '"current":"genops-lab-panel"'])
        and all(expanded.get(name.lower()) is False for name in CLOSED)
    )


def shown(lab: LabPage, name: str, events: int) -> Locator:
    """The profile of a file, after its tab was brought to the front."""
    lab.page.get_by_role("tab", name=name).click()
    panel = lab.page.locator(".gol-Profile:visible")
    expect(panel.get_by_role("heading", level=2)).to_have_text(name)
    expect(panel.get_by_text(f"{events} events")).to_be_visible()
    return panel


def test_tabs_and_the_panels_sections_are_there_again(lab: LabPage, server: LabServer) -> None:
    run_script(server, RUNS)
    runs = [run["run_id"] for run in server.get("genops/runs?experiment=Reload")["runs"]]
    for name in SECTIONS:
        lab.section(name)
    with lab.page.expect_response(saved, timeout=60_000):
        for name in CLOSED:
            lab.toggle(name).click()
        lab.execute("genops:compare-runs", {"run_ids": runs})
        lab.execute("docmanager:open", {"path": f"reload/{BY_ITSELF}"})
        shown(lab, BY_ITSELF, 6)
        lab.execute("docmanager:open", {"path": f"reload/{ON_DEMAND}", "factory": "Profile"})
        shown(lab, ON_DEMAND, 8)
    profiles = server.get("genops/profiles")
    for _ in range(exhaustive.times(2, 1)):  # what was restored is restored again
        lab.page.reload()
        lab.ready()
        tabs = lab.page.locator("#jp-main-dock-panel").get_by_role("tab")
        expect(tabs.filter(has_text="json")).to_have_text([BY_ITSELF, ON_DEMAND])
        # The one that was seen last is seen again.
        expect(lab.page.locator(".gol-Profile:visible").get_by_role("heading", level=2)).to_have_text(
            ON_DEMAND
        )
        expect(lab.page.locator("#jp-left-stack #genops-lab-panel")).to_be_visible()
        for name in SECTIONS:
            expect(lab.toggle(name)).to_have_attribute("aria-expanded", "false" if name in CLOSED else "true")
        tabs.filter(has_text="Comparison").click()
        columns = lab.page.locator(".gol-Comparison:visible .gol-Comparison-column")
        expect(columns).to_have_count(len(runs))
        shown(lab, BY_ITSELF, 6)
        with lab.page.expect_response(saved, timeout=60_000):
            shown(lab, ON_DEMAND, 8)
    assert server.get("genops/profiles") == profiles, "they are the same profiles"
