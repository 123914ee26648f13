"""Offer a partition of Slurm as a kind of target: each kernel gets a job of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from ...link.errors import LinkError
from ..base import Capacity, Gone, HostProvider, Observed, Pending, Resources, Running, TestStep
from ..ssh.provider import PROVIDER as SSH
from .config import SlurmConfig
from .facts import said_of_queue, said_of_slurm
from .jobs import ENDED
from .messages import notice_of, why_it_ended, why_it_waits
from .script import LOGS, host_id_of, job_name, options, script

if TYPE_CHECKING:
    from genops_lab.agent.channels import Channel

    from ...configuration import FormField, HostConfig
    from ...link.carrier import HostStream
    from ...link.questions import Asker
    from ...link.route import HostRef, Route
    from .facts import Facts
    from .queue import Queue

T = TypeVar("T")
#: The beginning of the names of hosts that a test requests.
_TEST = "test-"


class SlurmProvider(HostProvider):
    """A login node reached over SSH, and a partition that its jobs wait in."""

    kind = "slurm"
    label = "A partition of Slurm"
    config_type = SlurmConfig
    test_steps = (
        TestStep(name="reachable", label="Reachable", message="The login node answers."),
        TestStep(name="host_key", label="Host key", message="The login node shows its known key."),
        TestStep(name="login", label="Login", message="Logged in to the login node."),
        TestStep(name="slurm", label="Slurm", message="The login node has Slurm's commands."),
        TestStep(
            name="queue",
            label="Queue",
            message="Slurm took a job and ran it.",
        ),
    )
    allocates = tells_changes = True
    host_noun = "job"
    request_language = "shell"
    template_field = "batch_script"

    def __init__(self) -> None:
        #: what Slurm said of the last test's request, by target
        self._facts: dict[str, Facts] = {}

    def check(self, config: HostConfig) -> None:
        """Also check the words of more options."""
        super().check(config)
        _slurm(config).more_options()

    def where(self, config: HostConfig) -> str:
        """Return the partition and the login node."""
        own = _slurm(config)
        return f"{own.partition} on {own.host}" if own.partition else own.host

    def by_hand(self, config: HostConfig, command: str) -> str:
        """Return the command, run on the login node: its home is that of the jobs."""
        return SSH.by_hand(_slurm(config).ssh(), command)

    def shares_storage(self, config: HostConfig) -> bool:
        """Return True: a cluster's homes are on one file system."""
        return True

    def load(self) -> None:
        """Import what a stream needs."""
        from . import streams  # noqa: F401

        SSH.load()

    def request(self, target: Route, name: str, resources: Resources) -> str:
        """Return the batch script."""
        return script(_slurm(target.config), job_name(target.target, name), resources)

    def default_resources(self, config: HostConfig) -> Resources:
        """Also return the memory and the time."""
        from .request_limits import seconds, size

        own = _slurm(config)
        return msgspec.structs.replace(
            super().default_resources(config),
            memory_bytes=size(own.memory) if own.memory else None,
            time_s=seconds(own.time) if own.time else None,
        )

    def check_request(
        self, target: Route, name: str, resources: Resources, fields: Sequence[FormField]
    ) -> None:
        """Refuse options of the script that pass by a limited field."""
        from .request_limits import check_script

        config = _slurm(target.config)
        own = options(msgspec.structs.replace(config, sbatch=""), resources)
        check_script(self.request(target, name, resources), own, [each.name for each in fields])

    async def allocate(self, target: Route, name: str, resources: Resources) -> HostRef:
        """Submit a job. A person who is present may be asked for the login."""
        config = _slurm(target.config)
        text = await asyncio.to_thread(self.request, target, name, resources)

        async def submit(queue: Queue, asker: Asker | None) -> None:
            if name.startswith(_TEST):
                self._facts[target.target] = await queue.facts(text, config, asker)
            await queue.submit(job_name(target.target, name), text, config, asker, LOGS)

        await _with_queue(target, submit, may_ask=True)
        return self.host_of(target, name)

    async def step_details(self, target: Route) -> dict[str, str]:
        """Return the version of Slurm, the expected start and the notices before an end."""
        found = self._facts.pop(target.target, None)
        return {} if found is None else {"slurm": said_of_slurm(found), "queue": said_of_queue(found)}

    async def observe(self, host: Route) -> Observed:
        """Return the state of the job. While Slurm or the login node is away, the last known one holds."""
        config, name = _slurm(host.config), job_name(host.target, host.host_id)

        async def look(queue: Queue, asker: Asker | None) -> Observed:
            try:
                job = await queue.job(name, config, asker)
            except LinkError as error:
                job = queue.last(name)
                if job is None or job.ended:
                    raise
                if job.state != "RUNNING":
                    return Pending(reason=f"The job waits. {error.message}", position=queue.place(job))
            if job is None:
                return Gone(why="The job has ended, and Slurm no longer knows why.")
            if job.ended:
                if job.state not in ENDED:  # it would run again, without a kernel
                    await queue.cancel(name, config, asker)
                log = await queue.tail(f"{LOGS}/{job.id}.log") if job.state in ("FAILED", "COMPLETED") else ""
                return Gone(why=why_it_ended(job, log))
            if job.state == "RUNNING":
                return Running(ends_at=job.ends_at, notice=notice_of(job))
            return Pending(reason=why_it_waits(job), position=queue.place(job))

        return await _with_queue(host, look)

    async def capacity(self, target: Route, *, connect: bool) -> Capacity:
        """Return the free GPUs of the partition's nodes, by kind, and how many jobs of all users wait."""
        from .free import capacity

        config = _slurm(target.config)

        async def look(queue: Queue, _asker: Asker | None) -> Capacity:
            return await capacity(queue.login, config, connect=connect)

        return await _with_queue(target, look)

    async def changed(self, host: Route) -> None:
        """Return once a look finds the job changed: one look serves all that wait."""
        config, name = _slurm(host.config), job_name(host.target, host.host_id)

        async def change(queue: Queue, asker: Asker | None) -> None:
            await queue.change(name, config)

        await _with_queue(host, change)

    async def release(self, host: Route) -> None:
        """Cancel the job."""
        config = _slurm(host.config)

        async def cancel(queue: Queue, asker: Asker | None) -> None:
            await queue.cancel(job_name(host.target, host.host_id), config, asker)

        await _with_queue(host, cancel)

    async def list_hosts(self, target: Route) -> list[HostRef]:
        """Return the target's jobs that wait or run."""
        config = _slurm(target.config)

        async def look(queue: Queue, asker: Asker | None) -> list[str]:
            found = await queue.jobs(config, asker)
            names = [host_id_of(target.target, job.name) for job in found.values() if not job.ended]
            return [each for each in names if each]

        return [self.host_of(target, each) for each in await _with_queue(target, look)]

    async def open_stream(
        self, host: Route, command: Sequence[str], asker: Asker, folder: Path
    ) -> HostStream:
        """Add a step to the job that hands its streams to the command."""
        from ...link.errors import CarrierEnded, HostGone
        from .streams import JobStream, step_of

        config, name = _slurm(host.config), job_name(host.target, host.host_id)

        async def start(queue: Queue, present: Asker | None) -> tuple[Queue, Channel]:
            job = await queue.job(name, config, present)
            await queue.login.reach(present)
            line = step_of(0 if job is None else job.id, command)
            return queue, queue.login.open(line)

        queue, channel = await _with_queue(host, start)

        async def why(said: str) -> LinkError:
            queue.expire()
            job = await queue.job(name, config, None)
            if job is None or job.ended:
                ended = "It has ended." if job is None else why_it_ended(job)
                return HostGone.because(host.target, self.host_noun, ended)
            return CarrierEnded(
                f"The job of {host.target} cannot be joined: {said}", hint="GenOps Lab tries again."
            )

        stream = JobStream(host)
        await stream.connect(channel, queue.login, why)
        return stream


async def _with_queue(
    target: Route,
    work: Callable[[Queue, Asker | None], Coroutine[Any, Any, T]],
    *,
    may_ask: bool = False,
) -> T:
    """Run ``work`` in the logins' loop, with who may be asked. Raises LinkError."""
    from ...link.questions import present
    from .login import FromLoop, connections
    from .queue import queue_of

    here = present()
    asker = here.asker if may_ask or getattr(here.asker, "may_ask", False) else None
    asks = None if asker is None else FromLoop(asker)

    async def within() -> T:
        return await work(queue_of(target.target, _slurm(target.config).ssh(), here.folder), asks)

    return await connections.run(within())


def _slurm(config: HostConfig) -> SlurmConfig:
    assert isinstance(config, SlurmConfig), config
    return config


PROVIDER = SlurmProvider()
