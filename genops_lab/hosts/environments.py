"""Environments that are built on targets, and what is added to those that are there."""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from genops_lab.core.errors import Conflict, Failed, GenOpsError, InvalidRequest, NotAllowed
from genops_lab.core.models import Task
from genops_lab.core.settings import Settings
from genops_lab.core.tasks import TaskHandle, TasksService

from . import requirement_files
from .models import Additions, EnvironmentSource, NewEnvironment, SourcesQuery
from .records import MAX_TEXT, TargetRecord

if TYPE_CHECKING:
    from genops_lab.hosts.link.connection import HostConnection

    from .service import TargetsService

_CANCEL_S = 40.0
#: Tried where the target's own interpreter cannot run the agent.
_OTHER_PYTHONS = ("python3", "/usr/bin/python3")
_AWAY = "The connection is down; the build goes on there."


class Builds:
    """What is built or installed on each target now, with its task: a target is not logged out of meanwhile."""

    def __init__(self) -> None:
        self.running: dict[str, tuple[NewEnvironment | Additions, str]] = {}

    def task_of(self, name: str) -> str:
        """The task that builds or installs on a target now; empty without one."""
        return self.running[name][1] if name in self.running else ""


class EnvironmentsService:
    """Builds in tasks; one at a time for a target. A target's kernels use what was built from their next start on."""

    def __init__(
        self, settings: Settings, targets: TargetsService, tasks: TasksService, builds: Builds
    ) -> None:
        self._settings = settings
        self._targets = targets
        self._tasks = tasks
        self._running = builds.running

    async def list_environment_sources(self, query: SourcesQuery) -> list[EnvironmentSource]:
        """Files of a project that say what its environment holds, the best first."""
        path = self._path(query.path)
        return await asyncio.to_thread(
            lambda: requirement_files.find(path if path.is_dir() else path.parent, self._settings.root_dir)
        )

    async def build_environment(self, name: str, body: NewEnvironment) -> Task:
        """Build an environment on a target and use it; the same that is under way is joined."""
        for field in (body.source, body.python, body.folder):
            if len(field) > MAX_TEXT:
                raise InvalidRequest(
                    f"A name is longer than {MAX_TEXT} characters.", hint="Give a shorter one."
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
        return await self._begin(name, body, f"Build an environment on {name}", order)

    async def install_packages(self, name: str, body: Additions) -> Task:
        """Install ipykernel or mlflow into the environment that a target's kernels use now."""
        if not body.packages:
            raise InvalidRequest("Nothing is to be installed.", hint="Name ipykernel or mlflow.")
        packages = list(dict.fromkeys(body.packages))
        title = f"Install {' and '.join(packages)} on {name}"
        return await self._begin(name, body, title, {"adds": True, "packages": packages})

    async def _begin(
        self, name: str, body: NewEnvironment | Additions, title: str, order: dict[str, Any]
    ) -> Task:
        record = await self._targets.record(name)
        if record.locked and not order.get("adds"):
            raise NotAllowed(
                f"The target {name!r} is the administrator's, and so is its interpreter.",
                hint="Add the host again under another name, then build there.",
            )
        running = self._running.get(name)
        if running is not None:
            if running[0] == body:
                return await self._tasks.get_task(running[1])
            raise Conflict(
                f"Something else is built on {name} now.",
                hint="Wait until it is done, or cancel it.",
                code="building",
            )
        if (await self._targets.get_report(name)).state == "running":
            raise Conflict(f"{name} is being tested.", hint="Wait until the test is over.", code="testing")

        async def work(handle: TaskHandle) -> str:
            try:
                return await self._carry_out(handle, record, {"id": secrets.token_hex(8), **order})
            finally:
                del self._running[name]

        task = self._tasks.start(title, work, subject=f"target:{name}", kind="environment")
        self._running[name] = (body, task.id)
        return task

    async def _carry_out(self, handle: TaskHandle, record: TargetRecord, order: dict[str, Any]) -> str:
        from genops_lab.hosts.link.builds import build

        run, name, loop = self._targets.connections.run, record.name, asyncio.get_running_loop()

        progress = _Progress(handle)

        def told(event: dict[str, Any]) -> None:
            loop.call_soon_threadsafe(progress.tell, event)

        handle.progress(f"Connecting to {name}.")
        try:
            link = await self._connect(record, may_use_others=not order.get("adds"))
        except asyncio.CancelledError:
            await self._targets.disconnect_target(name)  # what was being connected for this alone
            raise
        whole = False
        try:
            end = await run(build(link, order, told))
            if end["state"] == "cancelled":
                raise Failed("The build was cancelled on the host.", hint="Begin it again.", code="cancelled")
            if end["state"] != "done":
                raise Failed(str(end["message"]), hint=str(end["hint"]), code=str(end["code"]))
            whole = True
            return await self._use(handle, link, record, end, order)
        except asyncio.CancelledError:
            await self._cancel(handle, link, progress.build_id or order["id"])
            raise
        except GenOpsError as error:
            if error.code == "not_connected":
                raise Failed(
                    f"{name} is not connected any more; the build goes on there.",
                    hint="Connect, then begin the same build again: it is picked up where it is.",
                ) from error
            raise
        finally:
            if (
                not whole and link.route != record.route
            ):  # kernels are not to start with a makeshift interpreter
                self._targets.connections.link(record.route)
                await run(link.down())

    async def _connect(self, record: TargetRecord, *, may_use_others: bool) -> HostConnection:
        """Connect, with another interpreter where the target's own cannot run the agent."""
        from genops_lab.hosts.link.errors import NoPython, OldPython

        connections = self._targets.connections
        link = connections.link(record.route)
        try:
            await connections.run(link.up())
        except (NoPython, OldPython):
            others = (
                [each for each in _OTHER_PYTHONS if each != record.route.python] if may_use_others else []
            )
            for python in others:
                link = connections.link(record.route.with_python(python))
                try:
                    await connections.run(link.up())
                except (NoPython, OldPython):
                    continue
                return link
            connections.link(record.route)
            raise
        return link

    async def _use(
        self,
        handle: TaskHandle,
        link: HostConnection,
        record: TargetRecord,
        end: dict[str, Any],
        order: dict[str, Any],
    ) -> str:
        name, targets = record.name, self._targets
        if order.get("adds"):
            message = f"{' and '.join(order['packages'])} installed on {name}."
        else:
            changed = await asyncio.to_thread(targets.ledger.use_python, name, str(end["interpreter"]))
            targets.connections.link(changed.route)
            before = ", which was built before" if end["reused"] else ""
            message = f"{name} uses {end['interpreter']}{before}."
        handle.progress(message, 1.0)
        try:
            await targets.connections.run(link.renew())
        except GenOpsError as error:  # what was built is there all the same
            handle.say(f"{error.message} {error.hint}")
        targets.changed(name)
        # A notification may cut what is long.
        return f"{await targets.test_connected(name, handle)} {message}".strip()

    async def _cancel(self, handle: TaskHandle, link: HostConnection, build_id: str) -> None:
        """Have the host end it. Where it cannot be told, it goes on, and that is said."""
        try:
            await self._targets.connections.run(
                link.call("builds.cancel", {"id": build_id}, timeout_s=_CANCEL_S if link.is_up else 1.0)
            )
        except GenOpsError as error:
            handle.say(f"The host could not be told: {error.message} The build goes on there, unused.")

    def _path(self, given: str) -> Path:
        """A path of the person's own: absolute, or below the Lab's folder. Raises InvalidRequest."""
        root = (self._settings.root_dir or Path.cwd()).resolve()
        path = Path(given).expanduser()
        if path.is_absolute():
            return path
        path = (root / path).resolve()
        if not path.is_relative_to(root):
            raise InvalidRequest(
                f"{given[:80]!r} lies outside of the Lab's folder.", hint="Give an absolute path."
            )
        return path


class _Progress:
    """Tells a task what a host says of a build."""

    def __init__(self, handle: TaskHandle) -> None:
        self._handle = handle
        self.build_id = ""
        self._step = ""
        self._share = 0.0

    def tell(self, event: dict[str, Any]) -> None:
        handle = self._handle
        if event.get("away"):
            handle.progress(_AWAY, self._share)
        elif event.get("back"):
            handle.progress(self._step, self._share)
        elif "step" in event:
            self._step, self._share = str(event["step"]), float(event.get("share") or 0.0)
            handle.progress(self._step, self._share)
        elif "id" in event:
            self.build_id = str(event["id"])
        elif event.get("line"):
            handle.say(str(event["line"]))
