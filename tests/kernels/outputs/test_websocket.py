"""What a page gets over its websocket: everything, also a page that stalls."""

from __future__ import annotations

import json
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_server.services.kernels.connection.channels import ZMQChannelsWebsocketConnection

from genops_lab.kernels.outputs.messages import decoded
from genops_lab.kernels.outputs.websocket import SETTING, LosslessConnection, install
from tests.support import exhaustive
from tests.support.homes import Home

from . import pages
from .pages import Labs, Page, RemoteLab, a_remote_lab, ended_afterwards, eventually

#: More than queues of messages hold, behind more bytes than lie between the server and the page.
DISPLAYS = exhaustive.times(20_000, 4_000)
FLOOD = f"for i in range({DISPLAYS}):\n    display({{'text/plain': f'{{i}} ' + 'x' * 4000}}, raw=True)"


@pytest.fixture(scope="module")
def module_lab(module_home: Home) -> Iterator[RemoteLab]:
    with a_remote_lab(module_home) as found:
        yield found


@pytest.fixture
def lab(module_lab: RemoteLab) -> Iterator[RemoteLab]:
    yield module_lab
    module_lab.tidy()


@pytest.mark.slow
def test_a_page_that_stalls_gets_every_output_once_and_in_order(lab: RemoteLab) -> None:
    everything_reaches_a_page_that_stalls(lab)


@pytest.mark.slow
@pytest.mark.exhaustive  # test_local_kernels has what Jupyter's limiter would drop
def test_a_page_that_stalls_with_a_kernel_of_this_machine(home: Home) -> None:
    lab = Labs(home, "python3", "--GenOpsLab.keep_local_kernels=True")
    with ended_afterwards(lab):
        everything_reaches_a_page_that_stalls(lab)


def everything_reaches_a_page_that_stalls(lab: Labs) -> None:
    """What a cell displays, each once and in order."""
    lab.write_notebook({"a": FLOOD})
    kernel_id = lab.open()["kernel"]["id"]
    page = lab.page(kernel_id)
    assert page.run("warm", "1")["status"] == "ok"
    msg_id = page.send("a", FLOOD)
    time.sleep(3)  # the stall itself: Jupyter's own connection would have dropped most by now
    got: list[int] = []

    def last(message: dict[str, Any]) -> bool:
        if message["parent_header"].get("msg_id") != msg_id:
            return False
        if message["msg_type"] == "display_data":
            got.append(int(message["content"]["data"]["text/plain"].partition(" ")[0]))
        assert message["msg_type"] != "stream", message["content"]  # "IOPub message rate exceeded"
        return message["msg_type"] == "status" and message["content"]["execution_state"] == "idle"

    page.until(last)
    page.close()
    assert got == list(range(DISPLAYS))


LARGE_BYTES = exhaustive.times(200_000_000, 20_000_000)
LARGE = f"display({{'text/plain': 'z' * {LARGE_BYTES}}}, raw=True)"


@pytest.mark.slow
def test_two_large_displays_hold_up_no_other_request_and_no_page(
    lab: RemoteLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "DEADLINE_S", 240.0)  # they pass the host's disk
    code = f"{LARGE}\n{LARGE}\nprint('END')"
    lab.write_notebook({"a": code})
    kernel_id = lab.open()["kernel"]["id"]
    page = lab.page(kernel_id, browser=True)
    assert page.run("warm", "1")["status"] == "ok"
    waits: list[float] = []
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            began = time.monotonic()
            lab.server.get("api/status")
            waits.append(time.monotonic() - began)
            done.wait(0.05)

    asking = threading.Thread(target=ask)
    asking.start()
    got = all_of(page, page.send("a", code))
    page.close()
    (execution,) = [each for each in lab.executions(kernel_id)["executions"] if each["cell_id"] == "a"]
    eventually(lambda: END in lab.notebook.read_text(), timeout_s=90)
    done.set()
    asking.join()
    raw = json.dumps({"data": {"text/plain": "z" * LARGE_BYTES}}).encode()
    began = time.monotonic()
    decoded(raw)
    once_s = time.monotonic() - began  # what it costs here and now to read one of them once
    print(f"longest waits of other requests: {sorted(waits)[-5:]}; one of them is read in {once_s} s")
    assert max(len(json.dumps(message)) for message in got) < 100_000
    assert any(END in str(message["content"].get("text", "")) for message in got)
    assert execution["truncated"] and Path(execution["full_output"]).stat().st_size > 2 * LARGE_BYTES
    # The page may save what it has before the server's shorter output arrives.
    eventually(lambda: lab.notebook.stat().st_size < 100_000)
    if exhaustive.ALL:  # on a machine without other work
        assert max(waits) < 1 + 15 * once_s, (once_s, sorted(waits)[-5:])


END = "END"
PRINTED = exhaustive.times(300_000, 40_000)
#: In all more than a page is given, however many they are.
LINE = "line {}" + exhaustive.times(0, 40) * "."
PRINT = f"for i in range({PRINTED}):\n    print({LINE!r}.format(i))\nraise ValueError('the end')"


def all_of(page: Page, msg_id: str) -> list[dict[str, Any]]:
    """The outputs of a run, to its idle."""
    got: list[dict[str, Any]] = []

    def last(message: dict[str, Any]) -> bool:
        if message["parent_header"].get("msg_id") == msg_id and message["channel"] == "iopub":
            got.append(message)
            return message["content"].get("execution_state") == "idle"
        return False

    page.until(last)
    return [each for each in got if each["msg_type"] not in ("status", "execute_input")]


def printed(messages: list[dict[str, Any]]) -> str:
    return "".join(each["content"]["text"] for each in messages if each["msg_type"] == "stream")


@pytest.mark.slow
def test_a_browser_is_given_what_it_can_hold_and_others_all(lab: RemoteLab) -> None:
    lab.write_notebook({"a": PRINT})
    kernel_id = lab.open()["kernel"]["id"]
    whole = "".join(f"{LINE.format(number)}\n" for number in range(PRINTED))
    browser, other = lab.page(kernel_id, browser=True), lab.page(kernel_id)
    assert browser.run("warm", "1")["status"] == "ok"
    msg_id = browser.send("a", PRINT)
    shown = all_of(browser, msg_id)
    complete = all_of(other, msg_id)
    assert printed(complete) == whole and {each["msg_type"] for each in complete} == {"stream", "error"}
    notice = next(index for index, each in enumerate(shown) if each["msg_type"] == "display_data")
    head, (*_, update, tail, error) = printed(shown[:notice]), shown[notice:]
    assert whole.startswith(head) and 1_000_000 <= len(head) < 1_500_000
    assert whole.endswith(tail["content"]["text"]) and len(tail["content"]["text"]) < 500_000
    assert error["msg_type"] == "error" and error["content"]["ename"] == "ValueError"
    for page in (browser, other):
        page.close()
    (run,) = [each for each in lab.executions(kernel_id)["executions"] if each["msg_id"] == msg_id]
    assert [each["output_type"] for each in run["outputs"]] == ["stream", "display_data", "stream", "error"]
    assert run["outputs"][0]["text"] == head and run["outputs"][2]["text"] == tail["content"]["text"]
    assert run["outputs"][1]["data"] == update["content"]["data"]
    # All of it is read in parts, and as a file.
    text = f"genops/outputs/{kernel_id}/{msg_id}"
    middle = PRINTED // 2
    part = lab.server.get(f"{text}/text?offset={middle}&limit=3")
    assert part["lines"] == [LINE.format(number) for number in range(middle, middle + 3)]
    assert part["total"] > PRINTED and not part["running"] and part["complete"]
    late = PRINTED - 22_223
    assert lab.server.get(f"{text}/find?text=LINE%20{late}")["line"] == late
    status, file = lab.server.request("GET", f"{text}/download")
    assert status == 200 and file.startswith(whole) and "ValueError" in file[len(whole) :]
    address, token = f"{lab.server.url}{text}/download", {"Authorization": f"token {lab.server.token}"}
    with urllib.request.urlopen(urllib.request.Request(address, headers=token)) as answer:
        assert answer.headers["Content-Disposition"] == 'attachment; filename="output.txt"'
        assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-store"
    _, login = lab.server.request("GET", f"{text}/download", headers={"Authorization": "token of-a-stranger"})
    assert "line 1" not in str(login)
    assert lab.server.request("GET", f"genops/outputs/{kernel_id}/none/text")[0] == 404


def test_each_page_that_comes_while_a_cell_runs_hears_that_it_does(lab: RemoteLab) -> None:
    """Jupyter tries a new connection, and keeps to itself what is said meanwhile."""
    session = lab.open()
    first = lab.page(session["kernel"]["id"])
    running = first.send("cell1", "print('begun', flush=True)\nimport time\ntime.sleep(600)")
    first.printed("begun")
    for _ in range(10):
        page = lab.page(session["kernel"]["id"])
        page.until(lambda each: each["content"].get("execution_state") == "busy")
        page.close()
    assert lab.server.request("POST", f"api/kernels/{session['kernel']['id']}/interrupt")[0] == 204
    assert first.reply(running)["ename"] == "KeyboardInterrupt"
    first.close()


def test_a_connection_of_another_extension_is_left_in_place(caplog: pytest.LogCaptureFixture) -> None:
    class Other(ZMQChannelsWebsocketConnection):
        pass

    settings: dict[str, Any] = {SETTING: Other}
    assert not install(settings)
    assert settings[SETTING] is Other
    assert "Other" in caplog.text and "complete in the saved notebook" in caplog.text
    settings[SETTING] = ZMQChannelsWebsocketConnection
    assert install(settings)
    assert settings[SETTING] is LosslessConnection
