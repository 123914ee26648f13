"""Runs below others and what runs printed, as the panel shows them."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.support.browser import LabPage
from tests.support.lab_server import LabServer

from .programs import run_script

pytestmark = [pytest.mark.ui, pytest.mark.slow, pytest.mark.timeout(180)]

SWEEP = """
import genops
with genops.run("parent", experiment="Panel"):
    print("\\x1b[1mwhat the sweep printed\\x1b[0m")
    for rate in (0.1, 0.01):
        with genops.run(f"rate-{rate}", params={"rate": rate}):
            genops.log({"loss": rate})
"""


def test_the_runs_above_and_below_and_what_was_printed(lab: LabPage, server: LabServer) -> None:
    run_script(server, SWEEP)
    section = lab.section("Experiments")
    section.get_by_role("button", name=re.compile("^parent")).click()
    below = section.get_by_role("button", name="Runs below it")
    expect(below).to_have_attribute("aria-expanded", "true")
    section.get_by_role("button", name="Output").click()
    printed = section.get_by_role("region", name="What the run printed to stdout")
    expect(printed).to_have_text("what the sweep printed\n")
    printed.scroll_into_view_if_needed()
    lab.looks("run-below", "#genops-lab-panel", (1280, 1100))
    section.get_by_role("button", name="rate-0.01", exact=True).click()
    expect(section.get_by_role("button", name="Below the run")).to_be_visible()
    section.get_by_role("button", name="parent", exact=True).click()
    expect(below).to_be_visible()
    assert lab.problems == []


LONG = """
import genops
with genops.run("long", experiment="Panel"):
    for step in range(0, 200_001, 500):
        genops.log({"accuracy": step / 200_000}, step=step)
"""
#: How many dots of a chart's last column, beside its x axis, have something in them.
AT_THE_EDGE = """canvas => {
    const {width, height} = canvas;
    const {data} = canvas.getContext('2d').getImageData(width - 1, height - 16, 1, 16);
    return data.filter((value, at) => at % 4 === 3 && value > 0).length;
}"""


def test_the_last_step_of_a_curve_is_written_whole(lab: LabPage, server: LabServer) -> None:
    run_script(server, LONG)
    section = lab.section("Experiments")
    section.get_by_role("button", name=re.compile("^long")).first.click()
    curve = section.get_by_role("img", name=re.compile("^accuracy by step"))
    curve.scroll_into_view_if_needed()
    expect(curve.locator("canvas")).to_be_visible()
    for width in (1280, 1920):
        lab.shot(f"curve-{width}", width=width, height=1100)
        assert curve.locator("canvas").evaluate(AT_THE_EDGE) == 0
    assert lab.problems == []
