"""``%%profile`` in a kernel under Nsight Systems: real ipykernels, and a stand-in for nsys, which can be broken
at will and has exports of a GPU (the real one: ``test_profile_real_nsys``)."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from genops_lab.kernels.nsight.launch import under_systems
from genops_lab.profiling import analyze
from genops_lab.runtime.errors import GenOpsError
from genops_lab.runtime.profiling import RecordingOptions, external_tool, nsight
from genops_lab.runtime.profiling.nsight import REPORT, NsightCapture, Session, found_in
from tests.support.homes import Home
from tests.support.nsys import NsysStandIn, nsys_stand_in

from .kernels import RunningKernel, said_on
from .nsight_kernel import kernel_under, without_profiles
from .stand_in import LabStandIn

KERNELS = (
    "CREATE TABLE CUPTI_ACTIVITY_KIND_KERNEL (start, end, deviceId, streamId, correlationId);"
    "INSERT INTO CUPTI_ACTIVITY_KIND_KERNEL VALUES (1000, 3000, 0, 7, 5);"
)
CALLS = (
    "CREATE TABLE CUPTI_ACTIVITY_KIND_RUNTIME (start, end, correlationId);"
    "INSERT INTO CUPTI_ACTIVITY_KIND_RUNTIME VALUES (1000, 3000, 5);"
)
BUSY = (
    "CREATE TABLE DIAGNOSTIC_EVENT (timestamp, text);"
    "INSERT INTO DIAGNOSTIC_EVENT VALUES (1, 'CUPTI_ERROR_MULTIPLE_SUBSCRIBERS_NOT_SUPPORTED');"
)


def database(path: Path, statements: str) -> Path:
    path.unlink(missing_ok=True)
    with sqlite3.connect(path) as connection:
        connection.executescript(statements)
    connection.close()
    return path


class Notebook(NamedTuple):
    """A kernel under nsys, and the Lab that it finds."""

    kernel: RunningKernel
    lab: LabStandIn
    nsys: NsysStandIn


@pytest.fixture(scope="module")
def notebook(module_home: Home) -> Iterator[Notebook]:
    """A kernel as the provisioner starts it, with the extension loaded; all tests profile in it."""
    nsys = nsys_stand_in(module_home.path / "tools")
    start = under_systems(str(nsys.program), [], module_home.environment())
    with kernel_under(start, module_home) as (kernel, lab):
        yield Notebook(kernel, lab, nsys)


@pytest.fixture
def home(module_home: Home) -> Home:
    return without_profiles(module_home)


@pytest.fixture
def nsys(home: Home, notebook: Notebook) -> NsysStandIn:
    """As it is after the kernel's start: nothing is recorded, nothing refused."""
    found = notebook.nsys
    for session in found.folder.glob("session-*"):
        session.write_text("")
    for refusal in found.folder.glob("refuse-*"):
        refusal.unlink()
    (found.folder / "called").write_text("".join(f"{call}\n" for call in found.calls("launch")))
    found.export(database(home.path / "made.sqlite", KERNELS).read_bytes())
    return found


@pytest.fixture
def kernel(notebook: Notebook, nsys: NsysStandIn) -> RunningKernel:
    return notebook.kernel


@pytest.fixture
def lab(notebook: Notebook) -> LabStandIn:
    return notebook.lab


@pytest.fixture
def profiles(lab: LabStandIn) -> list[dict[str, Any]]:
    """The Lab takes them; what it was sent."""
    given: list[dict[str, Any]] = []

    def add(body: dict[str, Any]) -> tuple[int, Any]:
        given.append(body)
        return 200, {"id": "p1", "title": body["title"], "created_at": 1.0, "state": "failed", "message": "x"}

    lab.answers["POST", "/genops/profiles"] = add
    return given


def test_nsys_records_the_cell_and_its_export_is_handed_over(
    kernel: RunningKernel, profiles: list[dict[str, Any]], nsys: NsysStandIn, home: Home
) -> None:
    for number in (1, 2):
        cell = kernel.ok(f"%%profile --title again --stacks\nnumber = {number}\nnumber")
        assert cell.result == str(number)
        trace = Path(profiles[-1]["trace_path"])
        assert trace.parent.parent == home.data / "profiles" and trace.stat().st_mode & 0o777 == 0o600
        assert sorted(each.name for each in trace.parent.iterdir()) == ["report.nsys-rep", "trace.sqlite"]
        assert analyze(trace).devices[0].busy_us == 2.0
        assert "Nsight Systems recorded" in said_on(cell)
        assert "This tool has no --stacks." in said_on(cell)
    assert len(nsys.calls("launch")) == 1, "a kernel for both"
    (name,) = {line.split()[1] for verb in ("start", "stop") for line in nsys.calls(verb)}
    assert name == nsys.calls("launch")[0].split()[1].replace("-new", "")


def test_between_cells_nothing_is_recorded_and_profiles_do_not_nest(
    kernel: RunningKernel, profiles: list[dict[str, Any]], nsys: NsysStandIn
) -> None:
    kernel.ok("1 + 1")
    assert nsys.calls("start") == []
    cell = kernel.run("%%profile\nimport genops\nwith genops.profile('inner'):\n    pass")
    assert cell.status == "error" and "profiles do not nest" in cell.reply["evalue"]
    assert len(nsys.calls("start")) == len(nsys.calls("stop")) == 1
    assert len(profiles) == 1, "the outer one is kept"


def test_a_long_cell_is_recorded_for_a_bounded_time(
    kernel: RunningKernel, profiles: list[dict[str, Any]], nsys: NsysStandIn
) -> None:
    code = f"""%%profile --seconds 0.5
import time
until = time.time() + 60
while "stop " not in open({str(nsys.folder / "called")!r}).read() and time.time() < until:
    time.sleep(0.05)
time.time() < until"""
    cell = kernel.ok(code)
    assert cell.result == "True", "it ended while the cell went on"
    assert "until 0.5 s (more with --seconds)" in said_on(cell)
    assert len(nsys.calls("stop")) == 1 and len(profiles) == 1


def test_an_interrupt_ends_the_cell_and_neither_kernel_nor_profile(
    kernel: RunningKernel, profiles: list[dict[str, Any]]
) -> None:
    sent = kernel.send("%%profile\nprint('runs')\nimport time\ntime.sleep(100)")
    kernel.wait_for("stream")
    kernel.manager.interrupt_kernel()
    cell = kernel.finish(sent)
    assert cell.reply["ename"] == "KeyboardInterrupt"
    assert len(profiles) == 1
    assert kernel.ok("2 + 3").result == "5", "nsys and the kernel live"


def test_an_interrupt_of_the_beginning_leaves_nothing_and_the_next_one_records(
    kernel: RunningKernel, profiles: list[dict[str, Any]], nsys: NsysStandIn, home: Home
) -> None:
    nsys.dawdle(True)
    sent = kernel.send("%%profile\n1 + 1")
    deadline = time.monotonic() + 60
    while not any(each.read_text() for each in nsys.folder.glob("session-*")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    kernel.manager.interrupt_kernel()
    assert kernel.finish(sent).reply["ename"] == "KeyboardInterrupt"
    assert list((home.data / "profiles").iterdir()) == [] and profiles == []
    nsys.dawdle(False)
    assert kernel.ok("%%profile\n2 + 3").result == "5"
    assert len(profiles) == 1


def test_a_forked_child_has_no_collection(kernel: RunningKernel, profiles: list[dict[str, Any]]) -> None:
    code = """%%profile
import os
from genops_lab.runtime.profiling.external_tool import OutsideCapture
child = os.fork()
if not child:
    os._exit(OutsideCapture.active is not None)
os.waitpid(child, 0)[1]"""
    assert kernel.ok(code).result == "0"
    assert len(profiles) == 1


@pytest.mark.parametrize(
    ("verb", "text", "said"),
    [
        ("start", "disk is full", "could not begin to record: disk is full"),
        ("stop", "CUPTI_ERROR_MULTIPLE_SUBSCRIBERS_NOT_SUPPORTED", "Another program profiles this GPU"),
        ("export", "report is damaged", "could not export its report: report is damaged"),
    ],
)
def test_what_nsys_refuses_is_said(
    kernel: RunningKernel, profiles: list[dict[str, Any]], nsys: NsysStandIn, verb: str, text: str, said: str
) -> None:
    nsys.refuse(verb, text)
    cell = kernel.run("%%profile\n1 + 1")
    assert said in cell.stream("stderr") + cell.reply.get("evalue", "")
    assert profiles == []
    if verb == "export":
        assert "The report is kept. To open it in Nsight Systems:" in cell.stream("stderr")
    if verb == "start":
        assert cell.status == "error", "nothing runs that was to be recorded and is not"
        (nsys.folder / "refuse-start").unlink()
        kernel.ok("%%profile\n1 + 1")
        assert len(profiles) == 1


def test_a_collection_of_nothing_is_named(
    kernel: RunningKernel, profiles: list[dict[str, Any]], nsys: NsysStandIn, home: Home
) -> None:
    nsys.export(database(home.path / "empty.sqlite", "CREATE TABLE PROCESSES (a)").read_bytes())
    cell = kernel.ok("%%profile\n1 + 1")
    assert "recorded no CUDA call and no NVTX range of this cell" in cell.stream("stderr")
    assert profiles == [] and list((home.data / "profiles").iterdir()) == []


def test_what_an_export_lacks(tmp_path: Path) -> None:
    assert found_in(database(tmp_path / "whole.sqlite", KERNELS + CALLS)) == ""
    assert "no events of the cuda device" in found_in(database(tmp_path / "calls.sqlite", CALLS))
    assert "Another program profiles" in found_in(database(tmp_path / "busy.sqlite", CALLS + BUSY))
    with pytest.raises(GenOpsError, match="recorded no CUDA call") as raised:
        found_in(database(tmp_path / "none.sqlite", BUSY))
    assert "Another program profiles" in raised.value.hint
    (tmp_path / "text.sqlite").write_text("no database" * 100)
    with pytest.raises(GenOpsError, match="Cannot read the export"):
        found_in(tmp_path / "text.sqlite")


class Nvtx:
    """PyTorch has no NVTX here: a list stands in for it."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def range_push(self, name: str) -> None:
        self.said.append(name)

    def range_pop(self) -> None:
        self.said.append("end")

    def range_start(self, name: str) -> str:
        self.said.append(name)
        return name

    def range_end(self, name: str) -> None:
        self.said.append(f"end of {name}")


@pytest.fixture
def nvtx(home: Home, monkeypatch: pytest.MonkeyPatch) -> Nvtx:
    """Marks of captures in this process; PyTorch's operators are not among them."""
    pytest.importorskip("torch", reason="PyTorch is an extra")
    monkeypatch.setenv("GENOPS_DATA_DIR", str(home.data))
    made = Nvtx()
    monkeypatch.setattr(external_tool, "nvtx", lambda: made)
    return made


def captured(nsys: NsysStandIn, wishes: RecordingOptions, code: str) -> nsight.NsightCapture:
    """A capture of this code, which is the cell ``In[1]``; it has ended."""
    (nsys.folder / "session-s").write_text("")
    capture = nsight.NsightCapture("t", nsight.Session(str(nsys.program), "s"), {"<cell>": "In[1]"}, wishes)
    compiled = compile(code, "<cell>", "exec")
    capture.start()
    exec(compiled, {})
    capture.close()
    return capture


def test_lines_are_ranges(nsys: NsysStandIn, nvtx: Nvtx) -> None:
    captured(nsys, RecordingOptions(), "a = 1\nb = 2\n")
    begun = [name for name in nvtx.said if name != "end"]
    assert begun[:2] == ["genops:line:In%5B1%5D:1", "genops:line:In%5B1%5D:2"]
    assert nvtx.said.count("end") == len(begun)


def test_steps_are_ranges_and_a_bound(nsys: NsysStandIn, nvtx: Nvtx) -> None:
    code = f"""
import time, torch
weight = torch.zeros(1, requires_grad=True)
optimizer = torch.optim.SGD([weight], lr=0.1)
for _ in range(5):
    optimizer.step()
until = time.time() + 60
while "stop " not in open({str(nsys.folder / "called")!r}).read():
    assert time.time() < until, "it ends before the cell does"
    time.sleep(0.05)
"""
    capture = captured(nsys, RecordingOptions(steps=2, warmup=1, lines=False), code)
    assert nvtx.said == [
        "ProfilerStep#1", "end of ProfilerStep#1", "ProfilerStep#2", "end of ProfilerStep#2", "ProfilerStep#3",
        "end of ProfilerStep#3",
    ]  # fmt: skip
    assert "until 3 optimizer steps (see --steps)" in capture._summary()
    assert len(nsys.calls("stop")) == 1


def test_a_report_that_is_long_in_coming_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``nsys stop`` may come back before it is there; beside other work it took more than ten seconds."""
    monkeypatch.setattr(nsight, "_STREAM_STAYS_S", 0.2)
    capture = NsightCapture("slow", Session("nsys", "s"), {})
    capture.folder = tmp_path
    late = threading.Timer(0.6, (tmp_path / REPORT).touch)
    late.start()
    capture._wait_for_the_report()
    late.join()
    (tmp_path / REPORT).rename(tmp_path / "report.qdstrm")
    with pytest.raises(GenOpsError, match=r"wrote no report, but report\.qdstrm"):
        capture._wait_for_the_report()
