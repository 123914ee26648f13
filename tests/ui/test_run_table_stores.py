"""The run table on rare stores: a database, and very many columns."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, expect

from benchmarks.run_store import make_wide
from tests.support.browser import LabPage, lab_page
from tests.support.homes import Home
from tests.support.lab_server import running_lab
from tests.support.postgres import missing, running_postgres

from .run_table_page import grid, query, rows, table, totals
from .test_bad_days import log_run

pytestmark = [pytest.mark.ui, pytest.mark.slow, pytest.mark.timeout(400)]

COLUMNS = 12_000


def seen(lab: LabPage, name: str) -> None:
    """A picture in each theme, without serious findings."""
    for theme in ("dark", "light"):
        lab.theme(theme)
        lab.shot(f"{name}-{theme}", width=1280, height=800)
        found = lab.serious_findings(".gol-RunTable")
        assert found == [], found


@pytest.mark.exhaustive
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


@pytest.mark.exhaustive
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
        expect(
            drawer.get_by_text(re.compile(r"^1[12],\d{3} more columns\. Search to find them\.$"))
        ).to_be_visible()
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
