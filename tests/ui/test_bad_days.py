"""What is away is told, with what to do, and comes back by itself; two tabs see the same."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.support.browser import LabPage, lab_page
from tests.support.homes import Home
from tests.support.lab_server import free_port, running_lab, start_lab

from .programs import TRAIN, own_mlflow, run_script

pytestmark = [pytest.mark.ui, pytest.mark.slow, pytest.mark.timeout(240)]

#: Resources ask again after at most this long while they are down.
BACK_MS = 90_000


class Mlflow:
    """An MLflow server elsewhere that can be ended and started again."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._folder = home.path / "elsewhere"
        self._folder.mkdir()
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port)),
                *("--backend-store-uri", f"sqlite:///{self._folder}/far.db", "--workers", "1"),
                *("--artifacts-destination", str(self._folder / "artifacts")),
            ],
            cwd=self._folder,
            env=self._home.environment(MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def end(self) -> None:
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None


@pytest.fixture
def mlflow(home: Home) -> Iterator[Mlflow]:
    elsewhere = Mlflow(home)
    yield elsewhere
    elsewhere.end()


def down(lab: LabPage, name: str) -> Any:
    return lab.section(name).locator(".gol-DownState")


def test_an_mlflow_that_goes_and_comes_back(browser: Browser, home: Home, mlflow: Mlflow) -> None:
    arguments = [f"--GenOpsLab.mlflow_uri=http://127.0.0.1:{mlflow.port}"]
    slow = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "2", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
    with running_lab(home, arguments=arguments, env=slow) as server, lab_page(browser, server) as lab:
        lab.open()
        for theme in ("dark", "light"):
            lab.theme(theme)
            for name in ("Experiments", "Models"):
                expect(down(lab, name)).to_contain_text(re.compile("cannot be read", re.I))
                expect(down(lab, name).locator(".gol-DownState-hint")).not_to_be_empty()
                expect(down(lab, name).get_by_role("button", name="Retry now")).to_be_visible()
            lab.shot(f"mlflow-down-{theme}", height=1000)
        assert lab.serious_findings("#genops-lab-panel") == []
        for name in ("Compute", "Deployments"):
            expect(down(lab, name)).to_have_count(0)

        mlflow.start()
        run = 'import genops\ngenops.log({"loss": 0.5})'
        run_script(server, run)
        experiments = lab.section("Experiments")
        expect(experiments.get_by_role("button", name=re.compile("loss 0.5"))).to_be_visible(timeout=BACK_MS)
        expect(lab.panel().locator(".gol-DownState")).to_have_count(0, timeout=BACK_MS)
        expect(lab.section("Models").get_by_role("button", name="Register a run's model…")).to_be_visible()

        mlflow.end()
        expect(down(lab, "Experiments").first).to_be_visible(timeout=BACK_MS)
        assert lab.problems == []


def test_a_jupyter_server_that_goes_and_comes_back(browser: Browser, home: Home) -> None:
    first = start_lab(home)
    try:
        with lab_page(browser, first) as lab:
            lab.open()
            for name in ("Compute", "Experiments", "Models", "Profiles", "Deployments"):
                expect(lab.section(name).get_by_role("button").first).to_be_visible()
            expect(lab.panel().locator(".gol-DownState")).to_have_count(0)
            lab.page.evaluate("() => { window.sameDocument = true; }")
            first.stop()
            lab.execute("genops:open-panel")
            lab.panel().get_by_role("button", name="Refresh what is shown").dispatch_event("click")
            expect(down(lab, "Deployments")).to_be_visible()
            lab.shot("server-down", height=1000)
            second = start_lab(home, after=first)
            try:
                expect(lab.panel().locator(".gol-DownState")).to_have_count(0, timeout=BACK_MS)
                run_script(second, 'import genops\ngenops.log({"loss": 0.125})')
                row = lab.section("Experiments").get_by_role("button", name=re.compile("loss 0.125"))
                expect(row).to_be_visible(timeout=BACK_MS)
                assert lab.page.evaluate("() => window.sameDocument"), "it was not reloaded"
            finally:
                second.stop()
    finally:
        first.stop()


def test_two_tabs_see_the_same(browser: Browser, home: Home) -> None:
    with (
        running_lab(home) as server,
        lab_page(browser, server) as one,
        lab_page(browser, server) as other,
    ):
        run_script(server, TRAIN, **own_mlflow(server))
        (run,) = server.get("genops/runs")["runs"]
        status, _ = server.request("POST", "genops/models", {"name": "line", "run": run["run_id"]})
        assert status == 200
        for lab in (one, other):
            lab.open()
            lab.section("Deployments")
        one.section("Models").get_by_role("button", name="Deploy line version 1…").click()
        dialog = one.page.get_by_role("dialog")
        # a script without GenOps logged it
        dialog.get_by_role("checkbox", name="I trust this model: it may run code on this machine.").check()
        accept = dialog.get_by_role("button", name="Deploy", exact=True)
        expect(accept).to_be_enabled()
        accept.click()
        for lab in (one, other):
            expect(lab.section("Deployments").get_by_text("Running", exact=True)).to_be_visible(
                timeout=90_000
            )
        other.section("Deployments").get_by_role("button", name="Stop", exact=True).click()
        for lab in (other, one):
            expect(lab.section("Deployments").get_by_text("Stopped", exact=True)).to_be_visible()
