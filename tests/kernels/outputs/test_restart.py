"""The server is killed, stopped and started again while cells run on a target: real servers, kernels, files."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psutil
import pytest

from genops_lab.hosts.link.payload import payload
from tests.support.homes import Home
from tests.support.lab_server import LabServer, running_lab

from .notebooks import cells_of, text_of, write_notebook
from .pages import Labs, RemoteLab, a_remote_lab, eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

COUNT = 60
CODE = f"""import os, time
print('pid', os.getpid())
for i in range({COUNT}):
    print(i, flush=True)
    time.sleep(0.1)
kept = 7
kept"""
NUMBERS = "".join(f"{number}\n" for number in range(COUNT))


@pytest.fixture(scope="module")
def module_lab(module_home: Home) -> Iterator[RemoteLab]:
    with a_remote_lab(module_home) as found:
        yield found


@pytest.fixture
def lab(module_lab: RemoteLab) -> Iterator[RemoteLab]:
    yield module_lab
    module_lab.tidy()


def begin(lab: Labs, path: str, cell_id: str = "cell1") -> dict[str, Any]:
    """Open a notebook, start its cell, wait for its first lines; the session."""
    session = lab.open(path)
    page = lab.page(session["kernel"]["id"])
    page.send(cell_id, CODE)
    page.printed("2\n")
    page.close()
    return session


def ids(session: dict[str, Any]) -> tuple[str, ...]:
    return (session["id"], session["path"], session["name"], session["type"], session["kernel"]["id"])


def sessions(lab: Labs) -> dict[str, tuple[str, ...]]:
    return {session["path"]: ids(session) for session in lab.server.get("api/sessions")}


def numbers(text: str) -> str:
    """What a cell printed but its first line."""
    return text.partition("\n")[2]


def pid_in(text: str) -> int:
    return int(text.partition("\n")[0].removeprefix("pid "))


def code_cells(path: Any) -> list[Any]:
    """The code cells on disk; none while the file is being written."""
    import nbformat

    try:
        return [cell for cell in cells_of(path) if cell.cell_type == "code"]
    except (FileNotFoundError, nbformat.reader.NotJSONError):
        return []


def wait_for(path: Any, index: int = 0) -> list[Any]:
    """The code cells once one of them has all numbers."""
    return eventually(
        lambda: code_cells(path),
        lambda cells: len(cells) > index and numbers(text_of(cells[index])) == NUMBERS,
    )


def first_answer(server: LabServer, kernel_id: str) -> int:
    """The status of the first answer of a server that is about to start, on one of its kernels."""
    while True:
        with contextlib.suppress(OSError):
            return server.request("GET", f"api/kernels/{kernel_id}")[0]
        time.sleep(0.005)


def test_killed_in_the_middle_of_cells(lab: RemoteLab) -> None:
    import nbformat

    work = lab.home.work
    for name in ("plain", "changed", "deleted", "died"):
        write_notebook(work / f"{name}.ipynb", {"cell1": CODE, "cell2": "mine"})
    opened = {name: begin(lab, f"{name}.ipynb") for name in ("plain", "changed", "deleted", "died")}
    died = opened["died"]["kernel"]["id"]
    (so_far,) = lab.executions(died)["executions"]
    # A page deletes the cell that runs, and saves.
    notebook = nbformat.read(work / "deleted.ipynb", as_version=4)
    del notebook.cells[0]
    body = {"type": "notebook", "format": "json", "content": notebook}
    assert lab.server.request("PUT", "api/contents/deleted.ipynb", body)[0] == 200
    before = sessions(lab)
    for name in opened:
        eventually(lambda name=name: lab.has_seen(work / f"{name}.ipynb"))

    lab.kill()
    write_notebook(work / "changed.ipynb", {"cell1": CODE, "cell2": "changed by somebody else"})
    changed = (work / "changed.ipynb").read_bytes()
    os.kill(pid_in(so_far["outputs"][0]["text"]), signal.SIGKILL)
    with ThreadPoolExecutor() as pool:
        asked = {pool.submit(first_answer, lab.server, each["kernel"]["id"]) for each in opened.values()}
        lab.start_again()
        assert {each.result() for each in asked} == {200}  # an error would be the kernel's death to a page

    assert sessions(lab) == before  # in the very first answer
    (cell, other) = wait_for(work / "plain.ipynb")  # each number exactly once, in order
    assert [output.output_type for output in cell.outputs] == ["stream", "execute_result"]
    assert cell.execution_count == 1 and other.outputs == []

    beside = wait_for(work / "changed.recovered.ipynb")
    assert (work / "changed.ipynb").read_bytes() == changed
    assert beside[1].source == "changed by somebody else"

    wait_for(work / "deleted.ipynb", 1)
    own, heading, recovered = cells_of(work / "deleted.ipynb")
    assert own.source == "mine" and "Recovered outputs" in heading.source and recovered.source == CODE

    text = eventually(lambda: "".join(map(text_of, code_cells(work / "died.ipynb"))))
    assert text.startswith(so_far["outputs"][0]["text"]) and "signal 9" in text
    dead = eventually(
        lambda: lab.server.get(f"api/kernels/{died}"), lambda kernel: kernel["execution_state"] == "dead"
    )
    assert "signal 9" in dead["reason"]
    page = lab.page(died, browser=True)
    refused = page.run("late", "1")
    assert refused["ename"] == "KernelEnded" and "signal 9" in refused["evalue"], refused
    page.close()

    # The kernel is the one that it was, and nothing is wanted any more.
    page = lab.page(opened["plain"]["kernel"]["id"])
    page.send("cell2", "print('kept is', kept)")
    page.printed("kept is 7")
    for name in ("plain", "changed", "deleted"):
        kernel_id = opened[name]["kernel"]["id"]
        left = lab.executions(kernel_id)["executions"]
        assert "cell1" not in [run["cell_id"] for run in left], name
    page.close()


def test_a_laptop_that_sleeps_while_a_cell_runs(lab: RemoteLab) -> None:
    """Everything of the Lab stands still, its connection is gone when it wakes up, and the cell has ended long ago."""
    path = lab.home.work / "plain.ipynb"
    write_notebook(path, {"cell1": CODE + "\nopen('ended', 'w').close()", "cell2": "mine"})
    session = lab.open("plain.ipynb")
    kernel_id = session["kernel"]["id"]
    page = lab.page(kernel_id)
    page.send("cell1", CODE + "\nopen('ended', 'w').close()")
    page.printed("2\n")
    page.close()
    server = psutil.Process(lab.server.process.pid)
    agent = payload()[1]
    carriers = [each for each in server.children(recursive=True) if agent in each.cmdline()]
    assert carriers
    asleep = [server, *server.children(recursive=True)]
    for process in asleep:
        process.suspend()
    try:
        for carrier in carriers:
            carrier.kill()
        ended = eventually(lambda: list(lab.home.path.rglob("ended")))
        assert ended
    finally:
        for process in asleep:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()
    (cell, _other) = wait_for(path)  # each number exactly once, in order
    assert cell.execution_count == 1
    page = lab.page(kernel_id)
    page.send("cell2", "print('kept is', kept)")
    page.printed("kept is 7")
    page.close()


def test_a_kernel_that_the_user_shuts_down_is_over(lab: RemoteLab) -> None:
    lab.write_notebook({"cell1": CODE})
    session = begin(lab, "work.ipynb")
    kernel_id = session["kernel"]["id"]
    wait_for(lab.notebook)  # no page is there
    assert lab.server.request("DELETE", f"api/sessions/{session['id']}")[0] == 204
    kernels = lab.server.get("genops/targets/here/kernels")["kernels"]
    assert [kernel["state"] for kernel in kernels if kernel["kernel_id"] == kernel_id] in ([], ["ended"])
    lab.kill()
    lab.start_again()
    assert lab.server.get("api/sessions") == [] and lab.server.get("api/kernels") == []


def test_the_host_is_away_when_the_server_comes_back(lab: RemoteLab) -> None:
    lab.write_notebook({"cell1": CODE})
    session = begin(lab, "work.ipynb")
    kernel_id = session["kernel"]["id"]
    lab.kill()
    lab.away.touch()
    lab.start_again()
    assert sessions(lab) == {"work.ipynb": ids(session)}
    page = lab.page(kernel_id)  # it can be connected to, though nothing answers
    account = lab.executions(kernel_id)
    assert account["recovering"] and not account["ended"] and account["executions"] == []
    assert lab.server.get(f"api/kernels/{kernel_id}")["execution_state"] != "dead"
    msg_id = page.send("cell2", "print('kept is', kept)")  # and be asked
    lab.away.unlink()
    assert page.reply(msg_id)["status"] == "ok"
    page.close()
    wait_for(lab.notebook)
    recovered = eventually(lambda: code_cells(lab.notebook), lambda cells: len(cells) == 2)[1]
    assert text_of(recovered) == "kept is 7\n"


def test_a_second_server_leaves_the_first_ones_kernels_alone(lab: RemoteLab) -> None:
    lab.write_notebook({"cell1": CODE})
    session = begin(lab, "work.ipynb")
    with running_lab(lab.home) as second:
        assert second.get("api/sessions") == []
    assert sessions(lab) == {"work.ipynb": ids(session)}
    wait_for(lab.notebook)


def test_a_notebook_that_was_moved_is_found_where_it_is(lab: RemoteLab) -> None:
    lab.write_notebook({"cell1": CODE})
    session = begin(lab, "work.ipynb")
    assert lab.server.request("PATCH", "api/contents/work.ipynb", {"path": "moved.ipynb"})[0] == 200
    changed = {"path": "moved.ipynb", "name": "moved.ipynb"}
    assert lab.server.request("PATCH", f"api/sessions/{session['id']}", changed)[0] == 200
    lab.kill()
    lab.start_again()
    assert sessions(lab) == {"moved.ipynb": ids({**session, **changed})}
    moved = lab.home.work / "moved.ipynb"
    wait_for(moved)
    assert not lab.notebook.exists()


def test_stopped_in_the_middle_of_a_cell_with_a_page_that_comes_back(lab: RemoteLab) -> None:
    import nbformat

    lab.write_notebook({"cell1": CODE})
    session = begin(lab, "work.ipynb")
    kernel_id = session["kernel"]["id"]
    lab.stop()
    before = lab.notebook.read_bytes()
    lab.start_again(left_to_page_s=20)
    assert sessions(lab) == {"work.ipynb": ids(session)}

    page = lab.page(kernel_id)  # at once, though the kernel is busy
    eventually(lambda: lab.executions(kernel_id)["executions"])
    account = eventually(
        lambda: lab.executions(kernel_id), lambda found: found["executions"][0]["state"] == "done"
    )
    (run,) = account["executions"]
    assert numbers(run["outputs"][0]["text"]) == NUMBERS
    assert (run["status"], run["execution_count"], run["code"]) == ("ok", 1, CODE)
    assert lab.notebook.read_bytes() == before  # the page merges and saves, not we under it

    def take(notebook: Any) -> None:
        notebook.cells[0].outputs = [nbformat.from_dict(output) for output in run["outputs"]]
        notebook.cells[0].execution_count = run["execution_count"]

    lab.save(take)
    eventually(lambda: lab.executions(kernel_id)["executions"] == [])
    page.close()
