"""The whole way from a host to a deployment by the keyboard alone, and what a screen reader hears on it."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from playwright.sync_api import Locator, expect

from genops_lab.core.store import LocalStore
from genops_lab.profiling.ledger import KeptProfiles
from genops_lab.profiling.models import NewProfile
from tests.support.browser import LabPage
from tests.support.lab_server import LabServer
from tests.support.profile_summaries import NOTEBOOK, whole_summary
from tests.support.sshd import Sshd

from .hosts import ssh_config
from .keyboard import Keyboard
from .programs import TRAIN, own_mlflow, run_script
from .test_panel_actions import ask
from .test_profile_flame import EVENTS

pytestmark = [pytest.mark.ui, pytest.mark.slow, pytest.mark.timeout(300)]

PATIENT_MS = 90_000
PROFILE = "ba9876543210"
TRACKED = """%%track --name by-keyboard --experiment lines
import genops
for step in range(5):
    genops.log({"loss": 1 / (1 + step)}, step=step)
"""


@pytest.fixture(scope="module")
def host() -> Iterator[Sshd]:
    """A host whose ``python3`` has ipykernel."""
    with Sshd(environment={"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}) as found:
        yield found


@pytest.fixture(scope="module")
def server(server: LabServer, host: Sshd) -> Iterator[LabServer]:
    """The shared Lab, with a host in its user's ssh_config, a script's model and a profile."""
    run_script(server, TRAIN, **own_mlflow(server))
    store = LocalStore(server.home.data / "store.db")
    profiles = KeptProfiles(store)
    given = NewProfile(trace_path="none", title="story", notebook=NOTEBOOK)
    profiles.begin(PROFILE, given, str(server.home.data / "none"), 1)
    profiles.change(PROFILE, state="ready", summary=msgspec.json.encode(whole_summary()).decode())
    store.close()
    trace = server.home.data / "profiles" / "keyed" / "keyed.json"
    trace.parent.mkdir(parents=True)
    trace.write_text(json.dumps({"traceEvents": EVENTS}))
    asked = {"trace_path": str(trace), "title": "keyed trace", "run_id": "", "notebook": ""}
    status, traced = server.request("POST", "genops/profiles", asked, timeout=200)
    assert status == 200, traced
    with ssh_config(server, host.write_config(IdentityAgent=None).read_text()):
        yield server
    for profile_id in (PROFILE, traced["id"]):
        server.request("DELETE", f"genops/profiles/{profile_id}")


def begin(page: LabPage) -> None:
    page.start()
    # The launcher takes the focus once it is there, which on a busy machine is after the splash screen.
    page.page.wait_for_function("() => document.activeElement?.closest('.jp-Launcher, #filebrowser')")


@pytest.fixture(scope="module")
def story(module_page: LabPage) -> LabPage:
    """One page for the whole way: each test begins where the one before it ended."""
    begin(module_page)
    return module_page


@pytest.fixture
def attempt(request: pytest.FixtureRequest) -> int:
    """The number of this try of a test: it finds what the tries before it made."""
    return int(getattr(request.node, "execution_count", 1))


@pytest.fixture
def lab(story: LabPage, attempt: int) -> LabPage:
    if attempt > 1:  # the first try left the page anywhere, such as in a dialog
        begin(story)
    return story


@pytest.fixture
def keys(lab: LabPage) -> Keyboard:
    return Keyboard(lab.page)


def section(lab: LabPage, keys: Keyboard, name: str) -> Locator:
    """A section of the panel, opened by its heading; the heading has the focus."""
    keys.command("Open the GenOps Lab Panel")
    toggle = lab.toggle(name)
    panel = lab.page.get_by_role("region", name="GenOps Lab", exact=True)
    expect(panel.get_by_role("heading", level=3).get_by_role("button").locator(":scope:focus")).to_have_count(
        1
    )
    keys.to(toggle, "ArrowDown", most=9)
    if toggle.get_attribute("aria-expanded") == "false":
        keys.press("Enter")
    expect(toggle).to_have_attribute("aria-expanded", "true")
    return lab.page.locator(f"#{toggle.get_attribute('aria-controls')}")


def dialog(lab: LabPage, name: str) -> Locator:
    return lab.page.get_by_role("dialog", name=name, exact=True)


def button(inside: Locator, name: str) -> Locator:
    return inside.get_by_role("button", name=name, exact=True)


def test_a_host_is_added_and_connected(
    lab: LabPage, keys: Keyboard, host: Sshd, server: LabServer, attempt: int
) -> None:
    if attempt > 1:
        server.request("DELETE", f"genops/targets/{host.alias}")
    compute = section(lab, keys, "Compute")
    keys.choose(button(compute, "Add a target…").last)
    form = dialog(lab, "Add a target")
    expect(form.get_by_label("Host", exact=True)).to_be_focused()
    keys.write(host.alias)
    keys.press("Enter")
    expect(button(form, "Done")).to_be_focused(timeout=PATIENT_MS)
    expect(form.get_by_role("status")).to_contain_text(f"“{host.alias}” is ready.")
    expect(form.get_by_role("list", name=f"Steps of the test of {host.alias}")).to_contain_text("passed")
    keys.press("Enter")
    expect(form).to_have_count(0)
    # The button that opened the dialog went with the empty list; the one of the list may have come before.
    opener = button(compute, "Add a target…")
    expect(lab.page.locator(":focus").and_(lab.toggle("Compute").or_(opener))).to_have_count(1)

    card = compute.get_by_role("region", name=f"Target {host.alias}")
    host_status = card.get_by_role("status").filter(has_text=host.alias)
    expect(host_status).to_contain_text("connected")
    keys.choose(button(card, f"Settings of {host.alias}"))
    settings = dialog(lab, f"Settings of “{host.alias}”")
    expect(settings).to_be_visible()
    keys.press("Escape")
    expect(settings).to_have_count(0)
    expect(button(card, f"Settings of {host.alias}")).to_be_focused()

    keys.choose(button(card, "Disconnect"), "Shift+Tab")
    expect(host_status).to_contain_text("not connected")
    keys.has_focus()
    expect(card.locator(":focus")).to_have_count(1)  # not at the page's begin, though the button has gone
    keys.choose(button(card, "Connect"), "Shift+Tab")
    expect(host_status).to_have_text(re.compile(f"^{host.alias}connected"), timeout=PATIENT_MS)
    expect(card.locator(":focus")).to_have_count(1)


def notebook_on(host: Sshd, lab: LabPage, keys: Keyboard) -> Locator:
    """A new notebook whose kernel is on the host, with GenOps Lab loaded."""
    card = section(lab, keys, "Compute").get_by_role("region", name=f"Target {host.alias}")
    keys.to(button(card, "New notebook"))
    keys.press("Enter")
    notebook = lab.page.locator(".jp-NotebookPanel:visible")
    expect(notebook.locator(".jp-Cell .cm-content:focus")).to_have_count(1, timeout=PATIENT_MS)
    where = lab.page.get_by_role(
        "button", name=re.compile(f"^Where this notebook runs: {host.alias}, connected")
    )
    expect(where).to_be_visible(timeout=PATIENT_MS)
    keys.write("%load_ext genops_lab")
    keys.press("Shift+Enter")
    return notebook


def test_a_notebook_there_logs_to_a_run(lab: LabPage, keys: Keyboard, host: Sshd) -> None:
    notebook = notebook_on(host, lab, keys)
    keys.write(TRACKED)
    keys.press("Shift+Enter")
    card = notebook.get_by_role("group", name="Run by-keyboard")
    expect(card.get_by_role("img", name="Chart of loss: loss 0.2")).to_be_visible(timeout=PATIENT_MS)
    expect(card).to_contain_text("Finished", timeout=PATIENT_MS)

    keys.command("Choose Where to Run This Notebook…")
    picker = lab.page.get_by_role("dialog")
    expect(picker).to_have_accessible_name(re.compile("."))
    expect(picker.get_by_role("radio", name=re.compile(host.alias))).to_be_focused()
    keys.press("ArrowUp")
    expect(picker.get_by_role("radio", name=re.compile("This machine"))).to_be_checked()
    keys.press("Escape")
    expect(picker).to_have_count(0)
    expect(notebook.locator(":focus")).to_have_count(1)


def test_a_cell_is_profiled(lab: LabPage, keys: Keyboard, host: Sshd, attempt: int) -> None:
    pytest.importorskip("torch", reason="PyTorch is an extra")
    notebook = notebook_on(host, lab, keys) if attempt > 1 else lab.page.locator(".jp-NotebookPanel:visible")
    keys.command("Insert a Cell That Profiles")
    editor = notebook.locator(".jp-Cell .cm-content:focus")
    expect(editor).to_contain_text("%%profile")
    keys.press("Control+End")
    keys.write("\nimport torch\nx = torch.ones(64, 64) @ torch.ones(64, 64)")
    keys.press("Shift+Enter")
    opener = notebook.get_by_role("link", name="Open", exact=True)
    expect(opener).to_be_visible(timeout=PATIENT_MS)
    keys.press("Escape")
    keys.choose(opener, "Shift+Tab")
    page = lab.page.locator(".gol-Profile:visible")
    expect(page).to_be_focused()
    expect(page).to_have_accessible_name(re.compile("."))
    keys.to(page.get_by_role("tab", name="Overview"))
    keys.press("ArrowRight")
    lines = page.get_by_role("tabpanel", name="Cells and lines")
    expect(lines.get_by_role("row").filter(has_text="torch.ones(64, 64)")).to_be_visible()


def test_runs_are_sorted_filtered_opened_and_compared(lab: LabPage, keys: Keyboard) -> None:
    keys.command("Open the Run Table")
    page = lab.page.get_by_role("region", name="Runs", exact=True)
    query = page.get_by_role("combobox", name="Query")
    expect(query).to_be_focused()
    grid = page.get_by_role("grid", name="Runs")
    status = page.get_by_role("status").filter(has_text=re.compile(r"^\d.* runs?"))
    keys.write("metrics.loss > 0")
    keys.press("Enter")
    expect(status).to_have_text(re.compile(r"^\d+ of \d+ runs$"))
    keys.choose(button(page, "Clear the query"))
    expect(query).to_have_value("")
    keys.has_focus()

    experiment = page.get_by_role("combobox", name="Experiment")
    keys.to(experiment, "Shift+Tab")
    keys.option(experiment, "lines")

    head = grid.get_by_role("columnheader", name=re.compile("^Name"))
    keys.to(grid.get_by_role("checkbox", name="Select all matching runs"))
    keys.to(head, "ArrowRight")
    keys.press("Enter")
    expect(head).to_have_attribute("aria-sort", "ascending")

    mine = grid.get_by_role("gridcell", name=re.compile("finished by-keyboard$")).first
    keys.to(mine, "ArrowDown")
    keys.press("Enter")
    details = page.get_by_role("region", name="by-keyboard")
    expect(details.get_by_role("heading", name="by-keyboard", level=2)).to_be_visible()
    expect(details.get_by_role("table", name="Metrics")).to_contain_text("loss")
    # One Tab leaves the cells, whatever their number.
    keys.press("Tab")
    expect(button(details, "Close")).to_be_focused()
    keys.press("Enter")
    expect(details).to_have_count(0)
    expect(mine).to_be_focused()

    keys.press("Space")
    script = grid.get_by_role("gridcell", name=re.compile("finished line$")).first
    keys.to(script, "ArrowDown")
    keys.press("Space")
    expect(status).to_contain_text("2 selected")
    keys.choose(button(page.get_by_role("toolbar", name="Selected runs"), "Compare"))
    comparison = lab.page.get_by_role("region", name="Comparison", exact=True)
    expect(comparison).to_be_focused()
    expect(comparison.get_by_role("heading", name="Comparison", level=2)).to_be_visible()
    expect(comparison.get_by_role("region", name="Metrics").get_by_role("table")).to_contain_text("slope")
    keys.choose(button(comparison, "Make baseline"))
    expect(comparison.locator(":focus")).to_have_count(1)


def test_a_chart_is_read(lab: LabPage, keys: Keyboard) -> None:
    keys.command("Open Charts of Runs")
    charts = lab.page.get_by_role("region", name="Charts", exact=True)
    card = charts.get_by_role("article", name="loss", exact=True)
    expect(charts.get_by_role("article").first).to_be_visible()
    if card.count() == 0:  # the first cards are of other metrics where other tests of this Lab logged them
        keys.choose(button(charts, "Add a card…"))
        form = charts.get_by_role("form", name="Add a card")
        keys.to(form.get_by_label("Metric"))
        keys.press("Control+A")
        keys.write("loss")
        keys.press("Enter")
        expect(form).to_have_count(0)
    image = card.get_by_role("img", name=re.compile(r"^loss of \d+ runs?, from .* to "))
    expect(image).to_be_visible()
    plot = card.get_by_role("group", name=re.compile(r"^loss\. Arrow keys move"))
    keys.to(plot)
    keys.press("ArrowRight")
    expect(plot.locator("[aria-live=polite]")).to_contain_text("loss")
    keys.press("Escape", "Shift+Tab")
    actions = button(card, "Actions for loss")
    expect(actions).to_be_focused()
    keys.press("Enter")
    keys.menu_item("Show the Data")
    expect(actions).to_be_focused()
    data = card.get_by_role("table", name=re.compile("loss"))
    expect(data.get_by_role("rowheader", name="by-keyboard").first).to_be_visible()
    keys.press("Tab")
    expect(plot).to_be_focused()
    keys.press("Tab")
    expect(plot).not_to_be_focused()


def test_a_profile_is_read(lab: LabPage, keys: Keyboard) -> None:
    section(lab, keys, "Background tasks")
    keys.choose(button(lab.panel(), "More sections"))
    keys.menu_item("Open Profiles")
    profiles = lab.page.get_by_role("region", name="Profiles", exact=True)
    keys.to(profiles.get_by_role("row").nth(1))
    keys.to(profiles.get_by_role("row", name=re.compile("^story")), "ArrowDown")
    keys.press("Enter")
    page = lab.page.get_by_role("region", name="story", exact=True)
    expect(page).to_be_focused()
    keys.to(page.get_by_role("tab", name="Overview"))
    expect(page.get_by_role("img", name=re.compile("^Time of the devices: Rank 0"))).to_be_visible()
    expect(page.get_by_role("table", name="Comparison of ranks")).to_be_visible()

    keys.press("ArrowRight", "ArrowRight")
    tables = page.get_by_role("tabpanel", name="Operators and GPU kernels")
    expect(tables).to_be_visible()
    grid = tables.get_by_role("grid").first
    expect(grid).to_have_accessible_name(re.compile("."))
    first = grid.get_by_role("columnheader").first
    keys.to(first)
    keys.press("ArrowDown", "Tab")
    expect(grid.locator(":focus")).to_have_count(0)
    keys.press("Shift+Tab")
    expect(grid.locator(":focus")).to_have_count(1)


def test_a_flame_graph_is_walked(lab: LabPage, keys: Keyboard) -> None:
    keys.command("Open Profiles")
    profiles = lab.page.get_by_role("region", name="Profiles", exact=True)
    keys.to(profiles.get_by_role("searchbox", name="Filter"))
    keys.write("keyed")
    expect(profiles.get_by_role("row", name=re.compile("^story"))).to_have_count(0)
    keys.to(profiles.get_by_role("row", name=re.compile("^keyed trace")))
    keys.press("Enter")
    page = lab.page.get_by_role("region", name="keyed trace", exact=True)
    keys.to(page.get_by_role("tab", name="Overview"))
    keys.press("ArrowRight", "ArrowRight", "ArrowRight")
    flame = page.get_by_role("tabpanel", name="Flame graph")
    keys.to(flame.get_by_role("application", name=re.compile(r"^Flame graph\. Arrow keys move")))
    said = flame.locator("p[aria-live=polite]")
    for key, name in (("ArrowDown", "thread 1"), ("ArrowDown", "ProfilerStep"), ("ArrowDown", "linear")):
        keys.press(key)
        expect(said).to_have_text(re.compile(f"^{name}: "))
    keys.press("ArrowRight")
    expect(said).to_have_text("add: 1 ms, 25 % of the total, 1 call. Operator")
    keys.press("Enter")
    expect(said).to_contain_text("Zoomed in")
    keys.press("Tab")
    expect(flame.locator(":focus")).to_have_count(0)


def test_the_model_is_registered_and_deployed(
    lab: LabPage, keys: Keyboard, server: LabServer, attempt: int
) -> None:
    model_name = f"keyed-{attempt}"
    models = section(lab, keys, "Models")
    register = button(lab.panel(), "Register a model…").first
    keys.choose(register)
    form = dialog(lab, "Register a model")
    expect(form.get_by_label("From", exact=True)).to_be_focused()
    keys.to(form.get_by_label("Run", exact=True))
    expect(form.get_by_role("status")).to_contain_text("This run logged no model.")
    keys.option(form.get_by_label("Run", exact=True), "line – lines")
    expect(form.get_by_role("status")).to_have_text("")
    keys.to(form.get_by_label("Name", exact=True))
    keys.write(model_name)
    expect(button(form, "Register")).to_be_enabled()
    keys.press("Enter")
    expect(form).to_have_count(0)
    expect(
        lab.page.get_by_role("alert").filter(has_text=f"Registered {model_name} version 1.")
    ).to_be_visible()
    expect(models.get_by_role("list", name="Models")).to_contain_text(model_name)
    keys.has_focus()
    expect(lab.panel().locator(":focus")).to_have_count(1)

    model = models.get_by_role("button", name=re.compile(f"^{model_name}"))
    keys.to(model)
    if model.get_attribute("aria-expanded") == "false":
        keys.press("Enter")
    keys.choose(
        button(
            models.get_by_role("list", name=f"Versions of {model_name}"), f"Deploy {model_name} version 1…"
        )
    )
    form = dialog(lab, "Deploy a model")
    expect(form.get_by_label("From", exact=True)).to_be_focused()
    keys.to(form.get_by_role("checkbox", name="I trust this model: it may run code on this machine."))
    keys.press("Space")
    expect(button(form, "Deploy")).to_be_enabled()
    keys.press("Enter")
    expect(form).to_have_count(0)
    expect(lab.toggle("Deployments")).to_be_focused()
    said = lab.page.get_by_role("alert").filter(
        has_text=f"Deploy {model_name} version 1 as {model_name}: {model_name} answers at http"
    )
    expect(said).to_be_visible(timeout=PATIENT_MS)

    deployments = lab.page.locator("#genops-lab-section-deployments-body")
    row = deployments.get_by_role("listitem").filter(
        has=lab.page.get_by_role("button", name=re.compile(f"^{model_name}"))
    )
    expect(row.get_by_text("Running", exact=True)).to_be_visible()
    assert ask(server, [[3.0]], model_name) == {"predictions": [pytest.approx(7.0)]}
    shown = row.get_by_role("button", name=re.compile(f"^{model_name}"))
    if shown.get_attribute("aria-expanded") == "false":  # another test's deployment is in the list
        keys.choose(shown)
    expect(row.get_by_text("1", exact=True)).to_be_visible()
    keys.choose(button(row, "Stop"))
    expect(button(row, "Deploy again…")).to_be_visible()
    expect(row.locator(":focus")).to_have_count(1)
    assert lab.problems == []
