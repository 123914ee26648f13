"""A timeline in a browser, as tests look at it and handle it."""

from __future__ import annotations

import shutil
from typing import Any

from playwright.sync_api import Locator, expect

from tests.support.browser import LabPage
from tests.support.lab_server import LabServer
from tests.support.real_traces import real_trace

SOURCE = real_trace("v100_2rank_nccl.json.gz")
#: The real trace that several modules look at, as it is named in the Lab's folder: it is analyzed once.
TRACE = "v100_2rank.pt.trace.json.gz"
PATH = f"real/{TRACE}"


def put_trace(server: LabServer) -> None:
    """Put the real trace where it is opened from."""
    target = server.home.work / PATH
    if not target.exists():
        target.parent.mkdir(exist_ok=True)
        shutil.copy(SOURCE, target)


def overview(lab: LabPage) -> Locator:
    """The profile of the trace, as a double click opens it."""
    lab.double_click(PATH)
    panel = lab.page.locator(".gol-Profile:visible").get_by_role("tabpanel")
    expect(panel).to_have_accessible_name("Overview", timeout=60_000)
    return panel


def opened(lab: LabPage, server: LabServer) -> Locator:
    """The timeline of the trace alone, when all of what is seen is drawn."""
    overview(lab)
    [profile] = [each for each in server.get("genops/profiles") if each["title"] == TRACE]
    lab.execute("genops:profile-timeline", {"id": profile["id"]})
    canvas(lab).wait_for(timeout=60_000)
    settled(lab)
    return lab.page.locator(".gol-Timeline:visible")


def canvas(lab: LabPage) -> Locator:
    return lab.page.get_by_role("application", name="Timeline")


def status(lab: LabPage) -> Locator:
    """What is read aloud of the selection."""
    return lab.page.locator(".gol-Timeline > [role=status]")


def model(lab: LabPage, expression: str) -> Any:
    """What the timeline's model says."""
    return lab.page.evaluate(
        f"() => {{ const model = window.jupyterapp.shell.currentWidget.content.model; return {expression}; }}"
    )


def settled(lab: LabPage) -> None:
    """Wait until nothing that is seen is still to be fetched, and a frame has been drawn since."""
    lab.page.wait_for_function(
        """() => {
          const model = window.jupyterapp.shell.currentWidget.content.model;
          return model && model.timeline && model.view.width > 0 && !model.busy;
        }"""
    )
    lab.page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def painted(lab: LabPage) -> float:
    """The share of the canvas below its axis that is not background."""
    share = lab.page.evaluate(
        """() => {
          const canvas = document.querySelector('.gol-Timeline-canvas canvas');
          const { data } = canvas.getContext('2d').getImageData(0, 22, canvas.width, 200);
          const pixels = new Uint32Array(data.buffer);
          const background = pixels[pixels.length - 1];
          return pixels.filter(pixel => pixel !== background).length / pixels.length;
        }"""
    )
    return float(share)
