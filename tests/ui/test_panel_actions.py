"""From a script's model to a deployment that answers, without any magic: all from the panel."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, expect

from tests.support import exhaustive
from tests.support.browser import NARROW, SECTIONS, WIDE, LabPage, lab_page
from tests.support.lab_server import LabServer

from .keyboard import Keyboard
from .programs import TRAIN, own_mlflow, run_script

pytestmark = [pytest.mark.ui, pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def lab(module_page: LabPage, server: LabServer) -> Iterator[LabPage]:
    """One page for the whole way, in a Lab where a script has logged a model: each test begins where the one before it
    ended."""
    run_script(server, TRAIN, **own_mlflow(server))
    module_page.start()
    yield module_page
    server.request("DELETE", "genops/deployments/line")


def ask(server: LabServer, rows: list[list[float]], name: str = "line", key: str = "") -> Any:
    deployment = server.get(f"genops/deployments/{name}")
    key = key or server.get(f"genops/deployments/{name}/key")["key"]
    request = urllib.request.Request(
        deployment["url"] + "/invocations",
        data=json.dumps({"inputs": rows}).encode(),
        headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read())


def open_line(section: Locator) -> None:
    button = section.get_by_role("button", name=re.compile("^line"))
    expect(button).to_be_visible()
    if button.get_attribute("aria-expanded") == "false":
        button.click()


def deployment(lab: LabPage) -> Locator:
    """The deployment, opened: it opens itself where it is the only one."""
    open_line(lab.section("Deployments"))
    row = lab.page.get_by_role("list", name="Deployments").locator("> li")
    return row.filter(has=lab.page.get_by_role("button", name=re.compile("^line")))


def fact(section: Locator, name: str) -> Locator:
    return section.locator(".gol-Facts-row", has=section.page.get_by_text(name, exact=True)).locator("dd")


def test_a_double_click_registers_one_version(lab: LabPage, server: LabServer) -> None:
    models = lab.section("Models")
    # Without any model the section has the button, too.
    lab.panel().get_by_role("button", name="Register a model…").first.dblclick()
    dialog = lab.page.get_by_role("dialog")
    dialog.get_by_label("Name", exact=True).fill("line")
    dialog.get_by_label("Alias (optional)").fill("champion")
    accept = dialog.get_by_role("button", name="Register", exact=True)
    expect(accept).to_be_enabled()
    expect(dialog.get_by_label("Run", exact=True).locator("option:checked")).to_contain_text("line – lines")
    lab.looks("register", ".jp-Dialog", (1280, 800))
    accept.dblclick()
    expect(dialog).to_have_count(0)

    open_line(models)
    versions = models.get_by_role("list", name="Versions of line")
    expect(versions.get_by_text("v1", exact=True)).to_be_visible()
    expect(versions.get_by_text("champion")).to_be_visible()
    expect(lab.page.get_by_text("Registered line version 1.")).to_be_visible()
    (registered,) = [each for each in server.get("genops/models") if each["name"] == "line"]
    assert [version["version"] for version in registered["versions"]] == ["1"]
    expect(dialog).to_have_count(0)

    models.get_by_role("button", name="Set an alias of line version 1…").click()
    expect(dialog).to_have_accessible_name(re.compile("line"))
    lab.looks("alias", ".jp-Dialog", (1280, 800), daily=False)
    lab.page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)


def test_a_file_is_registered_and_the_version_says_so(lab: LabPage, server: LabServer) -> None:
    oracles = Path(__file__).parents[1] / "registry" / "oracles"
    lab.panel().get_by_role("button", name="Register a model…").first.click()
    dialog = lab.page.get_by_role("dialog")
    dialog.get_by_label("From").select_option("A folder or file")
    dialog.get_by_label("Path").fill(str(oracles / "write.py"))
    dialog.get_by_label("Name", exact=True).fill("tiny")
    accept = dialog.get_by_role("button", name="Register", exact=True)
    accept.click()
    expect(dialog.get_by_role("alert")).to_contain_text("write.py runs code when it is loaded")
    lab.looks("register-files", ".jp-Dialog", (1280, 800))
    dialog.get_by_label("Path").fill(str(oracles / "tiny.gguf"))
    accept.click()
    expect(dialog).to_have_count(0)
    models = lab.section("Models")
    tiny = models.get_by_role("button", name=re.compile("^tiny"))
    expect(tiny).to_be_visible(timeout=60_000)
    tiny.click()
    expect(models.get_by_text(re.compile("^Files from .*tiny.gguf"))).to_be_visible()
    lab.shot("registered-file")
    server.request("DELETE", "genops/models/tiny")


def test_the_files_of_a_version_are_read_when_it_opens(lab: LabPage) -> None:
    models = lab.section("Models")
    toggle = models.get_by_role("button", name="Details of line version 1")
    toggle.focus()
    lab.page.keyboard.press("Enter")
    expect(toggle).to_have_attribute("aria-expanded", "true")
    facts = models.locator(".gol-VersionFacts")
    expect(facts.get_by_text(re.compile("^(Files hold data only|Runs code when loaded)"))).to_be_visible()
    expect(fact(facts, "Size")).to_contain_text("B")
    models.get_by_role("button", name="Copy loading code").click()
    expect(models.get_by_role("button", name="Copied")).to_be_visible()
    lab.looks("version-files", ".gol-VersionFacts", (1280, 800))
    toggle.click()
    expect(facts).to_have_count(0)


def test_the_question_before_an_evaluation_shows_what_that_before_a_deployment_shows(
    lab: LabPage, tmp_path: Path
) -> None:
    data = tmp_path / "rows.csv"
    data.write_text("x,label\n1,3\n2,5\n")
    lab.execute("genops:deploy-model", {"model": "line", "version": "1"})
    dialog = lab.page.get_by_role("dialog")
    files = dialog.locator(".gol-Callout:has(.gol-Files)")
    expect(files).to_contain_text("Load it only if you trust who made it.")
    deploying = files.inner_text()
    lab.page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    lab.execute("genops:evaluate-model", {"model": "line", "version": "1"})
    dialog.get_by_label("Data", exact=True).fill(str(data))
    dialog.get_by_role("button", name="Evaluate", exact=True).click()
    expect(dialog.get_by_role("checkbox", name=re.compile("^I trust these files"))).to_be_visible()
    assert files.inner_text() == f"Version 1: {deploying}"
    lab.looks("evaluate-trust", ".jp-Dialog", (1280, 800))
    lab.page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)


def test_a_double_click_makes_one_deployment(lab: LabPage, server: LabServer) -> None:
    deploy = lab.section("Models").get_by_role("button", name="Deploy line version 1…")
    deploy.dblclick()
    dialog = lab.page.get_by_role("dialog")
    accept = dialog.get_by_role("button", name="Deploy", exact=True)
    # a script without GenOps logged it
    dialog.get_by_role("checkbox", name="I trust this model: it may run code on this machine.").check()
    expect(accept).to_be_enabled()
    dialog.get_by_role("button", name="Settings of MLflow models").press("Enter")
    workers = dialog.get_by_label("workers", exact=True)
    workers.fill("none")
    workers.press("Enter")
    expect(workers).to_have_accessible_description(re.compile("give a number from 1 to 64"))
    workers.fill("")
    workers.press("Enter")
    dialog.get_by_role("button", name="Replicas and sleep").press("Enter")
    dialog.get_by_label("Replicas, at least").fill("2")
    most = dialog.get_by_label("Replicas, at most")
    most.fill("1")
    expect(most).to_have_accessible_description("Enter 2 or more: at least so many run.")
    expect(accept).to_be_disabled()
    dialog.get_by_label("Replicas, at least").fill("1")
    expect(accept).to_be_enabled()
    lab.looks("deploy", ".jp-Dialog", NARROW, WIDE)
    accept.dblclick()
    expect(dialog).to_have_count(0)

    toast = lab.page.locator(".Toastify__toast", has_text="Deploy line version 1 as line")
    expect(toast.locator(".Toastify__spinner")).to_be_visible()
    expect(deployment(lab).get_by_text("Running", exact=True)).to_be_visible(timeout=90_000)
    expect(lab.page.locator(".Toastify__toast--success", has_text="line").last).to_be_visible()
    lab.shot("deployed")
    (task,) = [each for each in server.get("genops/tasks") if each["subject"] == "deployment:line"]
    lab.execute("genops:show-task-log", {"id": task["id"]})
    expect(lab.page.locator(".gol-TaskLog").get_by_role("log")).to_contain_text("Preparing the files.")
    lab.looks("task-log", ".gol-TaskLog", (1280, 800))
    lab.execute("application:close")
    assert len([each for each in server.get("genops/deployments") if each["model"] == "line"]) == 1
    assert len([each for each in server.get("genops/tasks") if each["subject"] == "deployment:line"]) == 1


def test_requests_and_the_log_are_seen_as_they_happen(lab: LabPage, server: LabServer) -> None:
    deployments = deployment(lab)
    log = deployments.get_by_role("log", name="Log of line")
    if log.count() == 0:
        deployments.get_by_role("button", name="Log", exact=True).click()
    expect(log).to_contain_text("running: http:")
    expect(fact(deployments, "Requests")).to_have_text("0")
    assert ask(server, [[3.0]]) == {"predictions": [pytest.approx(7.0)]}
    expect(fact(deployments, "Requests")).to_have_text("1")
    for _ in range(3):
        ask(server, [[4.0]])
    expect(fact(deployments, "Requests")).to_have_text("4")
    expect(fact(deployments, "Latency")).to_contain_text("ms")
    lab.shot("requests")


def test_a_new_version_takes_over_and_one_goes_back_with_the_keyboard(
    lab: LabPage, server: LabServer
) -> None:
    (registered,) = [each for each in server.get("genops/models") if each["name"] == "line"]
    body = {"name": "line", "run": registered["versions"][0]["run_id"]}
    status, made = server.request("POST", "genops/models", body)
    assert status in (200, 201), made
    models, address = lab.section("Models"), server.get("genops/deployments/line")["url"]
    deploy = models.get_by_role("button", name="Deploy line version 2…")
    deploy.press("Enter")
    dialog = lab.page.get_by_role("dialog")
    expect(dialog.get_by_text("This updates the deployment “line”.")).to_be_visible(timeout=30_000)
    expect(dialog.get_by_text("Revision 2 starts beside revision 1")).to_be_visible()
    expect(dialog.get_by_text("version: 1 → 2", exact=True)).to_be_visible()
    dialog.get_by_role("button", name="Copy as file").press("Enter")
    expect(dialog.get_by_role("button", name="Copied")).to_be_visible(timeout=30_000)
    dialog.get_by_role("checkbox", name="I trust this model: it may run code on this machine.").press("Space")
    lab.looks("deploy-update", ".jp-Dialog", (1280, 800))
    dialog.get_by_role("button", name="Deploy", exact=True).press("Enter")
    expect(dialog).to_have_count(0)

    found = deployment(lab)
    revisions = found.get_by_role("list", name="Revisions of line").locator("> li")
    first, second = revisions.filter(has_text="r1: line v1"), revisions.filter(has_text="r2: line v2")
    expect(second).to_have_attribute("aria-current", "true", timeout=90_000)
    expect(first.get_by_text("Running", exact=True)).to_be_visible()
    assert ask(server, [[3.0]]) == {"predictions": [pytest.approx(7.0)]}
    lab.looks("revisions", "#genops-lab-panel", (1280, 1400))
    first.get_by_role("button", name="Roll back").press("Enter")
    expect(first).to_have_attribute("aria-current", "true", timeout=30_000)
    expect(first).to_contain_text("100 % of requests")
    assert server.get("genops/deployments/line")["url"] == address
    assert ask(server, [[3.0]]) == {"predictions": [pytest.approx(7.0)]}


def test_a_file_is_applied_from_the_file_browser_and_drift_is_shown(
    lab: LabPage, server: LabServer, folder: Path
) -> None:
    _, draft = server.request("POST", "genops/deployment-file-drafts", {"model": "line", "version": "2"})
    (folder / "line.yaml").write_text(f"{draft['text']}callers: [{{name: ci, limit: sixty}}]\n")
    lab.go_to_folder(folder.name)
    lab.page.locator(".jp-DirListing-item", has_text="line.yaml").click(button="right")
    lab.page.get_by_role("menuitem", name="Apply as Deployment…").click()
    dialog = lab.page.get_by_role("dialog", name="Apply a deployment file")
    expect(dialog.get_by_role("alert")).to_contain_text("line.yaml")  # with the line of the mistake
    accept = dialog.get_by_role("button", name="Apply", exact=True)
    expect(accept).to_be_disabled()
    (folder / "line.yaml").write_text(f"{draft['text']}callers: [{{name: ci, limit: 60}}]\n")
    keyboard = Keyboard(lab.page)
    keyboard.choose(dialog.get_by_role("button", name="Read the file again"))
    expect(dialog.get_by_role("row", name="version 1 2")).to_be_visible()
    expect(dialog.get_by_role("row", name="key ci – 60 a minute")).to_be_visible()
    expect(dialog.get_by_text("Revision 3 starts beside revision 1")).to_be_visible()
    lab.looks("apply-file", ".jp-Dialog", NARROW, WIDE)
    accept.press("Enter")
    keys = lab.page.get_by_role("dialog", name="New keys")
    expect(keys.get_by_role("button", name="Copy the key ci")).to_be_visible()
    lab.looks("new-keys", ".jp-Dialog", NARROW)
    keyboard.choose(keys.get_by_role("button", name="Close"))

    found = deployment(lab)
    expect(fact(found, "File")).to_have_text(str(folder / "line.yaml"), timeout=60_000)
    expect(found.get_by_text("r2: line v2")).to_be_visible()
    current = found.get_by_role("list", name="Revisions of line").locator("> li[aria-current]")
    expect(current.filter(has_text="line v2")).to_be_visible(timeout=90_000)
    expect(found.get_by_text("The deployment differs from")).to_have_count(0)
    earlier = found.get_by_role("list", name="Revisions of line").locator("> li", has_text="r1: line v1")
    earlier.get_by_role("button", name="Roll back").press("Enter")
    expect(found.get_by_text("The deployment differs from")).to_be_visible(timeout=60_000)
    expect(found.get_by_text("version: 1 → 2", exact=True)).to_be_visible()
    lab.looks("drift", "#genops-lab-panel", (1280, 1400))


def test_a_key_is_shown_once_and_revoked_after_a_question(lab: LabPage, server: LabServer) -> None:
    found, keyboard = deployment(lab), Keyboard(lab.page)
    found.get_by_role("button", name="Keys of callers").press("Enter")
    listed = found.get_by_role("list", name="Keys of callers of line")
    expect(listed.get_by_text("60 requests a minute")).to_be_visible()  # that of the file
    found.get_by_label("Name of a person or program").fill("eve")
    found.get_by_label("Requests a minute").fill("1.5")
    expect(found.get_by_role("button", name="Add key")).to_be_disabled()
    found.get_by_label("Requests a minute").fill("3")
    lab.page.keyboard.press("Enter")
    made = found.get_by_role("status").get_by_text("Copy the new key now")
    expect(made).to_be_visible()
    key = found.locator(".gol-Keys-new code").inner_text()
    assert ask(server, [[3.0]], key=key) == {"predictions": [pytest.approx(7.0)]}
    lab.looks("caller-keys", "#genops-lab-panel", (1280, 1400), (1920, 1400))
    found.get_by_role("button", name="Keys of callers").press("Enter")
    found.get_by_role("button", name="Keys of callers").press("Enter")
    eve = listed.locator("> li", has_text="eve")
    expect(eve.get_by_text("Last used just now")).to_be_visible()
    expect(made).to_have_count(0)
    eve.get_by_role("button", name="Revoke the key eve").press("Enter")
    keyboard.choose(lab.page.get_by_role("dialog").get_by_role("button", name="Revoke"))
    expect(eve).to_have_count(0)
    with pytest.raises(urllib.error.HTTPError, match="401"):
        ask(server, [[3.0]], key=key)


def test_a_full_panel_has_no_serious_findings(lab: LabPage) -> None:
    for name in SECTIONS:
        lab.section(name)
    run = lab.section("Runs").get_by_role("button", name=re.compile("slope")).first
    if run.get_attribute("aria-expanded") == "false":
        run.click()
    expect(lab.section("Runs").get_by_role("button", name="Insert code", exact=True)).to_be_visible()
    lab.looks("full", "#genops-lab-panel", (1280, 2000))


def test_what_only_the_palette_opens_has_names_and_contrast(lab: LabPage) -> None:
    lab.execute("genops:diagnose")
    expect(lab.page.get_by_role("region", name="Diagnosis")).not_to_contain_text("Loading")
    lab.looks("diagnosis", ".gol-Diagnosis", (1280, 800))
    lab.execute("application:close")
    dialog = lab.page.get_by_role("dialog", name="Which deployment?")
    lab.execute("genops:stop-deployment")
    expect(dialog.get_by_role("combobox", name="Which deployment?")).to_be_visible()
    lab.looks("choice", ".jp-Dialog", (1280, 800), daily=False)
    lab.page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)


def test_it_is_stopped_by_a_double_click(lab: LabPage, server: LabServer, browser: Browser) -> None:
    """With ``make test-all`` from another tab. That a page follows what others do is tested with scripts."""
    deployments = deployment(lab)
    with ExitStack() as stack:
        there = deployments
        if exhaustive.ALL:
            other = stack.enter_context(lab_page(browser, server))
            other.open()
            there = deployment(other)
        expect(there.get_by_text("Running", exact=True).first).to_be_visible()
        there.get_by_role("button", name="Stop", exact=True).dblclick()
        for section in (there, deployments):
            expect(section.get_by_text("Stopped", exact=True).first).to_be_visible()
    expect(deployments.get_by_role("button", name="Deploy again…")).to_be_visible()
    log = deployments.get_by_role("log", name="Log of line")
    expect(log).to_contain_text("stopped: ")
    expect(deployments.get_by_text("Cannot read")).to_have_count(0)
    lab.shot("stopped", height=1200)
    deployments.get_by_role("button", name="Delete the deployment line").click()
    confirmed = lab.page.get_by_role("dialog", name=re.compile("^Delete the deployment “line”\\?"))
    expect(confirmed.get_by_role("button", name="Cancel")).to_be_focused()  # Enter deletes nothing
    lab.looks("confirmation", ".jp-Dialog", (1280, 800), daily=False)
    lab.page.keyboard.press("Escape")
    expect(confirmed).to_have_count(0)
    assert server.get("genops/deployments/line")["state"] == "stopped"
    assert lab.problems == []


def test_a_model_is_deleted_after_a_question(lab: LabPage, server: LabServer) -> None:
    models = lab.section("Models")
    open_line(models)
    delete = models.get_by_role("button", name="Delete the model line…")
    dialog = lab.page.get_by_role("dialog")
    toast = lab.page.locator(".Toastify__toast--error").last
    delete.press("Enter")
    expect(dialog).to_contain_text("Delete the model “line” with all its versions?")
    lab.looks("delete-model", ".jp-Dialog", (1280, 800))
    dialog.get_by_role("button", name="Delete", exact=True).click()
    expect(toast).to_contain_text("has the alias champion")
    models.get_by_role("button", name="Remove the alias champion from line version 1").click()
    expect(models.get_by_text("champion")).to_have_count(0)
    delete.press("Enter")
    lab.page.keyboard.press("Enter")  # which cancels
    expect(dialog).to_have_count(0)
    assert server.get("genops/models/line")["name"] == "line"
    delete.press("Enter")
    dialog.get_by_role("button", name="Delete", exact=True).click()
    expect(models.get_by_role("button", name=re.compile("^line"))).to_have_count(0)


def test_an_experiment_is_added_deleted_and_restored(lab: LabPage) -> None:
    runs = lab.section("Runs")
    runs.get_by_role("button", name="Add an experiment…").press("Enter")
    dialog = lab.page.get_by_role("dialog")
    dialog.get_by_label("Name", exact=True).fill("of the panel")
    dialog.get_by_role("button", name="Add", exact=True).click()
    chosen = runs.get_by_label("Experiment", exact=True).locator("option:checked")
    expect(chosen).to_have_text("of the panel")
    lab.looks("experiment", "#genops-lab-panel", (1280, 800))
    delete = runs.get_by_role("button", name="Delete the experiment of the panel")
    delete.press("Enter")
    notice = lab.page.locator(
        ".Toastify__toast", has_text="Experiment “of the panel” deleted, with its runs."
    )
    expect(chosen).to_have_text("All experiments")
    notice.get_by_role("button", name="Undo").click()
    expect(chosen).to_have_text("of the panel")
    delete.click()
    expect(chosen).to_have_text("All experiments")
    expect(runs.get_by_role("option", name="of the panel")).to_have_count(0)
    # A model was refused above; nothing else failed.
    assert [each for each in lab.problems if "409" not in each] == []
