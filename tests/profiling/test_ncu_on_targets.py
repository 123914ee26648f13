"""A report of Nsight Compute that lies on a target: read there, with what its Python has, and brought on demand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from genops_lab.core.errors import Conflict
from genops_lab.profiling import analyze
from tests.support.ncu_reports import Rule, kernel, report

from .test_remote_analysis import brought, opened, python_with
from .worlds import World, a_world


@pytest.fixture
def world() -> Iterator[World]:
    with a_world() as found:
        yield found


def test_a_report_is_read_where_it_lies(world: World, tmp_path: Path) -> None:
    path, lab = world.host.home / "run" / "r.ncu-rep", world.lab
    path.parent.mkdir()
    path.write_bytes(
        report([kernel("a", us=300, rules=[Rule("CPIStall", "Warp Stall", "Waits.", speedup=20.0)])])
    )
    python = python_with(tmp_path / "python", "numpy", "msgspec")

    async def work() -> None:
        await world.connected("gpu1", python)
        found = await opened(lab, "run/r.ncu-rep")
        assert (found.state, found.message, found.trace_target) == ("ready", "", "gpu1")
        here = analyze(path)
        assert found.summary is not None
        assert (found.summary.measured, found.summary.advice) == (here.measured, here.advice)
        with pytest.raises(Conflict, match="is on gpu1") as refused:
            await lab.profiles.kernel_metrics(found.id, "0")
        assert refused.value.code == "trace_elsewhere"
        assert (await brought(lab, found.id)).trace_target == ""
        assert (await lab.profiles.kernel_metrics(found.id, "0")).name == "a"

    world.run(work())
