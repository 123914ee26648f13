"""Profiles through a real store, worker processes and the embedded MLflow."""

from __future__ import annotations

import asyncio
import gzip
import json
import math
import secrets
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from genops_lab.core.errors import InvalidRequest, NotFound
from genops_lab.core.events import EventBus
from genops_lab.core.settings import Settings
from genops_lab.core.store import LocalStore
from genops_lab.experiments.mlflow import MlflowConnection
from genops_lab.profiling.models import ComparedProfiles, NewProfile, Profile, ProfileSummary
from genops_lab.profiling.service import ProfilesService, metrics
from tests.support.homes import Home
from tests.support.mlflow_file import place_store
from tests.support.real_traces import TRACES
from tests.support.warm import warm_workers

TRACE = {
    "traceEvents": [
        {"ph": "X", "cat": "cpu_op", "name": "aten::mm", "pid": 1, "tid": 1, "ts": 0, "dur": 8},
        {
            "ph": "X",
            "cat": "kernel",
            "name": "gemm",
            "pid": 0,
            "tid": 7,
            "ts": 5,
            "dur": 20,
            "args": {"device": 0},
        },
    ]
}


class Room:
    """The service with what it needs."""

    def __init__(self, data_dir: Path, root_dir: Path | None = None) -> None:
        self.root = data_dir / "profiles"
        self.root.mkdir(parents=True)
        settings = Settings(data_dir=data_dir, root_dir=root_dir)
        self.store = LocalStore(data_dir / "store.db")
        self.events = EventBus(self.store)
        self.events_seen: list[tuple[str, str]] = []
        self.events.listen(lambda kind, id, _revision: self.events_seen.append((kind, id)))
        self.mlflow = MlflowConnection(settings)
        self.prices: dict[str, float] = {}
        self.service = ProfilesService(settings, self.mlflow, self.store, self.events, self.prices.get)

    def write(self, name: str, text: str = json.dumps(TRACE)) -> Path:
        path = self.root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return path

    async def kept(self, profile_id: str) -> Profile:
        """The profile, after its trace is where it belongs."""
        await asyncio.wait_for(asyncio.gather(*self.service._keeping), 120)
        return await self.service.get_profile(profile_id)


@asynccontextmanager
async def room(home: Home, root_dir: Path | None = None) -> AsyncIterator[Room]:
    place_store(home.data)
    with warm_workers():
        made = Room(home.data, root_dir)
        try:
            yield made
        finally:
            await made.service.close()
            await made.events.close()
            await made.mlflow.close()
            made.store.close()


async def test_a_profile_is_analysed_listed_and_deleted(home: Home) -> None:
    async with room(home) as lab:
        source = lab.write("4f2a/cell.json")
        added = await lab.service.add_profile(
            NewProfile(trace_path=str(source), title="cell 3", notebook="a.ipynb")
        )
        assert (added.state, added.title, added.notebook, added.run_id) == ("ready", "cell 3", "a.ipynb", "")
        assert added.summary is not None
        assert added.summary.devices[0].busy_us == 20

        kept = await lab.kept(added.id)
        [listed] = (await lab.service.list_profiles()).items
        assert listed.summary is not None and kept.summary is not None
        assert listed.summary.devices == kept.summary.devices
        assert msgspec.structs.replace(listed, summary=kept.summary) == kept
        trace = lab.root / added.id / "trace.json.gz"
        assert json.loads(gzip.decompress(trace.read_bytes())) == TRACE
        assert kept.size_bytes == trace.stat().st_size
        assert not source.parent.exists()
        await lab.events.close()
        assert ("profile", added.id) in lab.events_seen

        await lab.service.delete_profile(added.id)
        assert not trace.parent.exists()
        assert (await lab.service.list_profiles()).items == []
        with pytest.raises(NotFound):
            await lab.service.delete_profile(added.id)


async def test_what_analyses_is_there_before_the_first_profile(home: Home) -> None:
    async with room(home) as found:
        assert found.service.worker.pid is None
        await found.service.expect_profile()
        waiting = found.service.worker.pid
        assert waiting is not None
        await found.service.add_profile(NewProfile(trace_path=str(found.write("a")), title="one"))
        assert found.service.worker.pid == waiting


async def test_a_run_gets_trace_and_summary(home: Home) -> None:
    async with room(home) as lab:
        await lab.mlflow.ensure()
        run_id, artifacts = await asyncio.to_thread(_start_run, lab.mlflow.uri, home)
        added = await lab.service.add_profile(
            NewProfile(trace_path=str(lab.write("t.json")), title="t", run_id=run_id)
        )
        kept = await lab.kept(added.id)
        assert kept.artifact == f"profiles/{added.id}/trace.json.gz"
        assert kept.message == ""
        folder = artifacts / "profiles" / added.id
        assert json.loads(gzip.decompress((folder / "trace.json.gz").read_bytes())) == TRACE
        summary = json.loads((folder / "summary.json").read_text())
        assert summary["devices"][0]["kernels"] == 1
        assert added.summary == _summary_from(summary)
        await lab.events.close()
        assert ("run", run_id) in lab.events_seen
        kept_metrics = await asyncio.to_thread(_metrics, lab.mlflow.uri, run_id)
        assert kept_metrics == {"profile/idle_percent": 0.0, "profile/exposed_comm_percent": 0.0}


@pytest.mark.skipif(not TRACES.is_dir(), reason="the real exports in ../shared/traces are not here")
async def test_an_export_of_nsight_is_kept_as_it_is_with_its_report(home: Home) -> None:
    async with room(home) as lab:
        await lab.mlflow.ensure()
        run_id, artifacts = await asyncio.to_thread(_start_run, lab.mlflow.uri, home)
        export = (TRACES / "nsys" / "mfu_2gpu_after.sqlite").read_bytes()
        source = lab.write("4f2a/trace.sqlite", "")
        source.write_bytes(export)
        source.with_name("report.nsys-rep").write_text("a report")
        added = await lab.service.add_profile(NewProfile(trace_path=str(source), title="t", run_id=run_id))
        kept = await lab.kept(added.id)
        assert (kept.state, kept.message) == ("ready", "")
        assert kept.artifact == f"profiles/{added.id}/trace.sqlite" and kept.size_bytes == len(export)
        for folder in (lab.root / added.id, artifacts / "profiles" / added.id):
            assert (folder / "trace.sqlite").read_bytes() == export
            assert (folder / "report.nsys-rep").read_text() == "a report"
        assert not source.parent.exists()
        shutil.rmtree(lab.root / added.id / "columns")
        assert (await lab.service.profile_flame(added.id)).nodes, "it is read again from where it is kept"


async def test_a_step_has_the_price_of_its_target(home: Home) -> None:
    async with room(home) as lab:
        lab.prices["gpu1"] = 3.6
        await lab.mlflow.ensure()
        run_id, _ = await asyncio.to_thread(_start_run, lab.mlflow.uri, home)
        steps = [
            {"ph": "X", "cat": "user_annotation", "name": f"ProfilerStep#{n}", "pid": 1, "tid": 1, "ts": n * 1000,
             "dur": 1000}
            for n in range(3)
        ]  # fmt: skip
        text = json.dumps({"traceEvents": [*TRACE["traceEvents"], *steps]})

        async def added(**given: Any) -> Profile:
            source = lab.write(f"{secrets.token_hex(4)}.json", text)
            return await lab.service.add_profile(NewProfile(trace_path=str(source), title="t", **given))

        of_target = await added(target="gpu1", run_id=run_id)
        kept = await lab.kept(of_target.id)
        assert kept.summary is not None and kept.summary.price is not None
        assert (kept.summary.price.usd_per_hour, kept.summary.price.target) == (3.6, "gpu1")
        assert kept.summary.price.usd_a_step == pytest.approx(1e-6)
        assert kept.summary.roofline is not None and kept.summary.roofline.usd_a_step == pytest.approx(1e-6)
        kept_metrics = await asyncio.to_thread(_metrics, lab.mlflow.uri, run_id)
        assert kept_metrics["profile/usd_a_step"] == pytest.approx(1e-6)

        given = await added(target="gpu1", usd_per_hour=36)
        assert given.summary is not None and given.summary.price is not None
        assert (given.summary.price.target, given.summary.price.usd_a_step) == ("", pytest.approx(1e-5))
        for without in (await added(target="cpu1"), await added()):
            assert without.summary is not None and without.summary.price is None
        for no_price in (-1.0, math.inf, math.nan):
            with pytest.raises(InvalidRequest):
                await added(usd_per_hour=no_price)


async def test_an_unknown_run_costs_the_artifact_alone(home: Home) -> None:
    async with room(home) as lab:
        added = await lab.service.add_profile(
            NewProfile(trace_path=str(lab.write("t.json")), title="t", run_id="f" * 32)
        )
        kept = await lab.kept(added.id)
        assert (kept.state, kept.artifact) == ("ready", "")
        assert "could not be stored with run" in kept.message
        assert (lab.root / added.id / "trace.json.gz").exists()


async def test_what_is_no_trace_fails_and_is_kept(home: Home) -> None:
    async with room(home) as lab:
        added = await lab.service.add_profile(
            NewProfile(trace_path=str(lab.write("t.json", "oops")), title="t")
        )
        assert added.state == "failed"
        assert "is not a trace" in added.message
        await lab.kept(added.id)
        assert gzip.decompress((lab.root / added.id / "trace.json.gz").read_bytes()) == b"oops"


@pytest.mark.parametrize("kind", ["outside", "dots", "link", "missing", "folder"])
async def test_only_files_of_the_profiles_folder_are_read(home: Home, kind: str) -> None:
    async with room(home) as lab:
        outside = home.path / "outside.json"
        outside.write_text(json.dumps(TRACE))
        (lab.root / "link.json").symlink_to(outside)
        given = {
            "outside": str(outside),
            "dots": str(lab.root / ".." / ".." / ".." / "outside.json"),
            "link": str(lab.root / "link.json"),
            "missing": str(lab.root / "none.json"),
            "folder": str(lab.root),
        }[kind]
        with pytest.raises(InvalidRequest):
            await lab.service.add_profile(NewProfile(trace_path=given, title="t"))
        assert (await lab.service.list_profiles()).items == []
        assert outside.exists()


def _start_run(uri: str, home: Home) -> tuple[str, Path]:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    experiment = client.create_experiment("profiles", artifact_location=str(home.path / "artifacts"))
    run = client.create_run(experiment)
    return run.info.run_id, Path(run.info.artifact_uri.removeprefix("file://"))


def _metrics(uri: str, run_id: str) -> dict[str, float]:
    from mlflow import MlflowClient

    return dict(MlflowClient(tracking_uri=uri).get_run(run_id).data.metrics)


def test_metrics_of_a_profile() -> None:
    device = {
        "device": "0", "rank": 0, "span_us": 100.0, "busy_us": 60.0, "idle_us": 40.0, "compute_us": 50.0,
        "comm_us": 20.0, "exposed_comm_us": 10.0, "memory_us": 0.0, "kernels": 3, "top_kernels": [],
    }  # fmt: skip
    other = {**device, "device": "1", "idle_us": 60.0, "exposed_comm_us": 0.0}
    cpu = {"span_us": 100.0, "busy_us": 80.0, "idle_us": 20.0}
    roofline = {"peaks": [], "flops": 1.0, "mfu": 0.25, "covered": 1.0, "operators": []}
    summary = {"events": 3, "ranks": [0], "devices": [device, other], "cpu": cpu, "operators": []}
    assert metrics(_summary_from({**summary, "roofline": roofline})) == {
        "profile/idle_percent": 50.0, "profile/exposed_comm_percent": 5.0, "profile/mfu_percent": 25.0,
    }  # fmt: skip
    assert metrics(_summary_from({**summary, "devices": []})) == {}


def _summary_from(data: object) -> ProfileSummary:
    import msgspec

    return msgspec.convert(data, ProfileSummary)


async def test_two_profiles_are_compared_by_their_ids(home: Home) -> None:
    slower = json.loads(json.dumps(TRACE))
    slower["traceEvents"][1]["dur"] = 50
    async with room(home) as lab:
        ids = []
        for number, trace in enumerate((TRACE, slower)):
            source = lab.write(f"{number}/cell.json", json.dumps(trace))
            made = await lab.service.add_profile(NewProfile(trace_path=str(source), title=f"cell {number}"))
            ids.append((await lab.kept(made.id)).id)
        found = await lab.service.difference(ComparedProfiles(before=ids[0], after=ids[1]))
        [kernel] = found.kernels
        assert (kernel.name, kernel.before_us, kernel.after_us, kernel.state) == ("gemm", 20, 50, "both")
        listed = (await lab.service.list_profiles()).items
        assert [each.summary and each.summary.devices[0].busy_us for each in listed] == [50, 20]
        with pytest.raises(NotFound):
            await lab.service.difference(ComparedProfiles(before=ids[0], after="none"))


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ("sub/a.ipynb", "sub/a.ipynb"),
        ("{root}/sub/a.ipynb", "sub/a.ipynb"),
        ("/else/b.ipynb", "/else/b.ipynb"),
    ],
)
async def test_the_notebook_is_named_as_the_lab_opens_it(home: Home, given: str, named: str) -> None:
    async with room(home, home.work) as lab:
        path = given.format(root=home.work)
        made = await lab.service.add_profile(
            NewProfile(trace_path=str(lab.write("t.json")), title="t", notebook=path)
        )
        assert (await lab.kept(made.id)).notebook == named
