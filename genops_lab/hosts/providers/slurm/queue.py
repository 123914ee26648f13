"""Know the jobs of one login node: one look at Slurm serves all targets there."""

from __future__ import annotations

import asyncio
import logging
import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING

from ...link.errors import CarrierEnded, LinkError
from ...link.questions import Asker
from . import facts
from . import jobs as reading
from .config import SlurmConfig
from .facts import Facts
from .jobs import Job
from .login import Login, Printed, SlurmAway, SlurmError
from .script import PREFIX

if TYPE_CHECKING:
    from ..ssh.config import SshConfig

log = logging.getLogger("genops_lab")

#: Seconds at most between two looks, and between two looks at the places of waiting jobs.
SLOW_S, PLACES_S = 15.0, 60.0
#: Seconds for the accounting to answer.
ACCOUNTING_S = 20.0
#: A look costs Slurm at most this part of the time.
_SHARE = 0.05
#: Seconds between two looks for a job that waits at least, and while Slurm cannot be asked.
_LEAST_S, _AWAY_S = 0.2, 2.0
_AWAY = (
    "Unable to contact slurm controller",
    "Socket timed out",
    "Connection refused",
    "Zero Bytes",
    "in standby",
)
_EPOCH = "export SLURM_TIME_FORMAT=%s; "


class Queue:
    """The jobs of GenOps Lab on a cluster by name, as the last look saw them. Belongs to the logins' loop."""

    def __init__(self, login: Login) -> None:
        self.login = login
        self._looking = asyncio.Lock()
        self._jobs: dict[str, Job] = {}
        self._ended: dict[str, Job] = {}
        #: what the last caller learned of a job
        self._told: dict[str, object] = {}
        self._places: dict[int, int] = {}
        self._looked_at = self._places_at = self._changed_at = float("-inf")
        self._took_s = 0.0
        #: why the last looks failed, how many did, and until when only a person causes another one
        self._failed: SlurmError | None = None
        self._failures, self._again_at = 0, float("-inf")
        self._has_json = True

    def expire(self) -> None:
        """Make the next caller look: something has changed."""
        self._changed_at = time.monotonic()

    def last(self, name: str) -> Job | None:
        """Return a job as it was last seen."""
        return self._jobs.get(name)

    def place(self, job: Job) -> int | None:
        """Return a waiting job's place in its partition, from 1; None where it is not known."""
        return self._places.get(job.id)

    async def job(self, name: str, config: SlurmConfig, asker: Asker | None) -> Job | None:
        """Return the job of this name; an ended one too, as long as Slurm knows it. Raises LinkError."""
        found = (await self.jobs(config, asker)).get(name)
        self._told[name] = self._state(name)
        if found is not None and found.state != "COMPLETING":
            return found
        if name not in self._ended:
            try:
                ended = await self._accounted(name)
            except SlurmError as error:  # the queue has answered: the job has ended, whatever the reason
                log.info("The accounting of %s does not answer: %s", self.login.host, error.message)
                return found
            if ended is None:  # the accounting may lag behind
                return found
            self._ended[name] = ended
        return self._ended[name]

    async def jobs(self, config: SlurmConfig, asker: Asker | None, *, fresh: bool = False) -> dict[str, Job]:
        """Return the jobs by name; look at Slurm where the last look is too old. Raises LinkError."""
        called_at = time.monotonic()
        async with self._looking:
            earliest = time.monotonic() - self._pause_s(config)
            if self._looked_at < max(self._changed_at, called_at if fresh else earliest):
                if self._failed is not None and not fresh and time.monotonic() < self._again_at:
                    raise type(self._failed)(self._failed.message, hint=self._failed.hint)
                await self._try(config.poll_s, asker)
            return self._jobs

    async def change(self, name: str, config: SlurmConfig) -> None:
        """Look as often as is allowed, until a job is in another state or place than the last caller was told. Returns
        after a pause where Slurm cannot be asked."""
        while self._state(name) == self._told.get(name):
            job = self._jobs.get(name)
            waits = job is not None and job.state != "RUNNING"
            await asyncio.sleep(max(_LEAST_S, self._pause_s(config)) if waits else SLOW_S)
            try:
                await self.jobs(config, None)
            except LinkError:
                await asyncio.sleep(_AWAY_S)
                return

    def _state(self, name: str) -> object:
        job = self._jobs.get(name)
        return job and (job, self.place(job))

    def _pause_s(self, config: SlurmConfig) -> float:
        """Return the seconds from one look to the next: more with the time since a change, and few for Slurm."""
        pause_s = min(SLOW_S, 0.1 * (time.monotonic() - self._changed_at))
        return max(config.poll_s, pause_s, self._took_s / _SHARE)

    async def _try(self, poll_s: float, asker: Asker | None) -> None:
        """Look; where Slurm fails, the next looks wait longer and longer."""
        began = time.monotonic()
        self.login.begin()
        try:
            await self.login.reach(asker)
            try:
                await self._look()
            except CarrierEnded:  # the connection had ended unnoticed, and a look may be repeated
                await self.login.reach(asker)
                await self._look()
        except SlurmError as error:
            self._failed, self._failures = error, self._failures + 1
            now = time.monotonic()
            pause_s = max(poll_s, 0.5 * 2 ** min(self._failures, 9), (now - began) / _SHARE)
            self._again_at = now + min(SLOW_S, pause_s)
            raise
        finally:
            self.login.end()
        self._failed, self._failures = None, 0

    async def _look(self) -> None:
        began = time.monotonic()
        found = await self._listed()
        own = [job for job in found if job.name.startswith(PREFIX)]
        self._jobs = reading.newest(own)
        for name in self._jobs:
            self._ended.pop(name, None)
        self._looked_at, self._took_s = began, time.monotonic() - began
        waiting = [job for job in self._jobs.values() if job.state == "PENDING"]
        if (waiting and began - self._places_at > PLACES_S) or {job.id for job in waiting} - set(
            self._places
        ):
            await self._look_at_places({job.partition for job in waiting})

    async def _listed(self) -> list[Job]:
        if self._has_json:
            done = await self.login.run("squeue --me --states=all --json")
            if done.code == 0:
                try:
                    return reading.from_json(done.stdout)
                except ValueError:
                    log.info("The JSON of squeue on %s cannot be read.", self.login.host)
            elif is_away(done):
                raise away(done)
            self._has_json = False
        line = f'squeue --user="$(id -un)" --states=all -h -o {shlex.quote(reading.FORMAT)}'
        return reading.from_lines(checked(await self.login.run(_EPOCH + line)).stdout)

    async def _look_at_places(self, partitions: set[str]) -> None:
        self._places_at = time.monotonic()
        line = f"squeue -h -t PD -p {shlex.quote(','.join(sorted(partitions)))} -o '%i|%P|%Q'"
        done = await self.login.run(line)
        self._places = reading.places(done.stdout) if done.code == 0 else {}

    async def _accounted(self, name: str) -> Job | None:
        """Return a job that left the queue, from the accounting; None where it is not known. Raises LinkError."""
        line = f"sacct -n -P -X -S now-30days -o {reading.SACCT} --name={shlex.quote(name)}; "
        done = checked(await self.login.run(_EPOCH + line, timeout_s=ACCOUNTING_S))
        return reading.newest(each for each in reading.from_lines(done.stdout) if each.ended).get(name)

    async def facts(self, script: str, config: SlurmConfig, asker: Asker | None) -> Facts:
        """Return what Slurm says of a request without submitting it. Raises LinkError."""
        self.login.begin()
        try:
            await self.login.reach(asker)
            return facts.read((await self.login.run(facts.line(config), script.encode())).stdout)
        finally:
            self.login.end()

    async def submit(
        self, name: str, script: str, config: SlurmConfig, asker: Asker | None, logs: str
    ) -> None:
        """Submit a job unless one of this name waits or runs. Raises LinkError."""
        if self._is_there(name, await self.jobs(config, asker, fresh=True)):
            return
        self.login.begin()
        try:
            done = await self.login.run(f"cd && mkdir -p {logs} && sbatch --parsable", script.encode())
        except LinkError as lost:
            # The answer is lost, not the job: Slurm may have taken it.
            self.expire()
            try:
                if self._is_there(name, await self.jobs(config, None, fresh=True)):
                    return
            except LinkError:
                log.info("Whether %s took the job %s is not known.", self.login.host, name)
            raise lost
        finally:
            self.login.end()
            self._ended.pop(name, None)
            self.expire()
        if done.code != 0:
            raise refused(done)

    async def cancel(self, name: str, config: SlurmConfig, asker: Asker | None) -> None:
        """End all jobs of this name; harmless where there is none. Raises LinkError."""
        job = (await self.jobs(config, asker, fresh=True)).get(name)
        if job is None or job.state in reading.ENDED:
            return
        self._told.pop(name, None)
        checked(await self.login.run(f'scancel --user="$(id -un)" --name={shlex.quote(name)}'))
        self.expire()

    async def tail(self, path: str) -> str:
        """Return the last line of a file on the login node; empty where there is none."""
        done = await self.login.run(f"tail -c 300 {path}")
        return " ".join(done.stdout.split())[-160:]

    def _is_there(self, name: str, jobs: dict[str, Job]) -> bool:
        return name in jobs and not jobs[name].ended


_queues: dict[SshConfig, Queue] = {}


def queue_of(target: str, ssh: SshConfig, folder: Path) -> Queue:
    """Return the queue of a login node, for whose logins the first ``target`` is named; ``folder`` is GenOps' data
    directory, of which a process has one. Belongs to the logins' loop."""
    found = _queues.get(ssh)
    if found is None:
        found = _queues[ssh] = Queue(Login(target, ssh, folder))
    return found


def is_away(done: Printed) -> bool:
    """Return whether the controller did not answer a command."""
    return any(each in done.stderr for each in _AWAY)


def away(done: Printed) -> SlurmAway:
    """Return the error of a controller that does not answer."""
    return SlurmAway(
        f"Slurm's controller does not answer: {done.said}.",
        hint="Jobs keep running. GenOps Lab looks again.",
    )


def checked(done: Printed) -> Printed:
    """Return what a command printed. Raises SlurmError where it failed."""
    if done.code == 0:
        return done
    if is_away(done):
        raise away(done)
    if done.code == 127:
        raise SlurmError(
            f"The login node has no commands of Slurm: {done.said}.",
            hint="Name a host where sbatch and squeue are on the PATH of commands over SSH.",
        )
    raise SlurmError(f"A command of Slurm failed: {done.said}.", hint="Run squeue on the login node.")


def refused(done: Printed) -> SlurmError:
    """Return the error of a job that sbatch did not take."""
    if done.code == 127 or is_away(done):
        try:
            checked(done)
        except SlurmError as error:
            return error
    said = done.said.replace("Batch job submission failed: ", "")
    hint = next((text for part, text in _REFUSALS if part in said), "Change the target's resources.")
    return JobRefused(f"Slurm refused the job: {said}.", hint=hint)


_REFUSALS = (
    ("nvalid partition", "On the login node, sinfo -s lists partitions. Change the target's partition."),
    ("account", "Change the target's account or partition, or ask the cluster's support for access."),
    ("nvalid qos", "Change the target's QOS."),
    ("node configuration", "No node has these resources. Request fewer GPUs, cores or less memory."),
    ("time limit", "Lower the target's time limit."),
)


class JobRefused(SlurmError):
    """Slurm did not take the job."""

    code = "job_refused"
    step: str = "queue"
