"""What a kernel on another host may ask: its own runs, and nothing else, whatever its host sends."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import gzip
import json
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from genops_lab.agent.mux import ChannelReset, Mux
from genops_lab.app.features import FEATURES
from genops_lab.core.audit import AuditLog, perform
from genops_lab.core.errors import NotAllowed
from genops_lab.core.features import Features
from genops_lab.core.operations import PREFIXES
from genops_lab.core.principals import PRINCIPAL, Principal
from genops_lab.core.services import Services
from genops_lab.core.settings import Settings
from genops_lab.core.store import SharedStore
from genops_lab.core.store.outbox import Outbox
from genops_lab.core.store.shared_tables import audit
from genops_lab.core.store.tables import model_hashes, tracked_runs
from genops_lab.evaluations.service import EvaluationsService
from genops_lab.experiments.models import MetricsQuery, TrackedProcess, TrackingBatch, TrackingEvent
from genops_lab.kernel_api.authority import MAX_EVENTS, RULES, KernelAuthority
from genops_lab.kernel_api.gateway import KernelGateway
from genops_lab.kernel_api.uploads import MAX_BYTES, IncomingFiles
from genops_lab.profiling.remote_analysis.service import RemoteAnalysisService
from genops_lab.profiling.service import ProfilesService
from tests.experiments.conftest import (  # noqa: F401 - fixtures
    Room,
    clean_environment,
    empty_room,
    made_folder,
    room,
    until,
)
from tests.support.exhaustive import examples

from .streams import Answer, parse, raw, request, stream

MINE, OTHER = "kernel-1", "kernel-2"


@dataclass
class Door:
    """A Lab's doorway for two kernels on the host ``gpu1``, and the host's end of the stream."""

    room: Room
    profiles: ProfilesService
    doorway: KernelGateway
    host: Mux

    async def ask(self, method: str, path: str, body: Any = None, kernel_id: str = MINE) -> Answer:
        """A request of one of the kernels."""
        return await request(self.host, kernel_id, method, path, body)

    async def track(
        self, run_key: str, events: list[dict[str, Any]], by: str = MINE, **process: Any
    ) -> Answer:
        """A batch."""
        sender = {"pid": 4711, "created": 1000.0, "kernel_id": by, "notebook": "n.ipynb", **process}
        batch = {"run_key": run_key, "process": sender, "events": events}
        return await self.ask("POST", "/tracking/events", batch, by)

    async def hand_over(self, content: bytes, kind: str = "artifact", kernel_id: str = MINE) -> str:
        """The ticket of a file that was handed over."""
        offered = await self.ask("POST", "/tracking/files", {"kind": kind, "size": len(content)}, kernel_id)
        assert offered.status == 200, offered
        ticket = str(offered.body["ticket"])
        put = await self.ask("PUT", f"/tracking/files/{ticket}", content, kernel_id)
        assert put.status == 204, put
        return ticket


@asynccontextmanager
async def open_door(room: Room) -> AsyncIterator[Door]:  # noqa: F811
    profiles = ProfilesService(
        Settings(data_dir=room.mlflow.data_dir),
        room.mlflow,
        room.store,
        room.events,
        {"gpu1": 2.5, "other": 99.0}.get,
    )
    services = Services()
    for each in (
        room.tracking,
        profiles,
        IncomingFiles(room.mlflow.data_dir / "incoming"),
        AuditLog(room.store),
    ):
        services.provide(type(each), lambda _get, each=each: each)
    # What reads beside a trace has tests of its own, with a host (test_tracking.py).
    services.provide(RemoteAnalysisService, lambda _get: object.__new__(RemoteAnalysisService))
    # Predictions have tests with a kernel (test_predictions.py); here is what never reaches the service.
    services.provide(EvaluationsService, lambda _get: object.__new__(EvaluationsService))
    doorway = KernelGateway(Features(FEATURES).operations("kernel"), services)
    for kernel_id in (MINE, OTHER):
        doorway.admit("gpu1", kernel_id)
    async with stream(lambda channel: doorway.serve("gpu1", channel)) as host:
        yield Door(room, profiles, doorway, host)
    await doorway.close()
    await profiles.close()


def event(seq: int, kind: str, **data: Any) -> dict[str, Any]:
    return {"seq": seq, "kind": kind, "timestamp": 1000.0 + seq, "data": data}


def metric(seq: int, **values: float) -> dict[str, Any]:
    return event(seq, "metrics", values=values, step=seq, timestamp=1000.0 + seq)


async def test_predictions_name_no_file_of_the_lab(room: Room, tmp_path: Path) -> None:  # noqa: F811
    secret = tmp_path / "rows.csv"
    secret.write_text("id,label\n1,1\n")
    async with open_door(room) as door:
        path = "/v1/evaluations/predictions"
        ticket = await door.hand_over(b"{}", "predictions")
        body = {"path": ticket, "model": "digits", "data": "holdout", "key": "0" * 32}
        for data in (str(secret), "../rows.csv", "~/rows.csv"):
            refused = await door.ask("POST", path, {**body, "data": data})
            assert refused.status == 403, refused
            assert "cannot name a file of the Lab's machine" in refused.body["error"]["message"]
        for given in ({"path": str(secret)}, {"path": await door.hand_over(b"{}")}):
            assert (await door.ask("POST", path, {**body, **given})).status == 404
        assert (await door.ask("POST", path, body, OTHER)).status == 404
        assert (await door.ask("POST", path, {**body, "key": "x"})).status == 400


async def test_a_run_with_a_file_and_a_profile(room: Room) -> None:  # noqa: F811
    async with open_door(room) as door:
        assert (await door.ask("POST", "/tracking/wake")).status == 204
        first = await door.track(
            "run-a", [event(1, "start", name="far", experiment="Far"), metric(2, loss=1.5)]
        )
        assert first.status == 200 and first.body["acked_seq"] == 2
        assert first.body["tracking_uri"] == "", "no path of this machine goes out"
        run_id = first.body["run_id"]
        content = os.urandom(3_000_000)
        ticket = await door.hand_over(content)
        file = event(3, "file", path="weights/best.pt", source=ticket)
        assert (await door.track("run-a", [file])).body["acked_seq"] == 3
        assert (await door.track("run-a", [file])).status == 404, (
            "a ticket is good once; the kernel offers anew"
        )
        again = event(3, "file", path="weights/best.pt", source=await door.hand_over(b"other"))
        assert (await door.track("run-a", [again, metric(4, loss=0.5)])).body["acked_seq"] == 4
        lost = event(5, "file", path="gone.bin", source="", why="It was too large.")
        assert (await door.track("run-a", [lost, event(6, "end", status="FINISHED")])).body["acked_seq"] == 6

        detail = await room.experiments.get_run(run_id)
        run = detail.run
        assert (run.status, run.name, run.experiment, run.source) == ("FINISHED", "far", "Far", "n.ipynb")
        assert run.tags["genops.target"] == "gpu1" and "genops.kernel" not in run.tags
        assert "gone.bin" in run.tags["genops.notes"] and "too large" in run.tags["genops.notes"]
        (series,) = (await room.experiments.get_run_metrics(run_id, MetricsQuery())).series
        assert series.values == [1.5, 0.5]
        (kept,) = (room.mlflow.data_dir / "mlflow" / "artifacts").rglob("best.pt")
        assert kept.read_bytes() == content, "what was sent again counts once"
        assert not [path for path in (room.mlflow.data_dir / "incoming").rglob("*") if path.is_file()]

        trace = gzip.compress(json.dumps({"traceEvents": [
            {"ph": "X", "cat": "cpu_op", "name": "aten::mm", "ts": 1, "dur": 5, "pid": 1, "tid": 1}
        ]}).encode())  # fmt: skip
        ticket = await door.hand_over(trace, "trace")
        body = {"trace_path": ticket, "title": "p", "run_id": run_id, "target": "other"}
        made = await door.ask("POST", "/profiles", body)
        assert made.status == 200 and made.body["state"] == "ready", made
        assert (made.body["trace_path"], made.body["artifact"]) == ("", ""), (
            "no path of this machine goes out"
        )
        shown = await door.ask("GET", f"/profiles/{made.body['id']}")
        assert shown.body["summary"]["operators"][0]["name"] == "aten::mm"
        price = shown.body["summary"]["price"]
        assert (price["target"], price["usd_per_hour"]) == ("gpu1", 2.5), "of the kernel's own target"
        assert (await door.ask("GET", f"/profiles/{made.body['id']}", kernel_id=OTHER)).status == 403
        await until(lambda: list((room.mlflow.data_dir / "mlflow").rglob("trace.json.gz")))


async def test_two_kernels_cannot_write_each_others_runs(room: Room) -> None:  # noqa: F811
    async with open_door(room) as door:
        run_id = (await door.track("run-a", [event(1, "start", name="a"), metric(2, loss=1)])).body["run_id"]
        forged = await door.track("run-a", [metric(3, loss=9)], OTHER)
        assert forged.status == 403 and "belongs to another kernel" in forged.message
        # What a batch says of its sender is replaced by what the channel is.
        claimed = {"kernel_id": MINE, "place": ""}
        assert (await door.track("run-a", [metric(3, loss=9)], OTHER, **claimed)).status == 403
        assert (
            await door.track("run-a", [metric(3, loss=2)], MINE, kernel_id=OTHER, place="x")
        ).status == 200
        owner = await room.tracking.owner_of(run_id)
        assert owner is not None and (owner.place, owner.kernel_id) == ("gpu1", MINE)

        trace = await door.hand_over(b"{}", "trace", OTHER)
        body = {"trace_path": trace, "title": "p", "run_id": run_id}
        assert (await door.ask("POST", "/profiles", body, OTHER)).status == 403
        beside = await door.ask("POST", "/profiles/beside", {**body, "trace_path": "t.json"}, OTHER)
        assert beside.status == 403 and "does not belong to this kernel" in beside.body["error"]["message"]
        theirs = await door.hand_over(b"secret", kernel_id=OTHER)
        stolen = event(4, "file", path="x", source=theirs)
        assert (await door.track("run-a", [stolen])).status == 404

        # A run of this machine's own kernels.
        local = {"run_key": "local", "process": {"pid": os.getpid()}, "events": [event(1, "start", name="l")]}
        ack = await room.tracking.track(msgspec.convert(local, TrackingBatch))
        assert (await door.track("local", [metric(2, loss=9)])).status == 403
        (series,) = (await room.experiments.get_run_metrics(run_id, MetricsQuery())).series
        assert series.values == [1, 2]
        assert (await room.experiments.get_run_metrics(ack.run_id, MetricsQuery())).series == []


async def test_tags_do_not_make_a_run_another_one(room: Room) -> None:  # noqa: F811
    own = {"genops.run_key": "run-b", "genops.kernel": OTHER, "./genops.target": "gpu2", "team": "x"}
    async with open_door(room) as door:
        start = event(1, "start", name="a", experiment="E", tags=own)
        first = await door.track("run-a", [start, event(2, "tags", **own)])
        second = await door.track("run-b", [event(1, "start", name="b", experiment="E")], OTHER)
        assert second.body["run_id"] != first.body["run_id"]
        run = (await room.experiments.get_run(first.body["run_id"])).run
        assert run.tags["team"] == "x" and run.tags["genops.target"] == "gpu1"
        # The store was lost, MLflow was not: the run is found again by its kernel alone.
        with room.store.transaction() as connection:
            connection.execute(tracked_runs.delete())
        assert (await door.track("run-a", [metric(3, loss=1)], OTHER)).status == 409
        assert (await door.track("run-a", [metric(3, loss=1)])).body["run_id"] == first.body["run_id"]


async def test_a_host_learns_nothing_of_other_runs_and_marks_none_as_theirs(room: Room) -> None:  # noqa: F811
    local = TrackingBatch(
        run_key="local",
        process=TrackedProcess(pid=os.getpid()),
        events=[
            TrackingEvent(seq=1, kind="start", timestamp=1.0, data={"name": "secret", "experiment": "E"}),
            TrackingEvent(seq=2, kind="end", timestamp=2.0, data={"status": "FINISHED"}),
        ],
    )
    here = (await room.tracking.track(local)).run_id
    marks = {
        "mlflow.user": "ada", "mlflow.parentRunId": here, "genops.sweep": "s", "genops.trial": "0",
        "genops.trial_attempt": "1", "mlflow.source.git.commit": "abc",
    }  # fmt: skip
    async with open_door(room) as door:
        begun = await door.track(
            "run-a", [event(1, "start", name="theirs", tags=marks), event(2, "tags", **marks)]
        )
        there = begun.body["run_id"]
        await door.track("run-a", [event(3, "end", status="FINISHED")])
        own = {"pid": 4711, "created": 1000.0, "kernel_id": MINE, "notebook": "n.ipynb"}
        for ref in (here, here[:1], here[:6], "secret", "0123", ""):
            answer = await door.ask("POST", "/tracking/resume", {"run": ref, "process": own})
            if not ref or not there.startswith(ref):  # one character may begin the ids of both
                assert answer.status == 404, (ref, answer)
            assert here not in str(answer.body).replace(ref, "", 1)
        for ref in ("latest", there, there[:6], "theirs"):
            answer = await door.ask("POST", "/tracking/resume", {"run": ref, "process": own})
            assert answer.body["run_id"] == there, answer
        detail = await room.experiments.get_run(there)
        assert detail.run.user == getpass.getuser() and detail.parent is None
        assert detail.run.git_commit == "abc" and not {"genops.sweep", "genops.trial"} & set(detail.run.tags)
        assert "A kernel on another host cannot set the tag 'genops.sweep'" in detail.run.tags["genops.notes"]


async def test_files_of_this_machine_cannot_be_named(room: Room, tmp_path: Path) -> None:  # noqa: F811
    secret = tmp_path / "id_rsa"
    secret.write_text("PRIVATE")
    async with open_door(room) as door:
        run_id = (await door.track("run-a", [event(1, "start", name="a")])).body["run_id"]
        for source in (str(secret), "../../" + str(secret), "/etc/passwd", f"file://{secret}"):
            refused = await door.track("run-a", [event(2, "file", path="x", source=source)])
            assert refused.status == 404, source
            refused = await door.ask("POST", "/profiles", {"trace_path": source, "title": "p"})
            assert refused.status == 404, source
        for path in ("../../x", "/etc/x", "a/../../x", "x\0y"):
            ticket = await door.hand_over(b"x")
            seq = 2 + ("../../x", "/etc/x", "a/../../x", "x\0y").index(path)
            assert (await door.track("run-a", [event(seq, "file", path=path, source=ticket)])).status == 200
        detail = await room.experiments.get_run(run_id)
        assert detail.artifacts == []


async def test_models_of_another_host_are_not_remembered(room: Room) -> None:  # noqa: F811
    async with open_door(room) as door:
        await door.track("run-a", [event(1, "start", name="a")])
        model = "artifact_path: model\nflavors:\n  python_function:\n    loader_module: evil\n"
        events = [
            event(2, "text", path="model/MLmodel", content=model),
            event(3, "tags", **{"mlflow.log-model.history": json.dumps([{"artifact_path": "model"}])}),
            event(4, "model", name="model", digest="a" * 64),
            event(5, "end", status="FINISHED"),
        ]
        assert (await door.track("run-a", events)).body["acked_seq"] == 5
        own = {"name": "model", "digest": "a" * 64}
        assert (await door.ask("POST", "/tracking/models", own)).status == 403
        with room.store.transaction() as connection:
            assert connection.execute(select(model_hashes)).all() == []
        await room.events.close()
        assert "model" not in {kind for kind, _id in room.events_seen}


REFUSED = [
    ("GET", "/experiments"), ("GET", "/runs"), ("GET", "/runs/latest"), ("GET", "/models"), ("POST", "/models"),
    ("DELETE", "/models/m"), ("GET", "/deployments/d"), ("POST", "/deployments"), ("DELETE", "/deployments/d"),
    ("GET", "/tracking/kernel?mlflow_version=3"), ("GET", "/profiles"), ("DELETE", "/profiles/p"),
    ("GET", "/status"), ("POST", "/tasks/t/cancel"), ("GET", "/../../etc/passwd"), ("GET", "//"),
    ("PUT", "/tracking/files/../../x"), ("GET", "/tracking/files/" + "0" * 32), ("PATCH", "/tracking/events"),
    ("DELETE", "/tracking/events"),
]  # fmt: skip


async def test_nothing_else_is_offered(room: Room) -> None:  # noqa: F811
    async with open_door(room) as door:
        for method, path in REFUSED:
            answer = await door.ask(method, path, {})
            assert answer.status in (403, 405), (method, path, answer)
            assert answer.body["error"]["message"]


async def test_what_does_not_admit_kernels_is_refused_to_them(room: Room) -> None:  # noqa: F811
    everything = [each for feature in FEATURES for each in feature.operations]
    admitted = Features(FEATURES).operations("kernel")
    assert {each.id for each in admitted} == set(RULES), "each has its rule, and no rule is left over"
    kernel = Principal("kernel", MINE, "gpu1")
    async with open_door(room) as door:
        authority = KernelAuthority(kernel, *[None] * 4)  # type: ignore[arg-type]
        for operation in set(everything) - set(admitted):
            path = re.sub("{.*?}", "x", operation.path)
            for prefix in PREFIXES:
                answer = await door.ask(operation.method, prefix.removeprefix("/genops") + path, {})
                assert answer.status in (403, 405), (operation.id, answer)
            # Also where its path would lead there.
            with pytest.raises(NotAllowed, match="Kernels on other hosts may not use"):
                await authority.call(operation, None, {})
            PRINCIPAL.set(kernel)
            with pytest.raises(NotAllowed, match="is not for kernel:gpu1/kernel-1"):
                await perform(operation, None, dict.fromkeys(operation.path_parameters, "x"), None)
    PRINCIPAL.set(None)
    for operation in set(admitted) - set(Features(FEATURES).operations()):
        with pytest.raises(NotAllowed):
            await perform(operation, None, dict.fromkeys(operation.path_parameters, "x"), None)


async def test_the_audit_names_the_kernel(room: Room) -> None:  # noqa: F811
    async with open_door(room) as door:
        ticket = await door.hand_over(b"{}", "trace")
        body = {"trace_path": ticket, "title": "p", "run_id": "0" * 32}
        assert (await door.ask("POST", "/profiles", body)).status == 403
        made = await door.ask("POST", "/profiles", {**body, "run_id": ""}, MINE)
        assert made.status == 200
    shared = SharedStore.at("", room.mlflow.data_dir)
    noted = [msgspec.json.decode(each) for each in Outbox(room.store, shared).contents(audit)]
    shared.close()
    assert [(each["principal"], each["operation"], each["outcome"]) for each in noted] == [
        ("kernel:gpu1/kernel-1", "profiling.add_profile", outcome) for outcome in ("not_allowed", "ok")
    ]


async def test_sizes_are_limited(room: Room) -> None:  # noqa: F811
    async with open_door(room) as door:
        many = [metric(seq, loss=1) for seq in range(2, MAX_EVENTS + 3)]
        assert (await door.track("run-a", [event(1, "start", name="a"), *many])).status == 400
        for kind, most in MAX_BYTES.items():
            for size in (most + 1, -1, 10**30):
                assert (await door.ask("POST", "/tracking/files", {"kind": kind, "size": size})).status == 400
        huge = b"POST /genops/tracking/events HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n"
        assert b"200 OK" not in await raw(door.host, MINE, huge + b"x" * 100_000, eof=False)
        headers = b"GET /genops/tracking/wake HTTP/1.1\r\n" + b"X: " + b"y" * 200_000 + b"\r\n\r\n"
        assert b"200 OK" not in await raw(door.host, MINE, headers)
        offered = await door.ask("POST", "/tracking/files", {"kind": "trace", "size": 10})
        path = f"/tracking/files/{offered.body['ticket']}"
        assert (await door.ask("PUT", path, b"x" * 11)).status == 400
        assert (await door.ask("PUT", path, b"x" * 9)).status == 400
        assert (await door.ask("PUT", path, b"x" * 10, kernel_id=OTHER)).status == 404
        chunked = (
            b"PUT /genops%s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
        )
        assert parse(await raw(door.host, MINE, chunked % path.encode())).status == 400
        assert (await door.ask("PUT", path, b"x" * 10)).status == 204
        for _ in range(31):
            assert (await door.ask("POST", "/tracking/files", {"kind": "trace", "size": 1})).status == 200
        assert (await door.ask("POST", "/tracking/files", {"kind": "trace", "size": 1})).status == 403


async def test_only_kernels_that_the_lab_started_there_are_answered(room: Room) -> None:  # noqa: F811
    async with open_door(room) as door:
        for kernel_id in ("kernel-3", "", None, 7, ["kernel-1"], "../kernel-1", "kernel-1\0"):
            with pytest.raises(ChannelReset) as reset:
                await raw(door.host, kernel_id, b"GET / HTTP/1.1\r\n\r\n")
            assert reset.value.code == "not_allowed"
        door.doorway.dismiss("gpu1", OTHER)
        with pytest.raises(ChannelReset):
            await door.ask("POST", "/tracking/wake", kernel_id=OTHER)
        channels = [door.host.open("lab", {"kernel_id": MINE}) for _ in range(17)]
        with pytest.raises(ChannelReset) as busy:
            await asyncio.wait_for(channels[-1].read(), 60)
        assert busy.value.code == "busy"
        for channel in channels[:-1]:
            channel.reset("done", "")
        await until(lambda: not door.doorway._open[Principal("kernel", MINE, "gpu1")])
        assert (await door.ask("POST", "/tracking/wake")).status == 204


BAD_BATCHES: list[Any] = [
    None, [], 7, {}, {"run_key": "../x", "process": {"pid": 1}, "events": []},
    {"run_key": "a" * 65, "process": {"pid": 1}, "events": []},
    {"run_key": "k", "process": {"pid": 10**40}, "events": []},
    {"run_key": "k", "process": {"pid": -1}, "events": []},
    {"run_key": "k", "process": {"pid": 1}, "events": [{"seq": 1, "kind": "delete", "timestamp": 1, "data": {}}]},
]  # fmt: skip
PLANTED = [
    b"", b"\r\n\r\n", b"\0" * 5000, b"\xff\xfe" * 100, b"GET", b"GET / HTTP/9.9\r\n\r\n",
    b"POST /genops/tracking/events HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
    b"POST /genops/tracking/events HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
    b"POST /genops/tracking/events HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\nabc",
    b"POST /genops/tracking/events HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nshort",
    b"POST /genops/tracking/wake HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\ngarbage after it\r\n\r\n\x00\x01",
    b"GET /genops/experiments HTTP/1.1\r\nHost: x\r\n\r\nGET /genops/runs HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /genops/profiles/%2e%2e%2fx HTTP/1.1\r\nHost: x\r\n\r\n",
    b"SSH-2.0-OpenSSH_9.6\r\n",
]  # fmt: skip


async def test_malformed_requests_are_refused_and_harm_nobody(room: Room) -> None:  # noqa: F811
    async with open_door(room) as door:
        for body in BAD_BATCHES:
            answer = await door.ask("POST", "/tracking/events", json.dumps(body).encode())
            assert answer.status == 400, (body, answer)
        deep = (
            b'{"run_key":"k","process":{"pid":1},"events":[{"seq":1,"kind":"tags","timestamp":1,"data":%s}]}'
        )
        for depth in (900, 5000, 200_000):
            nested = deep % (b'{"a":' * depth + b"1" + b"}" * depth)
            answer = await door.ask("POST", "/tracking/events", nested)
            assert answer.status in (400, 409), (depth, answer)
        far = [
            {"seq": 1, "kind": "start", "timestamp": 1e300, "data": {"name": ["x"], "tags": 7, "params": [1]}},
            {"seq": 2, "kind": "metrics", "timestamp": -1e9, "data": {
                "values": {"a": 1e308, "b": "x", "": 1, "é": 2}, "step": 1e300, "timestamp": 1e200}},
            {"seq": 3, "kind": "metrics", "timestamp": 1, "data": {"values": [1], "step": None}},
            {"seq": 4, "kind": "text", "timestamp": 1, "data": {"path": {"a": 1}, "content": None}},
            {"seq": 5, "kind": "end", "timestamp": 10**17, "data": {"status": "DELETED"}},
        ]  # fmt: skip
        assert (await door.track("odd", far)).status == 200
        for sent in PLANTED:
            with contextlib.suppress(ChannelReset):
                found = await raw(door.host, MINE, sent)
                assert b"HTTP/1.1 200" not in found, (sent, found)
        good = await door.track("good", [event(1, "start", name="good")])
        assert good.status == 200, "the door stays open for others"


@settings(max_examples=examples(40), deadline=None, suppress_health_check=list(HealthCheck))
@given(
    sent=st.lists(
        st.one_of(
            st.binary(max_size=400),
            st.sampled_from([b"GET ", b"POST ", b"/genops/tracking/events", b" HTTP/1.1\r\n", b"\r\n\r\n"]),
            st.sampled_from(
                [b"Content-Length: 7\r\n", b"Transfer-Encoding: chunked\r\n", b"Host: x\r\n", b"{}"]
            ),
        ),
        max_size=12,
    )
)
def test_no_bytes_get_more_than_an_error(shared_door: Any, sent: list[bytes]) -> None:
    door, run = shared_door

    async def one() -> None:
        with contextlib.suppress(ChannelReset):
            found = await raw(door.host, MINE, b"".join(sent))
            assert b" 200 OK" not in found
        assert (await door.ask("GET", "/experiments")).status == 403, "the door answers as before"

    run(one())


@pytest.fixture
def shared_door(room: Room) -> Any:  # noqa: F811
    """A door that the examples share, in a loop that is driven by hand."""
    from jupyter_core.utils import ensure_event_loop

    loop = ensure_event_loop(prefer_selector_loop=True)
    opening = open_door(room)
    door = loop.run_until_complete(opening.__aenter__())
    yield door, loop.run_until_complete
    loop.run_until_complete(opening.__aexit__(None, None, None))


async def test_an_empty_file_is_a_file(room: Room) -> None:  # noqa: F811
    async with open_door(room) as door:
        await door.track("run-a", [event(1, "start", name="a")])
        file = event(2, "file", path="empty.txt", source=await door.hand_over(b""))
        assert (await door.track("run-a", [file])).status == 200
        (kept,) = (room.mlflow.data_dir / "mlflow" / "artifacts").rglob("empty.txt")
        assert kept.read_bytes() == b""


async def test_a_file_that_was_cut_off_takes_no_room(room: Room) -> None:  # noqa: F811
    async with open_door(room) as door:
        offered = await door.ask("POST", "/tracking/files", {"kind": "artifact", "size": 1000})
        path = f"/genops/tracking/files/{offered.body['ticket']}"
        channel = door.host.open("lab", {"kernel_id": MINE})
        channel.write(f"PUT {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nhalf".encode())
        incoming = room.mlflow.data_dir / "incoming"
        await until(lambda: [file for file in incoming.rglob("*") if file.is_file()])
        channel.reset("cut", "")
        await until(lambda: not [file for file in incoming.rglob("*") if file.is_file()])
        ticket = path.rpartition("/")[2]
        assert (await door.ask("PUT", f"/tracking/files/{ticket}", b"x" * 1000)).status == 404
