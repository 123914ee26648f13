"""``%%profile`` in notebooks: its options, wrong ones, and bad days."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.homes import Home
from tests.support.needs import need_torch

from .kernels import RunningKernel, running_kernel, said_on
from .profiled import WORK, operators

need_torch()
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def one_kernel(module_home: Home) -> Iterator[RunningKernel]:
    """A kernel for what records nothing, without a Lab."""
    env = module_home.environment(GENOPS_SOCKET=str(module_home.path / "s" / "none"))
    with running_kernel(sys.executable, env, module_home.work) as found:
        found.ok("%load_ext genops_lab")
        yield found


@pytest.fixture
def kernel(torch_kernel: RunningKernel) -> RunningKernel:
    """With PyTorch imported."""
    return torch_kernel


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("--steps 0", "--steps: must be 1 or more"),
        ("--steps many", "--steps: 'many' is not a whole number"),
        ("--steps", "--steps: expected one argument"),
        ("--warmup -1", "--warmup: must be 0 or more"),
        ("--seconds -1", "--seconds: must be above 0"),
        ("--seconds inf", "--seconds: must be above 0"),
        ("--megabytes nan", "--megabytes: must be above 0"),
        ("--usd-per-hour cheap", "--usd-per-hour: 'cheap' is not a price in USD"),
        ("--shape", "unrecognized arguments: --shape; did you mean --shapes?"),
        ("work()", "unrecognized arguments: work()."),
        ("--title 'open", "Close the quote."),
        ("--set full", "%%profile has no --set. Nsight Compute fixes its metric set when it starts"),
        ("--set=full", "Restart Kernel with Nsight Compute"),
    ],
)
def test_a_wrong_option_is_named_and_nothing_runs(
    one_kernel: RunningKernel, given: str, message: str
) -> None:
    cell = one_kernel.run(f"%%profile {given}\nran = 1")
    assert message in cell.reply["evalue"]
    assert ("usage: %%profile" in cell.reply["evalue"]) == ("quote" not in message and "--set" not in given)
    assert one_kernel.ok("'ran' in globals()").result == "False"


@pytest.mark.parametrize("line", ["%profile", "%profile --shapes", "%track --name alone"])
def test_a_line_without_a_statement_is_told_and_nothing_runs(one_kernel: RunningKernel, line: str) -> None:
    """One sign in place of two: the cell below it would not be recorded."""
    cell = one_kernel.run(f"{line}\nbelow = 1")
    name = line.split()[0]
    assert f"{name} has no statement, so nothing ran." in cell.reply["evalue"]
    assert f"%{name} (two signs) above a cell" in cell.reply["evalue"]
    assert one_kernel.ok("'below' in globals()").result == "False"


@pytest.mark.parametrize(
    ("options", "has"),
    [
        pytest.param("--shapes", "Input Dims", marks=pytest.mark.exhaustive),
        pytest.param("--stacks", "python_function", marks=pytest.mark.exhaustive),
        pytest.param("--memory", "[memory]", marks=pytest.mark.exhaustive),
        ("--shapes --stacks --memory", "Input Dims, python_function, [memory]"),
        ("--graphs", "aten::mm"),
        ("--no-lines", "aten::mm"),
    ],
)
def test_each_option_works_in_a_notebook(
    kernel: RunningKernel, profiles: list[dict[str, Any]], options: str, has: str
) -> None:
    cell = kernel.ok(f"%%profile {options} --usd-per-hour 2.5\n{WORK}\n7")
    assert cell.result == "7" and cell.stream("stderr") == ""
    assert profiles[0]["usd_per_hour"] == 2.5
    text = Path(profiles[0]["trace_path"]).read_text(encoding="utf-8", errors="replace")
    assert all(word in text for word in has.split(", ")) and ("genops:line" in text) == (
        options != "--no-lines"
    )


def test_another_profiler_is_told_in_a_notebook(
    kernel: RunningKernel, profiles: list[dict[str, Any]]
) -> None:
    kernel.ok("import torch\nown = torch.profiler.profile()\nown.__enter__()")
    cell = kernel.run("%%profile\nran = 1")
    assert "Another PyTorch profiler is already recording in this kernel" in cell.reply["evalue"]
    kernel.ok("own.__exit__(None, None, None)")
    assert kernel.ok("'ran' in globals(), len(own.key_averages()) >= 0\n").result == "(False, True)"
    kernel.ok(f"%%profile\n{WORK}")
    assert "aten::mm" in operators(profiles[0]["trace_path"]), "and then it works"


def test_a_full_disk_is_told_in_a_notebook(
    kernel: RunningKernel, profiles: list[dict[str, Any]], home: Home
) -> None:
    cell = kernel.ok(
        f"%%profile\n{WORK}\nfor _ in range(500): torch.ones(2)\nimport resource, signal, sys\n"
        "sys.dont_write_bytecode = True\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))"
    )
    assert "Cannot write the trace" in said_on(cell)
    assert "Free disk space there" in cell.stream("stderr")
    assert profiles == [] and list((home.data / "profiles").iterdir()) == []
