"""``%%profile`` in a kernel under Nsight Compute: real ipykernels and NVTX; stand-ins for ncu and for the driver."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from genops_lab.kernels.nsight.launch import under_compute
from genops_lab.profiling.engine.kinds import Kind
from genops_lab.profiling.engine.reading.ncu import read
from genops_lab.runtime.errors import GenOpsError
from genops_lab.runtime.profiling import RecordingOptions, external_tool, ncu
from genops_lab.runtime.profiling.ncu import Measuring, NcuCapture
from genops_lab.runtime.profiling.ncu_report import Broken, cut, measured_in, state
from tests.support import exhaustive
from tests.support.homes import Home
from tests.support.ncu import LAUNCH, NcuStandIn, ncu_stand_in
from tests.support.ncu_reports import Writer, kernel
from tests.support.nsight_tools import real_ncu, real_reports

from .kernels import RunningKernel, said_on
from .nsight_kernel import kernel_under, without_profiles
from .stand_in import LabStandIn


class Measured(NamedTuple):
    """A kernel under ncu, and the Lab that it finds."""

    kernel: RunningKernel
    lab: LabStandIn
    tool: NcuStandIn


@pytest.fixture(scope="module")
def measured(module_home: Home) -> Iterator[Measured]:
    """A kernel as the provisioner starts it, with the extension loaded; all tests profile in it."""
    tool = ncu_stand_in(module_home.path / "tools")
    start = under_compute(str(tool.program), [], module_home.environment(), "full")
    with kernel_under(start, module_home, LAUNCH) as (found, lab):
        yield Measured(found, lab, tool)
    start.ending.do()


@pytest.fixture
def home(module_home: Home) -> Home:
    return without_profiles(module_home)


@pytest.fixture
def tool(measured: Measured) -> Iterator[NcuStandIn]:
    yield measured.tool
    (measured.tool.folder / "forbidden").unlink(missing_ok=True)


@pytest.fixture
def notebook(measured: Measured, home: Home) -> RunningKernel:
    return measured.kernel


@pytest.fixture
def lab(measured: Measured) -> LabStandIn:
    return measured.lab


@pytest.fixture
def profiles(lab: LabStandIn) -> list[dict[str, Any]]:
    """The Lab takes them; what it was sent."""
    given: list[dict[str, Any]] = []

    def add(body: dict[str, Any]) -> tuple[int, Any]:
        given.append(body)
        return 200, {"id": "p1", "title": body["title"], "created_at": 1.0, "state": "failed", "message": "x"}

    lab.answers["POST", "/genops/profiles"] = add
    return given


def kernels_in(report: Path, home: Home, real: bool = False) -> list[str]:
    """The kernels of a report, without ranges, as our engine reads it; with ``make test-all`` and where asked as the
    real ncu does."""
    columns = read(report)
    names = [columns.names[each] for each in columns.name[columns.kind == Kind.COMPUTE].tolist()]
    found = [name for name in names if name != "(range)"]
    if real or exhaustive.ALL:
        done = subprocess.run(
            [str(real_ncu()), "--import", str(report), "--csv", "--page", "raw"],
            env=home.environment(), capture_output=True, text=True, check=True,
        )  # fmt: skip
        head, _units, *rows = done.stdout.splitlines()
        at = head.split(",").index('"Kernel Name"')
        assert found == [row.split('","')[at] for row in rows]
    return found


def test_a_cell_has_a_report_of_its_own_kernels_with_its_lines(
    notebook: RunningKernel, profiles: list[dict[str, Any]], home: Home
) -> None:
    pytest.importorskip("nvtx", reason="PyPI's nvtx has no wheel for this Python")
    notebook.ok("launch('between cells')")
    for names in (["gemm", "relu"], ["softmax"]):
        cell = notebook.ok("%%profile --stacks\n" + "\n".join(f"launch({name!r})" for name in names))
        trace = Path(profiles[-1]["trace_path"])
        assert trace.name == "measured.ncu-rep" and trace.stat().st_mode & 0o777 == 0o600
        assert kernels_in(trace, home) == names
        many = f"{len(names)} GPU kernel{'s' if len(names) > 1 else ''}"
        assert f"Nsight Compute measured {many} (full set) in" in said_on(cell)
        assert "This tool has no --stacks." in said_on(cell)
    ranges = trace.read_bytes()
    number = b"In%%5B%d%%5D" % cell.reply["execution_count"]
    assert b"genops:cell:" + number in ranges and b"genops:line:" + number + b":" in ranges
    assert b"relu" not in ranges, "the names of the cells before it are there, their kernels are not"


def test_a_cell_without_a_kernel_is_named(
    notebook: RunningKernel, profiles: list[dict[str, Any]], home: Home
) -> None:
    cell = notebook.ok("%%profile\n1 + 1")
    assert "Nsight Compute measured no GPU kernel in this cell. Profile a cell that launches" in cell.stream(
        "stderr"
    )
    assert profiles == [] and list((home.data / "profiles").iterdir()) == []


def test_what_ncu_says_is_named(
    notebook: RunningKernel, profiles: list[dict[str, Any]], tool: NcuStandIn
) -> None:
    tool.forbid()
    cell = notebook.ok("%%profile\nlaunch('gemm')")
    assert "NVreg_RestrictProfilingToAdminUsers" in cell.stream("stderr") and profiles == []


def test_an_interrupt_keeps_the_kernel_and_what_was_measured(
    notebook: RunningKernel, profiles: list[dict[str, Any]], home: Home
) -> None:
    sent = notebook.send("%%profile\nlaunch('gemm')\nprint('runs')\nimport time\ntime.sleep(100)")
    notebook.wait_for("stream")
    notebook.manager.interrupt_kernel()
    assert notebook.finish(sent).reply["ename"] == "KeyboardInterrupt"
    assert kernels_in(Path(profiles[0]["trace_path"]), home) == ["gemm"]
    assert notebook.ok("2 + 3").result == "5"


def test_a_long_cell_is_measured_for_a_bounded_time(
    notebook: RunningKernel, profiles: list[dict[str, Any]], home: Home
) -> None:
    cell = notebook.ok(
        "%%profile --seconds 0.3\nimport time\nlaunch('early')\ntime.sleep(1)\nlaunch('late')\nprint('goes on')"
    )
    assert "goes on" in cell.stream("stdout") and "until 0.3 s (more with --seconds)" in said_on(cell)
    assert kernels_in(Path(profiles[0]["trace_path"]), home) == ["early"]


class Calls:
    """The driver's side, without one: kernels are measured between start and stop."""

    def __init__(self, folder: Path) -> None:
        self.report, self.log = folder / "report.ncu-rep", folder / "ncu.log"
        self.writer, self.on = Writer(), False
        #: Measured, and written later.
        self.late: list[str] | None = None
        self.report.write_bytes(self.writer.head())
        self.log.touch()

    def start(self) -> None:
        assert not self.on
        self.on = True

    def stop(self) -> None:
        self.on = False

    def launch(self, name: str) -> None:
        if self.on:
            with self.log.open("a") as log:
                log.write(f'==PROF== Profiling "{name}" - 0: 0%....100% - 8 passes\n')
            if self.late is None:
                self.write(name)
            else:
                self.late.append(name)

    def write(self, *names: str) -> None:
        with self.report.open("ab") as report:
            for name in names:
                report.write(self.writer.block([kernel(name)]))


@pytest.fixture
def calls(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Calls:
    """Captures in this process."""
    made = Calls(tmp_path)
    monkeypatch.setenv("GENOPS_DATA_DIR", str(home.data))
    monkeypatch.setattr(ncu, "Driver", lambda: made)
    monkeypatch.setattr(external_tool, "nvtx", lambda: None)
    return made


@pytest.mark.parametrize(
    ("wishes", "measured", "said"),
    [
        (RecordingOptions(), ["step 3"], "measured 1 GPU kernel of 1 optimizer step (basic set)"),
        (
            RecordingOptions(warmup=1, steps=2),
            ["step 2", "step 3"],
            "measured 2 GPU kernels of 2 optimizer steps",
        ),
        (
            RecordingOptions(warmup=0, steps=2),
            ["step 1", "step 2"],
            "measured 2 GPU kernels of 2 optimizer steps",
        ),
        (RecordingOptions(warmup=9), ["step 1"], "measured 1 GPU kernel (basic set)"),
    ],
)
def test_a_step_behind_others_is_measured(
    calls: Calls, tmp_path: Path, home: Home, wishes: RecordingOptions, measured: list[str], said: str
) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is an extra")
    capture = NcuCapture("t", Measuring(tmp_path, "basic"), {}, wishes)
    weight = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.SGD([weight], lr=0.1)
    capture.start()
    for step in range(1, 6):
        calls.launch(f"step {step}")
        optimizer.step()
        deadline = time.monotonic() + 10
        while step == capture.wishes.warmup + capture.wishes.steps and capture._recording:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    capture.close()
    capture._written()
    assert kernels_in(Path(capture.trace_path), home) == measured
    assert said in capture.note


def test_what_ncu_has_not_written_is_said(
    calls: Calls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ncu, "_WRITTEN_S", 0.3)
    capture = NcuCapture("t", Measuring(tmp_path, "basic"), {}, RecordingOptions())
    capture.start()
    calls.launch("gemm")
    with calls.log.open("a") as log:
        log.write('==PROF== Profiling "lost" - 1: 0%\n')
    capture.close()
    capture._written()
    assert "1 measured GPU kernels are missing in ncu's report." in capture.note
    again = NcuCapture("t", Measuring(tmp_path, "basic"), {}, RecordingOptions())
    again.start()
    with calls.log.open("a") as log:
        log.write('==PROF== Profiling "lost" - 2: 0%\n')
    again.close()
    with pytest.raises(GenOpsError, match="measured 1 GPU kernels but wrote none"):
        again._written()


def test_a_cell_has_none_of_the_kernels_that_ncu_still_writes_of_the_one_before(
    calls: Calls, tmp_path: Path, home: Home
) -> None:
    of, calls.late = Measuring(tmp_path, "basic"), []
    interrupted = NcuCapture("t", of, {}, RecordingOptions())
    interrupted.start()
    calls.launch("old 1")
    calls.launch("old 2")
    interrupted.close()  # nobody waits for its results
    capture = NcuCapture("t", of, {}, RecordingOptions())
    capture.start()
    calls.write("old 1", "old 2")
    calls.launch("new 1")
    calls.launch("new 2")
    capture.close()
    writing = threading.Timer(0.3, calls.write, ("new 1", "new 2"))
    writing.start()
    capture._written()
    writing.join()
    assert kernels_in(Path(capture.trace_path), home) == ["new 1", "new 2"]
    assert "measured 2 GPU kernels" in capture.note and "missing in ncu's report" not in capture.note


def test_an_interrupt_behind_the_beginning_leaves_nothing(
    calls: Calls, tmp_path: Path, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_own_line: bool) -> None:
        assert calls.on
        raise KeyboardInterrupt

    of = Measuring(tmp_path, "basic")
    capture = NcuCapture("t", of, {}, RecordingOptions())
    monkeypatch.setattr(capture, "_mark", interrupted)
    with pytest.raises(KeyboardInterrupt):
        capture.start()
    assert not calls.on and list((home.data / "profiles").iterdir()) == []
    again = NcuCapture("t", of, {}, RecordingOptions())
    again.start()
    calls.launch("gemm")
    again.close()
    again._written()
    assert kernels_in(Path(again.trace_path), home) == ["gemm"]


def test_without_a_driver_nothing_begins(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENOPS_DATA_DIR", str(home.data))
    with pytest.raises(GenOpsError, match="Nsight Compute needs a CUDA driver"):
        NcuCapture("t", Measuring(tmp_path, "basic"), {}).start()
    assert list((home.data / "profiles").iterdir()) == []


def test_reports_are_cut_by_results(tmp_path: Path, home: Home) -> None:
    writer = Writer()
    whole = writer.head() + writer.block([kernel("a"), kernel("b")], sources=[b"of a", b"of b"])
    whole += writer.block([kernel("r", kind="range"), kernel("c"), kernel("d", metrics={"of_d": 1.0})])
    report = tmp_path / "report.ncu-rep"
    report.write_bytes(whole)
    assert state(report) == (5, True)
    for first, left in ((0, 5), (1, 4), (3, 2), (5, 0)):
        target = tmp_path / f"{first}.ncu-rep"
        assert cut(report, first, target) == left
        assert state(target) == (left, True)
    assert (tmp_path / "0.ncu-rep").read_bytes() == whole
    assert kernels_in(tmp_path / "1.ncu-rep", home, real=True)[:1] == ["b"]


def test_a_report_that_is_being_written_is_whole_up_to_its_last_block(tmp_path: Path) -> None:
    writer = Writer()
    head, one, two = writer.head(), writer.block([kernel("a")]), writer.block([kernel("b")])
    report = tmp_path / "report.ncu-rep"
    whole = head + one + two
    ends = {0: 0, len(head): 0, len(head + one): 1, len(whole): 2}
    for length in range(len(whole) + 1):
        report.write_bytes(whole[:length])
        results = max(count for end, count in ends.items() if end <= length)
        assert state(report) == (results, length in ends), length
    assert state(tmp_path / "none") == (0, True)


@pytest.mark.exhaustive
def test_the_real_reports_are_read_and_cut(tmp_path: Path, home: Home) -> None:
    real_ncu()
    assert real_reports()
    for number, report in enumerate(real_reports()):
        target = tmp_path / f"{number}.ncu-rep"
        assert state(report) == (1, True)
        assert cut(report, 0, target) == 1 and target.read_bytes() == report.read_bytes()
        two = tmp_path / f"{number}-two.ncu-rep"
        two.write_bytes(report.read_bytes() + report.read_bytes()[4 + 4 + 2 :])
        assert state(two)[0] == 2 and cut(two, 1, tmp_path / f"{number}-second.ncu-rep") == 1
        (name,) = kernels_in(tmp_path / f"{number}-second.ncu-rep", home)
        assert [name] == kernels_in(report, home)


@pytest.mark.parametrize(
    "content",
    [b"text, no report", b"NVR\0\xff\xff\xff\xff", b"NVR\0\x02\0\0\0\x08\x07\x02\0\0\0\x0b\x01",
     b"NVR\0\x02\0\0\0\x08\x07\x02\0\0\0\x22\x7f", b"NVR\0\x02\0\0\0\x08\x07\x02\0\0\0\x10\xff"],
)  # fmt: skip
def test_what_is_no_report_is_refused(tmp_path: Path, content: bytes) -> None:
    report = tmp_path / "report.ncu-rep"
    report.write_bytes(content)
    with pytest.raises(Broken):
        state(report)


def test_the_log_tells_how_many_were_measured() -> None:
    said = (
        '==PROF== Connected to process 1\n==PROF== Profiling "a" - 0: 0%....100% - 8 passes\n'
        '==PROF== Profiling "b" - 1: 0%\n==ERROR== Failed to profile "b" in process 1\n'
    )
    assert measured_in(said) == 1


def test_the_end_is_told_from_any_thread(tmp_path: Path, tool: NcuStandIn) -> None:
    """The driver wants a context in the thread that asks; the bound of time has a thread of its own."""
    code = f"import threading\nfrom genops_lab.runtime.profiling.ncu import Driver\n{LAUNCH}"
    code += "driver = Driver(); driver.start(); launch('a')\n"
    code += "thread = threading.Thread(target=driver.stop); thread.start(); thread.join(); launch('b')\n"
    subprocess.run(
        [str(tool.program), "-o", f"{tmp_path}/r", "--log-file", f"{tmp_path}/l", sys.executable, "-c", code],
        check=True,
    )
    assert state(tmp_path / "r.ncu-rep") == (1, True)
