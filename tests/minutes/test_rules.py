"""What holds for the suite itself: a cheap collection, files in an order, budgets that add up."""

from __future__ import annotations

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import pytest

from tests.minutes import budgets, collecting, figures, order, unsteady
from tests.minutes.accounts import Accounts
from tests.minutes.figures import Row, Run
from tests.minutes.processes import Key, Seen

ROOT = Path(__file__).resolve().parents[2]


def test_collection_imports_nothing_heavy(pytestconfig: pytest.Config) -> None:
    """`python -X importtime -m pytest --collect-only -s` tells who imports it: import it in the test or fixture."""
    assert pytestconfig.pluginmanager.get_plugin("minutes-files").heavy == []


def test_one_worker_compiles_for_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tests").mkdir()
    monkeypatch.setattr(collecting, "MANY", 2)
    source = [tmp_path / "tests" / f"test_{each}.py" for each in "ab"]
    for file in source:
        file.touch()
    shared, at = tmp_path / "shared", []
    shared.mkdir()

    def second(shared: Path = shared) -> None:
        with collecting.compiled_once("gw1", tmp_path, shared):
            at.append("second")

    with ThreadPoolExecutor(1) as pool:
        with collecting.compiled_once("gw0", tmp_path, shared):
            waits = pool.submit(second)
            assert wait([waits], 0.3).not_done
            at.append("first")
        waits.result(10)
    assert at == ["first", "second"]
    compiled = tmp_path / "tests" / "__pycache__" / "test_a.cpython-3-pytest-9.pyc"
    compiled.parent.mkdir()
    compiled.touch()
    second(tmp_path)  # where one file alone must be compiled, nobody waits
    assert at == ["first", "second", "second"]


def test_the_longest_files_come_first_and_their_tests_stay_in_order() -> None:
    tests = ["a::1", "a::2", "b::1", "c::1", "b::2"]
    files = [test[0] for test in tests]
    assert order.longest_first(tests, files, {"a": 1, "b": 90}) == ["b::1", "b::2", "c::1", "a::1", "a::2"]


def test_modules_that_share_a_lab_come_in_a_row() -> None:
    tests = ["tests/core/a", "tests/ui/b", "tests/core/c", "tests/ui/d"]
    seconds = {"tests/core/a": 9.0, "tests/ui/b": 1.0, "tests/core/c": 90.0, "tests/ui/d": 8.0}
    assert order.longest_first(tests, tests, seconds) == [
        "tests/ui/d", "tests/ui/b", "tests/core/c", "tests/core/a",
    ]  # fmt: skip


def test_a_folder_that_one_worker_runs_counts_as_one_file() -> None:
    tests = ["tests/core/a", "tests/sweeps/b", "tests/core/c", "tests/sweeps/d"]
    seconds = {"tests/core/a": 9.0, "tests/sweeps/b": 6.0, "tests/core/c": 10.0, "tests/sweeps/d": 8.0}
    assert order.longest_first(tests, tests, seconds) == [
        "tests/sweeps/d", "tests/sweeps/b", "tests/core/c", "tests/core/a",
    ]  # fmt: skip


def test_budgets_that_are_too_large_or_miss_a_folder_are_told(tmp_path: Path) -> None:
    (tmp_path / "tests" / "core").mkdir(parents=True)
    (tmp_path / "tests" / "core" / "test_a.py").touch()
    fine = budgets.Budgets(whole=10, reserve=2, folders={"tests/core": 8})
    assert budgets.what_does_not_add_up(fine, tmp_path) == []
    other = budgets.Budgets(whole=10, reserve=2, folders={"tests/gone": 9})
    large, missing, gone = budgets.what_does_not_add_up(other, tmp_path)
    assert "add up to 9 CPU minutes, and 8 are there" in large
    assert missing.startswith("tests/core has no budget")
    assert gone.startswith("tests/gone has a budget and no tests")


def test_a_folder_that_passes_its_budget_is_told() -> None:
    rows = [Row("tests/core/test_a.py", "file", cpu_s=50), Row("tests/core/test_b.py", "file", cpu_s=20)]
    run = Run("1", 0.0, True, 1, rows=rows)
    found = budgets.Budgets(whole=10, reserve=2, folders={"tests/core": 1})
    assert budgets.passed_by(run, found) == ["tests/core used 1.2 CPU minutes, and its budget is 1."]


def test_budgets_are_made_from_a_run_and_always_add_up(tmp_path: Path) -> None:
    file = tmp_path / "budgets.toml"
    file.write_text("# Minutes.\nwhole = 10\nreserve = 2\n\n[folders]\n")
    rows = [Row("tests/core/test_a.py", "file", cpu_s=60), Row("tests/ui/test_b.py", "file", cpu_s=120)]
    budgets.keep_budgets(Run("1", 0.0, True, 1, rows=rows), file)
    assert budgets.budgets(file).folders == {"tests/core": 1.2, "tests/ui": 2.4}
    rows[1].cpu_s = 15 * 60
    budgets.keep_budgets(Run("1", 0.0, True, 1, rows=rows), file)
    assert budgets.budgets(file).folders == {"tests/core": 0.5, "tests/ui": 7.5}


def test_figures_are_kept_and_old_ones_go(tmp_path: Path) -> None:
    rows = [Row("a", "file", cpu_s=1.23456)]
    figures.keep(Run("000", 0.0, True, 1, rows=rows), tmp_path)
    for number in range(figures.KEPT_RUNS + 3):
        figures.keep(Run(f"1{number:02}", 0.0, False, 1), tmp_path)
    assert len(list(tmp_path.iterdir())) == figures.KEPT_RUNS + 1
    found = figures.newest(tmp_path)
    assert found is not None and found.complete and found.rows[0].cpu_s == 1.235


def test_a_second_try_is_remembered_for_twenty_runs(tmp_path: Path) -> None:
    file = tmp_path / "cache" / "unsteady.json"
    assert unsteady.remember(["t"], file) == {}
    assert unsteady.remember(["t", "other"], file).keys() == {"t"}
    for _ in range(unsteady.REMEMBERED_RUNS - 1):
        assert unsteady.remember([], file) == {}
    assert unsteady.remember(["t"], file) == {}
    assert Counter(len(run["tests"]) for run in json.loads(file.read_text())) == {0: 19, 1: 1}


class Machine:
    """Processes of a made-up machine: pid -> (parent, CPU seconds, mark)."""

    def __init__(self) -> None:
        self.processes: dict[int, tuple[int, float, str]] = {
            1: (0, 0.0, ""),
            10: (1, 1.0, ""),
            20: (10, 2.0, ""),
        }

    def look(self) -> dict[Key, Seen]:
        return {
            (pid, float(pid)): Seen((pid, float(pid)), parent, cpu, False)
            for pid, (parent, cpu, _mark) in self.processes.items()
        }

    def accounts(self) -> Accounts:
        """Of a run that 10 leads with the worker 20."""
        found = Accounts(10, "run", look=self.look, mark_of=lambda pid: self.processes[pid][2])
        found.own(20, "gw0")
        found.update()
        return found


def test_a_child_that_was_waited_for_is_counted_once() -> None:
    machine = Machine()
    accounts = machine.accounts()
    machine.processes[21] = (20, 3.0, "run:gw0:a")
    accounts.update()
    assert accounts.spent("gw0") == 5.0
    del machine.processes[21]
    machine.processes[20] = (10, 6.0, "")  # its own 2, and 4 of the child at its end
    accounts.update()
    assert (accounts.spent("gw0"), accounts.spent("main"), accounts.total()) == (6.0, 1.0, 7.0)


def test_an_orphan_is_its_workers_and_its_seconds_stay_when_it_ends() -> None:
    machine = Machine()
    accounts = machine.accounts()
    machine.processes |= {31: (1, 3.0, "run:gw0:a"), 32: (1, 9.0, "other-run:gw0:a")}
    accounts.update()
    assert (accounts.spent("gw0"), accounts.total()) == (5.0, 6.0)
    del machine.processes[31]
    accounts.update()
    assert (accounts.spent("gw0"), accounts.total()) == (5.0, 6.0)


def test_an_orphan_that_the_leading_process_waited_for_is_still_its_workers() -> None:
    machine = Machine()
    accounts = machine.accounts()
    machine.processes[31] = (10, 3.0, "run:gw0:a")
    accounts.update()
    del machine.processes[31]
    machine.processes[10] = (1, 1.0 + 3.5, "")
    accounts.waited_for[31] = 3.5
    accounts.update()
    assert accounts.spent("gw0") == pytest.approx(5.5)
    assert accounts.spent("main") == pytest.approx(1.0)


def test_an_orphan_that_ended_between_two_looks_is_its_workers_when_it_was_noted() -> None:
    machine = Machine()
    accounts = machine.accounts()
    machine.processes |= {
        31: (10, 0.0, "run:gw0:a"),
        32: (10, 0.0, "other-run:gw0:a"),
        33: (10, 0.0, "run:gw0:a"),
    }
    accounts.note_orphans([20, 31, 32])
    del machine.processes[31], machine.processes[32], machine.processes[33]
    machine.processes[10] = (1, 1.0 + 3.5 + 0.25 + 0.125, "")
    accounts.waited_for |= {31: 3.5, 32: 0.25, 33: 0.125}
    accounts.update()
    assert (accounts.spent("gw0"), accounts.spent("main")) == (5.5, 1.375)
    machine.processes[31] = (10, 2.0, "")  # the pid is another process's
    accounts.update()
    assert (accounts.spent("gw0"), accounts.spent("main")) == (5.5, 3.375)


def test_a_shared_process_takes_what_it_used_before_it_was_named() -> None:
    machine = Machine()
    accounts = machine.accounts()
    machine.processes |= {21: (20, 3.0, ""), 22: (21, 1.0, "")}
    accounts.update()
    accounts.own(21, "the Lab")
    accounts.update()
    assert (accounts.spent("gw0"), accounts.spent("the Lab")) == (2.0, 4.0)
    del machine.processes[21], machine.processes[22]
    machine.processes[20] = (10, 6.0, "")
    accounts.update()
    assert (accounts.spent("gw0"), accounts.spent("the Lab")) == (pytest.approx(2.0), 4.0)


def test_what_an_orphan_had_waited_for_is_counted_once() -> None:
    """A browser's process that starts others ends after they did, and after the browser."""
    machine = Machine()
    accounts = machine.accounts()
    machine.processes |= {21: (20, 1.0, ""), 22: (21, 0.5, ""), 23: (22, 4.0, "")}
    accounts.update()
    accounts.own(21, "the browser")
    accounts.update()
    del machine.processes[21], machine.processes[22], machine.processes[23]
    machine.processes[20] = (10, 2.0 + 1.0, "")
    machine.processes[10] = (1, 1.0 + 4.5, "")
    accounts.waited_for[22] = 4.5
    accounts.update()
    assert accounts.spent("the browser") == pytest.approx(5.5)
    assert accounts.spent("gw0") == pytest.approx(2.0)
    assert accounts.spent("main") == pytest.approx(1.0)
    assert accounts.total() == pytest.approx(8.5)
