"""What is away is told, with what to do, and comes back by itself."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.support.browser import LabPage, lab_page
from tests.support.homes import Home
from tests.support.lab_server import free_port, running_lab, start_lab
from tests.support.rooms import eventually

from .programs import run_script

pytestmark = [pytest.mark.ui, pytest.mark.slow, pytest.mark.timeout(600)]

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
        # Its start takes half a minute of CPU, and is not what the page is measured by.
        eventually(self._answers, bool, 200)

    def _answers(self) -> bool:
        with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=5):
            return True
        return False

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


#: What a section without anything offers.
EMPTY = {
    "Compute": "New notebook",
    "Experiments": "Insert a %%track cell",
    "Profiles": "Insert a %%profile cell",
    "Models": "Register a run's model…",
    "Deployments": "Deploy a model…",
}


def each_section_says_what_to_do_next(lab: LabPage) -> None:
    for name, button in EMPTY.items():
        # MLflow's file is made first.
        expect(lab.section(name).get_by_role("button", name=button)).to_be_visible(timeout=BACK_MS)
    lab.shot("panel-empty", height=1000)

    lab.section("Models").get_by_role("button", name=EMPTY["Models"]).click()
    dialog = lab.page.get_by_role("dialog")
    expect(dialog).to_contain_text("There are no runs yet.")
    expect(dialog.get_by_role("button", name="Register")).to_be_disabled()
    lab.page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)

    lab.section("Deployments").get_by_role("button", name=EMPTY["Deployments"]).click()
    expect(dialog).to_contain_text("There are no registered models yet.")
    dialog.get_by_role("button", name="Cancel").click()
    expect(dialog).to_have_count(0)
    assert lab.problems == []


def test_a_new_lab_and_a_jupyter_server_that_goes_and_comes_back(browser: Browser, home: Home) -> None:
    first = start_lab(home)
    try:
        with lab_page(browser, first) as lab:
            lab.open()
            each_section_says_what_to_do_next(lab)
            expect(lab.panel().locator(".gol-DownState")).to_have_count(0)
            lab.page.evaluate("() => { window.sameDocument = true; }")
            first.stop()
            lab.execute("genops:open-panel")
            lab.panel().get_by_role("button", name="Refresh what is shown").dispatch_event("click")
            expect(down(lab, "Deployments")).to_be_visible()
            lab.shot("server-down", height=1000)
            lost = lab.page.get_by_role("dialog").filter(has_text="Server Connection Error")
            expect(lost).to_be_visible(timeout=BACK_MS)  # JupyterLab's own
            second = start_lab(home, after=first)
            try:
                expect(lost).to_have_count(0, timeout=BACK_MS)
                expect(lab.panel().locator(".gol-DownState")).to_have_count(0, timeout=BACK_MS)
                run_script(second, 'import genops\ngenops.log({"loss": 0.125})')
                row = lab.section("Experiments").get_by_role("button", name=re.compile("loss 0.125"))
                expect(row).to_be_visible(timeout=BACK_MS)
                assert lab.page.evaluate("() => window.sameDocument"), "it was not reloaded"
            finally:
                second.stop()
    finally:
        first.stop()
