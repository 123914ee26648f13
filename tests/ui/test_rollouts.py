"""A canary from the panel: harm is stopped by the gateway while the Lab is closed, and told when it is back."""

from __future__ import annotations

import json
import re
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, Locator, expect

from tests.support.browser import LabPage, lab_page
from tests.support.homes import Home
from tests.support.lab_server import LabServer, start_lab
from tests.support.rooms import eventually

from .programs import own_mlflow, run_script

pytestmark = [pytest.mark.ui, pytest.mark.slow, pytest.mark.timeout(400)]

NAME = "canary"
#: A version that takes 10 ms, as a model would, and fails for one number.
LINE = """
import mlflow
from pathlib import Path

Path("line.py").write_text('''
import time
import mlflow
class Line(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        time.sleep(0.01)
        if model_input[0][0] == NUMBER:
            raise ValueError("this number is too much")
        return [2.0 * row[0] + 1 for row in model_input]
mlflow.models.set_model(Line())
''')
mlflow.set_experiment("lines")
with mlflow.start_run(run_name="line"):
    mlflow.pyfunc.log_model(python_model="line.py", name="model", pip_requirements=["mlflow"])
"""
#: The second version fails at one of the 20 numbers that callers send: 5 % of the requests.
VERSIONS = [LINE.replace("NUMBER", "100"), LINE.replace("NUMBER", "19")]
#: JupyterLab asks again for a server that was away after at most this long.
BACK_MS = 90_000


def register(server: LabServer, source: str) -> None:
    run_script(server, source, **own_mlflow(server))
    status, answer = server.request("POST", "genops/models", {"name": NAME, "run": "latest"})
    assert status == 200, answer


class Callers:
    """People who send requests, without the Lab: every 20th number is 19."""

    def __init__(self, server: LabServer) -> None:
        self._url = server.get(f"genops/deployments/{NAME}")["url"] + "/invocations"
        self._key = server.get(f"genops/deployments/{NAME}/key")["key"]
        self._ends = threading.Event()
        self.revisions: dict[str, int] = {}

    def send(self, count: int) -> None:
        for number in range(count):
            body = json.dumps({"inputs": [[float(number % 20)]]}).encode()
            headers = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"}
            request = urllib.request.Request(self._url, data=body, headers=headers)
            try:
                with urllib.request.urlopen(request, timeout=30) as answer:
                    self._count(answer.headers["X-Genops-Revision"])
            except urllib.error.HTTPError as error:
                self._count(error.headers["X-Genops-Revision"])
                error.close()

    def _count(self, revision: str) -> None:
        self.revisions[revision] = self.revisions.get(revision, 0) + 1

    @contextmanager
    def sending(self) -> Iterator[None]:
        def loop() -> None:
            while not self._ends.is_set():
                self.send(20)

        thread = threading.Thread(target=loop)
        thread.start()
        try:
            yield
        finally:
            self._ends.set()
            thread.join()


def region(lab: LabPage) -> Locator:
    button = lab.section("Deployments").get_by_role("button", name=re.compile(f"^{NAME}"))
    if button.get_attribute("aria-expanded") == "false":
        button.click()
    return lab.page.get_by_role("region", name=f"Rollout of {NAME}")


def deploys_a_version(lab: LabPage) -> None:
    """The person chooses the model in the form, trusts it, and sees that it runs."""
    lab.execute("genops:deploy-model", {"model": NAME, "version": "1", "name": NAME})
    dialog = lab.page.get_by_role("dialog")
    dialog.get_by_role("checkbox", name="I trust this model: it may run code on this machine.").check()
    lab.looks("deploy-form", ".jp-Dialog", (1280, 800))
    dialog.get_by_role("button", name="Deploy", exact=True).click()
    row = lab.section("Deployments").get_by_role("button", name=re.compile(f"^{NAME}.*Running"))
    expect(row).to_be_visible(timeout=BACK_MS)


def begins_a_canary(lab: LabPage) -> None:
    """The person chooses a canary with steps, and holds and continues it by the keyboard."""
    lab.execute("genops:deploy-model", {"model": NAME, "version": "2", "name": NAME})
    dialog = lab.page.get_by_role("dialog")
    dialog.get_by_label("Rollout").select_option("canary")
    steps = dialog.get_by_label("Steps in percent")
    steps.fill("50, 10")
    expect(steps).to_have_accessible_description(re.compile("rising percentages"))
    steps.fill("50")
    dialog.get_by_role("checkbox", name="I trust this model: it may run code on this machine.").check()
    expect(dialog.get_by_text(re.compile("requests an hour, 0.00% of them failed"))).to_be_visible()
    lab.looks("rollout-form", ".jp-Dialog", (1280, 800))
    dialog.get_by_role("button", name="Deploy", exact=True).click()
    shown = region(lab)
    expect(shown).to_contain_text("50 % of requests", timeout=BACK_MS)
    shown.get_by_role("button", name="Hold", exact=True).focus()
    lab.page.keyboard.press("Enter")
    expect(shown.get_by_text("Held", exact=True)).to_be_visible()
    shown.get_by_role("button", name="Continue", exact=True).click()
    expect(shown.get_by_text("In progress", exact=True)).to_be_visible()
    lab.looks("rollout-begun", "#genops-lab-section-deployments-body", (1280, 900), daily=False)


def sees_that_it_was_rolled_back(lab: LabPage) -> None:
    """The row says why; the evidence is a picture with a legend, also on a page."""
    shown = region(lab)
    expect(shown.get_by_text("Rolled back", exact=True)).to_be_visible(timeout=BACK_MS)
    expect(shown).to_contain_text(re.compile(r"Failures: \d+\.\d+% with the candidate"))
    expect(shown.get_by_role("button", name="Promote")).to_have_count(0)
    shown.get_by_role("button", name="Evidence", exact=True).click()
    expect(shown.get_by_role("img", name=re.compile("Failures, new less before"))).to_be_visible()
    expect(shown.get_by_role("listitem").filter(has_text="margin").first).to_be_visible()
    lab.looks("rollout", "#genops-lab-section-deployments-body", (1280, 1100))
    shown.get_by_role("button", name="Open wide").click()
    page = lab.page.locator(".gol-Page:has(.gol-Rollout-page)")
    expect(page.get_by_role("img", name=re.compile("Failures, new less before"))).to_be_visible()
    expect(page).to_contain_text("Failures")
    lab.looks("rollout-page", ".gol-Page:has(.gol-Rollout-page)", (1280, 900), (1920, 1000))


def test_a_canary_that_fails_is_rolled_back_while_the_lab_is_closed(browser: Browser, home: Home) -> None:
    server = start_lab(home)
    try:
        for source in VERSIONS:
            register(server, source)
        with lab_page(browser, server, height=1100) as lab:
            lab.open()
            deploys_a_version(lab)
            callers = Callers(server)
            callers.send(40)
            begins_a_canary(lab)
            with callers.sending():
                server.stop()  # the lid is closed
                evidence = home.data / "deployments" / NAME / "evidence.json"
                state = lambda: json.loads(evidence.read_text())["state"]  # noqa: E731
                eventually(state, lambda now: now == "rolled back", 120)
            assert callers.revisions["2"] > 20
            callers.revisions.clear()
            callers.send(20)
            assert callers.revisions == {"1": 20}
            server = start_lab(home, after=server)
            sees_that_it_was_rolled_back(lab)
            assert server.get(f"genops/deployments/{NAME}")["revision"] == 1
            server.request("POST", f"genops/deployments/{NAME}/stop")
    finally:
        server.stop()
