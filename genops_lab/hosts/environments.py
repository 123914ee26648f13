"""Build environments on targets, and install packages into existing ones."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from genops_lab.core.errors import Conflict, Failed, GenOpsError, InvalidRequest, NotAllowed
from genops_lab.core.models import Task
from genops_lab.core.settings import Settings

from . import requirement_files
from .models import Additions, EnvironmentSource, NewEnvironment, SourcesQuery
from .providers import provider_of
from .records import MAX_TEXT, TargetRecord

if TYPE_CHECKING:
    from genops_lab.core.store.work import WorkTable
    from genops_lab.core.tasks import TaskHandle
    from genops_lab.core.work import WorkService
    from genops_lab.hosts.link.connection import HostConnection
    from genops_lab.hosts.link.route import Route

    from .service import TargetsService
    from .target_tests import TargetTestsService

#: The kind of durable work.
KIND = "environment"
_CANCEL_S = 40.0
#: Seconds to connect to a host in order to cancel its build.
_REACH_S = 10.0
#: Tried where the target's own interpreter cannot run the agent.
_OTHER_PYTHONS = ("python3", "/usr/bin/python3")
_AWAY = "The connection is down; the build continues on the host."


class EnvironmentsService:
    """Builds environments as durable work, one at a time per target.

    The host continues a build when the Lab ends, and the next Lab joins it. A target's kernels use the new
    environment from their next start on.
    """

    def __init__(
        self,
        settings: Settings,
        targets: TargetsService,
        tests: TargetTestsService,
        work: WorkService,
        table: WorkTable,
    ) -> None:
        # Commands need only this class; SQLAlchemy costs 135 ms.
        from genops_lab.core.work import WorkKind

        self._settings = settings
        self._targets = targets
        self._tests = tests
        self._work, self._table = work, table
        #: the hosts' ids of the builds that this Lab follows; an order with the same contents may join one
        self._ids: dict[str, str] = {}
        steps = {"connect": self._connect, "build": self._build, "use": self._use}
        work.register(WorkKind(KIND, steps, self._cancel))

    async def list_environment_sources(self, query: SourcesQuery) -> list[EnvironmentSource]:
        """Return the files of a project that describe its environment, the best first."""
        path = self._path(query.path)
        return await asyncio.to_thread(
            lambda: requirement_files.find(path if path.is_dir() else path.parent, self._settings.root_dir)
        )

    async def build_environment(self, name: str, body: NewEnvironment) -> Task:
        """Build an environment on a target and use it; join a build of the same that already runs."""
        for field in (body.source, body.python, body.folder):
            if len(field) > MAX_TEXT:
                raise InvalidRequest(
                    f"A name has at most {MAX_TEXT} characters.", hint="Give a shorter name."
                )
        project, source = "python", {"kind": "none", "main": "", "files": {}}
        if body.source:
            path = self._path(body.source)
            source = msgspec.to_builtins(await asyncio.to_thread(requirement_files.read, path))
            project = path.parent.name or project
        order = {
            "source": source,
            "project": project,
            "packages": list(dict.fromkeys(["ipykernel", *body.packages])),
            "python": body.python.strip(),
            "folder": body.folder.strip(),
        }
        return await self._begin(name, f"Build an environment on {name}", order)

    async def install_packages(self, name: str, body: Additions) -> Task:
        """Install ipykernel or mlflow into the environment that a target's kernels use now."""
        if not body.packages:
            raise InvalidRequest("No package to install was named.", hint="Name ipykernel or mlflow.")
        packages = list(dict.fromkeys(body.packages))
        title = f"Install {' and '.join(packages)} on {name}"
        return await self._begin(name, title, {"adds": True, "packages": packages})

    async def _begin(self, name: str, title: str, order: dict[str, Any]) -> Task:
        record = await self._targets.record(name)
        if record.locked and not order.get("adds"):
            raise NotAllowed(
                f"The administrator manages the target {name!r} and its interpreter.",
                hint="Add the host again under another name, then build on that target.",
            )
        provider, route = provider_of(record.route.kind), record.route
        if not provider.shares_storage(route.config):
            raise Conflict(
                f"Each {provider.host_noun} of {name} has its own files: an environment built on one "
                "does not exist on the next.",
                hint="Give the target an interpreter (or an image) that has what kernels need, or "
                "install packages in the notebook: %pip install.",
                code="no_shared_storage",
            )
        subject, plan = f"target:{name}", {"target": name, "order": order}
        running = await asyncio.to_thread(self._table.running, KIND, subject)
        if any(each.plan != plan for each in running):
            raise Conflict(
                f"Another build on {name} is running.",
                hint="Wait until that build ends, or cancel it.",
                code="building",
            )
        if not running and (await self._tests.get_report(name)).state == "running":
            raise Conflict(f"A test of {name} is running.", hint="Wait until the test ends.", code="testing")
        return await self._work.begin(KIND, plan, title=title, subject=subject)

    async def _connect(
        self, handle: TaskHandle, plan: dict[str, Any], _data: dict[str, Any]
    ) -> dict[str, Any]:
        """Connect, with another interpreter where the target's own cannot run the agent."""
        from genops_lab.hosts.link.errors import NoPython, OldPython

        name, connections = plan["target"], self._targets.connections
        handle.progress(f"Connecting to {name}.")
        record = await self._targets.record(name)
        own = record.route.python
        others = [] if plan["order"].get("adds") else [each for each in _OTHER_PYTHONS if each != own]
        refused: GenOpsError | None = None
        try:
            for python in [own, *others]:
                link = connections.link((await self._host(handle, record)).with_python(python))
                try:
                    await connections.reach(link, handle)
                except (NoPython, OldPython) as error:
                    refused = refused or error
                else:
                    return {"python": python}
        except asyncio.CancelledError:
            if not provider_of(
                record.route.kind
            ).allocates:  # otherwise the next Lab, or the cancel, finds the host
                await self._targets.disconnect_target(name)  # this connection was opened only for the build
            raise
        except GenOpsError:
            await self._give_back(handle, record)
            raise
        if not await self._give_back(handle, record):
            connections.link(record.route)
        assert refused is not None
        raise refused

    async def _build(self, handle: TaskHandle, plan: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
        """Start the build on the host, or join the one that was started for this task."""
        from genops_lab.hosts.link.builds import build

        name, run, loop = plan["target"], self._targets.connections.run, asyncio.get_running_loop()
        record, link = await self._linked(handle, name, data)
        progress = _Progress(handle, self._ids)

        def on_event(event: dict[str, Any]) -> None:
            loop.call_soon_threadsafe(progress.tell, event)

        try:
            await self._targets.connections.reach(link, handle)
            end = await run(build(link, {"id": handle.id, **plan["order"]}, on_event))
            if end["state"] == "cancelled":
                raise Failed("The build was cancelled on the host.", hint="Begin it again.", code="cancelled")
            if end["state"] != "done":
                raise Failed(str(end["message"]), hint=str(end["hint"]), code=str(end["code"]))
        except GenOpsError as error:
            await self._leave(handle, record, link)
            if error.code == "not_connected":
                raise Failed(
                    f"The connection to {name} was lost; the build continues on the host.",
                    hint="Connect, then start the same build again: it joins the running one.",
                ) from error
            raise
        return {**data, "interpreter": str(end["interpreter"]), "reused": bool(end["reused"])}

    async def _use(self, handle: TaskHandle, plan: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
        name, order, targets = plan["target"], plan["order"], self._targets
        if order.get("adds"):
            record = await targets.record(name)
            message = f"{' and '.join(order['packages'])} installed on {name}."
        else:
            record = await asyncio.to_thread(targets.ledger.use_python, name, data["interpreter"])
            before = ", which was built before" if data["reused"] else ""
            message = f"{name} uses {data['interpreter']}{before}."
        handle.progress(message, 1.0)
        if await self._give_back(handle, record):
            targets.changed(name)
            return {"message": message}
        link = targets.connections.link(record.route)
        try:
            if link.is_up:
                await targets.connections.run(link.renew())
            else:
                await targets.connections.reach(link, handle)
        except GenOpsError as error:  # the environment exists all the same
            handle.say(f"{error.message} {error.hint}")
        targets.changed(name)
        # A notification may cut off the end of a long text.
        return {"message": f"{await self._tests.test_connected(name, handle)} {message}".strip()}

    async def _cancel(self, handle: TaskHandle, plan: dict[str, Any], data: dict[str, Any]) -> None:
        """Cancel the build on the host. Where the host cannot be reached, the build continues and the task
        says so."""
        if "python" not in data or "interpreter" in data:  # no build runs on the host
            await self._give_back(handle, await self._targets.record(plan["target"]))
            return
        run = self._targets.connections.run
        record, link = await self._linked(handle, plan["target"], data)
        build_id = self._ids.pop(handle.id, handle.id)
        try:
            if not link.is_up:
                await asyncio.wait_for(self._targets.connections.reach(link, handle), _REACH_S)
            await run(link.call("builds.cancel", {"id": build_id}, timeout_s=_CANCEL_S))
        except (GenOpsError, asyncio.TimeoutError) as error:
            why = error.message if isinstance(error, GenOpsError) else "the host does not answer."
            handle.say(f"The build on the host was not cancelled: {why} It continues; no kernel will use it.")
        finally:
            await self._leave(handle, record, link)

    async def _host(self, handle: TaskHandle, record: TargetRecord) -> Route:
        """Return the host that builds: the target's host, or a new one that shares its files with the others."""
        if not provider_of(record.route.kind).allocates:
            return record.route
        return await self._targets.hosts.ask_for(record, f"build-{handle.id}")

    async def _linked(
        self, handle: TaskHandle, name: str, data: dict[str, Any]
    ) -> tuple[TargetRecord, HostConnection]:
        """Return the target, and its connection with the interpreter that started its agent."""
        record = await self._targets.record(name)
        route = (await self._host(handle, record)).with_python(data["python"])
        return record, self._targets.connections.link(route)

    async def _leave(self, handle: TaskHandle, record: TargetRecord, link: HostConnection) -> None:
        """Disconnect, so that no kernel starts with the substitute interpreter."""
        if not await self._give_back(handle, record) and link.route != record.route:
            self._targets.connections.link(record.route)
            await self._targets.connections.run(link.down())

    async def _give_back(self, handle: TaskHandle, record: TargetRecord) -> bool:
        """Release the host that was requested for the build; False for a target that is one host."""
        provider = provider_of(record.route.kind)
        if provider.allocates:
            host = record.route.at(provider.host_of(record.route, f"build-{handle.id}"))
            await self._targets.hosts.give_back(host)
        return provider.allocates

    def _path(self, given: str) -> Path:
        """Return a user's path: absolute, or below the Lab's folder. Raises InvalidRequest."""
        root = (self._settings.root_dir or Path.cwd()).resolve()
        path = Path(given).expanduser()
        if path.is_absolute():
            return path
        path = (root / path).resolve()
        if not path.is_relative_to(root):
            raise InvalidRequest(
                f"{given[:80]!r} is outside of the Lab's folder.", hint="Give an absolute path."
            )
        return path


class _Progress:
    """Reports the events of a build on a host to a task."""

    def __init__(self, handle: TaskHandle, ids: dict[str, str]) -> None:
        self._handle = handle
        self._ids = ids
        self._step = ""
        self._share = 0.0
        #: A Lab that joins a build gets all earlier events again.
        self._said = Counter(handle.lines)

    def tell(self, event: dict[str, Any]) -> None:
        handle = self._handle
        if "step" in event:
            self._step, self._share = str(event["step"]), float(event.get("share") or 0.0)
        words = str(event.get("step") or event.get("line") or "").rstrip("\n")
        if self._said[words] > 0:
            self._said[words] -= 1
        elif event.get("away"):
            handle.progress(_AWAY, self._share)
        elif event.get("back") or "step" in event:
            handle.progress(self._step, self._share)
        elif "id" in event:
            self._ids[handle.id] = str(event["id"])
        elif event.get("line"):
            handle.say(str(event["line"]))
