"""What the panel shows and keeps, and that it follows what scripts do."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Route, TimeoutError, expect

from tests.support.browser import SECTIONS, LabPage
from tests.support.lab_server import LabServer
from tests.support.rooms import eventually

from .programs import COUNT, PLAIN, own_mlflow, run_script, script

pytestmark = [pytest.mark.ui, pytest.mark.slow, pytest.mark.timeout(180)]


def test_the_palette_has_each_command(lab: LabPage) -> None:
    commands = lab.page.evaluate(
        """() => { const {commands} = window.jupyterapp; return commands.listCommands()
             .filter(id => id.startsWith('genops:') && commands.isVisible(id))
             .map(id => [commands.label(id), commands.isEnabled(id)]); }"""
    )
    assert len(commands) > 10
    palette = lab.page.locator(".jp-ModalCommandPalette:visible")

    def missing() -> str:
        """What is not as it should be; the palette closes when something else takes the focus."""
        if not palette.is_visible():
            lab.execute("apputils:activate-command-palette")
        try:
            palette.get_by_role("searchbox").or_(palette.locator("input")).first.fill("GenOps", timeout=3000)
            for label, enabled in commands:
                item = palette.locator(".lm-CommandPalette-item", has_text=label).first
                # JupyterLab hides what cannot be done now.
                expect(item, label).to_be_visible(visible=enabled, timeout=3000)
                expect(item, label).to_be_attached(timeout=3000)
        except (AssertionError, TimeoutError) as error:
            return str(error)
        return ""

    eventually(missing, lambda found: not found)
    lab.shot("palette")
    lab.page.keyboard.press("Escape")


def test_the_settings_editor_has_the_settings(lab: LabPage) -> None:
    lab.panel().get_by_role("button", name="Open the settings of GenOps Lab").click()
    editor = lab.page.locator("#setting-editor, .jp-SettingsPanel").first
    for title in ("Open at start", "Live updates", "Kernel in the status bar"):
        expect(editor.get_by_text(title).first).to_be_visible()
    lab.shot("settings")


def test_the_keyboard_reaches_and_opens_sections(lab: LabPage) -> None:
    # The launcher takes the focus once it is there, which on a busy machine is after the splash screen.
    lab.page.wait_for_function("() => document.activeElement?.closest('.jp-Launcher, #filebrowser')")
    lab.panel()
    expect(lab.toggle("This notebook")).to_be_focused()
    for name in ("Runs", "Models"):
        button = lab.toggle(name)
        for _ in range(60):
            if button.evaluate("node => node === document.activeElement"):
                break
            lab.page.keyboard.press("Tab")
        expect(button).to_be_focused()
        for key in ("Enter", "Space"):
            before = button.get_attribute("aria-expanded")
            lab.page.keyboard.press(key)
            expect(button).to_have_attribute("aria-expanded", "false" if before == "true" else "true")
    lab.page.keyboard.press("ArrowDown")
    expect(lab.toggle("Deployments")).to_be_focused()


def rows_of(parts: Locator) -> int:
    """On how many lines these elements stand."""
    middles = parts.evaluate_all(
        "all => all.map(each => each.getBoundingClientRect()).map(({ top, bottom }) => (top + bottom) / 2)"
    )
    assert middles
    return 1 + sum(b - a > 4 for a, b in itertools.pairwise(sorted(middles)))


def headings(lab: LabPage) -> list[str]:
    """The titles of the sections that are shown, in order; each heading and More lie wholly in view, unscrolled."""
    found = lab.panel().evaluate(
        """panel => {
          const list = panel.querySelector('.gol-Panel-sections');
          const frame = panel.getBoundingClientRect();
          const lies = node => {
            const { top, bottom, height } = node.getBoundingClientRect();
            return height >= 24 && top >= frame.top && bottom <= Math.min(frame.bottom, window.innerHeight);
          };
          const shown = [...list.querySelectorAll('.gol-Section:not(.lm-mod-hidden) .gol-Section-heading')];
          return {
            titles: shown.map(each => each.querySelector('.gol-Section-label').textContent),
            outside: [...shown, panel.querySelector('.gol-Panel-more')].filter(each => !lies(each)).length,
            scrolls: list.scrollHeight - list.clientHeight,
          };
        }"""
    )
    assert (found["outside"], found["scrolls"]) == (0, 0), found
    return list(found["titles"])


ALWAYS = ["This notebook", "Runs", "Models", "Deployments", "Generative AI", "Compute", "Background tasks"]


def test_all_headings_are_in_view_and_sections_are_hidden_and_shown(lab: LabPage) -> None:
    lab.execute("genops:reset-panel")
    expect(
        lab.panel().get_by_role("region", name="This notebook").get_by_text("No notebook is open")
    ).to_be_visible()
    assert headings(lab) == ALWAYS
    for name in ("Runs", "Compute"):
        lab.section(name)
        lab.still()
        assert headings(lab) == ALWAYS
    lab.looks("panel", "#genops-lab-panel")
    machine = lab.section("Compute").get_by_role("button", name=re.compile("^This machine: CPU"))
    assert rows_of(machine.locator(".gol-MachineLine-figure")) == 1
    machine.click()
    memory = lab.section("Compute").locator(".gol-Meter").filter(has_text="Memory").first
    assert rows_of(memory.locator("> :not(.gol-Meter-bar)")) == 1
    machine.click()

    more = lab.panel().get_by_role("button", name="More sections", exact=True)
    menu = lab.page.get_by_role("menu")

    def choose(name: str, *, shown: bool) -> None:
        more.press("Enter")
        entry = menu.locator(".lm-Menu-item").filter(has=lab.page.get_by_text(name, exact=True))
        expect(
            menu.locator(".lm-mod-toggled").filter(has=lab.page.get_by_text(name, exact=True))
        ).to_have_count(int(shown))
        entry.click()
        expect(menu).to_have_count(0)

    choose("Models", shown=True)
    lab.toggle("Deployments").click(button="right")
    lab.page.get_by_role("menuitem", name="Hide “Deployments”").click()
    assert headings(lab) == ["This notebook", "Runs", "Generative AI", "Compute", "Background tasks"]
    choose("Models", shown=False)
    expect(lab.toggle("Models")).to_be_focused()
    expect(lab.toggle("Models")).to_have_attribute("aria-expanded", "true")
    more.press("Enter")
    menu.get_by_role("menuitem", name="Reset the Sections of the Panel").click()
    assert headings(lab) == ALWAYS
    for name in ("Sweeps", "Profiles"):
        more.press("Enter")
        menu.get_by_role("menuitem", name=f"Open {name}").click()
        expect(lab.page.locator(f"#genops-{name.lower()}")).to_be_visible()


def test_an_open_panel_is_no_activity(lab: LabPage, server: LabServer) -> None:
    for name in SECTIONS:
        expect(lab.section(name).get_by_role("status", name="Loading")).to_have_count(0)

    def activity() -> Any:
        return server.get("api/status?no_track_activity=1")["last_activity"]

    # What JupyterLab itself asks every few seconds counts as activity: it waits until the panel was looked at.
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    others = re.compile("^(?!.*/genops/)")
    lab.page.route(others, hold)
    try:
        # What was asked before this has its answer by now.
        lab.page.wait_for_timeout(2000)
        before = activity()
        with lab.page.expect_response(re.compile("/genops/")):
            lab.panel().get_by_role("button", name="Refresh what is shown").click()
        lab.page.wait_for_timeout(2000)
        assert activity() == before
    finally:
        for route in held:
            route.continue_()
        lab.page.unroute(others)


def test_a_run_of_a_script_is_seen_while_it_goes_on(lab: LabPage, server: LabServer) -> None:
    experiments = lab.section("Runs")
    (server.home.work / "enough").unlink(missing_ok=True)
    with script(server, COUNT) as process:
        row = experiments.get_by_role("button", name=re.compile("counter"))
        expect(row).to_contain_text("running")
        expect(experiments.locator(".gol-Run-live .gol-Chart canvas")).to_be_visible()
        figure = row.locator(".gol-Run-metric", has_text="count")
        expect(figure).to_be_visible()
        first = figure.inner_text()
        expect(figure).not_to_have_text(first)
        lab.shot("run-live")
        (server.home.work / "enough").touch()
        process.communicate(timeout=60)
        assert process.returncode == 0
    expect(row).to_contain_text("finished")
    expect(row).not_to_contain_text("running")
    assert lab.problems == []


def test_what_a_plain_mlflow_client_writes_is_seen(lab: LabPage, server: LabServer) -> None:
    experiments = lab.section("Runs")
    run_script(server, PLAIN, **own_mlflow(server))
    expect(
        experiments.get_by_role("button", name=re.compile("plain-client.*score 0.75", re.S))
    ).to_be_visible()


def test_the_status_bar_tells_where_a_kernel_runs_and_a_missing_magic_is_named(
    lab: LabPage, folder: Path
) -> None:
    import nbformat

    cell = nbformat.v4.new_code_cell("%%track --name x\n1")
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    nbformat.write(nbformat.v4.new_notebook(cells=[cell], metadata=kernel), folder / "missing.ipynb")
    lab.open_notebook(f"{folder.name}/missing.ipynb")
    item = lab.page.get_by_role("button", name=re.compile(r"^Kernel: this machine · \d.* [MG]i?B"))
    expect(item).to_be_visible(timeout=60_000)
    lab.shot("status-bar")
    lab.execute("application:toggle-left-area")
    item.click()
    expect(lab.page.locator("#genops-lab-section-compute-body")).to_be_visible()
    expect(lab.section("Compute").get_by_text("missing.ipynb").first).to_be_visible()

    lab.run_all()
    cells = lab.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-CodeCell")
    toast = lab.page.locator(".Toastify__toast", has_text="%%track is not loaded in this notebook.")
    toast.get_by_role("button", name="Insert this line above").click()
    expect(cells.first).to_contain_text("%load_ext genops_lab")
    expect(cells).to_have_count(2)
