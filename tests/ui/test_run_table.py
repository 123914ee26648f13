"""The run table on 10,000 runs, by mouse and keyboard."""

from __future__ import annotations

import re
import runpy
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, expect

from tests.support.browser import LabPage, lab_page
from tests.support.homes import Home
from tests.support.lab_server import LabServer, running_lab
from tests.support.many_runs import fill
from tests.support.mlflow_file import runs_in

from .run_table_page import cell_text, grid, head, looked_at, query, rows, table, totals

pytestmark = [pytest.mark.ui, pytest.mark.slow, pytest.mark.timeout(300)]

RUNS = 10_000


@pytest.fixture(scope="module")
def server(module_home: Home) -> Iterator[LabServer]:
    """A Lab whose embedded MLflow holds many runs."""
    with running_lab(module_home) as found:
        assert found.get("genops/runs")["runs"] == []
        fill(module_home.data / "mlflow" / "mlflow.db", RUNS)
        yield found


@pytest.fixture(scope="module")
def lab(browser: Browser, server: LabServer) -> Iterator[LabPage]:
    """One page for the whole way: each test begins where the one before it ended."""
    with lab_page(browser, server, width=1920, height=1000) as page:
        page.open()
        page.execute("application:toggle-left-area")
        yield page


def top_of(thing: Locator) -> float:
    return float(thing.evaluate("node => node.getBoundingClientRect().top"))


def test_it_opens_from_the_panel_with_columns_that_suit_the_runs(lab: LabPage) -> None:
    lab.section("Experiments").get_by_role("button", name="Open the run table").click()
    lab.execute("application:toggle-left-area")
    expect(totals(lab)).to_have_text("10,000 runs")
    expect(grid(lab)).to_have_attribute("aria-rowcount", "10001")
    for column in ("Name", "Started", "learning_rate parameter", "accuracy metric"):
        expect(head(lab, column)).to_be_visible()
    expect(head(lab, "framework parameter")).to_have_count(0)  # the same in all runs
    expect(rows(lab).first).to_contain_text("-10000")
    expect(table(lab).get_by_text("read from MLflow's file")).to_be_visible()


def test_statistics_are_made_and_the_offer_goes(lab: LabPage) -> None:
    offer = table(lab).get_by_role("note").filter(has_text="ANALYZE")
    offer.get_by_role("button", name="Run ANALYZE").click()
    expect(offer).to_have_count(0)
    with sqlite3.connect(lab.server.home.data / "mlflow" / "mlflow.db") as connection:
        assert connection.execute("SELECT 1 FROM sqlite_stat1 WHERE tbl = 'latest_metrics'").fetchone()


def test_the_last_row_comes_when_it_is_scrolled_to(lab: LabPage) -> None:
    grid(lab).evaluate("node => { node.scrollTop = node.scrollHeight }")
    last = grid(lab).locator(f'.rdg-row[aria-rowindex="{RUNS + 1}"]')
    expect(last.locator(".gol-RunTable-text")).to_have_text(re.compile("-1$"))
    grid(lab).evaluate("node => { node.scrollTop = 0 }")
    expect(rows(lab).first).to_contain_text("-10000")


def test_it_sorts_by_one_column_and_then_by_another(lab: LabPage) -> None:
    head(lab, "batch_size parameter").click()
    expect(grid(lab).locator('[aria-sort="ascending"]')).to_have_count(1)
    head(lab, "accuracy metric").click(modifiers=["Shift"])
    expect(grid(lab).get_by_role("columnheader", name=re.compile("^accuracy metric"))).to_contain_text("2")
    # By keyboard: the head has the focus, Shift Enter turns it.
    grid(lab).get_by_role("columnheader", name=re.compile("^accuracy metric")).press("Shift+Enter")
    expect(grid(lab).locator(".gol-RunTable-sort")).to_have_text(["↓2", "↑1"])

    expect(table(lab).locator(".gol-RunTable-grid")).to_have_attribute("aria-busy", "false")
    values = [float(cell_text(lab, place, "accuracy")) for place in range(3)]
    assert values == sorted(values, reverse=True)
    assert values[0] > 0.98


def test_a_metric_says_when_it_was_logged(lab: LabPage) -> None:
    index = head(lab, "loss metric").get_attribute("aria-colindex")
    metric = rows(lab).nth(2).locator(f'[aria-colindex="{index}"] [title]')
    metric.hover()
    expect(metric).to_have_attribute("title", re.compile(r"^0\.\d+\nstep \d+, "))


def test_a_query_is_completed_and_corrected_where_it_is_wrong(lab: LabPage) -> None:
    query(lab).click()
    query(lab).press_sequentially("metrics.acc")
    options = table(lab).get_by_role("listbox", name="Completions").get_by_role("option")
    expect(options.first).to_contain_text("metrics.accuracy")
    query(lab).press("ArrowDown")
    expect(options.first).to_have_attribute("aria-selected", "true")
    query(lab).press("Enter")
    expect(query(lab)).to_have_value("metrics.accuracy ")
    top = top_of(grid(lab))

    query(lab).press_sequentially("> 0.9 ORR params.model = 'cnn'")
    query(lab).press("Enter")
    alert = table(lab).get_by_role("alert").filter(has=lab.page.locator("mark"))
    expect(alert.locator("mark")).to_have_text("ORR")
    expect(query(lab)).to_have_attribute("aria-invalid", "true")
    assert top_of(grid(lab)) == top  # nothing jumps
    query(lab).press("End")
    query(lab).press_sequentially(" AND metr")
    expect(options.first).to_be_visible()
    below = alert.evaluate("node => node.getBoundingClientRect().bottom")
    assert top_of(table(lab).get_by_role("listbox", name="Completions")) >= below
    query(lab).press("Escape")
    lab.shot("run-table-error", width=1920, height=1000)

    query(lab).fill("metrics.accuracy > 0.9 AND params.model = 'cnn'")
    query(lab).press("Enter")
    expect(alert).to_have_count(0)
    expect(totals(lab)).to_have_text(re.compile(r"^[1-4],\d{3} of 10,000 runs$"))
    expect(rows(lab).first).to_contain_text("cnn")


def test_at_1280_metrics_are_seen_and_what_is_asked_for_is_beside_the_name(lab: LabPage) -> None:
    query(lab).fill("")
    query(lab).press("Enter")
    expect(totals(lab)).to_have_text("10,000 runs")
    lab.page.set_viewport_size({"width": 1280, "height": 800})
    for metric in ("accuracy metric", "loss metric"):
        expect(head(lab, metric)).to_be_in_viewport()
    query(lab).fill("params.seed = 3")
    query(lab).press("Enter")
    expect(grid(lab).get_by_role("columnheader").nth(2)).to_have_accessible_name(
        re.compile("^seed parameter")
    )
    lab.page.set_viewport_size({"width": 1920, "height": 1000})
    query(lab).fill("metrics.accuracy > 0.9 AND params.model = 'cnn'")
    query(lab).press("Enter")
    expect(grid(lab).get_by_role("columnheader").nth(2)).to_have_accessible_name(
        re.compile("^accuracy metric")
    )


def test_colours_show_how_large_a_value_is(lab: LabPage) -> None:
    column = grid(lab).get_by_role("columnheader", name=re.compile("^accuracy metric"))
    column.click(button="right")
    lab.page.get_by_role("menuitemcheckbox", name="Colour by Value").or_(
        lab.page.get_by_role("menuitem", name="Colour by Value")
    ).click()
    expect(grid(lab).get_by_role("img", name=re.compile("^Colour: pale for 0.9"))).to_be_visible()
    expect(rows(lab).first.locator(".gol-RunTable-heat")).to_have_count(1)


def test_a_range_is_selected_and_copied(lab: LabPage) -> None:
    rows(lab).nth(1).get_by_role("checkbox").click()
    rows(lab).nth(4).get_by_role("checkbox").click(modifiers=["Shift"])
    expect(totals(lab)).to_contain_text("4 selected")
    looked_at(lab, "run-table")

    table(lab).get_by_role("button", name="Copy CSV").click()
    lab.page.get_by_text("4 runs copied as CSV.").wait_for()
    copied = lab.page.evaluate("() => navigator.clipboard.readText()")
    assert copied.startswith("run_id,run_name,metrics.accuracy,")
    assert len(copied.strip().splitlines()) == 5


def test_the_copied_code_makes_a_data_frame(lab: LabPage, tmp_path: Path) -> None:
    pytest.importorskip("pandas")
    table(lab).get_by_role("button", name="Copy DataFrame").click()
    lab.page.get_by_text("4 runs copied as code").wait_for()
    script = tmp_path / "copied.py"
    script.write_text(lab.page.evaluate("() => navigator.clipboard.readText()"), encoding="utf-8")
    runs = runpy.run_path(str(script))["runs"]
    assert len(runs) == 4
    assert runs["metrics.accuracy"].min() > 0.9
    assert str(runs["start_time"].dtype).startswith("datetime64")


def test_selected_runs_are_shown_side_by_side(lab: LabPage) -> None:
    table(lab).get_by_role("button", name="Compare").click()
    view = lab.page.locator(".gol-Comparison:visible")
    expect(view.get_by_role("heading", name="Comparison")).to_be_visible()
    expect(view.get_by_role("region", name="Metrics").get_by_role("row").nth(1)).to_be_visible()
    lab.execute("genops:open-runs")
    expect(totals(lab)).to_contain_text("4 selected")


def test_runs_are_tagged(lab: LabPage, module_home: Home) -> None:
    table(lab).get_by_role("button", name="Tag…").click()
    dialog = lab.page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("stage")
    dialog.get_by_label("Value").fill("reviewed")
    dialog.get_by_role("button", name="Set the tag").click()
    expect(dialog).to_have_count(0)
    kept = tags_by_run(module_home)
    assert sum(tags.get("stage") == "reviewed" for tags in kept.values()) == 4

    query(lab).fill("tags.stage = 'reviewed'")
    query(lab).press("Enter")
    expect(totals(lab)).to_have_text("4 of 10,000 runs")


def tags_by_run(home: Home) -> dict[str, dict[str, str]]:
    return {run.run_id: run.tags for run in runs_in(home.data / "mlflow" / "mlflow.db")[-RUNS:]}


def test_runs_are_deleted_by_keyboard_and_brought_back(lab: LabPage) -> None:
    rows(lab).first.get_by_role("gridcell").nth(1).click()
    lab.page.keyboard.press("Control+a")
    expect(totals(lab)).to_contain_text("4 selected")
    lab.page.keyboard.press("Delete")
    lab.page.get_by_text("4 runs deleted.").wait_for()
    expect(table(lab).get_by_text("No run matches this query.")).to_be_visible()
    expect(totals(lab)).to_have_text("0 of 9,996 runs")
    lab.page.get_by_role("button", name="Undo").click()
    lab.page.get_by_text("4 runs are back.").wait_for()
    expect(totals(lab)).to_have_text("4 of 10,000 runs")


def test_a_run_is_shown_beside_the_table_and_gets_a_note(lab: LabPage) -> None:
    rows(lab).first.get_by_role("gridcell").nth(1).click()
    lab.page.keyboard.press("Enter")
    note = table(lab).get_by_label("Note")
    expect(note).to_be_enabled()
    note.fill("The best so far.\nTry more layers.")
    note.press("Control+Enter")
    expect(table(lab).get_by_role("button", name="Save note")).to_have_count(0)
    query(lab).fill("tags.`mlflow.note.content` LIKE '%more layers%'")
    query(lab).press("Enter")
    expect(totals(lab)).to_have_text("1 of 10,000 runs")
    looked_at(lab, "run-table-detail")
    table(lab).get_by_role("button", name="Close").click()


def test_columns_are_found_and_views_saved(lab: LabPage) -> None:
    table(lab).get_by_role("button", name="Columns").click()
    search = table(lab).get_by_role("searchbox", name="Search columns")
    search.fill("framework")
    table(lab).get_by_role("checkbox", name="framework").check()
    expect(head(lab, "framework parameter")).to_be_attached()
    lab.shot("run-table-columns", width=1280, height=800)
    search.press("Escape")
    expect(search).to_have_count(0)

    table(lab).get_by_role("button", name="Views").click()
    lab.page.get_by_role("menuitem", name="Save View As…").click()
    dialog = lab.page.get_by_role("dialog")
    dialog.get_by_role("textbox").fill("noted")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_have_count(0)
    table(lab).get_by_role("button", name="Views").click()
    lab.page.get_by_role("menuitem", name="Start Afresh").click()
    expect(totals(lab)).to_have_text("10,000 runs")
    expect(query(lab)).to_have_value("")


def test_it_comes_back_after_a_reload_and_a_view_in_another_browser(
    lab: LabPage, browser: Browser, server: LabServer
) -> None:
    with lab.page.expect_response(
        lambda answer: (
            "/api/workspaces/" in answer.url
            and answer.request.method == "PUT"
            and "params.model = 'mlp'" in (answer.request.post_data or "")
        )
    ):
        query(lab).fill("params.model = 'mlp'")
        query(lab).press("Enter")
        expect(totals(lab)).to_have_text(re.compile("^3,.* of 10,000 runs$"))
    lab.page.reload()
    lab.ready()
    expect(query(lab)).to_have_value("params.model = 'mlp'")
    expect(totals(lab)).to_have_text(re.compile("^3,.* of 10,000 runs$"))

    with lab_page(browser, server) as other:
        other.open("lab/workspaces/other")
        other.execute("genops:open-runs")
        table(other).get_by_role("button", name="Views").click()
        other.page.get_by_role("menuitem", name="noted", exact=True).click()
        expect(totals(other)).to_have_text("1 of 10,000 runs")
    assert lab.problems == []
