"""What is away is told, with what to do, and comes back by itself."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, expect

from tests.support.browser import LabPage, lab_page
from tests.support.homes import Home
from tests.support.lab_server import free_port, running_lab, start_lab
from tests.support.mlflow_server import running_mlflow

from .programs import run_script
from .run_table_page import head, rows, table, totals

pytestmark = [pytest.mark.ui, pytest.mark.slow, pytest.mark.timeout(600)]

#: Resources ask again after at most this long while they are down.
BACK_MS = 90_000
QUICK = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "5", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}


def down(lab: LabPage, name: str) -> Any:
    return lab.section(name).locator(".gol-DownState")


def nothing_new(lab: LabPage) -> Locator:
    return table(lab).locator(".gol-Callout").filter(has_text="The table is not updated.")


def log_run(uri: str, name: str) -> None:
    """A run that somebody else makes."""
    from mlflow import MlflowClient

    client = MlflowClient(uri)
    run = client.create_run("0", run_name=name)
    client.log_metric(run.info.run_id, "loss", 0.5)
    client.set_terminated(run.info.run_id)


def said_to_be_away(lab: LabPage) -> None:
    """In the panel and in the run table, in both themes."""
    places = [down(lab, "Runs"), down(lab, "Models"), table(lab).locator(".gol-DownState")]
    for place in places:
        expect(place).to_contain_text(re.compile("cannot be read", re.I))
        expect(place.locator(".gol-DownState-hint")).not_to_be_empty()
        expect(place.get_by_role("button", name="Retry now")).to_be_visible()
    lab.looks("mlflow-down", "#genops-lab-panel, .gol-RunTable", (1280, 1000), (1920, 1000))
    for name in ("Compute", "Deployments"):
        expect(down(lab, name)).to_have_count(0)


def test_an_mlflow_that_is_away_comes_back_and_is_another_one(
    browser: Browser, home: Home, tmp_path: Path
) -> None:
    port = free_port()
    arguments = [f"--GenOpsLab.mlflow_uri=http://127.0.0.1:{port}"]
    with running_lab(home, arguments=arguments, env=QUICK) as server, lab_page(browser, server) as lab:
        lab.open()
        lab.execute("genops:open-runs")
        said_to_be_away(lab)
        for name in ("first", "second"):
            store = f"sqlite:///{tmp_path}/{name}.db"
            with running_mlflow(home, store, tmp_path / name, port) as url:
                log_run(url, f"the {name} run")
                expect(rows(lab).filter(has_text=f"the {name} run")).to_be_visible(timeout=BACK_MS)
                expect(totals(lab)).to_have_text("1 run")
                expect(table(lab).locator(".gol-DownState")).to_have_count(0)
                expect(nothing_new(lab)).to_have_count(0)
                # Also where the run had no metric yet when its row came.
                expect(head(lab, "loss metric")).to_be_visible(timeout=BACK_MS)
                expect(table(lab).get_by_text("read through MLflow's API")).to_be_visible()
                shown = lab.section("Runs").get_by_role(
                    "button", name=re.compile(f"the {name} run.*loss 0.5", re.DOTALL)
                )
                expect(shown).to_be_visible(timeout=BACK_MS)
                expect(lab.panel().locator(".gol-DownState")).to_have_count(0, timeout=BACK_MS)
                register = lab.section("Models").get_by_role("button", name="Register a model…")
                expect(register).to_be_visible()
                log_run(url, "another run")
                expect(totals(lab)).to_have_text("2 runs", timeout=BACK_MS)
            expect(nothing_new(lab)).to_contain_text("The rows stay", timeout=BACK_MS)
            # At once: after some seconds it is old enough to say so by itself.
            assert "up to date" not in table(lab).locator(".gol-RunTable-freshness").inner_text()
            expect(rows(lab)).to_have_count(2)
            expect(down(lab, "Runs").first).to_be_visible(timeout=BACK_MS)
        expect(table(lab).locator(".gol-RunTable-freshness")).to_contain_text("as of", timeout=BACK_MS)
        lab.looks("run-table-nothing-new", ".gol-RunTable", (1280, 800), daily=False)
        assert lab.problems == []


#: What a section without anything offers.
EMPTY = {
    "Compute": "New notebook",
    "Runs": "Insert a %%track cell",
    "Models": "Register a model…",
    "Deployments": "Deploy a model…",
}

#: The pages without anything, and the magic of the cell that they offer.
PAGES = {"sweeps": "%%sweep", "profiles": "%%profile"}


def each_section_says_what_to_do_next(lab: LabPage) -> None:
    for name, button in EMPTY.items():
        # MLflow's file is made first.
        expect(lab.section(name).get_by_role("button", name=button)).to_be_visible(timeout=BACK_MS)
    lab.shot("panel-empty", height=1000)
    for name, text in PAGES.items():
        page = lab.main_page(f"genops:open-{name}", f"genops-{name}")
        expect(page.get_by_text(f"No {name} yet.")).to_be_visible()
        expect(page.get_by_role("button", name=f"Insert a {text} cell")).to_be_visible()
        lab.looks(f"{name}-empty", f"#genops-{name}")

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
            # Unasked: figures of before are said to be of before, once for all sections.
            away = (
                lab.panel()
                .get_by_role("region", name="Needs attention")
                .get_by_text("The Jupyter server does not answer.")
            )
            expect(away).to_be_visible(timeout=3_000)
            lab.execute("genops:open-panel")
            lab.panel().get_by_role("button", name="Refresh what is shown").dispatch_event("click")
            expect(down(lab, "Deployments")).to_have_text(re.compile("^Deployments cannot be read"))
            expect(away).to_be_visible()
            said = lab.panel().get_by_text("does not answer").filter(visible=True)
            expect(said).to_have_count(1)
            expect(lab.section("Compute")).to_have_css("opacity", "0.75")
            lab.shot("server-down", height=1000)
            lost = lab.page.get_by_role("dialog").filter(has_text="Server Connection Error")
            expect(lost).to_be_visible(timeout=BACK_MS)  # JupyterLab's own
            second = start_lab(home, after=first)
            try:
                expect(lost).to_have_count(0, timeout=BACK_MS)
                expect(lab.panel().locator(".gol-DownState")).to_have_count(0, timeout=BACK_MS)
                expect(away).to_have_count(0, timeout=BACK_MS)
                run_script(second, 'import genops\ngenops.log({"loss": 0.125})')
                row = lab.section("Runs").get_by_role("button", name=re.compile("loss 0.125"))
                expect(row).to_be_visible(timeout=BACK_MS)
                assert lab.page.evaluate("() => window.sameDocument"), "it was not reloaded"
            finally:
                second.stop()
    finally:
        first.stop()
