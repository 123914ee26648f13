"""Jobs of a real Slurm as hosts: what is told of them, and what survives the deaths around them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest

from genops_lab.core.errors import InvalidRequest
from genops_lab.hosts import providers
from genops_lab.hosts.link import connection
from genops_lab.hosts.link.errors import LinkError
from genops_lab.hosts.link.questions import Nobody
from genops_lab.hosts.link.route import Route
from genops_lab.hosts.providers.base import GpuKind, Pending, Resources, Running
from genops_lab.hosts.providers.slurm import facts, free, jobs, messages
from genops_lab.hosts.providers.slurm.config import SlurmConfig
from genops_lab.hosts.providers.slurm.jobs import Job
from genops_lab.hosts.providers.slurm.provider import PROVIDER
from genops_lab.hosts.providers.slurm.script import host_id_of, job_name, options
from tests.hosts.labs import run
from tests.hosts.slurm_jobs import asked, released, seen, with_config
from tests.kernels.places import Place, a_kernel, a_place, cut_starts, wait
from tests.support import slurm
from tests.support.homes import Home
from tests.support.slurm import Cluster
from tests.support.sshd import Sshd, throwaway_user

LINES = 60
COUNT = f"import time\nfor i in range({LINES}):\n    print(i, flush=True)\n    time.sleep(0.1)"


# Without a Slurm


@pytest.mark.parametrize(
    ("state", "start"),
    [("PENDING", 1796075126), (["PENDING"], {"set": True, "infinite": False, "number": 1796075126})],
    ids=["21.08", "24.11"],
)
def test_the_json_of_old_and_new_versions_is_read(state: Any, start: Any) -> None:
    row = {
        "job_id": 7,
        "name": "genops.a.k",
        "job_state": state,
        "state_reason": "Resources",
        "start_time": start,
    }
    (job,) = jobs.from_json(json.dumps({"jobs": [{**row, "partition": "gpu", "end_time": {"set": False}}]}))
    assert job == jobs.from_lines("7|PENDING|Resources|gpu|1796075126|N/A|genops.a.k\n")[0]
    assert (job.starts_at, job.ends_at, job.ended) == (1796075126.0, None, False)


def test_places_are_counted_by_priority_then_by_age() -> None:
    assert jobs.places("9|gpu|5\n4|gpu|5\n12_[1-3]|gpu|8\n5|cpu|1\nnoise\n") == {12: 1, 4: 2, 9: 3, 5: 1}


def test_the_job_that_lives_is_the_one_of_its_name() -> None:
    found = jobs.from_lines("3|CANCELLED by 7||p|0|0|a\n2|RUNNING|None|p|0|0|a\n1|FAILED|x|p|0|0|a\n")
    assert jobs.newest(found)["a"].id == 2 and found[0].cancelled_by == "7"


def test_names_of_other_targets_are_not_taken() -> None:
    assert host_id_of("a", job_name("a", "k-1")) == "k-1"
    assert host_id_of("a", job_name("a.b", "k")) == host_id_of("a", "other") == ""


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("Resources", "No node has the requested resources free."),
        ("QOSMaxGRESPerUser", "Slurm calls this QOSMaxGRESPerUser."),
        ("AssocGrpGRES", "limit of its group"),
        ("ReqNodeNotAvail, Reserved for maintenance", "reserved for maintenance"),
        ("SomethingNew", "Slurm gives the reason SomethingNew."),
    ],
)
def test_a_reason_is_a_sentence(reason: str, said: str) -> None:
    waiting = messages.why_it_waits(Job(id=1, name="a", state="PENDING", reason=reason))
    assert said in waiting and waiting.endswith("The expected start is not known.")
    later = Job(id=1, name="a", state="PENDING", reason=reason, starts_at=time.time() + 1e7)
    assert "Expected start: " in messages.why_it_waits(later) and len(messages.why_it_waits(later)) <= 300


@pytest.mark.parametrize("state", sorted(jobs.ENDED))
def test_each_end_is_told(state: str) -> None:
    assert "ended as" not in messages.why_it_ended(Job(id=1, name="a", state=state))


def test_what_a_kernel_requests_goes_before_the_targets_resources() -> None:
    config = SlurmConfig(host="h", gpus=1, gpu_type="a100", time="60", memory="8G", sbatch="--exclusive")
    asked = options(config, Resources(gpus=2, gpu_type="h100", memory_bytes=3 << 30, time_s=90))
    assert {"--gres=gpu:h100:2", "--mem=3072M", "--time=2", "--exclusive"} <= set(asked)
    assert {"--gres=gpu:a100:1", "--mem=8G", "--time=60"} <= set(options(config, Resources()))


@pytest.mark.parametrize(
    ("kind", "mode", "grace", "said"),
    [
        ("preempt/none", "REQUEUE", 0, "are not preempted"),
        ("preempt/partition_prio", "OFF", 0, "are not preempted"),
        ("preempt/qos", "REQUEUE", 0, "without a notice, unless the QOS"),
        ("preempt/partition_prio", "CANCEL", 60, "announced 60 s before"),
    ],
)
def test_what_slurm_says_of_a_partition_is_told(kind: str, mode: str, grace: int, said: str) -> None:
    start = time.time() + 1e7
    found = facts.read(
        f"slurm 21.08.8\nsbatch: Job 3 to start at {start:.0f} using 1 processors on nodes n1\n"
        f"PreemptMode = REQUEUE\nPreemptType             = {kind}\n"
        "PartitionName=other Default=NO GraceTime=9 PreemptMode=CANCEL\n"
        f"PartitionName=gpu Default=YES GraceTime={grace} PreemptMode={mode} State=UP\n"
    )
    assert facts.said_of_slurm(found) == "The login node has Slurm 21.08.8."
    told = facts.said_of_queue(found)
    assert f"expected the start at {jobs.clock(start)}" in told and said in told


@pytest.mark.parametrize("given", ["--wrap=ls", "rm -rf", "--job-name=x", "--comment='a"])
def test_options_that_cannot_be_are_refused(given: str) -> None:
    with pytest.raises(InvalidRequest):
        PROVIDER.check(SlurmConfig(host="h", sbatch=given))


def test_free_gpus_are_those_of_nodes_that_answer_by_kind() -> None:
    printed = """gpu* mixed gpu:h100:4(S:0-1) gpu:h100:1(IDX:0)
gpu* idle~ gpu:a100:2,gpu:h100:4 gpu:a100:0(IDX:N/A),gpu:h100:0(IDX:N/A)
spot mixed gpu:h100:4(S:0-1) gpu:h100:1(IDX:0)
gpu* down* gpu:h100:4 gpu:h100:0
gpu* idle* gpu:h100:4 gpu:h100:0
gpu* drained gpu:h100:4 gpu:h100:0
cpu idle (null) gpu:0
old allocated gpu:2 gpu:2(IDX:0-1)
-- waiting
gpu,spot
gpu
cpu
"""
    look = free.read(printed)
    assert free.capacity_of(look, "").gpus == [
        GpuKind(kind="a100", free=2, total=2, on_one_host=2),
        GpuKind(kind="h100", free=7, total=8, on_one_host=4),
    ]
    assert [free.capacity_of(look, name).waiting for name in ("", "spot", "gpu,spot", "old")] == [2, 1, 2, 0]
    assert free.capacity_of(look, "cpu").gpus == []
    assert free.capacity_of(look, "old").gpus == [GpuKind(free=0, total=2, on_one_host=0)]


# With one


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A Slurm that is ended here: a controller that was killed in a job dies with that job (seen with 24.11.5)."""
    yield Cluster.running()
    slurm.end()


@pytest.fixture(scope="module")
def login(cluster: Cluster) -> Iterator[Sshd]:
    with cluster.login() as host:
        yield host


@pytest.fixture
def target(cluster: Cluster, login: Sshd) -> Iterator[Route]:
    found = cluster.route(login, python=sys.executable)
    yield found
    run(released(found))


def test_a_job_that_waits_says_why_and_where(target: Route) -> None:
    async def life() -> None:
        # One kernel has the GPUs of both nodes' reach; the next ones wait behind it.
        first = await asyncio.gather(*(asked(target, f"full-{each}", gpus=4) for each in range(2)))
        for host in first:
            await seen(host, Running)
        neighbour = msgspec.structs.replace(target, target=f"{target.target}-b")  # on the same login node
        assert len(await PROVIDER.list_hosts(target)) == 2 and await PROVIDER.list_hosts(neighbour) == []
        second, third = await asked(target, "second", gpus=4), await asked(target, "third", gpus=4)
        while (observed := await PROVIDER.observe(second)).position is None:  # type: ignore[union-attr]
            await asyncio.sleep(0.1)
        assert isinstance(observed, Pending) and observed.position == 1
        while "resources" not in observed.reason:
            observed = await seen(second, Pending)
        behind = await seen(third, Pending)
        assert behind.position == 2
        full = await PROVIDER.capacity(target, connect=True)
        assert full.gpus == [GpuKind(kind="h100", free=0, total=8, on_one_host=0)] and full.waiting == 2
        assert await PROVIDER.capacity(neighbour, connect=False) == full, "one look serves both"
        await PROVIDER.release(second)
        await PROVIDER.release(first[0])
        await seen(third, Running)

    run(life())


def test_what_slurm_refuses_is_told_with_a_hint(target: Route) -> None:
    for changed, said in (({"partition": "none"}, "partition"), ({"gpus": 99}, "node configuration")):
        with pytest.raises(LinkError, match=f"Slurm refused the job: .*{said}") as caught:
            run(asked(with_config(target, **changed), "refused"))
        assert (caught.value.code, caught.value.step) == ("job_refused", "queue") and caught.value.hint


def test_a_login_node_without_slurm_is_told(tmp_path: Path) -> None:
    with Sshd(environment={"PATH": str(tmp_path)}, shell="") as host:
        route = providers.route_of(
            "bare", "slurm", host=host.alias, ssh_config=str(host.config), login_python=sys.executable
        )
        with pytest.raises(LinkError) as caught:
            run(asked(route, "one"))
        assert caught.value.step == "slurm" and caught.value.hint


def test_the_same_name_is_one_job_even_when_an_answer_is_lost(
    cluster: Cluster, target: Route, login: Sshd
) -> None:
    async def life() -> None:
        await asked(target, "warm")
        asking = asyncio.ensure_future(asked(target, "once"))
        await asyncio.sleep(0.05)
        await asyncio.to_thread(login.kill_sessions)
        with contextlib.suppress(LinkError):
            await asking
        await asked(target, "once")

    run(life())
    names = cluster.run("squeue", "--me", "-h", "-o", "%j").split()
    assert names.count(job_name("slurm", "once")) == 1


def test_a_plain_user_has_jobs(cluster: Cluster, tmp_path: Path) -> None:
    with throwaway_user() as user, cluster.login(user) as host:
        host.folder.chmod(0o755)
        host.authorized_keys.chmod(0o644)
        route = cluster.route(host, python="/usr/bin/python3", login_python="/usr/bin/python3")

        async def life() -> bytes:
            one = await asked(route, "plain")
            await seen(one, Running)
            command = [
                "/usr/bin/python3",
                "-c",
                "import os; print(os.getuid(), os.environ['SLURM_JOB_NAME'])",
            ]
            stream = await PROVIDER.open_stream(one, command, Nobody(), tmp_path)
            printed = await stream.reader.read()
            assert (await stream.end()).exit_code == 0
            await stream.close()
            await PROVIDER.release(one)
            return bytes(printed)

        uid, name = run(life()).decode().split()
        assert uid != "0" and name == job_name("slurm", "plain")


@pytest.fixture(scope="module")
def place(cluster: Cluster, login: Sshd, module_home: Home) -> Iterator[Place]:
    with a_place(module_home, cluster.route(login, python=sys.executable, gpus=1)) as found:
        yield found


def _kill_srun() -> None:
    for process in psutil.process_iter(["name", "cmdline"]):
        if process.info["name"] == "srun" and "--overlap" in (process.info["cmdline"] or ()):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()


def test_a_kernel_loses_nothing_when_what_is_around_it_dies(
    cluster: Cluster, login: Sshd, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "_RARE_LOOK_S", 1000.0)  # the queue tells that the job runs

    def kill_the_controller() -> None:
        # The controller writes its state some seconds after a job has begun.
        state = cluster.folder / "state" / "job_state"
        wait(lambda: state.exists() and state.stat().st_mtime > started, "the state was not saved")
        cluster.end("slurmctld")
        _kill_srun()
        assert isinstance(place.do(PROVIDER.observe(kernel.bridge.link.route)), Running)
        cluster.up()

    def kill_what_runs_on_the_login_node() -> None:
        """As a login node does that kills the long processes of its users."""
        for session in login.sessions():
            with contextlib.suppress(psutil.NoSuchProcess):
                for process in session.children():
                    if not process.name().startswith("sshd"):
                        process.kill()

    def restart_the_login_node() -> None:
        login.stop()
        login.start()

    begun = cut_starts(monkeypatch, login.kill_sessions)
    with a_kernel(place) as kernel:
        _, gpus = kernel.run(
            "import os; print(os.environ['CUDA_VISIBLE_DEVICES'], os.environ['SLURM_JOB_ID'])"
        )
        started = time.time()
        assert len(gpus.split()) == 2 and len(begun) == 3
        for cut in (
            _kill_srun,
            kill_what_runs_on_the_login_node,
            login.kill_sessions,
            kill_the_controller,
            restart_the_login_node,
        ):
            running = kernel.client.execute(COUNT)
            while kernel.client.get_iopub_msg(timeout=60)["msg_type"] != "stream":
                pass
            cut()
            reply, printed = kernel.finish(running, 120)
            assert reply["status"] == "ok", cut
            assert printed.split()[-1] == str(LINES - 1)
            numbers = [int(each) for each in printed.split()]
            assert numbers == list(range(numbers[0], LINES)) and numbers[0] <= 2, cut
    wait(lambda: cluster.run("squeue", "--me", "-h", "-t", "R,PD") == "", "the job was not given back")
