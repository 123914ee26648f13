"""Links to runs: copied in the Lab, and opened by somebody who is not logged in yet."""

from __future__ import annotations

import re

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.browser import LabPage, lab_page
from tests.support.homes import Home
from tests.support.lab_server import LabServer, running_lab
from tests.support.mlflow_server import running_mlflow

from .programs import run_script

pytestmark = [pytest.mark.ui, pytest.mark.slow, pytest.mark.timeout(300)]

SCRIPT = """import genops, numpy as np
genops.start("{name}")
genops.log({{"loss": 0.25}})
for step in range(3):
    genops.log_image("samples", np.full((400, 500, 3), 80 * step, dtype=np.uint8), step=step)
genops.end()"""


def copied(lab: LabPage, name: str) -> str:
    """The link that a person gets of a run in the panel."""
    lab.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    experiments = lab.section("Runs")
    experiments.get_by_role("button", name=name).first.click()
    experiments.get_by_role("button", name="Copy link").press("Enter")
    expect(lab.page.get_by_text("Link copied.")).to_be_visible()
    return str(lab.page.evaluate("() => navigator.clipboard.readText()"))


def logged_in(page: Page, server: LabServer, link: str) -> None:
    """Follow a link, give the password where it is asked, and wait for the Lab."""
    page.goto(link)
    page.wait_for_url("**/login**")
    page.locator("#password_input").fill(server.token)
    page.locator("#login_submit").click()
    page.wait_for_selector(".jp-LabShell", timeout=90_000)


def test_the_link_opens_the_run_after_the_login_and_once(lab: LabPage, server: LabServer) -> None:
    run_script(server, SCRIPT.format(name="linked"))
    link = copied(lab, "linked")
    (run,) = [each for each in server.get("genops/runs")["runs"] if each["name"] == "linked"]
    assert link == f"{server.url}lab?genops-run={run['run_id']}"
    assert server.token not in link
    # Nobody else can see what is in a file of this user's own: that is said, with what to do.
    expect(lab.page.get_by_text("Only you can open it")).to_be_visible()
    lab.page.get_by_role("button", name="Why?").click()
    expect(lab.page.get_by_role("dialog")).to_contain_text("MLFLOW_TRACKING_URI")
    lab.shot("run-link-private")
    lab.page.get_by_role("dialog").get_by_role("button", name="Ok").click()

    page = lab.page
    page.context.clear_cookies(name=re.compile(rf"-{server.port}$"))
    logged_in(page, server, link)
    drawer = page.locator(".gol-RunTable-host:visible").get_by_role("region", name="linked")
    expect(drawer.get_by_role("button", name="Copy link")).to_be_visible()
    page.wait_for_url(f"{server.url}lab**")
    assert "genops-run" not in page.url
    page.evaluate(
        "request => { void window.jupyterapp.commands.execute('genops:open-linked-run', { request }); }",
        f"/lab?genops-run={32 * '0'}",
    )
    expect(page.get_by_text("The run cannot be read.")).to_be_visible()


@pytest.mark.exhaustive
def test_mlflows_own_page_of_the_run_and_of_our_pictures(
    module_home: Home, browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> None:
    from mlflow import MlflowClient

    store = f"sqlite:///{module_home.path}/served.db"
    with running_mlflow(module_home, store, module_home.path / "served") as url:
        with running_lab(module_home, env={"MLFLOW_TRACKING_URI": url}) as server:
            run_script(server, SCRIPT.format(name="served"))
            with lab_page(browser, server) as lab:
                lab.open()
                assert copied(lab, "served").startswith(server.url)
                (run,) = server.get("genops/runs")["runs"]
                links = server.get(f"genops/runs/{run['run_id']}/links")
                # This server listens on this machine alone, and says so.
                assert (links["shared"], "Only this machine can reach" in links["why"]) == (False, True)
                lab.page.get_by_role("button", name="Copy MLflow’s Address").click()
                assert lab.page.evaluate("() => navigator.clipboard.readText()") == links["mlflow"]
        MlflowClient(url).log_image(
            run["run_id"], np.zeros((40, 50, 3), dtype=np.uint8), key="theirs", step=0
        )
        page = browser.new_context(viewport={"width": 1600, "height": 1000}).new_page()
        page.goto(links["mlflow"])
        expect(page.get_by_role("heading", name="served")).to_be_visible(timeout=60_000)
        page.get_by_role("tab", name="Model metrics").click()
        # Ours, by their small copies, beside those of MLflow's own call.
        expect(page.get_by_text("theirs", exact=True)).to_be_visible()
        expect(page.get_by_text("samples", exact=True)).to_be_visible()
        page.wait_for_function(
            "() => [...document.images].filter(i => [250, 256].includes(i.naturalWidth)).length === 2"
        )
        page.context.close()
