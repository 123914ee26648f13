"""The Lab below a base URL of two levels, as behind a hub or a proxy."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.support.browser import SECTIONS, LabPage
from tests.support.homes import Home
from tests.support.lab_server import LabServer, running_lab

from .programs import run_script

pytestmark = [pytest.mark.ui, pytest.mark.slow, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def server(module_home: Home) -> Iterator[LabServer]:
    with running_lab(module_home, base_url="/a/b/") as found:
        yield found


def test_the_panel_works_below_a_base_url(lab: LabPage, server: LabServer) -> None:
    for name in SECTIONS:
        expect(lab.section(name).get_by_role("status", name="Loading")).to_have_count(0)
    experiments = lab.section("Experiments")
    expect(experiments.get_by_role("button", name="Insert a %%track cell")).to_be_visible()
    expect(lab.section("Deployments").get_by_role("button", name="Deploy a model…")).to_be_visible()
    expect(lab.panel().locator(".gol-DownState")).to_have_count(0)
    lab.shot("base-url-empty")

    run_script(server, 'import genops\ngenops.log({"loss": 0.25})\ngenops.tag({"who": "a script"})')
    expect(experiments.get_by_role("button", name="loss 0.25")).to_be_visible()
    lab.shot("base-url-run")
    assert lab.problems == []
    assert server.get("genops/status")["rooms"]
