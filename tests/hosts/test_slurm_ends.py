"""Jobs of a real Slurm: notices, requeues and ends, and how often GenOps Lab asks Slurm and the person."""

from __future__ import annotations

import asyncio
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from genops_lab.hosts.link.errors import LinkError
from genops_lab.hosts.link.questions import Nobody, is_present
from genops_lab.hosts.link.route import Route
from genops_lab.hosts.providers.base import Gone, Resources, Running
from genops_lab.hosts.providers.slurm import messages
from genops_lab.hosts.providers.slurm.jobs import Job
from genops_lab.hosts.providers.slurm.provider import PROVIDER
from genops_lab.hosts.providers.slurm.script import job_name
from tests.hosts.labs import run
from tests.hosts.link.stand_in import People
from tests.hosts.slurm_jobs import asked, released, seen, with_config
from tests.support.slurm import Cluster
from tests.support.sshd import Sshd, throwaway_user

#: squeue as a cluster's users see it on bad days: away, slow, or without the jobs that have ended. It counts calls.
SQUEUE = """#!/bin/bash
cd "${0%/*}"
echo "$*" >>calls
[ -e away ] && { echo "slurm_load_jobs error: Unable to contact slurm controller (connect failure)" >&2; exit 1; }
[ -e slow ] && sleep 1
[ -e forgets ] && set -- "${@/--states=all/--states=PD,R}"
exec /usr/bin/squeue "$@"
"""


class Front:
    """The folder before the PATH of a login node, where its squeue lies."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        program = folder / "squeue"
        program.write_text(SQUEUE)
        program.chmod(0o755)

    def day(self, kind: str, *, ends: bool = False) -> None:
        if ends:
            (self.folder / kind).unlink()
        else:
            (self.folder / kind).touch()

    def looks(self) -> int:
        """How often all jobs were listed."""
        calls = self.folder / "calls"
        return calls.read_text().count("--json") if calls.exists() else 0


@pytest.fixture(scope="module")
def cluster() -> Cluster:
    found = Cluster.running()
    found.run("scontrol", "update", "PartitionName=spot", "GraceTime=3")
    return found


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Front:
    return Front(tmp_path_factory.mktemp("front"))


@pytest.fixture(scope="module")
def login(cluster: Cluster, front: Front) -> Iterator[Sshd]:
    assert shutil.which("squeue") == "/usr/bin/squeue"
    environment = {**cluster.environment, "PATH": f"{front.folder}:/usr/bin:/bin"}
    with Sshd(environment=environment, shell="") as host:
        yield host


@pytest.fixture
def target(cluster: Cluster, login: Sshd) -> Iterator[Route]:
    found = cluster.route(login, python=sys.executable, login_python=sys.executable)
    yield found
    run(released(found))


def test_a_preempted_job_says_so_before_and_after(target: Route) -> None:
    async def life() -> None:
        spot = await asked(with_config(target, partition="spot"), "spot", gpus=4, time_s=1800)
        ends_at = (await seen(spot, Running)).ends_at
        assert ends_at is not None and 1500 < ends_at - time.time() <= 1800
        for each in range(2):
            await asked(target, f"high-{each}", gpus=4)
        noticed = await seen(spot, Running)
        while not noticed.notice:
            noticed = await seen(spot, Running)
        assert "higher priority" in noticed.notice and noticed.ends_at - time.time() <= 4
        assert (await seen(spot, Gone)).why == messages.why_it_ended(Job(id=1, name="", state="PREEMPTED"))

    run(life())


def test_a_requeued_job_starts_no_kernel_and_a_failed_node_is_told(cluster: Cluster, target: Route) -> None:
    async def life() -> None:
        requeued, lost = await asked(target, "requeued"), await asked(target, "lost")
        await seen(requeued, Running)
        await seen(lost, Running)
        (job,) = cluster.run("squeue", "--me", "-h", "-n", job_name("slurm", "requeued"), "-o", "%i").split()
        cluster.run("scontrol", "update", f"JobId={job}", "Requeue=1")  # as a cluster's own rules may do
        cluster.run("scontrol", "requeue", job)
        assert (await seen(requeued, Gone)).why == messages.why_it_ended(
            Job(id=1, name="", state="", restarts=1)
        )
        assert await PROVIDER.list_hosts(target) == [lost.ref]
        again = await asked(target, "requeued")
        await seen(again, Running)  # a new job, for the kernel that the user restarts
        (node,) = cluster.run("squeue", "--me", "-h", "-n", job_name("slurm", "lost"), "-o", "%N").split()
        cluster.run("scontrol", "update", f"NodeName={node}", "State=DOWN", "Reason=test")
        try:
            assert (await seen(lost, Gone)).why == "The job's node failed."
        finally:
            cluster.run("scontrol", "update", f"NodeName={node}", "State=IDLE")

    run(life())


def test_an_end_is_told_though_the_accounting_is_away_and_named_once_it_is_back(
    cluster: Cluster, target: Route, front: Front
) -> None:
    async def life() -> None:
        host = await asked(target, "ended")
        await seen(host, Running)
        cluster.run("scancel", "-n", job_name("slurm", "ended"))
        while "CANCELLED" not in cluster.run("sacct", "-n", "-X", "--name", job_name("slurm", "ended")):
            await asyncio.sleep(0.2)
        front.day("forgets")  # the job is older than MinJobAge
        cluster.end("slurmdbd")
        assert (await seen(host, Gone)).why == "The job has ended, and Slurm no longer knows why."
        await asyncio.to_thread(cluster.up)
        while "cancelled" not in (gone := await PROVIDER.observe(host)).why:  # type: ignore[union-attr]
            await asyncio.sleep(0.2)
        assert isinstance(gone, Gone)

    try:
        run(life())
    finally:
        front.day("forgets", ends=True)


def test_slurm_is_asked_once_for_all_jobs_and_ever_less_while_it_is_slow_or_away(
    target: Route, front: Front
) -> None:
    async def life() -> None:
        floor = with_config(target, poll_s=600.0)
        hosts = [await asked(floor, f"many-{each}") for each in range(3)]
        for host in hosts:
            await seen(with_config(host, poll_s=0.5), Running)

        async def looks(target: Route) -> int:
            before = front.looks()
            for _ in range(20):
                await asyncio.gather(*(PROVIDER.observe(target.at(host.ref)) for host in hosts))
            return front.looks() - before

        assert await looks(floor) == 0  # the operator's floor
        await PROVIDER.release(hosts.pop())
        assert await looks(floor) == 1  # after a change, one look for all
        front.day("slow")
        await PROVIDER.release(await asked(target, "slow"))
        await looks(target)
        assert await looks(target) == 0  # a look of 1 s is repeated after 20 s
        front.day("slow", ends=True)
        front.day("away")
        for number in range(2):
            with pytest.raises(LinkError, match="controller does not answer"):
                await asked(target, f"refused-{number}")
        assert await looks(target) == 0
        assert all([isinstance(await PROVIDER.observe(host), Running) for host in hosts])

    try:
        run(life())
    finally:
        front.day("away", ends=True)


def test_a_person_is_asked_once_for_each_connection_and_never_by_a_look(
    cluster: Cluster, tmp_path: Path
) -> None:
    with (
        throwaway_user() as user,
        Sshd(user=user, methods="keyboard-interactive", environment=cluster.environment) as host,
    ):
        host.folder.chmod(0o755)
        route = cluster.route(host, python="/usr/bin/python3", login_python="/usr/bin/python3", poll_s=0.5)
        # PAM asks as it asks for a one-time code: the answer is not kept.
        person = People(keyboard_interactive=user.password)

        async def life() -> None:
            is_present(person, tmp_path)
            hosts = [await asked(route, f"asked-{each}") for each in range(2)]
            for each in hosts:
                await seen(each, Running)
            assert person.kinds() == ["keyboard_interactive"]
            attempts = host.log().count("Connection from")
            host.kill_sessions()
            await asyncio.gather(*(PROVIDER.observe(each) for each in hosts * 10))
            while host.log().count("Connection from") == attempts:
                await asyncio.sleep(0.1)
                await asyncio.gather(*(PROVIDER.observe(each) for each in hosts))
            for _ in range(20):
                assert all([isinstance(await PROVIDER.observe(each), Running) for each in hosts])
            assert person.kinds() == ["keyboard_interactive"]  # a look asks nobody
            assert host.log().count("Connection from") <= attempts + 2  # and does not try again
            await asked(route, "asked-again")
            assert person.kinds() == ["keyboard_interactive"] * 2
            for each in await PROVIDER.list_hosts(route):
                await PROVIDER.release(route.at(each))

        run(life())


def test_the_lines_of_the_users_script_hold_in_the_job_and_a_test_says_what_slurm_told(
    target: Route, tmp_path: Path
) -> None:
    own = tmp_path / "own.sh"
    own.write_text("#!/bin/bash\n#SBATCH -J mine --time=9\nexport MINE=yes\n")
    with_script = with_config(target, partition="spot", batch_script=str(own))
    own.write_text(PROVIDER.request(with_script, "printed", Resources()))  # a printed one is a base too

    async def life() -> None:
        host = await asked(with_script, "test-1")
        ends_at = (await seen(host, Running)).ends_at
        assert ends_at is not None and ends_at - time.time() <= 540
        command = [sys.executable, "-c", "import os; print(os.environ['MINE'])"]
        stream = await PROVIDER.open_stream(host, command, Nobody(), tmp_path)
        assert await stream.reader.read() == b"yes\n"
        await stream.close()
        details = await PROVIDER.step_details(with_script)
        assert details["slurm"].startswith("The login node has Slurm 2")
        assert "start it at once" in details["queue"] and "announced 3 s before" in details["queue"]

    run(life())
