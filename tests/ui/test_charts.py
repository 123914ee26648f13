"""Charts of many runs, by mouse and keyboard, and what leaves them."""

from __future__ import annotations

import contextlib
import json
import re
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest
from playwright.sync_api import Locator, Request, expect

from tests.support import exhaustive
from tests.support.browser import LabPage
from tests.support.homes import Home
from tests.support.lab_server import LabServer, running_lab
from tests.support.many_runs import SPIKE_STEP, fill, fill_histories, fill_spike

pytestmark = [pytest.mark.ui, pytest.mark.slow, pytest.mark.timeout(300)]

RUNS = exhaustive.times(10_000, daily=2_000)
ALL_RUNS = f"{RUNS:,} runs"


@pytest.fixture(scope="module")
def server(module_home: Home) -> Iterator[LabServer]:
    """A Lab whose embedded MLflow holds many runs, the newest of them with histories."""
    with running_lab(module_home) as found:
        assert found.get("genops/runs")["runs"] == []
        database = module_home.data / "mlflow" / "mlflow.db"
        ids = fill(database, RUNS)
        fill_histories(database, ids[:25], 300)
        fill_spike(database, ids[0])
        yield found


@pytest.fixture(scope="module")
def lab(module_page: LabPage) -> LabPage:
    """One page for the whole way: each test begins where the one before it ended."""
    module_page.start(width=1920, height=1000)
    module_page.alone()
    return module_page


def charts(lab: LabPage) -> Locator:
    return lab.page.locator(".gol-Charts")


def card(lab: LabPage, title: str) -> Locator:
    return charts(lab).get_by_role("article", name=title, exact=True)


def plot(lab: LabPage, title: str) -> Locator:
    return card(lab, title).locator(".gol-Plot")


def totals(lab: LabPage) -> Locator:
    return lab.page.locator(".gol-RunTable-totals")


def query(lab: LabPage) -> Locator:
    return lab.page.locator(".gol-RunTable").get_by_role("combobox", name="Query")


def drag(lab: LabPage, title: str, begin: tuple[float, float], end: tuple[float, float]) -> None:
    """Drag over a card's picture, between two places as shares of it."""
    canvas = plot(lab, title).locator("canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box is not None
    (x, y), (right, bottom) = (
        (box["x"] + box["width"] * across, box["y"] + box["height"] * down) for across, down in (begin, end)
    )
    lab.page.mouse.move(x, y)
    lab.page.mouse.down()
    lab.page.mouse.move((x + right) / 2, (y + bottom) / 2, steps=3)
    lab.page.mouse.move(right, bottom)
    lab.page.mouse.up()


def choose(lab: LabPage, title: str, item: str) -> None:
    """Choose from a card's menu."""
    card(lab, title).get_by_role("button", name=f"Actions for {title}").click()
    lab.page.locator(".lm-Menu-itemLabel").get_by_text(item, exact=True).click()


def test_they_open_over_the_table_with_cards_that_suit_the_runs(lab: LabPage) -> None:
    lab.execute("genops:open-runs")
    expect(totals(lab)).to_have_text(ALL_RUNS)
    lab.page.locator(".gol-RunTable").get_by_role("button", name="Charts").click()
    expect(card(lab, "val_accuracy")).to_be_visible()
    expect(plot(lab, "val_loss").get_by_role("img")).to_have_attribute(
        "aria-label", re.compile(r"^val_loss of 20 runs, from ")
    )
    expect(charts(lab).get_by_text(f"The first 20 of {ALL_RUNS}")).to_be_visible()
    expect(
        card(lab, "Parameter importance for val_accuracy").get_by_text("in all runs: framework")
    ).to_be_visible()
    lines = charts(lab).get_by_role("region", name="Runs").locator("line").all()
    assert len({line.get_attribute("stroke") for line in lines[:8]}) == 8
    looks = {(line.get_attribute("stroke"), line.get_attribute("stroke-dasharray")) for line in lines}
    assert len(looks) == len(lines) == 20, "runs with one colour have other dashes"
    lab.looks("charts", ".gol-Charts")
    lab.shot("charts", width=1920, height=1000)


def test_a_spike_among_100000_points_is_a_pixel_of_the_picture(lab: LabPage) -> None:
    charts(lab).get_by_role("button", name="Add a card…").click()
    form = charts(lab).get_by_role("form", name="Add a card")
    form.get_by_label("Metric").fill("no_such_metric")
    expect(form.get_by_role("alert")).to_have_text("No run has metrics.no_such_metric.")
    lab.looks("charts-add", ".gol-Charts", (1920, 1000), daily=False)
    form.get_by_label("Metric").fill("grad_norm")
    form.get_by_role("button", name="Add", exact=True).click()
    image = plot(lab, "grad_norm").get_by_role("img")
    expect(image).to_have_attribute("aria-label", re.compile("from 0.75.* to 40"))
    image.scroll_into_view_if_needed()
    # Where the spike stands, high above all other points, and nowhere else up there.
    columns = image.evaluate(
        """canvas => {
          const ratio = canvas.width / canvas.clientWidth;
          const [left, right, top] = [68, canvas.clientWidth - 12, 30].map(place => Math.round(place * ratio));
          const found = [];
          const {data} = canvas.getContext('2d').getImageData(left, top, right - left, 1);
          for (let x = 0; x < right - left; x++) {
            const [red, green, blue, alpha] = data.slice(4 * x, 4 * x + 4);
            if (alpha > 60 && Math.max(red, green, blue) - Math.min(red, green, blue) > 60) {
              found.push(x / (right - left));
            }
          }
          return found;
        }"""
    )
    assert 1 <= len(columns) <= 4
    assert all(abs(at - SPIKE_STEP / 100_000) < 0.02 for at in columns)


def test_a_zoom_holds_for_all_curves_and_can_be_taken_away(lab: LabPage) -> None:
    whole = plot(lab, "val_accuracy").get_by_role("img").get_attribute("aria-label")
    with lab.page.expect_request(
        lambda request: "histories" in request.url and (request.post_data_json or {}).get("first") is not None
    ) as asked:
        drag(lab, "val_loss", (0.25, 0.5), (0.4, 0.5))
    assert asked.value.post_data_json["key"] in ("val_accuracy", "val_loss", "grad_norm", "loss", "accuracy")
    chips = charts(lab).get_by_role("list", name="Filters")
    expect(chips).to_contain_text(re.compile(r"Curves from [\d,.]+ to [\d,.]+"))
    chips.get_by_role("button", name="Show the whole curves").click()
    expect(chips).to_have_count(0)
    expect(plot(lab, "val_accuracy").get_by_role("img")).to_have_attribute("aria-label", whole or "")


def test_lines_are_smoothed_and_the_axis_changes(lab: LabPage) -> None:
    with lab.page.expect_request(
        lambda request: "histories" in request.url and request.post_data_json["smoothing"]["kind"] == "ema"
    ):
        charts(lab).get_by_label("Smoothing").select_option("Moving average 0.9")
    with lab.page.expect_request(
        lambda request: "histories" in request.url and request.post_data_json["x"] == "relative"
    ):
        charts(lab).get_by_label("X axis").select_option("Since the start")
    expect(charts(lab).get_by_text("cannot be read")).to_have_count(0)
    lab.page.locator(".gol-Charts-host").evaluate("node => { node.scrollTop = 0 }")
    lab.looks("charts-smooth", ".gol-Charts", (1920, 1000), daily=False)
    charts(lab).get_by_label("X axis").select_option("Step")
    charts(lab).get_by_label("Smoothing").select_option("None")


def test_a_brushed_axis_narrows_the_table_and_lets_go(lab: LabPage) -> None:
    title = "Parameters and val_accuracy"
    canvas = plot(lab, title).locator("canvas")
    box = canvas.bounding_box()
    assert box is not None
    last = 1 - 70 / box["width"]
    drag(lab, title, (last, 0.15), (last, 0.4))
    expect(query(lab)).to_have_value(re.compile(r"^metrics.val_accuracy BETWEEN 0\.\d+ AND [01]\.?\d*$"))
    expect(totals(lab)).to_have_text(re.compile(rf"^[1-9][\d,]* of {ALL_RUNS}$"))
    chips = charts(lab).get_by_role("list", name="Filters")
    expect(chips.get_by_role("listitem")).to_have_count(1)
    lab.looks("charts-narrowed", ".gol-Charts", (1920, 1000), daily=False)

    drag(lab, "val_accuracy against learning_rate", (0.3, 0.2), (0.6, 0.8))
    expect(query(lab)).to_have_value(
        re.compile(r"params\.learning_rate BETWEEN .* AND metrics.val_accuracy BETWEEN")
    )
    expect(chips.get_by_role("listitem")).to_have_count(2)
    while chips.count():
        chips.get_by_role("button").first.click()
    expect(query(lab)).to_have_value("")
    expect(totals(lab)).to_have_text(ALL_RUNS)


def test_a_wrong_query_is_said_as_what_it_is(lab: LabPage) -> None:
    query(lab).fill("metrics.loss >")
    query(lab).press("Enter")
    expect(charts(lab).get_by_text("The query ends where a value is expected.")).to_be_visible()
    expect(charts(lab).get_by_text("cannot be read")).to_have_count(0)
    expect(charts(lab).get_by_role("button", name="Retry now")).to_have_count(0)
    query(lab).fill("")
    query(lab).press("Enter")
    expect(charts(lab).get_by_text("The query ends where a value is expected.")).to_have_count(0)
    expect(totals(lab)).to_have_text(ALL_RUNS)


def test_a_curve_is_gone_through_by_keyboard_and_opened(lab: LabPage) -> None:
    lab.page.locator(".gol-Charts-host").evaluate("node => { node.scrollTop = 0 }")
    plot(lab, "val_loss").focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowDown"):
        lab.page.keyboard.press(key)
    tip = plot(lab, "val_loss").locator(".gol-Plot-tip")
    expect(tip).to_contain_text(re.compile(r"Step \d"))
    name = tip.locator("strong").inner_text()
    lab.page.keyboard.press("Enter")
    expect(lab.page.locator(".gol-RunTable-drawer").get_by_role("heading", name=name)).to_be_visible()
    lab.page.locator(".gol-RunTable-drawer").get_by_role("button", name="Close").first.click()


def test_hidden_and_selected_runs(lab: LabPage) -> None:
    legend = charts(lab).get_by_role("region", name="Runs")
    first = legend.locator(".gol-Charts-run").first.inner_text()
    legend.get_by_role("button", name=f"Hide {first}").click()
    expect(plot(lab, "val_loss").get_by_role("img")).to_have_attribute("aria-label", re.compile("of 19 runs"))
    legend.get_by_role("button", name="Show all").click()

    rows = lab.page.locator(".gol-RunTable .rdg-row")
    for place in (1, 2):
        rows.nth(place).get_by_role("checkbox").click()
    charts(lab).get_by_label("Curves of").select_option("the selected runs")
    expect(plot(lab, "val_loss").get_by_role("img")).to_have_attribute("aria-label", re.compile("of 2 runs"))
    lab.page.locator(".gol-RunTable-actions").get_by_role("button", name="Clear").click()
    charts(lab).get_by_label("Curves of").select_option("the first 20 runs")
    expect(plot(lab, "val_loss").get_by_role("img")).to_have_attribute("aria-label", re.compile("of 20 runs"))


@pytest.mark.parametrize(
    "title", ["val_loss", "Parameters and val_accuracy", "Parameter importance for val_accuracy"]
)
def test_pictures_are_saved_with_title_and_names(lab: LabPage, tmp_path: Path, title: str) -> None:
    with lab.page.expect_download() as saved:
        choose(lab, title, "Save as SVG")
    assert saved.value.suggested_filename.endswith(".svg")
    saved.value.save_as(tmp_path / "chart.svg")
    svg = ElementTree.parse(tmp_path / "chart.svg").getroot()
    texts = [each.text for each in svg.iter("{http://www.w3.org/2000/svg}text")]
    assert title in texts
    if title == "val_loss":
        assert "Step" in texts
        assert len(list(svg.iter("{http://www.w3.org/2000/svg}path"))) >= 20
        assert charts(lab).locator(".gol-Charts-run").first.inner_text() in texts
    assert "oklch" not in (tmp_path / "chart.svg").read_text(), "other programs know rgb"
    with lab.page.expect_download() as saved:
        choose(lab, title, "Save as PNG")
    saved.value.save_as(tmp_path / "chart.png")
    assert (tmp_path / "chart.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_the_data_stand_in_a_table_on_demand(lab: LabPage) -> None:
    choose(lab, "val_loss", "Show the Data")
    data = card(lab, "val_loss").get_by_role("region", name="Data of val_loss")
    expect(data.get_by_role("row")).to_have_count(21)
    assert lab.serious_findings(".gol-Charts") == []
    choose(lab, "val_loss", "Show the Data")


def test_new_points_are_drawn_while_they_are_seen_and_nothing_is_asked_while_hidden(
    lab: LabPage, server: LabServer
) -> None:
    database = server.home.data / "mlflow" / "mlflow.db"
    image = plot(lab, "val_loss").get_by_role("img")
    log_point(database, "val_loss", 301, 77.0)
    expect(image).to_have_attribute("aria-label", re.compile("to 77$"))

    asked: list[str] = []
    lab.page.on("request", lambda request: asked.append(request.url) if "run-charts" in request.url else None)
    lab.execute("launcher:create")  # over the charts
    expect(charts(lab)).to_be_hidden()
    asked.clear()
    log_point(database, "val_loss", 302, 88.0)
    lab.page.wait_for_timeout(3000)
    assert asked == []
    lab.execute("genops:open-charts")
    expect(image).to_have_attribute("aria-label", re.compile("to 88$"))


def log_point(database: Path, key: str, step: int, value: float) -> None:
    """As MLflow does it, to the newest run."""
    with contextlib.closing(sqlite3.connect(database, timeout=30)) as connection, connection:
        (run,) = connection.execute("SELECT run_uuid FROM runs ORDER BY start_time DESC").fetchone()
        now = int(time.time() * 1000)
        connection.execute(
            "INSERT INTO metrics (key, value, timestamp, run_uuid, step, is_nan) VALUES (?, ?, ?, ?, ?, 0)",
            (key, value, now, run, step),
        )
        connection.execute(
            "UPDATE latest_metrics SET value = ?, timestamp = ?, step = ? WHERE run_uuid = ? AND key = ?",
            (value, now, step, run, key),
        )


@pytest.mark.parametrize(
    "title",
    [
        "val_loss",  # that the code of the others can be read is tested by jest
        pytest.param("val_accuracy against learning_rate", marks=pytest.mark.exhaustive),
        pytest.param("Parameter importance for val_accuracy", marks=pytest.mark.exhaustive),
    ],
)
def test_a_card_as_a_notebook_cell_runs(lab: LabPage, title: str) -> None:
    lab.execute("genops:open-charts")
    choose(lab, title, "Insert as a Notebook Cell")
    if title == "val_loss":  # the first one makes a notebook
        lab.page.locator(".jp-Dialog .jp-mod-accept").click()
    lab.kernel_idle()
    lab.execute("notebook:run-cell")
    output = lab.page.locator(".jp-NotebookPanel:visible .jp-OutputArea-output img")
    expect(output.last).to_be_visible(timeout=60_000)
    expect(lab.page.locator(".jp-NotebookPanel:visible").get_by_text("Traceback")).to_have_count(0)


def test_a_named_view_brings_its_cards_back(lab: LabPage) -> None:
    lab.execute("genops:open-charts")
    expect(card(lab, "grad_norm")).to_be_visible()
    views = lab.page.locator(".gol-RunTable").get_by_role("button", name="Views")
    views.click()
    lab.page.get_by_role("menuitem", name="Save View As…").click()
    dialog = lab.page.get_by_role("dialog")
    dialog.get_by_role("textbox").fill("with its charts")
    # Saved, then read again: the menu has it from there.
    with lab.page.expect_response(
        lambda answer: "/settings/genops-lab:runs" in unquote(answer.url) and answer.request.method == "GET"
    ):
        dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_have_count(0)
    choose(lab, "grad_norm", "Remove the Card")
    expect(card(lab, "grad_norm")).to_have_count(0)
    views.click()
    # The table is as the view has it, so it is checked.
    lab.page.get_by_role("menuitemcheckbox", name="with its charts", exact=True).click()
    expect(card(lab, "grad_norm")).to_be_visible()


def test_cards_are_arranged_and_stay(lab: LabPage) -> None:
    lab.execute("genops:open-charts")

    def is_kept(request: Request) -> bool:
        kept = request.post_data or "" if "workspaces" in request.url and request.method == "PUT" else ""
        board = json.loads(kept)["data"].get("genops-lab:charts", {}) if kept else {}
        metrics = [each.get("metric") for each in board.get("cards") or []]
        return metrics[:1] == ["val_loss"] and "grad_norm" not in metrics

    with lab.page.expect_request(is_kept) as kept:
        choose(lab, "val_loss", "Move Forward")
        choose(lab, "grad_norm", "Remove the Card")
        expect(card(lab, "grad_norm")).to_have_count(0)
        expect(charts(lab).get_by_role("article").first).to_have_accessible_name("val_loss")
    response = kept.value.response()
    assert response is not None
    assert response.ok
    if exhaustive.ALL:
        lab.open(reset=False)
    else:  # that what the workspace keeps outlives a reload is tested with the table
        lab.execute("application:close")
        expect(charts(lab)).to_have_count(0)
    lab.execute("genops:open-charts")
    expect(charts(lab).get_by_role("article").first).to_have_accessible_name("val_loss")
    expect(card(lab, "grad_norm")).to_have_count(0)
    assert lab.problems == []
