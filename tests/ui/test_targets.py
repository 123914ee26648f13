"""From a line of the ssh_config to a notebook that runs on that host, and through a cut: a real sshd on loopback."""

from __future__ import annotations

import contextlib
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from tests.support import exhaustive
from tests.support.browser import PICTURES_ASKED, LabPage
from tests.support.lab_server import LabServer
from tests.support.rooms import eventually
from tests.support.sshd import Sshd, make_key

from .hosts import ssh_config

pytestmark = [pytest.mark.ui, pytest.mark.slow, pytest.mark.timeout(300)]

PASSPHRASE = "open sesame"
PATIENT_MS = 60_000


@pytest.fixture(scope="module")
def host() -> Iterator[Sshd]:
    """A host whose ``python3`` has ipykernel."""
    with Sshd(environment={"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}) as found:
        yield found


@pytest.fixture(scope="module")
def server(server: LabServer, host: Sshd) -> Iterator[LabServer]:
    """The shared Lab; its user's ssh_config names the host twice: with a key, and with one that needs a passphrase.

    The host's key is not known yet.
    """
    locked = make_key(host.folder / "locked_key", passphrase=PASSPHRASE)
    with host.authorized_keys.open("a") as keys:
        keys.write(locked.with_suffix(".pub").read_text())
    host.known_hosts.write_text("")
    plain = host.write_config(IdentityAgent=None).read_text()
    other = plain.replace(f"Host {host.alias}\n", "Host locked-host\n").replace(
        str(host.user_key), str(locked)
    )
    with ssh_config(server, plain + other):
        yield server


@pytest.fixture(scope="module")
def lab(module_page: LabPage) -> LabPage:
    """One page for the whole way: each test begins where the one before it ended."""
    module_page.start()
    return module_page


def looked_at(lab: LabPage, name: str, selector: str, *, daily: bool = True) -> None:
    """Pictures in both themes, without serious findings."""
    lab.looks(f"targets-{name}", selector, (1280, 1000), daily=daily)


def popup_looked_at(lab: LabPage, name: str, opener: Locator, *, daily: bool = True) -> None:
    """As ``looked_at``, for a popup, which a change of the theme may close."""
    if not (daily or PICTURES_ASKED or exhaustive.ALL):
        return
    popup = lab.page.locator(".gol-Popup")
    for theme in ("dark", "light"):
        lab.theme(theme)
        if not popup.is_visible():
            opener.click()
        expect(popup).to_be_visible()
        lab.shot(f"{name}-{theme}")
        assert lab.serious_findings(".gol-Popup", colours_alone=theme == "dark") == []


def card(lab: LabPage, name: str) -> Locator:
    return lab.section("Compute").get_by_role("region", name=f"Target {name}", exact=True)


def dialog(lab: LabPage) -> Locator:
    return lab.page.get_by_role("dialog")


def item(lab: LabPage) -> Locator:
    """The item in the toolbar of the notebook that is shown."""
    return lab.page.locator(".jp-NotebookPanel:visible .gol-TargetItem-button")


def run(lab: LabPage, code: str, expected: str) -> None:
    """Run code in a new cell of the notebook that is shown and wait for what it prints."""
    lab.page.locator(".jp-NotebookPanel:visible .jp-Cell").last.locator(".cm-content").click()
    lab.page.keyboard.insert_text(code)
    lab.page.keyboard.press("Shift+Enter")
    output = lab.page.locator(".jp-NotebookPanel:visible .jp-OutputArea-output", has_text=expected)
    expect(output.last).to_be_visible(timeout=PATIENT_MS)


def test_a_host_of_the_ssh_config_is_added_with_one_click(lab: LabPage, host: Sshd) -> None:
    compute = lab.section("Compute")
    compute.get_by_role("button", name="Import from ~/.ssh/config").click()
    candidates = compute.get_by_role("list", name="Hosts of your ssh_config")
    expect(candidates.get_by_role("listitem")).to_have_count(2)
    looked_at(lab, "none", "#genops-lab-section-compute-body", daily=False)
    candidates.get_by_role("listitem").filter(has_text=host.alias).get_by_role("button").click()

    question = dialog(lab)
    expect(question.locator("code")).to_have_text(host.fingerprint(), timeout=PATIENT_MS)
    expect(question.get_by_role("button", name="Do not connect")).to_be_focused()
    strip = lab.panel().get_by_role("region", name="Needs attention")
    expect(strip).to_contain_text(f"{host.alias}: Do you trust the host {host.alias}?")
    looked_at(lab, "host-key", ".jp-Dialog")
    question.get_by_role("button", name="Trust this key").click()
    expect(strip).to_have_count(0)

    ready = question.get_by_text(re.compile("is ready|works, with"))
    expect(ready).to_be_visible(timeout=PATIENT_MS)
    steps = question.get_by_role("listitem")
    expect(steps.filter(has_text="ipykernel")).to_contain_text("passed")
    looked_at(lab, "tested", ".jp-Dialog", daily=False)
    question.get_by_role("button", name="Done").click()
    expect(question).to_have_count(0)

    added = card(lab, host.alias)
    expect(added).to_contain_text("connected")
    expect(added.get_by_role("meter", name="Memory")).to_be_visible(timeout=PATIENT_MS)
    looked_at(lab, "cards", "#genops-lab-section-compute-body")
    assert lab.problems == []


def test_what_fails_says_what_to_do_and_leaves_nothing_behind(
    lab: LabPage, server: LabServer, host: Sshd
) -> None:
    lab.section("Compute").get_by_role("button", name="Add a target…").click()
    form = dialog(lab)
    expect(
        form.get_by_label("Host", exact=True)
    ).to_be_focused()  # the dialog moves the focus when it is open
    form.get_by_label("Host", exact=True).fill(host.alias)
    form.get_by_label("Name", exact=True).fill("second")
    form.get_by_label("Python on the host").fill("no-such-python")
    looked_at(lab, "add", ".jp-Dialog")
    form.get_by_text("More").click()
    form.get_by_label("Ask above (MiB)").fill("1.5")
    looked_at(lab, "add-more", ".jp-Dialog", daily=False)
    lab.page.keyboard.press("Enter")
    failed = form.get_by_role("listitem").filter(has_text="failed")
    expect(failed).to_contain_text("no-such-python", timeout=PATIENT_MS)
    expect(form.get_by_role("button", name="Add anyway")).to_be_visible()
    looked_at(lab, "failed", ".jp-Dialog")

    form.get_by_role("button", name="Edit").click()
    expect(form.get_by_label("Python on the host")).to_have_value("no-such-python")
    form.get_by_role("button", name="Cancel").click()
    expect(form).to_have_count(0)
    assert [each["name"] for each in server.get("genops/targets")] == [host.alias]


def test_a_passphrase_is_asked_and_a_question_goes_with_its_connection(
    lab: LabPage, server: LabServer
) -> None:
    status, answer = server.request(
        "POST", "genops/targets", {"name": "locked", "host": "locked-host", "price_per_hour": 2.1}
    )
    assert status == 200, answer
    locked = card(lab, "locked")
    expect(locked).to_contain_text("2.1 USD/h")
    question = dialog(lab)

    locked.get_by_role("button", name="Connect").click()
    field = question.locator("input[type=password]")
    expect(field).to_be_focused(timeout=PATIENT_MS)
    looked_at(lab, "passphrase", ".jp-Dialog", daily=False)
    server.request("POST", "genops/targets/locked/disconnect")
    expect(question).to_have_count(0)

    locked.get_by_role("button", name="Connect").click()
    field.fill("not it", timeout=PATIENT_MS)
    lab.page.keyboard.press("Enter")
    # A wrong one is asked for again.
    expect(field).to_have_value("", timeout=PATIENT_MS)
    expect(field).to_be_focused(timeout=PATIENT_MS)
    field.fill(PASSPHRASE)
    lab.page.keyboard.press("Enter")
    expect(locked.locator(".gol-StatusBadge").first).to_have_text("connected", timeout=PATIENT_MS)
    expect(question).to_have_count(0)
    assert PASSPHRASE not in server.log
    assert PASSPHRASE not in lab.page.content()

    locked.get_by_role("button", name="Delete locked").click()
    question.get_by_role("button", name="Delete").click()
    expect(locked).to_have_count(0)


def test_a_notebook_runs_there_and_outlives_a_cut(lab: LabPage, host: Sshd) -> None:
    card(lab, host.alias).get_by_role("button", name="New notebook").click()
    expect(item(lab)).to_have_attribute(
        "aria-label", re.compile(rf"{host.alias}, connected"), timeout=PATIENT_MS
    )
    run(lab, "import os; kept = 42; print('home', os.environ['HOME'])", f"home {host.home}")

    kernels = card(lab, host.alias)
    kernels.get_by_role("button", name="Running kernels").click()
    expect(kernels.get_by_role("list", name=f"Kernels on {host.alias}")).to_contain_text("this Lab")

    host.stop()
    expect(item(lab)).to_contain_text("disconnected", timeout=PATIENT_MS)
    expect(card(lab, host.alias)).to_contain_text("Its kernels keep running")
    item(lab).click()
    popup = dialog(lab)
    expect(popup.get_by_role("button", name="Reconnect")).to_be_visible()
    popup_looked_at(lab, "targets-disconnected", item(lab))
    assert "dead" not in lab.page.locator("body").inner_text().lower()

    host.start()
    expect(item(lab)).to_have_attribute(
        "aria-label", re.compile(rf"{host.alias}, connected"), timeout=PATIENT_MS
    )
    expect(popup.get_by_role("button", name="Disconnect")).to_be_visible()
    lab.page.keyboard.press("Escape")
    expect(popup).to_have_count(0)
    run(lab, "print('kept', kept)", "kept 42")
    assert lab.problems == []


def test_a_port_of_the_kernel_opens_in_a_tab_sandboxed_unless_it_is_trusted(
    lab: LabPage, host: Sshd, tmp_path: Path
) -> None:
    program = Path(__file__).parents[1] / "ports" / "program.py"
    command = [sys.executable, str(program), "0", str(tmp_path)]
    run(
        lab,
        f"import subprocess, time\nprogram = subprocess.Popen({command!r})\n"
        f"while not os.path.exists({str(tmp_path / 'port')!r}): time.sleep(0.05)\nprint('listens')",
        "listens",
    )
    card(lab, host.alias).get_by_role("button", name="Running kernels").click()  # closed by the cut
    opener = card(lab, host.alias).get_by_role("button", name=re.compile("Open a port of"))
    for trusted in (False, True):
        opener.click()
        expect(dialog(lab).get_by_label("Port", exact=True)).to_contain_text("program.py")
        if trusted:
            dialog(lab).get_by_label("Trust its pages").check()
        else:
            looked_at(lab, "open-port", ".gol-FormDialog")
        with lab.page.context.expect_page() as tab:
            dialog(lab).get_by_role("button", name="Open", exact=True).click()
        with contextlib.closing(tab.value) as page:  # left open, it would hide the Lab's own
            expect(page.locator("#said")).to_have_text("answered 200" if trusted else "refused")
    run(lab, "program.kill(); print('ended', program.wait())", "ended -9")


def test_the_log_of_a_kernel_is_one_click_away(lab: LabPage) -> None:
    item(lab).click()
    dialog(lab).get_by_role("button", name="Kernel log").click()
    log = lab.page.get_by_role("log")
    expect(log).to_be_visible()
    expect(log).not_to_contain_text("Loading")
    looked_at(lab, "kernel-log", ".gol-TaskLog", daily=False)
    lab.execute("application:close")
    expect(log).to_have_count(0)


def test_files_are_brought_back_once_they_were_seen(lab: LabPage, server: LabServer, host: Sshd) -> None:
    work = server.home.work
    run(
        lab,
        "print('wrote', open('result.csv', 'w').write('1,2'), open('note.txt', 'w').write('theirs'))",
        "wrote 3",
    )
    (work / "note.txt").write_text("mine!")
    item(lab).click()
    dialog(lab).get_by_role("button", name="Pull files…").click()
    pull = dialog(lab)
    expect(pull.get_by_role("table", name="Files to pull")).to_contain_text("result.csv", timeout=PATIENT_MS)
    expect(pull.get_by_role("table", name="Files changed on both sides")).to_contain_text("note.txt")
    looked_at(lab, "pull", ".jp-Dialog")
    assert not (work / "result.csv").exists()
    pull.get_by_label("Pull these too, and keep a copy of my versions").check()
    pull.get_by_role("button", name="Pull", exact=True).click()
    expect(pull).to_contain_text("2 files pulled", timeout=PATIENT_MS)
    looked_at(lab, "pulled", ".jp-Dialog", daily=False)
    pull.get_by_role("button", name="Close").click()
    assert (work / "result.csv").read_text() == "1,2" and (work / "note.txt").read_text() == "theirs"
    assert [kept.read_text() for kept in work.glob("note.mine-*.txt")] == ["mine!"]
    assert lab.problems == []


def test_a_terminal_and_the_files_of_the_host_are_tabs(lab: LabPage, server: LabServer, host: Sshd) -> None:
    page = lab.page
    card(lab, host.alias).get_by_role("button", name=f"Open a terminal on {host.alias}").click()
    terminal = page.locator(".jp-Terminal:visible")
    terminal.click(timeout=PATIENT_MS)
    page.keyboard.type("echo lr = $((6*7)) > train.py; tput cols; cat train.py\n")
    train = host.home / "train.py"  # a canvas shows the text
    eventually(lambda: train.exists() and train.read_text(), lambda text: text == "lr = 42\n", 60)
    expect(page.get_by_role("tab", name=host.alias, exact=True)).to_have_count(1)
    looked_at(lab, "terminal", ".jp-Terminal")
    lab.execute("application:close")
    eventually(lambda: server.get("api/terminals"), lambda found: found == [], 60)

    item(lab).click()
    dialog(lab).get_by_role("button", name="Browse files").click()
    files = page.locator(f"[id='genops-files-{host.alias}']")
    entry = files.get_by_role("listitem", name=re.compile("train.py"))
    expect(entry).to_be_visible(timeout=PATIENT_MS)
    looked_at(lab, "files", f"[id='genops-files-{host.alias}'] .jp-DirListing")
    entry.dblclick()
    editor = page.locator(".jp-FileEditor:visible .cm-content")
    expect(editor).to_contain_text("lr = 42", timeout=PATIENT_MS)
    editor.click()
    page.keyboard.press("Control+a")
    page.keyboard.type("lr = 43")
    lab.execute("docmanager:save")
    eventually(train.read_text, lambda text: text == "lr = 43", 60)
    page.get_by_role("tab", name=f"Files of {host.alias}").click()
    with page.expect_file_chooser() as chooser:
        files.get_by_role("button", name="Upload Files").click()
    chooser.value.set_files([{"name": "data.csv", "mimeType": "text/csv", "buffer": b"a,b\n1,2\n"}])
    expect(files.get_by_role("listitem", name=re.compile("data.csv"))).to_be_visible(timeout=PATIENT_MS)
    assert (host.home / "data.csv").read_text() == "a,b\n1,2\n"
    lab.execute("application:close")
    lab.execute("application:close")
    expect(files).to_have_count(0)
    assert lab.problems == []


def test_the_notebook_moves_to_another_place(lab: LabPage, server: LabServer, host: Sshd) -> None:
    item(lab).click()
    dialog(lab).get_by_role("button", name="Move to another target…").click()
    picker = dialog(lab)
    expect(picker.get_by_role("radio", name=re.compile(host.alias))).to_be_checked()
    expect(picker.get_by_role("button", name="Restart kernel")).to_be_disabled()
    picker.get_by_role("radio", name=re.compile("This machine")).check()
    expect(picker).to_contain_text("The kernel’s variables will be lost.")
    looked_at(lab, "picker", ".jp-Dialog")
    lab.shot("targets-picker-wide", width=1920, height=1080)
    picker.get_by_label("Best fit for").fill("24")
    picker.get_by_role("button", name="Choose", exact=True).click()
    expect(picker.locator(".gol-BestFit-reason")).not_to_be_empty()
    picker.get_by_role("radio", name=re.compile("This machine")).check()
    picker.get_by_role("button", name="Restart kernel").click()
    expect(picker).to_have_count(0)
    expect(item(lab)).to_have_text("This machine", timeout=PATIENT_MS)
    lab.kernel_idle()
    deadline = time.monotonic() + 60
    while any(
        each["state"] == "running" for each in server.get(f"genops/targets/{host.alias}/kernels")["kernels"]
    ):
        assert time.monotonic() < deadline, "its kernel on the host was to end"
        lab.page.wait_for_timeout(200)


def test_disconnecting_is_deliberate(lab: LabPage, host: Sshd) -> None:
    there = card(lab, host.alias)
    there.get_by_role("button", name="Disconnect").click()
    expect(there).to_contain_text("not connected")
    expect(there).to_contain_text("Readings are")
    there.get_by_role("button", name="Connect").click()
    expect(there.get_by_role("button", name="Disconnect")).to_be_visible(timeout=PATIENT_MS)
    assert lab.problems == []
