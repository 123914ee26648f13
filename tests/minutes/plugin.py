"""The pytest plugin: counts what each file costs, ends what it leaves behind, and prints a line a file."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from . import budgets, figures, order, unsteady
from .accounts import Accounts
from .collecting import compiled_once, without_garbage
from .figures import Row, Run
from .lines import Lines, closing_lines, keep_warnings
from .processes import (
    MARK,
    SHARED,
    LeftBehind,
    children,
    end_what_is_left,
    families,
    mark_of,
    shared_process,
    shared_processes,
    take_in_orphans,
)

#: Seconds between two looks at all processes, and at the orphans that the leading process has taken in.
LOOK_S, ORPHANS_S = 4.0, 0.25

MAIN = "main"

#: Modules that take 0.2 CPU seconds and more to import, and that a worker may never need: a test imports them itself.
HEAVY = (
    "alembic",
    "fastapi",
    "IPython",
    "matplotlib",
    "mlflow",
    "nbformat",
    "optuna",
    "pandas",
    "psycopg",
    "scipy",
    "sklearn",
    "torch",
)


def pytest_configure(config: pytest.Config) -> None:
    worker = config.workerinput["workerid"] if hasattr(config, "workerinput") else MAIN
    if worker == MAIN:
        run = time.strftime("%Y%m%d-%H%M%S") + f"-{os.getpid()}"
        os.environ[MARK] = f"{run}:"
        os.environ[SHARED] = tempfile.mkdtemp(prefix="gol-shared-")
        config.pluginmanager.register(Minutes(config, run), "minutes")
    else:
        shared_process(worker, os.getpid())
    config.pluginmanager.register(Files(os.environ[MARK].partition(":")[0], worker), "minutes-files")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):
        items[:] = order.longest_first(items, [_file(item.nodeid) for item in items], order.durations())


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> object:
    """With ``--dist loadfile`` give some folders, too, to one worker each."""
    if config.getoption("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return order.scope(_file(nodeid))

    return Scheduling(config, log)


def _file(nodeid: str) -> str:
    return nodeid.partition("::")[0]


class Files:
    """In the process that runs tests: marks what a file starts, and ends what it leaves behind."""

    def __init__(self, run: str, worker: str) -> None:
        self._worker = worker
        self._mark = f"{run}:{worker}:"
        #: Modules of ``HEAVY`` that the collection imported.
        self.heavy: list[str] = []

    @pytest.hookimpl(wrapper=True)
    def pytest_collection(self, session: pytest.Session) -> Iterator[Any]:
        with contextlib.ExitStack() as stack:
            if self._worker != MAIN:
                shared = Path(os.environ[SHARED])
                stack.enter_context(compiled_once(self._worker, session.config.rootpath, shared))
            stack.enter_context(without_garbage())
            return (yield)

    def pytest_collection_finish(self) -> None:
        self.heavy = [name for name in HEAVY if name in sys.modules]

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
    ) -> Iterator[None]:
        """What a fixture of several files starts is shared, and has a row of its own."""
        if fixturedef.scope not in ("session", "package"):
            return (yield)
        before = os.environ[MARK]
        os.environ[MARK] = mark = f"{self._mark}shared:{fixturedef.argname}"
        try:
            result = yield
        finally:
            os.environ[MARK] = before
        for child in psutil.Process().children():
            if mark_of(child.pid) == mark and child.pid not in shared_processes():
                shared_process(f"{fixturedef.argname} of {fixturedef.baseid} ({self._worker})", child.pid)
        return result

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
        file = _file(item.nodeid)
        os.environ[MARK] = self._mark + file
        result = yield
        # After second tries, for which fixtures stay.
        if nextitem is None or _file(nextitem.nodeid) != file:
            spared = shared_processes().keys() - {os.getpid()}
            # What the fixtures of a folder start later, such as a service's worker, may serve its next file.
            goes_on = nextitem is not None and nextitem.path.parent == item.path.parent
            left = end_what_is_left(
                self._mark + file, below=os.getpid(), spared=spared, orphans_alone=goes_on
            )
            if left:
                item.ihook.pytest_runtest_logreport(report=_error(item.nodeid, _told(left)))
        return result


class Minutes:
    """In the process that leads the run: the accounts and the output."""

    def __init__(self, config: pytest.Config, run: str) -> None:
        self._config = config
        self._shared = Path(os.environ[SHARED])
        self._folder = config.rootpath / ".cache" / "minutes"
        self._accounts = Accounts(os.getpid(), run)
        asked_for = {Path(part).resolve() for part in config.args}
        narrowed = any(
            config.getoption(name, None) for name in ("keyword", "markexpr", "lf", "all", "collectonly")
        )
        complete = asked_for <= {config.rootpath, config.rootpath / "tests"} and not narrowed
        self._run = Run(run, time.time(), complete, workers=0)
        self._started = time.monotonic()
        self._workers: dict[str, int] = {}
        self._rows: dict[tuple[str, str], Row] = {}
        self._booked: defaultdict[str, tuple[float, float]] = defaultdict(lambda: (self._started, 0.0))
        self._tests: dict[str, set[str]] = {}
        self._outcomes: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._ended: set[str] = set()
        self._finished: set[str] = set()
        self._running: dict[str, float] = {}
        self._lock = threading.RLock()
        self._over = threading.Event()
        self._looks: threading.Thread | None = None
        self._quiet = config.get_verbosity() <= 0
        self._count = 0
        self._looked = 0.0

    # -- the course of a run

    @pytest.hookimpl(trylast=True)
    def pytest_sessionstart(self) -> None:
        self._lines = Lines(self._config.pluginmanager.get_plugin("terminalreporter"))
        self._distributed = self._config.pluginmanager.has_plugin("dsession")
        if self._quiet:
            self._lines.leave_out_warnings()
        if not self._distributed:
            self._workers[MAIN] = os.getpid()
            return
        if self._quiet:
            self._lines.take_the_place_of_dots()
        self._run.loop_ms.append(figures.calibrating_ms())
        self._looks = threading.Thread(target=self._go_on_looking, name="minutes", daemon=True)
        self._looks.start()

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodeready(self, node: Any) -> None:
        if not self._workers:
            take_in_orphans(self._workers.values, self._accounts.waited_for)
        worker = node.gateway.id
        self._workers[worker] = next(pid for pid, name in shared_processes().items() if name == worker)
        self._look()

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: Any, ids: list[str]) -> None:
        self._collected(node.gateway.id, ids)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        if not self._distributed:
            self._collected(MAIN, [item.nodeid for item in session.items])

    def _collected(self, worker: str, ids: list[str]) -> None:
        for test in ids:
            self._tests.setdefault(_file(test), set()).add(test)
        self._count = sum(map(len, self._tests.values()))
        self._book(worker, Row(f"(collection, {worker})", "collection", worker))

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._running[nodeid] = time.monotonic()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        node = getattr(report, "node", None)
        worker = node.gateway.id if node else MAIN
        self._outcome(report)
        if report.when != "teardown":
            return
        file = _file(report.nodeid)
        self._running.pop(report.nodeid, None)
        self._finished.add(report.nodeid)
        if self._tests.get(file, set()) <= self._finished:
            row = self._book(worker, Row(file, "file", worker, tests=len(self._tests.get(file, ()))))
            self._ended.add(file)
            if self._distributed and self._quiet:
                self._lines.file_ended(row, self._outcomes[file], len(self._tests) - len(self._ended))
        elif not self._distributed and time.monotonic() - self._looked > LOOK_S:
            self._look()

    def _outcome(self, report: pytest.TestReport) -> None:
        outcome = str(report.outcome)
        if outcome == "failed" and report.when != "call":
            outcome = "error"
        if outcome != "passed" or report.when == "call":
            self._outcomes[_file(report.nodeid)][outcome] += 1
        if self._distributed and self._quiet and outcome in ("failed", "error", "rerun"):
            self._lines.say(f"       {outcome.upper()} {report.nodeid}", red=True)

    @pytest.hookimpl(wrapper=True)
    def pytest_report_teststatus(self) -> Iterator[None]:
        category, letter, word = yield
        if self._distributed and self._quiet:
            return category, "", ""
        return category, letter, word

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        self._over.set()
        if self._looks:
            self._looks.join()
        reporter = self._config.pluginmanager.get_plugin("terminalreporter")
        for worker in self._workers:
            self._book(worker, Row(f"(end, {worker})", "other", worker))
        mark = os.environ[MARK].partition(":")[0] + ":"
        left = end_what_is_left(mark, below=os.getpid())
        if left:
            _fail(session, reporter, "the run", _told(left))
        if self._config.getoption("reruns", None):
            again = {report.nodeid for report in reporter.stats.get("rerun", [])}
            failed = {report.nodeid for report in reporter.stats.get("failed", [])}
            for test, when in unsteady.remember(again - failed, unsteady.history_file()).items():
                message = f"It passed on a second try, as on {when}. Find the cause: see UNSTEADY."
                _fail(session, reporter, test, message)
        self._keep()
        shutil.rmtree(self._shared, ignore_errors=True)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        show = terminalreporter
        first_tries = show.stats.get("rerun", [])
        if first_tries:
            show.section("UNSTEADY: failed and were run again", sep="=", red=True)
        for report in first_tries:
            show.section(report.nodeid, sep="_")
            show.line(report.longreprtext)
            for name, text in report.sections:
                show.section(name, sep="-")
                show.line(text[-8000:])
        warned = show.stats.get("warnings", [])
        show.section("minutes", sep="=")
        for line in closing_lines(self._run, self._file):
            show.line(line)
        if not self._config.getoption("all", False):
            for line in budgets.passed_by(self._run, budgets.budgets()):
                show.line(f"WARNING: {line}", yellow=True)
        if warned and self._quiet:
            show.line(keep_warnings(warned, self._folder / "warnings.txt"))

    # -- the accounts

    def _go_on_looking(self) -> None:
        while not self._over.wait(ORPHANS_S):
            with self._lock:
                orphans = [pid for pid in children() if not self._accounts.is_root(pid)]
                self._accounts.note_orphans(families(orphans))  # a child may become one at its end
            if time.monotonic() - self._looked < LOOK_S:
                continue
            self._look()
            if self._quiet:
                self._lines.sign_of_life(len(self._finished), self._count, self._running)

    def _look(self) -> None:
        with self._lock:
            for pid, name in shared_processes().items():
                self._accounts.own(pid, name)
            self._accounts.update()
            self._looked = time.monotonic()

    def _book(self, worker: str, row: Row) -> Row:
        """Book what a worker used since it was last booked."""
        with self._lock:
            self._look()
            row = self._rows.setdefault((row.name, worker), row)
            then, used = self._booked[worker]
            now = self._booked[worker] = (time.monotonic(), self._accounts.spent(worker))
            row.wall_s += now[0] - then
            row.cpu_s += now[1] - used
            return row

    def _keep(self) -> None:
        with self._lock:
            self._look()
            run, accounts = self._run, self._accounts
            run.workers = len(self._workers)
            run.rows = list(self._rows.values())
            for name in accounts.owners() - self._workers.keys() - {MAIN}:
                run.rows.append(Row(name, "shared", cpu_s=accounts.spent(name)))
            if self._distributed:
                own = sum(os.times()[:2])
                run.rows.append(Row("(pytest's leading process)", "other", cpu_s=own))
                # It waited for them, and whose they were is unknown.
                unseen = Row(
                    "(orphans that ended between two looks)", "other", cpu_s=accounts.spent(MAIN) - own
                )
                run.rows.append(unseen)
                run.loop_ms.append(figures.calibrating_ms())
            run.wall_s, run.cpu_s = time.monotonic() - self._started, accounts.total()
            self._file = figures.keep(run, self._folder)


def _told(left: list[LeftBehind]) -> str:
    return "\n".join(["Processes were left behind, and ended now:", *map(str, left)])


def _error(name: str, text: str) -> pytest.TestReport:
    return pytest.TestReport(name, (name, None, name), {}, "failed", text, "teardown")


def _fail(session: pytest.Session, reporter: Any, name: str, text: str) -> None:
    """Make the run end red, with an error that its summary and its closing line show."""
    reporter.stats.setdefault("error", []).append(_error(name, text))
    session.exitstatus = pytest.ExitCode.TESTS_FAILED
