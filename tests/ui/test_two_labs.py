"""Two Labs of two people's machines and one kernel: the second asks before it takes it, the first sees that and takes
it back."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, expect

from tests.support.browser import LabPage, lab_page
from tests.support.homes import Home
from tests.support.lab_server import LabServer, running_lab
from tests.support.sshd import Sshd

from .hosts import ssh_config
from .test_targets import PATIENT_MS, card, item, popup_looked_at

pytestmark = [pytest.mark.ui, pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def labs(
    browser: Browser, server: LabServer, module_page: LabPage, module_home: Home
) -> Iterator[tuple[LabPage, LabPage, str]]:
    """Two pages, of the shared Lab and another one, both connected to the same host, and the target's name."""
    with ExitStack() as stack:
        host = stack.enter_context(Sshd(environment={"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}))
        other = stack.enter_context(running_lab(module_home))
        module_page.start()
        second = stack.enter_context(lab_page(browser, other))
        second.open()
        for page in (module_page, second):
            config = host.write_config(IdentityAgent=None).read_text()
            stack.enter_context(ssh_config(page.server, config))
            body = {"name": host.alias, "host": host.alias}
            status, answer = page.server.request("POST", "genops/targets", body)
            assert status == 200, answer
            card(page, host.alias).get_by_role("button", name="Connect", exact=True).click()
            expect(card(page, host.alias)).to_contain_text("connected", timeout=PATIENT_MS)
        yield module_page, second, host.alias


def run(lab: LabPage, code: str, expected: str, *, cell: int = -1) -> None:
    """Run code in a cell (the last one) of the notebook that is shown and wait for what it puts out."""
    lab.page.locator(".jp-NotebookPanel:visible .jp-Cell").nth(cell).locator(".cm-content").click()
    lab.page.keyboard.insert_text(code)
    lab.page.keyboard.press("Shift+Enter")
    output = lab.page.locator(".jp-NotebookPanel:visible .jp-OutputArea-output", has_text=expected)
    expect(output.last).to_be_visible(timeout=PATIENT_MS)


def kernels_there(lab: LabPage, name: str) -> Locator:
    toggle = card(lab, name).get_by_role("button", name="Running kernels")
    if toggle.get_attribute("aria-expanded") == "false":
        toggle.click()
    return card(lab, name).get_by_role("list", name=f"Kernels on {name}")


def test_a_kernel_is_taken_over_and_taken_back(labs: tuple[LabPage, LabPage, str]) -> None:
    first, second, name = labs
    card(first, name).get_by_role("button", name="New notebook").click()
    expect(item(first)).to_have_attribute("aria-label", re.compile("connected"), timeout=PATIENT_MS)
    run(first, "kept = 41; print('set', kept)", "set 41")
    expect(kernels_there(first, name)).to_contain_text("this Lab", timeout=PATIENT_MS)

    # The second sees whose it is, and is asked.
    there = kernels_there(second, name)
    expect(there).to_contain_text(re.compile(r"\w+@\S+"), timeout=PATIENT_MS)
    there.get_by_role("button", name=re.compile("^Attach")).click()
    question = second.page.get_by_role("dialog")
    expect(question).to_contain_text("That Lab is notified")
    assert second.serious_findings(".jp-Dialog") == []
    second.shot("two-labs-question-light")
    question.get_by_role("button", name="Cancel").click()
    expect(question).to_have_count(0)
    run(first, "print('still', kept)", "still 41")

    there.get_by_role("button", name=re.compile("^Attach")).click()
    question.get_by_role("button", name="Take over").click()
    second.page.get_by_role("button", name="Open a new notebook with the kernel").click(timeout=PATIENT_MS)
    expect(item(second)).to_have_attribute("aria-label", re.compile("connected"), timeout=PATIENT_MS)
    # Its own cell is the first: what the other Lab had not kept yet may come below, at any time.
    run(second, "kept += 1; print('here', kept)", "here 42", cell=0)
    expect(there).to_contain_text("this Lab", timeout=PATIENT_MS)

    # The first is told, in the toolbar, in the notebook, and by what it runs.
    expect(item(first)).to_contain_text("taken over", timeout=PATIENT_MS)
    run(first, "print('lost')", "This cell was not run.")
    expect(kernels_there(first, name)).not_to_contain_text("this Lab", timeout=PATIENT_MS)
    item(first).click()
    popup = first.page.get_by_role("dialog")
    expect(popup).to_contain_text("Another Lab has this kernel.")
    popup_looked_at(first, "two-labs-taken", item(first), daily=False)
    assert "dead" not in first.page.locator("body").inner_text().lower()

    popup.get_by_role("button", name="Take it back").click()
    expect(item(first)).to_have_attribute("aria-label", re.compile("connected"), timeout=PATIENT_MS)
    first.page.keyboard.press("Escape")
    run(first, "print('back', kept)", "back 42")
    expect(item(second)).to_contain_text("taken over", timeout=PATIENT_MS)
    assert first.problems == second.problems == []
