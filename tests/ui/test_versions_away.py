"""All versions of all models while MLflow is down, and while it answers after 3 seconds."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, expect

from tests.support.browser import LabPage, lab_page
from tests.support.faults import FaultProxy
from tests.support.homes import Home
from tests.support.lab_server import free_port, running_lab
from tests.support.mlflow_server import running_mlflow

pytestmark = [pytest.mark.ui, pytest.mark.slow, pytest.mark.timeout(600)]

#: A question and its answer pass the proxy, so an answer takes twice as long. MLflow ends a connection after 5 s.
SLOW_S = 1.5
BACK_MS = 120_000


def table(lab: LabPage) -> Locator:
    return lab.page.locator(".gol-RunTable")


def rows(lab: LabPage) -> Locator:
    return table(lab).locator(".gol-RunTable-rdg .rdg-row")


def register(url: str, *models: str) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(url)
    for name in models:
        client.create_registered_model(name)
        client.create_model_version(name, "s3://nowhere/model")


def test_an_mlflow_that_is_down_is_told_and_retried(browser: Browser, home: Home, tmp_path: Path) -> None:
    port = free_port()
    arguments = [f"--GenOpsLab.mlflow_uri=http://127.0.0.1:{port}"]
    with running_lab(home, arguments=arguments) as server, lab_page(browser, server) as lab:
        lab.open()
        lab.execute("genops:open-versions")
        away = table(lab).locator(".gol-DownState")
        expect(away).to_contain_text("The versions cannot be read.", timeout=BACK_MS)
        expect(away).to_contain_text(f"The MLflow server at 127.0.0.1:{port} does not answer")
        expect(away.locator(".gol-DownState-hint")).not_to_be_empty()
        lab.looks("versions-down", ".gol-RunTable")
        with lab.page.expect_response(re.compile("/version-table")) as asked:
            away.get_by_role("button", name="Retry now").click()
        assert asked.value.status == 503
        expect(away).to_contain_text("does not answer")
        with running_mlflow(home, f"sqlite:///{tmp_path}/mlflow.db", tmp_path / "files", port) as url:
            register(url, "digits", "faces")
            # Also by itself: the button is gone as soon as MLflow answers.
            expect(rows(lab)).to_have_count(2, timeout=BACK_MS)
            expect(away).to_have_count(0)
        # What was read stays, with the reason why nothing newer comes.
        expect(table(lab)).to_contain_text("The versions are not updated", timeout=BACK_MS)
        expect(rows(lab)).to_have_count(2)
        assert lab.problems == []


def test_the_page_stays_usable_before_a_slow_mlflow(browser: Browser, home: Home, tmp_path: Path) -> None:
    port = free_port()
    with (
        FaultProxy(port) as proxy,
        running_mlflow(home, f"sqlite:///{tmp_path}/m.db", tmp_path / "f", port) as url,
    ):
        register(url, "digits", "faces", "voices")
        proxy.set(latency_s=SLOW_S)
        arguments = [f"--GenOpsLab.mlflow_uri=http://127.0.0.1:{proxy.port}"]
        with running_lab(home, arguments=arguments) as server, lab_page(browser, server) as lab:
            lab.open()
            lab.execute("genops:open-versions")
            expect(table(lab).get_by_role("status").get_by_text("Loading…")).to_be_attached()
            query = table(lab).get_by_role("combobox", name="Query")
            query.fill("model = 'voices'")
            query.press("Enter")
            lab.looks("versions-slow", ".gol-RunTable")
            lab.execute("application:close")
            expect(table(lab)).to_have_count(0)
            lab.execute("genops:open-versions")
            expect(rows(lab)).to_have_count(1, timeout=BACK_MS)
            expect(rows(lab).first).to_contain_text("voices")
            query.fill("")
            query.press("Enter")
            expect(rows(lab)).to_have_count(3, timeout=BACK_MS)
            assert lab.problems == []
