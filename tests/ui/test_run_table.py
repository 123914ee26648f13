"""The run table on many runs, and its runs in groups, by mouse and keyboard."""

from __future__ import annotations

import re
import runpy
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, expect

from tests.support import exhaustive
from tests.support.browser import LabPage, lab_page
from tests.support.homes import Home
from tests.support.lab_server import LabServer, running_lab
from tests.support.many_runs import fill
from tests.support.mlflow_file import runs_in

from .run_table_page import cell_text, grid, head, looked_at, query, rows, table, totals

pytestmark = [pytest.mark.ui, pytest.mark.slow, pytest.mark.timeout(300)]

RUNS = exhaustive.times(10_000, daily=2_000)
ALL_RUNS = f"{RUNS:,} runs"


@pytest.fixture(scope="module")
def server(module_home: Home) -> Iterator[LabServer]:
    """A Lab whose embedded MLflow holds many runs."""
    with running_lab(module_home) as found:
        assert found.get("genops/runs")["runs"] == []
        fill(module_home.data / "mlflow" / "mlflow.db", RUNS)
        yield found


@pytest.fixture(scope="module")
def lab(module_page: LabPage) -> LabPage:
    """One page for the whole way: each test begins where the one before it ended."""
    module_page.start(width=1920, height=1000)
    module_page.alone()
    return module_page


def shown(lab: LabPage) -> int:
    """How many of the runs match the query."""
    expect(totals(lab)).to_have_text(re.compile(rf"^[\d,]+ of {ALL_RUNS}"))
    return number(totals(lab).inner_text().partition(" ")[0])


def number(text: str) -> int:
    return int(re.sub(r"\D", "", text))


def top_of(thing: Locator) -> float:
    return float(thing.evaluate("node => node.getBoundingClientRect().top"))


def test_it_opens_from_the_panel_with_columns_that_suit_the_runs(lab: LabPage) -> None:
    lab.section("Runs").get_by_role("button", name="Open the run table").click()
    lab.execute("application:toggle-left-area")
    expect(totals(lab)).to_have_text(ALL_RUNS)
    expect(grid(lab)).to_have_attribute("aria-rowcount", str(RUNS + 1))
    for column in ("Name", "Started", "learning_rate parameter", "accuracy metric"):
        expect(head(lab, column)).to_be_visible()
    expect(head(lab, "framework parameter")).to_have_count(0)  # the same in all runs
    expect(rows(lab).first).to_contain_text(f"-{RUNS}")
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
    expect(rows(lab).first).to_contain_text(f"-{RUNS}")


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
    assert 0.1 * RUNS < shown(lab) < 0.5 * RUNS
    expect(rows(lab).first).to_contain_text("cnn")


def test_at_1280_metrics_are_seen_and_what_is_asked_for_is_beside_the_name(lab: LabPage) -> None:
    query(lab).fill("")
    query(lab).press("Enter")
    expect(totals(lab)).to_have_text(ALL_RUNS)
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
    expect(grid(lab).get_by_role("img", name=re.compile("^Colour: pale is 0.9"))).to_be_visible()
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
    lab.looks("tag", ".jp-Dialog", daily=False)
    dialog.get_by_role("button", name="Set the tag").click()
    expect(dialog).to_have_count(0)
    kept = tags_by_run(module_home)
    assert sum(tags.get("stage") == "reviewed" for tags in kept.values()) == 4

    query(lab).fill("tags.stage = 'reviewed'")
    query(lab).press("Enter")
    expect(totals(lab)).to_have_text(f"4 of {ALL_RUNS}")


def tags_by_run(home: Home) -> dict[str, dict[str, str]]:
    return {run.run_id: run.tags for run in runs_in(home.data / "mlflow" / "mlflow.db")[-RUNS:]}


def test_runs_are_deleted_by_keyboard_and_brought_back(lab: LabPage) -> None:
    rows(lab).first.get_by_role("gridcell").nth(1).click()
    lab.page.keyboard.press("Control+a")
    expect(totals(lab)).to_contain_text("4 selected")
    lab.page.keyboard.press("Delete")
    lab.page.get_by_text("4 runs deleted.").wait_for()
    expect(table(lab).get_by_text("No run matches this query.")).to_be_visible()
    expect(totals(lab)).to_have_text(f"0 of {RUNS - 4:,} runs")
    lab.page.get_by_role("button", name="Undo").click()
    lab.page.get_by_text("4 runs restored.").wait_for()
    expect(totals(lab)).to_have_text(f"4 of {ALL_RUNS}")


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
    expect(totals(lab)).to_have_text(f"1 of {ALL_RUNS}")
    looked_at(lab, "run-table-detail")
    table(lab).get_by_role("button", name="Close").click()


def test_columns_are_found_and_views_saved(lab: LabPage) -> None:
    table(lab).get_by_role("button", name="Columns").click()
    search = table(lab).get_by_role("searchbox", name="Search columns")
    search.fill("framework")
    table(lab).get_by_role("checkbox", name="framework").check()
    expect(head(lab, "framework parameter")).to_be_attached()
    lab.looks("run-table-columns", ".gol-RunTable", (1280, 800), daily=False)
    search.press("Escape")
    expect(search).to_have_count(0)

    table(lab).get_by_role("button", name="Views").click()
    lab.page.get_by_role("menuitem", name="Save View As…").click()
    dialog = lab.page.get_by_role("dialog")
    dialog.get_by_role("textbox").fill("noted")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_have_count(0)
    table(lab).get_by_role("button", name="Views").click()
    lab.page.get_by_role("menuitem", name="Reset View").click()
    expect(totals(lab)).to_have_text(ALL_RUNS)
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
        assert 0.3 * RUNS < (found := shown(lab)) < 0.4 * RUNS
    lab.page.reload()
    lab.ready()
    expect(query(lab)).to_have_value("params.model = 'mlp'")
    assert shown(lab) == found

    # A view with a name is a setting of the user, in each of their browsers.
    open_noted(lab)
    if exhaustive.ALL:
        with lab_page(browser, server) as other:
            other.open("lab/workspaces/other")
            other.execute("genops:open-runs")
            open_noted(other)
    assert lab.problems == []


def open_noted(lab: LabPage) -> None:
    """Open the named view of one run."""
    table(lab).get_by_role("button", name="Views").click()
    lab.page.locator(".lm-Menu-item").get_by_text("noted", exact=True).click()
    expect(totals(lab)).to_have_text(f"1 of {ALL_RUNS}")


#: With those that come while the groups are open.
MORE_RUNS = f"{RUNS + 30:,} runs"


def chosen(lab: LabPage, *labels: str) -> None:
    """What the menu of groups offers."""
    for label in labels:
        table(lab).get_by_role("button", name=re.compile("^Group")).click()
        lab.page.locator(".lm-Menu-item").filter(
            has_text=re.compile(rf"^(\d\. )?{re.escape(label)}$")
        ).click()


def group(lab: LabPage, name: str) -> Locator:
    return grid(lab).locator(".gol-mod-group").filter(has_text=name).first


def sizes(lab: LabPage) -> list[int]:
    texts = grid(lab).locator(".gol-RunTable-size > :first-child").all_inner_texts()
    return [number(text) for text in texts]


def test_a_group_shows_its_value_its_runs_and_its_mean(lab: LabPage, module_home: Home) -> None:
    table(lab).get_by_role("button", name="Views").click()
    lab.page.get_by_role("menuitem", name="Reset View").click()
    chosen(lab, "optimizer (parameter)")
    expect(totals(lab)).to_have_text(f"{ALL_RUNS} · 3 groups")
    expect(grid(lab)).to_have_attribute("role", "treegrid")
    expect(rows(lab)).to_have_count(3)
    with sqlite3.connect(module_home.data / "mlflow" / "mlflow.db") as connection:
        wanted = connection.execute(
            "SELECT p.value, count(*) FROM params p WHERE p.key = 'optimizer' GROUP BY p.value ORDER BY p.value"
        ).fetchall()
    assert [value for value, _ in wanted] == ["adam", "adamw", "sgd"]
    assert sizes(lab) == [count for _, count in wanted]
    accuracy = (
        grid(lab)
        .get_by_role("columnheader", name=re.compile("^accuracy metric"))
        .get_attribute("aria-colindex")
    )
    cell = group(lab, "adam").locator(f'[aria-colindex="{accuracy}"]')
    expect(cell.locator("[title^='Mean']")).to_have_attribute(
        "title", re.compile(r"^Mean\n[\d,]+ values, 0\.\d+ to 0\.\d+")
    )
    expect(group(lab, "adam")).to_have_attribute("aria-expanded", "false")


def test_groups_open_and_close_by_mouse_and_keyboard(lab: LabPage) -> None:
    group(lab, "adamw").locator(".gol-RunTable-group").click()
    expect(group(lab, "adamw")).to_have_attribute("aria-expanded", "true")
    expect(grid(lab)).to_have_attribute("aria-rowcount", str(1 + 3 + sizes(lab)[1]))
    first = rows(lab).nth(2)
    expect(first).to_have_attribute("aria-level", "2")
    lab.page.keyboard.press("ArrowLeft")
    expect(group(lab, "adamw")).to_have_attribute("aria-expanded", "false")
    expect(rows(lab)).to_have_count(3)
    lab.page.keyboard.press("ArrowRight")
    expect(group(lab, "adamw")).to_have_attribute("aria-expanded", "true")
    # Before a run's name, Left goes to its group, and closes it there.
    lab.page.keyboard.press("ArrowDown")
    lab.page.keyboard.press("ArrowDown")
    for _ in range(3):
        lab.page.keyboard.press("ArrowLeft")
    expect(group(lab, "adamw")).to_have_attribute("aria-expanded", "false")
    lab.page.keyboard.press("Enter")
    expect(group(lab, "adamw")).to_have_attribute("aria-expanded", "true")
    looked_at(lab, "run-groups")


def test_what_is_open_stays_while_runs_come_and_other_runs_are_asked_for(
    lab: LabPage, module_home: Home
) -> None:
    before = sizes(lab)
    fill(module_home.data / "mlflow" / "mlflow.db", 30, seed=9)
    expect(totals(lab)).to_have_text(f"{MORE_RUNS} · 3 groups")
    assert sum(before) < sum(sizes(lab)) < sum(before) + 30, "those of two of the three groups"
    expect(group(lab, "adamw")).to_have_attribute("aria-expanded", "true")
    query(lab).fill("metrics.accuracy > 0.9")
    query(lab).press("Enter")
    expect(totals(lab)).to_have_text(re.compile(rf"^[1-9][\d,]* of {MORE_RUNS} · 3 groups$"))
    expect(group(lab, "adamw")).to_have_attribute("aria-expanded", "true")
    query(lab).fill("")
    query(lab).press("Enter")
    expect(totals(lab)).to_have_text(f"{MORE_RUNS} · 3 groups")


def test_a_groups_box_selects_its_runs(lab: LabPage) -> None:
    chosen(lab, "Collapse All")
    expect(rows(lab)).to_have_count(3)
    _, adamw, sgd = sizes(lab)
    box = group(lab, "adamw").get_by_role("checkbox")
    box.click()
    expect(totals(lab)).to_contain_text(f"{adamw:,} selected")
    expect(box).to_be_checked()
    # A range takes closed groups whole.
    group(lab, "sgd").get_by_role("checkbox").click(modifiers=["Shift"])
    expect(totals(lab)).to_contain_text(f"{adamw + sgd:,} selected")
    group(lab, "adamw").locator(".gol-RunTable-group").click()
    expect(rows(lab)).not_to_have_count(3)
    rows(lab).nth(2).get_by_role("checkbox").click()
    expect(totals(lab)).to_contain_text(f"{adamw + sgd - 1:,} selected")
    assert box.evaluate("node => node.indeterminate")
    group(lab, "adamw").get_by_role("gridcell").nth(2).click(button="right")
    lab.page.get_by_role("menuitem", name="Collapse", exact=True).click()
    expect(rows(lab)).to_have_count(3)
    lab.page.keyboard.press("Escape")
    expect(totals(lab)).to_have_text(f"{MORE_RUNS} · 3 groups")


def test_groups_in_groups_are_sorted_by_size_and_by_an_aggregate(lab: LabPage) -> None:
    chosen(lab, "model (parameter)", "Largest Groups First", "Expand All")
    expect(table(lab).get_by_role("button", name="Group (2)")).to_be_visible()
    # The runs, their 3 groups with 3 in each, and the head.
    expect(grid(lab)).to_have_attribute("aria-rowcount", str(RUNS + 30 + 3 + 9 + 1))
    chosen(lab, "Collapse All")
    expect(rows(lab)).to_have_count(3)
    assert sizes(lab) == sorted(sizes(lab), reverse=True)
    rows(lab).first.locator(".gol-RunTable-group").click()
    expect(grid(lab).locator('.gol-mod-group[aria-level="2"]').first).to_be_visible()
    inner = grid(lab).locator('.gol-mod-group[aria-level="2"]').count()
    assert inner > 1
    looked_at(lab, "run-groups-nested", daily=False)
    chosen(lab, "Collapse All")
    head = grid(lab).get_by_role("columnheader", name=re.compile("^accuracy metric"))
    head.click()
    expect(grid(lab).locator('[aria-sort="ascending"]')).to_have_count(1)
    expect(table(lab).locator(".gol-RunTable-grid")).to_have_attribute("aria-busy", "false")
    column = head.get_attribute("aria-colindex")
    means = grid(lab).locator(f'.gol-mod-group [aria-colindex="{column}"]').all_inner_texts()
    assert [float(mean) for mean in means] == sorted(float(mean) for mean in means)
    head.click(button="right")
    lab.page.locator(".lm-Menu-item").filter(has_text="Groups Show: Largest").click()
    expect(group(lab, "sgd").locator("[title^='Largest']").nth(0)).to_be_visible()


def test_very_many_groups_come_as_they_are_scrolled_to(lab: LabPage) -> None:
    chosen(lab, "No Groups", "Another Column…")
    dialog = lab.page.get_by_role("dialog")
    dialog.get_by_role("textbox").or_(dialog.get_by_role("combobox")).fill("run_name")
    dialog.get_by_role("button", name="Group", exact=True).click()
    expect(totals(lab)).to_have_text(re.compile(rf"^{MORE_RUNS} · [\d,]+ groups$"))
    assert RUNS <= number(totals(lab).inner_text().partition("·")[2]) <= RUNS + 30
    grid(lab).evaluate("node => { node.scrollTop = node.scrollHeight }")
    count = grid(lab).get_attribute("aria-rowcount")
    expect(grid(lab).locator(f'.rdg-row[aria-rowindex="{count}"] .gol-RunTable-group')).to_be_visible()
    grid(lab).evaluate("node => { node.scrollTop = 0 }")


@pytest.mark.exhaustive
def test_groups_come_back_after_a_reload(lab: LabPage) -> None:
    chosen(lab, "No Groups", "Status")
    with lab.page.expect_response(
        lambda answer: (
            "/api/workspaces/" in answer.url
            and answer.request.method == "PUT"
            and '["FINISHED"]' in (answer.request.post_data or "").replace(" ", "")
        )
    ):
        group(lab, "finished").locator(".gol-RunTable-group").click()
        expect(group(lab, "finished")).to_have_attribute("aria-expanded", "true")
    lab.page.reload()
    lab.ready()
    expect(group(lab, "finished")).to_have_attribute("aria-expanded", "true")
    assert lab.problems == []
