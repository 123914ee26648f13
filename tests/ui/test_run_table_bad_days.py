"""The run table on bad days: MLflow that is away, or another one; a store that is a database; very many columns."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, expect

from benchmarks.run_store import make_wide
from tests.support.browser import LabPage, lab_page
from tests.support.homes import Home
from tests.support.lab_server import free_port, running_lab
from tests.support.mlflow_server import running_mlflow
from tests.support.postgres import missing, running_postgres

from .run_table_page import grid, head, query, rows, table, totals

pytestmark = [pytest.mark.ui, pytest.mark.slow, pytest.mark.timeout(400)]

#: The table asks again after at most this long while MLflow is down.
BACK_MS = 90_000
QUICK = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "5", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
COLUMNS = 12_000


def log_run(uri: str, name: str) -> None:
    """A run that somebody else makes."""
    from mlflow import MlflowClient

    client = MlflowClient(uri)
    run = client.create_run("0", run_name=name)
    client.log_metric(run.info.run_id, "loss", 0.5)
    client.set_terminated(run.info.run_id)


def seen(lab: LabPage, name: str) -> None:
    """A picture in each theme, without serious findings."""
    for theme in ("dark", "light"):
        lab.theme(theme)
        lab.shot(f"{name}-{theme}", width=1280, height=800)
        found = lab.serious_findings(".gol-RunTable")
        assert found == [], found


def nothing_new(lab: LabPage) -> Locator:
    return table(lab).locator(".gol-Callout").filter(has_text="Nothing new comes.")


def test_an_mlflow_that_is_away_comes_back_and_is_another_one(
    browser: Browser, home: Home, tmp_path: Path
) -> None:
    port = free_port()
    arguments = [f"--GenOpsLab.mlflow_uri=http://127.0.0.1:{port}"]
    with running_lab(home, arguments=arguments, env=QUICK) as server, lab_page(browser, server) as lab:
        lab.open()
        lab.execute("genops:open-runs")
        down = table(lab).locator(".gol-DownState")
        expect(down).to_contain_text("The runs cannot be read.")
        expect(down.locator(".gol-DownState-hint")).not_to_be_empty()
        expect(down.get_by_role("button", name="Retry now")).to_be_visible()
        seen(lab, "run-table-down")
        for name in ("first", "second"):
            store = f"sqlite:///{tmp_path}/{name}.db"
            with running_mlflow(home, store, tmp_path / name, port) as url:
                log_run(url, f"the {name} run")
                expect(rows(lab).filter(has_text=f"the {name} run")).to_be_visible(timeout=BACK_MS)
                expect(totals(lab)).to_have_text("1 run")
                expect(down).to_have_count(0)
                expect(nothing_new(lab)).to_have_count(0)
                # Also where the run had no metric yet when its row came.
                expect(head(lab, "loss metric")).to_be_visible(timeout=BACK_MS)
                expect(table(lab).get_by_text("read through MLflow's API")).to_be_visible()
                log_run(url, "another run")
                expect(totals(lab)).to_have_text("2 runs", timeout=BACK_MS)
            expect(nothing_new(lab)).to_contain_text("What is here stays", timeout=BACK_MS)
            # At once: after some seconds it is old enough to say so by itself.
            assert "up to date" not in table(lab).locator(".gol-RunTable-freshness").inner_text()
            expect(rows(lab)).to_have_count(2)
        expect(table(lab).locator(".gol-RunTable-freshness")).to_contain_text("as of", timeout=BACK_MS)
        seen(lab, "run-table-nothing-new")
        assert lab.problems == []


@pytest.mark.skipif(bool(missing()), reason=missing())
def test_runs_of_a_database_say_how_old_they_are(browser: Browser, home: Home) -> None:
    with running_postgres() as database:
        log_run(database, "in PostgreSQL")
        arguments = [f"--GenOpsLab.mlflow_uri={database}"]
        with running_lab(home, arguments=arguments) as server, lab_page(browser, server) as lab:
            lab.open()
            lab.execute("genops:open-runs")
            expect(rows(lab).filter(has_text="in PostgreSQL")).to_be_visible()
            freshness = table(lab).locator(".gol-RunTable-freshness")
            expect(freshness).to_have_text("read from MLflow's database · up to date")
            expect(freshness).to_have_attribute("title", re.compile("^Each change before .* is here$"))
            log_run(database, "made later")
            expect(rows(lab).filter(has_text="made later")).to_be_visible()
            assert lab.problems == []


def test_twelve_thousand_columns_are_found_and_completed(browser: Browser, home: Home) -> None:
    with running_lab(home) as server, lab_page(browser, server) as lab:
        assert server.get("genops/runs")["runs"] == []
        make_wide(
            f"sqlite:///{home.data}/mlflow/mlflow.db", 400, COLUMNS, str(home.path / "artifacts"), each=60
        )
        lab.open()
        lab.execute("genops:open-runs")
        expect(totals(lab)).to_have_text("400 runs")
        table(lab).get_by_role("button", name="Columns").click()
        drawer = table(lab).get_by_role("region", name="Columns")
        expect(drawer.get_by_text(re.compile(r"^1[12],\d{3} more: search for them\.$"))).to_be_visible()
        search = drawer.get_by_role("searchbox", name="Search columns")
        search.fill("column_11999")
        expect(drawer.get_by_role("checkbox")).to_have_count(1)
        drawer.get_by_role("checkbox").check()
        search.press("Escape")
        heads = grid(lab).get_by_role("columnheader", name=re.compile("^column_11999"))
        expect(heads).to_be_visible()
        # The table takes up to 500 columns, of which the page has those that are seen.
        query(lab).click()
        query(lab).press_sequentially("metrics.column_1199")
        options = table(lab).get_by_role("listbox", name="Completions").get_by_role("option")
        expect(options.first).to_contain_text("column_1199")
        query(lab).press("ArrowDown")
        query(lab).press("Enter")
        query(lab).press_sequentially(">= 0")
        query(lab).press("Enter")
        expect(totals(lab)).to_have_text(re.compile(r"^[1-9] of 400 runs$"))
        seen(lab, "run-table-wide")
        table(lab).get_by_role("button", name="Group", exact=True).click()
        lab.page.get_by_role("menuitem", name="Another Column…").click()
        dialog = lab.page.get_by_role("dialog")
        dialog.get_by_role("combobox").fill("column_11998")
        dialog.get_by_role("button", name="Group", exact=True).click()
        expect(totals(lab)).to_contain_text("group")
        assert lab.problems == []
