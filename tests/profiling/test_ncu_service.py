"""Reports of Nsight Compute as profiles of the Lab, on the command line and as a page."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from genops_lab.core.errors import Conflict, InvalidRequest, NotFound
from genops_lab.profiling import analyze
from genops_lab.profiling.models import NewProfile, OpenedFile, RankQuery
from genops_lab.profiling.report import report as report_page
from genops_lab.profiling.service import metrics
from tests.commands.conftest import genops
from tests.support.homes import Home
from tests.support.ncu_reports import Rule, kernel, report

from .test_report import HOSTILE, Page
from .test_service import room

RULES = [Rule("CPIStall", "Warp Stall", "It waits.", speedup=40.0)]
KERNELS = [kernel("gemm", us=300, rules=RULES), kernel("relu", us=100)]


async def test_a_report_is_kept_as_it_is_and_tells_all_metrics_of_a_launch(home: Home) -> None:
    async with room(home) as lab:
        await lab.mlflow.ensure()
        content = report(KERNELS)
        source = lab.write("4f2a/measured.ncu-rep", "")
        source.write_bytes(content)
        added = await lab.service.add_profile(NewProfile(trace_path=str(source), title="t"))
        kept = await lab.kept(added.id)
        assert (kept.state, kept.message) == ("ready", "")
        assert kept.summary is not None and kept.summary.measured is not None
        assert [each.name for each in kept.summary.measured.kernels] == ["gemm", "relu"]
        assert (lab.root / added.id / "measured.ncu-rep").read_bytes() == content
        assert kept.size_bytes == len(content) and not source.parent.exists()
        found = await lab.service.kernel_metrics(added.id, "1")
        assert (found.number, found.name) == (1, "relu")
        assert {each.name: each.value for each in found.metrics}["gpu__time_duration.sum"] == 100_000
        with pytest.raises(NotFound, match="has no result 2"):
            await lab.service.kernel_metrics(added.id, "2")
        for number in ("-1", "x", "1" * 10):
            with pytest.raises(InvalidRequest, match="is not a launch"):
                await lab.service.kernel_metrics(added.id, number)
        nodes = (await lab.service.profile_flame(added.id)).nodes
        assert sum(node.host_us for node in nodes) == 0 and any(node.device_us for node in nodes)
        shutil.rmtree(lab.root / added.id / "columns")
        assert (await lab.service.profile_flame(added.id)).nodes, "it is read again from where it is kept"


async def test_an_opened_report_and_those_of_several_ranks(home: Home, tmp_path: Path) -> None:
    folder = tmp_path / "ranks"
    folder.mkdir()
    (folder / "r0.ncu-rep").write_bytes(report(KERNELS))
    (folder / "r1.ncu-rep").write_bytes(report([kernel("other")]))
    async with room(home, tmp_path) as lab:
        opened = await lab.service.open_profile(OpenedFile(path="ranks/r1.ncu-rep"))
        both = await lab.service.open_profile(OpenedFile(path="ranks"))
        await asyncio.gather(*lab.service._keeping)
        assert (await lab.service.kernel_metrics(opened.id, "0")).name == "other"
        assert (await lab.service.kernel_metrics(both.id, "1")).name == "relu"
        assert (await lab.service.kernel_metrics(both.id, "0", RankQuery(rank=1))).name == "other"
        summary = (await lab.service.get_profile(both.id)).summary
        assert summary is not None and summary.measured is not None
        assert [(each.name, each.rank) for each in summary.measured.kernels] == [
            ("gemm", 0),
            ("other", 1),
            ("relu", 0),
        ]


async def test_a_trace_has_no_launches_to_ask_for(home: Home) -> None:
    async with room(home) as lab:
        added = await lab.service.add_profile(NewProfile(trace_path=str(lab.write("t.json")), title="t"))
        await lab.kept(added.id)
        with pytest.raises(InvalidRequest, match="is not a report of Nsight Compute"):
            await lab.service.kernel_metrics(added.id, "0")
        lab.service._profiles.change(added.id, trace_path="gpu1:/data/t.ncu-rep")
        with pytest.raises(Conflict, match="is on gpu1"):
            await lab.service.kernel_metrics(added.id, "0")


def test_a_run_keeps_no_idle_time_of_kernels_that_ran_one_by_one(tmp_path: Path) -> None:
    path = tmp_path / "r.ncu-rep"
    path.write_bytes(report(KERNELS))
    assert metrics(analyze(path)) == {}


def test_the_command_line(home: Home) -> None:
    (home.work / "a.ncu-rep").write_bytes(report(KERNELS))
    wordy = kernel("gemm", us=200, metrics={"group:memory__dram_table": "dram__bytes_read.sum," * 30})
    (home.work / "b.ncu-rep").write_bytes(report([wordy]))
    done = genops(home, "profiles", "analyze", "a.ncu-rep", "--json")
    assert done.code == 0, done.err
    assert [each["name"] for each in done.json["measured"]["kernels"]] == ["gemm", "relu"]
    assert [each["code"] for each in done.json["advice"]] == ["ncu_cpi_stall"]
    text = " ".join(genops(home, "profiles", "analyze", "a.ncu-rep").out.split())
    assert "Measured GPU kernels on NVIDIA Test GPU (2 launches)" in text and "idle" not in text.lower()
    assert "GPU kernels by time" not in text, "they are listed above"
    assert "Record with %%profile in a notebook whose kernel runs under Nsight Compute" in text
    assert "0 gemm 1 300.000 µs 75.0 % 30.0 % 80.0 % 75.0 % of 100.0 % memory" in text
    one = genops(
        home, "profiles", "kernel-metrics", "a.ncu-rep", "1", "--filter", "LAUNCH__reg", "--json"
    ).json
    assert one["name"] == "relu"
    assert [(each["name"], each["value"], each["unit"]) for each in one["metrics"]] == [
        ("launch__registers_per_thread", 32, "register/thread")
    ]
    listed = genops(home, "profiles", "kernel-metrics", "a.ncu-rep", "1").out
    assert "Launch 1: relu" in listed and "gpu__time_duration.sum" in listed
    group = genops(home, "profiles", "kernel-metrics", "b.ncu-rep", "0", "--filter", "group:").out
    assert "dram__bytes_read.sum,dram__" in group and max(map(len, group.splitlines())) < 200
    missing = genops(home, "profiles", "kernel-metrics", "a.ncu-rep", "9")
    assert missing.code != 0 and "has no result 9" in missing.err
    (home.work / "many.ncu-rep").write_bytes(report([kernel(f"k{number}", us=0.1) for number in range(20)]))
    both = " ".join(genops(home, "profiles", "analyze", "a.ncu-rep", "many.ncu-rep").out.split())
    assert "Measured GPU kernels on NVIDIA Test GPU (15 of 22, 22 launches; --json has 22)" in both
    assert "0 0 gemm 1 300.000 µs" in both and "1 0 k0 1 0.100 µs" in both, "with their ranks"
    changed = genops(home, "profiles", "diff", "a.ncu-rep", "b.ncu-rep", "--json").json
    assert {(each["name"], each["before_us"], each["after_us"]) for each in changed["kernels"]} == {
        ("gemm", 300, 200),
        ("relu", 100, 0),
    }


def test_the_page_tells_what_was_measured_and_no_idle_time(tmp_path: Path) -> None:
    path = tmp_path / "r.ncu-rep"
    hostile = kernel(HOSTILE, us=300, rules=[Rule("CPIStall", HOSTILE, HOSTILE, speedup=40.0)])
    path.write_bytes(report([hostile, kernel("relu", us=100)]))
    page = Page(report_page(analyze(path), "t"))
    text = " ".join(page.text)
    assert (
        "Measured GPU kernels" in text and "Measured launches" in text and "75 %" in text and "40 %" in text
    )
    assert "Device busy" not in text and "Steps" not in text
    assert not page.tags & {"script", "img"} and not page.attributes & {"onclick", "onerror"}
