"""Add, connect and remove targets."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from genops_lab.core.errors import Conflict, InvalidRequest, NotAllowed
from genops_lab.core.events import EventBus
from genops_lab.core.live import LiveHub, Publisher
from genops_lab.core.services import Service
from genops_lab.core.settings import Settings
from genops_lab.core.tasks import TasksService

from . import shared_files
from .async_connections import Connecting, link_words
from .best_fit import fit_of
from .check_reports import Reports
from .configuration import limited
from .models import (
    BestFit,
    BestFitQuery,
    Candidate,
    ChangeTarget,
    KindStep,
    NewTarget,
    Preset,
    RemovedTarget,
    RemoveQuery,
    SavedHours,
    Target,
    TargetHost,
    TargetKind,
)
from .names import NAME_PATTERN, check_secrets, kernel_name
from .operator_rules import rules_of
from .providers import PROVIDERS, provider_of
from .providers.base import Gone, Pending, Running
from .records import TargetRecord, check_policy, check_price, record_of
from .templates import forget

if TYPE_CHECKING:
    from genops_lab.core.store.work import Work, WorkTable
    from genops_lab.hosts.link.connection import HostConnection
    from genops_lab.hosts.link.route import Route

    from .allocated import AllocatedHosts
    from .async_connections import LoopConnections
    from .capacity import Capacities
    from .host_ends import HostEnds
    from .ledger import Ledger, OwnKernel
    from .metrics import HostMetrics
    from .questions import QuestionsService
    from .target_kernels import TargetKernels

TOPIC = "targets"
#: Fields of a configuration that a Target also has itself, for older clients.
_OF_SSH = ("host", "user", "port", "identity_file", "carrier")
_OF_A_HOST = ("state", "since", "rtt_s", "message", "hint")
EVENT, NOTICE = "target", "kernel_notice"


class TargetsService(Service):
    """Adds, connects and removes targets; publishes the live topic ``targets`` while somebody listens.

    Only a user's action connects: no list, open panel or added target does.
    """

    def __init__(
        self,
        settings: Settings,
        events: EventBus,
        live: LiveHub,
        tasks: TasksService,
        reports: Reports,
        questions: QuestionsService,
        ledger: Ledger,
        connections: LoopConnections,
        hosts: AllocatedHosts,
        ends: HostEnds,
        metrics: HostMetrics,
        capacities: Capacities,
        work: WorkTable,
        kernels: TargetKernels,
    ) -> None:
        # The routes' table needs only this class; SQLAlchemy costs 135 ms.
        from .inventory import Inventory

        self.ledger = ledger
        self.connections = connections
        self.hosts = hosts
        self._inventory = Inventory(ledger, kernels, settings)
        self._ends = ends
        self._metrics = metrics
        self._capacities = capacities
        self._settings = settings
        self._events = events
        self._tasks = tasks
        self._questions = questions
        self._work = work
        self._kernels = kernels
        self._reports = reports
        self._connecting = Connecting(connections, self.changed)
        self._publisher = Publisher(live, TOPIC, self.list_targets)
        self._unwatch = connections.watch(self.changed)
        self._reasons_to_stay: list[Callable[[str], Awaitable[str]]] = []

    async def open(self) -> None:
        """Take over the administrator's targets, and install each target's kernelspec."""
        await asyncio.to_thread(self._inventory.reconcile)

    async def list_targets(self) -> list[Target]:
        """Return all targets with the state of their connections and their last readings; does not connect."""
        records = await asyncio.to_thread(self.ledger.all)
        await self._metrics.look(
            [record.name for record in records if provider_of(record.route.kind).is_this_machine]
        )
        self._capacities.look(records)
        presets = await self._presets(records)
        return list(await asyncio.gather(*(self._target(record, presets) for record in records)))

    async def get_target(self, name: str) -> Target:
        """Return one target."""
        record = await self.record(name)
        return await self._target(record, await self._presets([record]))

    async def list_target_hosts(self, name: str) -> list[TargetHost]:
        """Return the hosts of a target that gets one for each kernel, also those left over."""
        record = await self.record(name)
        provider, known = provider_of(record.route.kind), dict[str, Pending | Running]()
        for host in await self.hosts.look(record):
            observed = await self.connections.run(provider.observe(host))
            if not isinstance(observed, Gone):
                known[host.host_id] = observed
        found = {each.host_id: each for each in await self._hosts_of(record)}
        for host_id, seen in known.items():
            if isinstance(seen, Pending):
                rest = TargetHost(host_id=host_id, state="pending", message=seen.reason)
                found.setdefault(host_id, rest)
            else:
                running = found.get(host_id, TargetHost(host_id=host_id))
                found[host_id] = msgspec.structs.replace(running, ends_at=seen.ends_at, notice=seen.notice)
        return list(found.values())

    async def release_host(self, name: str, host_id: str) -> None:
        """Release a host that no kernel needs. Raises NotFound, and Conflict where a kernel needs it."""
        await self.hosts.release(await self.record(name), host_id)

    async def best_fit(self, body: BestFitQuery) -> BestFit:
        """Return the best target and GPUs for a requirement: among connected targets, and among clusters, which
        are asked what they have free. No question of a login is asked."""
        if body.memory_bytes < 0 or not 1 <= body.count <= 64:
            raise InvalidRequest(
                f"No target can have {body.count} GPUs with {body.memory_bytes} bytes free on each.",
                hint="Ask for 1 to 64 GPUs, and for 0 bytes or more on each.",
            )
        await self._capacities.ask(await asyncio.to_thread(self.ledger.all))
        return fit_of(await self.list_targets(), body)

    async def look_at_capacity(self, name: str) -> Target:
        """Ask a target that allocates hosts what it has free, and return it; no question of a login is
        asked. While somebody watches the targets, it is asked again for 10 minutes."""
        await self._capacities.ask([await self.record(name)])
        return await self.get_target(name)

    async def list_savings(self) -> list[SavedHours]:
        """Return the hours that ends of idle kernels saved, by month and target, the last month first."""
        return await self._kernels.saved()

    async def list_candidates(self) -> list[Candidate]:
        """Return hosts of the user's ssh_config that are no targets yet."""
        known = [record.route for record in await asyncio.to_thread(self.ledger.all)]
        return await asyncio.to_thread(
            lambda: [found for provider in PROVIDERS.values() for found in provider.candidates(known)]
        )

    async def list_target_kinds(self) -> list[TargetKind]:
        """Return the kinds of targets that can be added, with the fields of each."""
        limits = (await asyncio.to_thread(rules_of, self._settings)).fields
        return [
            TargetKind(
                kind=each.kind,
                label=each.label,
                fields=limited(each.form(), limits.get(each.kind, {})),
                steps=[KindStep(step.name, step.label) for step in each.test_steps],
                name_pattern=NAME_PATTERN,
            )
            for each in PROVIDERS.values()
        ]

    async def add_target(self, body: NewTarget) -> Target:
        """Add a target and its kernelspec without connecting. Adding the same again changes nothing."""
        rules = await asyncio.to_thread(rules_of, self._settings)
        if not rules.allow_user_targets:
            raise NotAllowed(
                "Only the administrator of this Lab may add targets.",
                hint="Ask the administrator to add the host.",
            )
        record, added = await asyncio.to_thread(
            self._inventory.add, record_of(body, limits=rules.fields.get(body.kind))
        )
        if added:
            self.changed(record.name)
        return await self.get_target(record.name)

    async def change_target(self, name: str, body: ChangeTarget) -> Target:
        """Replace a target's price in USD an hour, its secrets and its policy."""
        provider = provider_of((await self.record(name)).route.kind)
        checked = ChangeTarget(
            price_per_hour=check_price(body.price_per_hour),
            secrets=check_secrets(body.secrets),
            policy=check_policy(body.policy, provider),
        )
        await asyncio.to_thread(self.ledger.change, name, checked)
        self._kernels.policy_changed(name)
        self.changed(name)
        return await self.get_target(name)

    async def remove_target(self, name: str, query: RemoveQuery) -> RemovedTarget:
        """Remove a target; kernels on it keep running. Refused while kernels of this Lab run on it, unless
        forced."""
        record = await self.record(name)
        if record.locked:
            raise NotAllowed(
                f"The administrator manages the target {name!r}.",
                hint="Ask the administrator of this Lab to change GenOpsLab.targets.",
            )
        for reason in self._reasons_to_stay:
            if words := await reason(name):
                raise Conflict(words, code="in_use")
        own = await self._kernels.own(record)
        if own and not query.force:
            raise Conflict(
                f"{_count(own)} of this Lab on {name!r}: {', '.join(_shown(each) for each in own)}.",
                hint="Shut down the kernels that you do not need. With force (--force) they keep "
                "running, and this Lab forgets them.",
                code="kernels_running",
                details={"kernels": [each.kernel_id for each in own]},
            )
        left_over = [each.host.host_id for each in self.hosts.left_over(name)]
        if left_over and not query.force:
            raise Conflict(
                f"{name} has a {provider_of(record.route.kind).host_noun} left over: {', '.join(left_over)}.",
                hint=f"First: genops targets stop-host {name} {left_over[0]}. With force (--force) it "
                "keeps running.",
                code="hosts_left",
            )
        report = self._reports.get(name)
        if report.state == "running":
            await self._tasks.cancel_task(report.task_id)
        for each in await self.builds(name):
            await self._tasks.cancel_task(each.id)
        await self.leave(name)
        await asyncio.to_thread(self._inventory.remove, record)
        self.connections.forget(name)
        self._reports.forget(name)
        self._metrics.forget(name)
        self._capacities.forget(name)
        await asyncio.to_thread(forget, self._settings.data_dir, name)
        await asyncio.to_thread(shared_files.forget, self._settings.data_dir, name)
        self.changed(name)
        left = [each.kernel_id for each in own]
        message = f"{name} is removed."
        if left:
            message += f" {_count(own)} on {record.where}, without this Lab: {', '.join(left)}."
        return RemovedTarget(name=name, message=message, kernels_left=left)

    def refuse_removal(self, reason: Callable[[str], Awaitable[str]]) -> None:
        """Refuse to remove a target, also with force, while ``reason(name)`` returns one."""
        self._reasons_to_stay.append(reason)

    async def connect_target(self, name: str) -> Target:
        """Start to connect, to each running host where there are several.

        Questions of the login appear as open questions, the outcome as the target's state. Raises Conflict
        where no host runs before a kernel starts.
        """
        record = await self.record(name)
        for host in await self._running_hosts(record):
            self._connecting.begin(self.connections.link(host))
        return await self.get_target(name)

    async def disconnect_target(self, name: str) -> Target:
        """Disconnect until somebody connects; kernels keep running."""
        await self.record(name)
        await self.leave(name)
        self.changed(name)
        return await self.get_target(name)

    async def record(self, name: str) -> TargetRecord:
        """Return a target's record. Raises NotFound."""
        return await asyncio.to_thread(self.ledger.get, name)

    async def link(self, name: str) -> HostConnection:
        """Return the connection of a target, connected or not; of several hosts, a connected one. Raises
        NotFound, Conflict."""
        record = await self.record(name)
        if provider_of(record.route.kind).allocates:
            return await self.connected_link(name)
        return self.connections.link(record.route)

    async def connected_links(self, name: str, host_id: str = "") -> list[HostConnection]:
        """Return the connections of a target's connected hosts, or of this one. Raises NotFound, and Conflict
        for none."""
        record = await self.record(name)
        found = [each.route.ref for each in self.connections.up_of(name)]
        found = [each for each in found if host_id in ("", each.host_id)]
        if not found:
            which = f"{provider_of(record.route.kind).host_noun} {host_id} of {name}" if host_id else name
            raise Conflict(
                f"{which} is not connected.",
                hint=f"Connect it first: genops targets connect {name}",
                code="not_connected",
            )
        return [self.connections.link(record.route.at(each)) for each in found]

    async def connected_link(self, name: str, host_id: str = "") -> HostConnection:
        """Return the connection of a connected target, or of this host of it.

        Raises NotFound. Raises Conflict where it is not connected, or where it has several hosts with their
        own files and none is named.
        """
        links = await self.connected_links(name, host_id)
        route = links[0].route
        provider = provider_of(route.kind)
        if len(links) > 1 and not provider.shares_storage(route.config):
            ids = ", ".join(each.route.host_id for each in links)
            raise Conflict(
                f"{name} has several {provider.host_noun}s: {ids}.",
                hint="Their files differ: shut down the kernels of the others first.",
                code="several_hosts",
            )
        return links[0]

    async def call(
        self, name: str, method: str, params: dict[str, Any], timeout_s: float = 30.0, *, host_id: str = ""
    ) -> Any:
        """Call the agent of a connected target. Raises what a connection raises."""
        link = await self.connected_link(name, host_id)
        return await self.connections.run(link.call(method, params, timeout_s=timeout_s))

    def connected(self, name: str) -> bool:
        """Return whether a host of the target is connected."""
        return self.connections.is_up(name)

    async def leave(self, name: str) -> None:
        """Close the connections of a target and withdraw its questions; publishes nothing."""
        await self._kernels.disconnected(name)
        await self._connecting.give_up(name)
        await self._questions.withdraw(name)
        self._connecting.forget(name)
        await self.connections.disconnect(name)

    async def builds(self, name: str) -> list[Work]:
        """Return the builds and installations on a target that run now: a test must not log out meanwhile."""
        return await asyncio.to_thread(self._work.running, "environment", f"target:{name}")

    async def close(self) -> None:
        """Stop connecting; kernels on hosts keep running."""
        self._unwatch()
        await self._connecting.close()
        await self._questions.withdraw()

    async def _running_hosts(self, record: TargetRecord) -> list[Route]:
        """Return the hosts to connect to: a target's one host, or its running ones. Raises LinkError, and
        Conflict for none."""
        route, provider = record.route, provider_of(record.route.kind)
        if not provider.allocates:
            return [route]
        listed = await self.hosts.look(record)
        seen = [(host, await self.connections.run(provider.observe(host))) for host in listed]
        running = [host for host, observed in seen if isinstance(observed, Running)]
        if not running:
            raise Conflict(
                f"{record.name} has no running {provider.host_noun}: each kernel gets one when it starts.",
                hint=f"Start a notebook's kernel on {record.name} first.",
                code="no_host",
            )
        return running

    async def _hosts_of(self, record: TargetRecord) -> list[TargetHost]:
        """Return the hosts that this Lab uses, and those that the last look found left over."""
        route, provider = record.route, provider_of(record.route.kind)
        if not provider.allocates:
            return []
        links = {
            link.route.ref: link.state for link in self.connections.of(record.name) if link.route.host_id
        }
        self._metrics.retain(record.name, links)
        left = {each.host.ref: each for each in self.hosts.left_over(record.name)}
        own = await asyncio.to_thread(self.ledger.own_kernels, record.name) if links else []
        paths = {provider.host_of(route, each.kernel_id): each.path for each in own}
        found = []
        kernels = self._kernels.state(record.name)
        ended = {each.kernel_id for each in kernels.ended}
        for ref in {**links, **left}:
            if ref in links and ref.host_id in ended and links[ref].state == "idle":
                continue  # given back with its idle kernel
            reading, state = self._metrics.reading(record.name, ref.host_id), links.get(ref)
            over = left.get(ref)
            fields = link_words(state) if state is not None else {}
            if ref.host_id in kernels.warm_hosts:
                fields["message"] = "It is kept ready for the next kernel."
            found.append(
                TargetHost(
                    host_id=ref.host_id,
                    path=paths.get(ref, ""),
                    reading=reading[0] if reading else None,
                    reading_age_s=reading[1] if reading else None,
                    ends_at=self._ends.of(ref).ends_at,
                    notice=self._ends.of(ref).notice,
                    left_over=over is not None,
                    release_at=over.release_at if over else None,
                    **{name: fields[name] for name in _OF_A_HOST if name in fields},
                )
            )
        return found

    async def _presets(self, records: Sequence[TargetRecord]) -> dict[str, list[Preset]]:
        if not any(provider_of(record.route.kind).allocates for record in records):
            return {}
        return await asyncio.to_thread(self._kernels.presets)

    async def _target(self, record: TargetRecord, presets: dict[str, list[Preset]]) -> Target:
        name, route = record.name, record.route
        state, provider = self.connections.states().get(name), provider_of(route.kind)
        kernels = self._kernels.state(name)
        reading = self._metrics.reading(name)
        capacity = self._capacities.of(name)
        return Target(
            name=name,
            kind=route.kind,
            is_this_machine=provider.is_this_machine,
            allocates=provider.allocates,
            host_noun=provider.host_noun,
            request_language=provider.request_language,
            hosts=await self._hosts_of(record),
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
            saved=kernels.saved,
            presets=presets.get(name, []),
            capacity=capacity[0] if capacity else None,
            capacity_age_s=capacity[1] if capacity else None,
            shares_files=await self._shares_files(name) if provider.allocates else None,
            **self._connecting.link_fields(name, state),
        )

    async def _shares_files(self, name: str) -> bool | None:
        return await asyncio.to_thread(shared_files.recall, self._settings.data_dir, name)

    def notice_changed(self, kernel_id: str, name: str) -> None:
        """Publish that a kernel on a target has a notice, or none any more."""
        self._events.emit(NOTICE, kernel_id)
        self.changed(name)

    def changed(self, name: str) -> None:
        """Publish that a target changed."""
        self._events.emit(EVENT, name)


def _count(kernels: Sequence[OwnKernel]) -> str:
    return "1 kernel runs" if len(kernels) == 1 else f"{len(kernels)} kernels run"


def _shown(kernel: OwnKernel) -> str:
    return f"{kernel.path} ({kernel.kernel_id})" if kernel.path else kernel.kernel_id
