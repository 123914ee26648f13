"""Runs of the table in groups, by mouse and keyboard."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, expect

from tests.support.browser import LabPage, lab_page
from tests.support.homes import Home
from tests.support.lab_server import LabServer, running_lab
from tests.support.many_runs import fill

from .run_table_page import grid, looked_at, query, rows, table, totals

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
        page.execute("genops:open-runs")
        page.execute("application:toggle-left-area")
        expect(totals(page)).to_have_text("10,000 runs")
        yield page


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
    texts = grid(lab).locator(".gol-RunTable-size").all_inner_texts()
    return [int(re.sub(r"\D", "", text)) for text in texts]


def test_a_group_shows_its_value_its_runs_and_its_mean(lab: LabPage, module_home: Home) -> None:
    chosen(lab, "optimizer (parameter)")
    expect(totals(lab)).to_have_text("10,000 runs · 3 groups")
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
    expect(totals(lab)).to_have_text("10,030 runs · 3 groups")
    assert sum(before) < sum(sizes(lab)) < sum(before) + 30, "those of two of the three groups"
    expect(group(lab, "adamw")).to_have_attribute("aria-expanded", "true")
    query(lab).fill("metrics.accuracy > 0.9")
    query(lab).press("Enter")
    expect(totals(lab)).to_have_text(re.compile(r"^[1-9],\d{3} of 10,030 runs · 3 groups$"))
    expect(group(lab, "adamw")).to_have_attribute("aria-expanded", "true")
    query(lab).fill("")
    query(lab).press("Enter")
    expect(totals(lab)).to_have_text("10,030 runs · 3 groups")


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
    expect(totals(lab)).to_have_text("10,030 runs · 3 groups")


def test_groups_in_groups_are_sorted_by_size_and_by_an_aggregate(lab: LabPage) -> None:
    chosen(lab, "model (parameter)", "Largest Groups First", "Expand All")
    expect(table(lab).get_by_role("button", name="Group (2)")).to_be_visible()
    expect(grid(lab)).to_have_attribute("aria-rowcount", re.compile(r"^10,?0[3-9]\d$"))
    chosen(lab, "Collapse All")
    expect(rows(lab)).to_have_count(3)
    assert sizes(lab) == sorted(sizes(lab), reverse=True)
    rows(lab).first.locator(".gol-RunTable-group").click()
    expect(grid(lab).locator('.gol-mod-group[aria-level="2"]').first).to_be_visible()
    inner = grid(lab).locator('.gol-mod-group[aria-level="2"]').count()
    assert inner > 1
    looked_at(lab, "run-groups-nested")
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


def test_ten_thousand_groups_come_as_they_are_scrolled_to(lab: LabPage) -> None:
    chosen(lab, "No Groups", "Another Column…")
    dialog = lab.page.get_by_role("dialog")
    dialog.get_by_role("textbox").or_(dialog.get_by_role("combobox")).fill("run_name")
    dialog.get_by_role("button", name="Group", exact=True).click()
    expect(totals(lab)).to_have_text(re.compile(r"^10,030 runs · 10,0\d\d groups$"))
    grid(lab).evaluate("node => { node.scrollTop = node.scrollHeight }")
    count = grid(lab).get_attribute("aria-rowcount")
    expect(grid(lab).locator(f'.rdg-row[aria-rowindex="{count}"] .gol-RunTable-group')).to_be_visible()
    grid(lab).evaluate("node => { node.scrollTop = 0 }")


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
