"""Targets: places that run kernels, their links, tests and last readings."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from genops_lab.core.errors import Conflict, Failed, GenOpsError, InvalidRequest, NotAllowed
from genops_lab.core.events import EventBus
from genops_lab.core.live import LiveHub
from genops_lab.core.models import Task
from genops_lab.core.services import Service
from genops_lab.core.settings import Settings
from genops_lab.core.tasks import TaskHandle, TasksService

from .best_fit import fit_of
from .configuration import limited
from .connection_test import ConnectionTest
from .loop_connections import Connecting
from .models import (
    BestFit,
    BestFitQuery,
    Candidate,
    ChangeTarget,
    KindStep,
    NewTarget,
    RemovedTarget,
    RemoveQuery,
    ReportStep,
    Target,
    TargetKind,
    TargetReport,
)
from .names import check_secrets, kernel_name
from .providers import PROVIDERS, provider_of
from .providers.base import Resources
from .records import TargetRecord, check_policy, check_price, record_of
from .test_reports import Outcome, Reports, what_to_do

if TYPE_CHECKING:
    from genops_lab.core.store.work import Work, WorkTable
    from genops_lab.hosts.link.connection import HostConnection
    from genops_lab.hosts.link.state import LinkState

    from .ledger import Ledger, OwnKernel
    from .loop_connections import LoopConnections
    from .metrics import HostMetrics
    from .questions import QuestionsService
    from .target_kernels import TargetKernels

TOPIC = "targets"
#: Fields of a configuration that a Target has beside it, as clients of before read them.
_OF_SSH = ("host", "user", "port", "identity_file", "carrier")
EVENT, NOTICE = "target", "kernel_notice"

_PUBLISH_EVERY_S = 1.0
_AFTER_FAILURE_S = 15.0

log = logging.getLogger("genops_lab")


class TargetsService(Service):
    """Adds, connects, tests and removes targets; the live topic ``targets`` while somebody listens.

    Nothing connects unasked: not a list, not an open panel, not the adding of a target.
    """

    def __init__(
        self,
        settings: Settings,
        events: EventBus,
        live: LiveHub,
        tasks: TasksService,
        questions: QuestionsService,
        ledger: Ledger,
        connections: LoopConnections,
        metrics: HostMetrics,
        work: WorkTable,
        kernels: TargetKernels,
    ) -> None:
        # The routes' table needs this class alone; SQLAlchemy costs 135 ms.
        from .inventory import Inventory

        self.ledger = ledger
        self.connections = connections
        self._inventory = Inventory(ledger, kernels, settings)
        self._metrics = metrics
        self._settings = settings
        self._events = events
        self._tasks = tasks
        self._questions = questions
        self._work = work
        self._kernels = kernels
        self._reports = Reports(events, live)
        self._connecting = Connecting(connections, self.changed)
        self._publisher = Publisher(live, TOPIC, self.list_targets)
        self._unwatch = connections.watch(self.changed)

    async def open(self) -> None:
        """Take over the administrator's targets, and see that each target has its kernelspec."""
        await asyncio.to_thread(self._inventory.reconcile)

    async def list_targets(self) -> list[Target]:
        """All targets with the state of their links and their last readings; connects nowhere."""
        records = await asyncio.to_thread(self.ledger.all)
        await self._metrics.look(
            [record.name for record in records if provider_of(record.route.kind).is_this_machine]
        )
        states = self.connections.states()
        return [self._target(record, states.get(record.name)) for record in records]

    async def get_target(self, name: str) -> Target:
        """One target."""
        record = await self.record(name)
        return self._target(record, self.connections.states().get(name))

    async def best_fit(self, body: BestFitQuery) -> BestFit:
        """The target and GPUs that suit a need best, among those that are connected; connects nowhere."""
        if body.memory_bytes < 0 or not 1 <= body.count <= 64:
            raise InvalidRequest(
                "No such GPUs are asked for.",
                hint="Ask for 1 to 64 GPUs and for no less than 0 bytes on each.",
            )
        return fit_of(await self.list_targets(), body)

    async def list_candidates(self) -> list[Candidate]:
        """Targets that could be added: hosts of the user's ssh_config that are no targets yet."""
        known = [record.route for record in await asyncio.to_thread(self.ledger.all)]
        return await asyncio.to_thread(
            lambda: [found for provider in PROVIDERS.values() for found in provider.candidates(known)]
        )

    async def list_target_kinds(self) -> list[TargetKind]:
        """The kinds of targets that can be added, with what is asked of each."""
        limits = self._settings.target_fields
        return [
            TargetKind(
                kind=each.kind,
                label=each.label,
                fields=limited(each.form(), limits.get(each.kind, {})),
                steps=[KindStep(step.name, step.label) for step in each.test_steps],
            )
            for each in PROVIDERS.values()
        ]

    async def add_target(self, body: NewTarget) -> Target:
        """Add a target and its kernel; nothing is connected. The same again changes nothing."""
        if not self._settings.allow_user_targets:
            raise NotAllowed(
                "Targets are chosen by the administrator of this Lab.",
                hint="Ask who runs it to add the host.",
            )
        record, added = await asyncio.to_thread(
            self._inventory.add, record_of(body, limits=self._settings.target_fields.get(body.kind))
        )
        if added:
            self.changed(record.name)
        return await self.get_target(record.name)

    async def change_target(self, name: str, body: ChangeTarget) -> Target:
        """Replace a target's price an hour, the secrets that its kernels get, and how they are kept."""
        checked = ChangeTarget(
            price_per_hour=check_price(body.price_per_hour),
            secrets=check_secrets(body.secrets),
            policy=check_policy(body.policy),
        )
        await asyncio.to_thread(self.ledger.change, name, checked)
        self._kernels.policy_changed(name)
        self.changed(name)
        return await self.get_target(name)

    async def remove_target(self, name: str, query: RemoveQuery) -> RemovedTarget:
        """Forget a target; kernels on it run on. Refused while kernels of this Lab run there, unless forced."""
        record = await self.record(name)
        if record.locked:
            raise NotAllowed(
                f"The target {name!r} is the administrator's.",
                hint="Ask who runs this Lab to change GenOpsLab.targets.",
            )
        own = await self._kernels.own(record)
        if own and not query.force:
            raise Conflict(
                f"{_count(own)} of this Lab on {name!r}: {', '.join(_shown(each) for each in own)}.",
                hint="Shut down first what you do not need. With force (--force) it runs on, and this Lab "
                "forgets it.",
                code="kernels_running",
                details={"kernels": [each.kernel_id for each in own]},
            )
        report = self._reports.get(name)
        if report.state == "running":
            await self._tasks.cancel_task(report.task_id)
        for each in await self._building(name):
            await self._tasks.cancel_task(each.id)
        await self._leave(name)
        await asyncio.to_thread(self._inventory.remove, record)
        self.connections.forget(name)
        self._reports.forget(name)
        self._metrics.forget(name)
        self.changed(name)
        left = [each.kernel_id for each in own]
        message = f"{name} is removed."
        if left:
            message += f" {_count(own)} on {record.where}, without this Lab: {', '.join(left)}."
        return RemovedTarget(name=name, message=message, kernels_left=left)

    async def connect_target(self, name: str) -> Target:
        """Begin to connect; what must be asked comes as questions, the outcome as the target's state."""
        record = await self.record(name)
        self._connecting.begin(name, self.connections.link(record.route))
        return await self.get_target(name)

    async def disconnect_target(self, name: str) -> Target:
        """Disconnect on purpose; kernels run on, and it stays disconnected until somebody connects."""
        await self.record(name)
        await self._leave(name)
        self.changed(name)
        return await self.get_target(name)

    async def test_target(self, name: str) -> Task:
        """Test a target step by step, in a task; one that is under way is joined."""
        record = await self.record(name)
        report = self._reports.get(name)
        if report.state == "running":
            return await self._tasks.get_task(report.task_id)

        async def work(handle: TaskHandle) -> str:
            return await self._test(handle, record)

        task = self._tasks.start(f"Test {name}", work, subject=f"target:{name}")
        self._reports.begin(name, task.id)
        return task

    async def get_report(self, name: str) -> TargetReport:
        """The last test's steps, also while it goes on."""
        await self.record(name)
        return self._reports.get(name)

    async def record(self, name: str) -> TargetRecord:
        """What is remembered of a target. Raises NotFound."""
        return await asyncio.to_thread(self.ledger.get, name)

    async def link(self, name: str) -> HostConnection:
        """The link of a target, connected or not. Raises NotFound."""
        return self.connections.link((await self.record(name)).route)

    async def connected_link(self, name: str) -> HostConnection:
        """The link of a target that is connected. Raises NotFound, Conflict."""
        record = await self.record(name)
        if not self.connected(name):
            raise Conflict(
                f"{name} is not connected.",
                hint=f"Connect it first: genops targets connect {name}",
                code="not_connected",
            )
        return self.connections.link(record.route)

    async def call(self, name: str, method: str, params: dict[str, Any], timeout_s: float = 30.0) -> Any:
        """What the agent of a target that is connected answers. Raises what a link raises."""
        link = await self.connected_link(name)
        return await self.connections.run(link.call(method, params, timeout_s=timeout_s))

    def connected(self, name: str) -> bool:
        """Whether its link is up now."""
        return self.connections.is_up(name)

    async def close(self) -> None:
        """Give up what is being connected; kernels on their hosts run on."""
        self._unwatch()
        await self._connecting.close()
        await self._questions.withdraw()

    async def _leave(self, name: str) -> None:
        await self._connecting.give_up(name)
        await self._questions.withdraw(name)
        self._connecting.forget(name)
        await self.connections.disconnect(name)

    async def _test(self, handle: TaskHandle, record: TargetRecord) -> str:
        name = record.name
        outcome: Outcome = "failed"
        try:
            if provider_of(record.route.kind).allocates:
                await self._test_a_new_host(handle, record)
            else:
                await self._guided(handle, record).run(await self._keeps_login(record))
            outcome = ""
        except asyncio.CancelledError:
            outcome = "cancelled"
            if not self.connected(name):  # what was being connected for the test alone
                await self._leave(name)
            raise
        finally:
            report = self._reports.end(name, outcome)
        failed = [step for step in report.steps if step.state == "failed"]
        if failed:
            raise Failed(failed[0].message, hint=what_to_do(failed[0]), code="target_test")
        return _works(report)

    async def _test_a_new_host(self, handle: TaskHandle, record: TargetRecord) -> None:
        """Ask for a host, test it, and give it back."""
        provider, run = provider_of(record.route.kind), self.connections.run
        asked = await run(provider.allocate(record.route, f"test-{handle.task.id}", Resources()))
        host = record.route.at(asked)
        try:
            test = self._guided(handle, msgspec.structs.replace(record, route=host))
            await test.run("The host goes with its kernel.")
        finally:
            link = self.connections.link(host)
            await run(link.down())
            self.connections.links.drop(link)
            await run(provider.release(host))

    async def test_connected(self, name: str, handle: TaskHandle) -> str:
        """Test a target within other work, over the connection that is open: what was found, in a sentence.

        Nothing is connected and nobody asked for it. Empty where the connection is down, or a test goes on already.
        """
        test = self._guided(handle, await self.record(name))
        if not self.connected(name) or self._reports.get(name).state == "running":
            return ""
        try:
            await test.meet()
        except GenOpsError as error:
            handle.say(f"It could not be tested: {error.message}")
            return ""
        self._reports.begin(name, handle.task.id)
        outcome: Outcome = "cancelled"
        try:
            await test.run_connected()
            outcome = ""
        finally:
            report = self._reports.end(name, outcome)
        failed = next((step for step in report.steps if step.state == "failed"), None)
        if failed is not None:
            return (
                f"The test of {name} failed at {failed.step}: {failed.message} {what_to_do(failed)}".strip()
            )
        return _works(report)

    def _guided(self, handle: TaskHandle, record: TargetRecord) -> ConnectionTest:
        def told(step: ReportStep) -> None:
            self._reports.add(record.name, step)
            handle.say(" ".join([f"{step.step}: {step.state}. {step.message}", what_to_do(step)]).strip())

        return ConnectionTest(record, self.connections.link(record.route), self.connections.run, told)

    async def _keeps_login(self, record: TargetRecord) -> str:
        if await self._building(record.name):
            return "An environment is being built there."
        if await self._kernels.own(record):
            return "Kernels of this Lab run there: logging out would cut them off for a while."
        return ""

    async def _building(self, name: str) -> list[Work]:
        """What is built or installed on a target now: it is not logged out of meanwhile."""
        return await asyncio.to_thread(self._work.running, "environment", f"target:{name}")

    def _target(self, record: TargetRecord, state: LinkState | None) -> Target:
        name, route = record.name, record.route
        kernels = self._kernels.state(name)
        reading = self._metrics.reading(name)
        return Target(
            name=name,
            kind=route.kind,
            config=msgspec.to_builtins(route.config),
            where=record.where,
            python=route.python,
            **{name: getattr(route.config, name) for name in _OF_SSH if hasattr(route.config, name)},
            kernel_name=kernel_name(name),
            price_per_hour=record.price_per_hour,
            secrets=record.secrets,
            policy=record.policy,
            warm_ready=kernels.warm_ready,
            warm_message=kernels.warm_message,
            locked=record.locked,
            reading=reading[0] if reading else None,
            reading_age_s=reading[1] if reading else None,
            taken=kernels.taken,
            ended=kernels.ended,
            pending=kernels.pending,
            **self._connecting.told(name, state),
        )

    def notice_changed(self, kernel_id: str, name: str) -> None:
        """Tell that there is a notice of a kernel on a target, or none any more."""
        self._events.emit(NOTICE, kernel_id)
        self.changed(name)

    def changed(self, name: str) -> None:
        """Tell that something of a target changed."""
        self._events.emit(EVENT, name)


def _count(kernels: Sequence[OwnKernel]) -> str:
    return "1 kernel runs" if len(kernels) == 1 else f"{len(kernels)} kernels run"


def _shown(kernel: OwnKernel) -> str:
    return f"{kernel.path} ({kernel.kernel_id})" if kernel.path else kernel.kernel_id


def _works(report: TargetReport) -> str:
    return f"{report.target} can run kernels{'' if report.state == 'ok' else ', with warnings'}."


class Publisher:
    """Publishes what ``look`` returns once a second while somebody listens to ``topic``."""

    def __init__(self, live: LiveHub, topic: str, look: Callable[[], Awaitable[Any]]) -> None:
        self._live = live
        self._look = look
        self._publishing: asyncio.Task[None] | None = None
        live.produce(topic, self._switch)

    def _switch(self, topic: str, active: bool) -> None:
        if self._publishing is not None:
            self._publishing.cancel()
            self._publishing = None
        if active:
            self._publishing = asyncio.create_task(self._publish(topic))

    async def _publish(self, topic: str) -> None:
        while True:
            try:
                self._live.publish(topic, await self._look())
            except Exception:  # a look that fails must not end the topic for good
                log.warning("The topic %s could not be published.", topic, exc_info=True)
                await asyncio.sleep(_AFTER_FAILURE_S)
                continue
            await asyncio.sleep(_PUBLISH_EVERY_S)
