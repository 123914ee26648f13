"""Deployments: models that answer requests."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from typing import TYPE_CHECKING

import msgspec

from genops_lab.core.errors import Conflict, Failed, GenOpsError, InvalidRequest, NotFound
from genops_lab.core.events import EventBus
from genops_lab.core.live import LiveHub
from genops_lab.core.paths import private_dir
from genops_lab.core.services import Service
from genops_lab.core.settings import Settings
from genops_lab.core.tasks import TaskHandle, TasksService

from .backends.base import DeploymentBackend, ObservedState, Plan
from .backends.local import LocalBackend, this_process
from .check import Checked, ModelChecker
from .environments import Environments
from .lifetime import Lifetime, lifetime
from .logs import LogFollower
from .models import CheckDeploy, DeployCheck, Deployment, LogQuery, LogTail, NewDeployment
from .names import check_name, default_name
from .record import ACTIVE, Record, name_in_use
from .shielding import to_the_end
from .supervision import Supervision

if TYPE_CHECKING:
    from genops_lab.core.store import LocalStore
    from genops_lab.experiments.mlflow import MlflowConnection
    from genops_lab.registry.service import RegistryService

MAX_LOG_LINES = 5000
_POLL_S = 0.15


class DeploymentsService(Service):
    """Starts, finds again, watches and stops deployments."""

    def __init__(
        self,
        settings: Settings,
        mlflow: MlflowConnection,
        registry: RegistryService,
        store: LocalStore,
        events: EventBus,
        live: LiveHub,
        tasks: TasksService,
        *,
        life: Lifetime | None = None,
        environments: Environments | None = None,
    ) -> None:
        # The routes' table needs this class alone; SQLAlchemy costs 135 ms.
        from .records import Records

        self._lease_s = settings.deployment_lease_s
        self._registry = registry
        self._events = events
        self._tasks = tasks
        self._life = life or lifetime()
        self._records = Records(store)
        root = private_dir(settings.data_dir / "deployments")
        self._backend: DeploymentBackend = LocalBackend(
            root, environments or Environments(settings.data_dir / "environments")
        )
        self._checker = ModelChecker(root / ".checked", registry, store, self._life)
        self._task_ids: dict[str, str] = {}
        self._supervision = Supervision(self._look, self._backend, events, live)

    async def supervise(self) -> None:
        """Watch processes and leases until cancelled; one Lab of a user does."""
        await self._supervision.run()

    async def list_deployments(self) -> list[Deployment]:
        """All deployments, newest first."""
        return await self._look()

    async def serving(self, run_ids: set[str]) -> list[str]:
        """The names of deployments that are not over, of models that these runs logged."""
        found = []
        for each in await self._look():
            if each.state not in ACTIVE:
                continue
            with contextlib.suppress(
                GenOpsError
            ):  # the version is gone from the registry: nobody knows its run
                version = await self._registry.resolve(each.model, each.version)
                if version.run_id in run_ids:
                    found.append(each.name)
        return found

    async def get_deployment(self, name: str) -> Deployment:
        """One deployment."""
        record = await asyncio.to_thread(self._records.get, name)
        return await asyncio.to_thread(self._observe, record)

    async def check_deploy(self, body: CheckDeploy) -> DeployCheck:
        """What to know before a version is deployed: origin, files, environment, lifetime."""
        version = await self._registry.resolve(body.model, body.version)
        return (await self._checker.check(version)).check

    async def deploy(self, body: NewDeployment) -> Deployment:
        """Start a deployment; it goes on in a task."""
        name = check_name(body.name) if body.name else default_name(body.model)
        earlier = await asyncio.to_thread(self._records.keyed, body.idempotency_key)
        if earlier is not None:
            return await self.get_deployment(earlier.name)
        await self._refuse_active(name)
        version = await self._registry.resolve(body.model, body.version)
        checked = await self._checker.check(version)
        if not checked.check.trusted and body.trust != checked.check.digest:
            raise _unconfirmed(checked.check, changed=bool(body.trust))
        now = time.time()
        owner, owner_created = this_process()
        record = Record(
            name=name,
            model=version.name,
            version=version.version,
            state="preparing",
            message="Preparing the files.",
            folder=str(self._backend.log_path(name).parent),
            pid=owner,
            pid_created=owner_created,
            outlives_server=int(self._life.outlives_server),
            created_at=now,
            lease_until=now + self._lease_s,
        )
        begun = await asyncio.to_thread(self._records.begin, record, body.idempotency_key)
        if not begun:
            earlier = await asyncio.to_thread(self._records.keyed, body.idempotency_key)
            if earlier is None:
                raise NotFound(
                    "The deployment that this key began was deleted.", hint="Deploy again with a new key."
                )
            return await self.get_deployment(earlier.name)
        self._start(record, checked)
        return await self.get_deployment(name)

    def _start(self, record: Record, checked: Checked) -> None:
        async def work(handle: TaskHandle) -> str:
            return await self._bring_up(handle, record, checked)

        title = f"Deploy {record.model} version {record.version} as {record.name}"
        task = self._tasks.start(title, work, subject=f"deployment:{record.name}")
        self._task_ids[record.name] = task.id
        self._changed(record.name)

    async def _refuse_active(self, name: str) -> None:
        try:
            found = await self.get_deployment(name)
        except NotFound:
            return
        if found.url or found.state in ("preparing", "starting", "running", "stopping"):
            raise name_in_use(await asyncio.to_thread(self._records.get, name))

    async def _bring_up(self, handle: TaskHandle, record: Record, checked: Checked) -> str:
        try:
            handle.progress("Preparing the files.")
            plan = Plan(
                name=record.name,
                model=await self._checker.take(checked),
                key=secrets.token_urlsafe(32),
                lease_s=self._lease_s,
                lease_until=record.lease_until,
                allow_pickle=checked.allow_pickle,
            )
            await self._backend.prepare(plan, handle.say)
            handle.progress("Loading the model.")
            record = await to_the_end(self._launch(plan, record))
            return await self._until_it_answers(handle, record)
        except asyncio.CancelledError:
            await self._give_up(record)
            raise
        except GenOpsError as error:
            current = await asyncio.to_thread(self._records.get, record.name)
            if current.active:
                await asyncio.to_thread(
                    self._records.change, record, state="failed", message=error.message, hint=error.hint
                )
            raise
        finally:
            self._changed(record.name)

    async def _launch(self, plan: Plan, record: Record) -> Record:
        """Start the process and remember it, or it would be nobody's."""
        pid, created = await asyncio.to_thread(self._backend.start, plan)
        started = await asyncio.to_thread(
            self._records.change,
            record,
            state="starting",
            message="Loading the model.",
            pid=pid,
            pid_created=created,
        )
        self._changed(record.name)
        return started

    async def _until_it_answers(self, handle: TaskHandle, record: Record) -> str:
        follower = LogFollower(self._backend.log_path(record.name), 0)
        while True:
            found = await self.get_deployment(record.name)
            for line in await asyncio.to_thread(follower.news):
                handle.say(line)
            if found.state == "running":
                return f"{record.name} answers at {found.url}/invocations."
            if found.state in ("failed", "ended"):
                raise Failed(found.message or f"{record.name} ended before it answered.", hint=found.hint)
            if found.state in ("stopped", "stopping"):
                return "Stopped before it answered."
            await asyncio.sleep(_POLL_S)

    async def _give_up(self, record: Record) -> None:
        found = await self.get_deployment(record.name)
        if found.state == "running":
            return  # it answers already: the task alone was cancelled, by the end of its Lab for one
        current = await asyncio.to_thread(self._records.get, record.name)
        if current.state != "preparing":
            await asyncio.to_thread(self._backend.stop, current)
        await asyncio.to_thread(
            self._records.change, current, state="stopped", message="Cancelled before it answered.", hint=""
        )

    async def stop_deployment(self, name: str) -> Deployment:
        """Stop a deployment after the requests in flight."""
        found = await self.get_deployment(name)
        record = await asyncio.to_thread(self._records.get, name)
        if not record.active:
            return found
        if found.task_id and found.state in ("preparing", "starting"):
            with contextlib.suppress(Conflict):  # the task has ended meanwhile
                await self._tasks.cancel_task(found.task_id)
            found = await self.get_deployment(name)
            record = await asyncio.to_thread(self._records.get, name)
            if not record.active:
                return found
        if found.state == "preparing":
            raise Conflict(
                f"{name!r} is being prepared by another GenOps process (pid {record.pid}).",
                hint="Cancel it there, or stop it when it runs.",
            )
        record = await asyncio.to_thread(
            self._records.change, record, state="stopping", message="Answering the requests in flight."
        )
        self._changed(name)
        await asyncio.to_thread(self._backend.stop, record)
        await asyncio.to_thread(self._records.change, record, state="stopped", message="Stopped.", hint="")
        self._changed(name)
        return await self.get_deployment(name)

    async def renew_deployment(self, name: str) -> Deployment:
        """Renew a deployment's lease."""
        found = await self.get_deployment(name)
        if found.state not in ("starting", "running"):
            raise Conflict(
                f"{name!r} is {found.state}: there is no lease to renew.", hint="Deploy the version again."
            )
        record = await asyncio.to_thread(self._records.get, name)
        until = time.time() + self._lease_s
        await asyncio.to_thread(self._backend.renew, record, until)
        await asyncio.to_thread(self._records.change, record, lease_until=until)
        self._changed(name)
        return await self.get_deployment(name)

    async def delete_deployment(self, name: str) -> None:
        """Forget a deployment that has ended; idempotent."""
        try:
            await self.get_deployment(name)
            record = await asyncio.to_thread(self._records.get, name)
        except NotFound:
            return
        if record.active:
            raise Conflict(f"{name!r} is {record.state}.", hint="Stop it first, then delete it.")
        await asyncio.to_thread(self._backend.remove, record)
        await asyncio.to_thread(self._records.delete, record)
        self._task_ids.pop(name, None)
        self._changed(name)

    async def get_deployment_log(self, name: str, query: LogQuery) -> LogTail:
        """The last lines of a deployment's log."""
        if not 1 <= query.lines <= MAX_LOG_LINES:
            raise InvalidRequest(f"lines is {query.lines}.", hint=f"Ask for 1 to {MAX_LOG_LINES:,} lines.")
        record = await asyncio.to_thread(self._records.get, name)
        return LogTail(name=name, lines=await asyncio.to_thread(self._backend.log, record.name, query.lines))

    def _changed(self, name: str) -> None:
        self._events.emit("deployment", name)
        self._supervision.wake()

    async def _look(self) -> list[Deployment]:
        return await asyncio.to_thread(self._observe_all)

    def _observe_all(self) -> list[Deployment]:
        found = []
        for record in self._records.all():
            try:
                found.append(self._observe(record))
            except NotFound:
                continue  # deleted between the two looks
        return found

    def _observe(self, record: Record) -> Deployment:
        """Compare the record with its process, remember what is new, and tell both together."""
        seen = self._backend.find(record)
        differs = (seen.state, seen.message, seen.hint) != (record.state, record.message, record.hint)
        if record.active and (differs or seen.port != record.port):
            record = self._records.observe(
                record, state=seen.state, message=seen.message, hint=seen.hint, port=seen.port
            )
            seen = self._backend.find(record)
        return self._told(record, seen)

    def _told(self, record: Record, seen: ObservedState) -> Deployment:
        return Deployment(
            name=record.name,
            model=record.model,
            version=record.version,
            state=seen.state,
            url=self._backend.url(record, seen),
            key=self._backend.key(record) if record.active else "",
            message=seen.message,
            hint=seen.hint,
            target=self._backend.target,
            requests=seen.stats.requests,
            errors=seen.stats.errors,
            latency_ms=seen.stats.latency_ms,
            outlives_server=bool(record.outlives_server),
            task_id=self._task_ids.get(record.name, ""),
            created_at=record.created_at,
            lease_until=max(record.lease_until, seen.lease_until),
        )


def _unconfirmed(check: DeployCheck, *, changed: bool) -> Conflict:
    named = f"{check.model} version {check.version}"
    return Conflict(
        f"The files of {named} are not those that you confirmed. {check.reason}"
        if changed
        else f"{named} is not loaded unasked. {check.reason}",
        hint=f"Look at its files. If you trust their origin, deploy it with --trust {check.digest}",
        code="confirmation_needed",
        details={"check": msgspec.to_builtins(check)},
    )
