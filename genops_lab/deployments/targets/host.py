"""Run deployments on the host of a target: its agent places files, starts processes, and tells what happens to them.

The processes and the gateway need neither the connection nor the Lab (:mod:`genops_lab.agent.deployments`). While the
host cannot be reached, the last state is shown, and changes wait or are refused.
"""

from __future__ import annotations

import asyncio
import secrets
import shutil
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from genops_lab.core.errors import Conflict, Failed, GenOpsError, NotFound
from genops_lab.core.paths import private_dir, read_or_create_private
from genops_lab.deployments import https
from genops_lab.deployments.environments import HOST_SERVING, engine_requirements, requirements_on
from genops_lab.deployments.hub_origin import HubOrigin
from genops_lab.deployments.models import DeployCheck, ModelFile
from genops_lab.deployments.record import CallerKey
from genops_lab.deployments.rollout_models import Rollout
from genops_lab.deployments.scaling import Scale, for_gateway
from genops_lab.deployments.secrets import Secrets
from genops_lab.hosts.host_python import HostPython, Requirements, interpreter_on, require_one_host
from genops_lab.hosts.link.connection import HostConnection
from genops_lab.hosts.link.placed_files import sent_folder
from genops_lab.hosts.link.state import LinkDown, RemoteError
from genops_lab.hosts.link.transfer import host_transfer, through_breaks
from genops_lab.hosts.providers import provider_of

from .base import (
    ONE,
    Capabilities,
    Changes,
    Check,
    DeploymentSpec,
    DeploymentTarget,
    Machine,
    Observed,
    Progress,
    Revision,
    deployment_of,
)
from .host_code import ENGINE, SCORER, host_code
from .host_hub import FetchProgress, addresses, plan_of
from .host_talk import Following, HostTalk, plain
from .host_watch import HostWatch
from .planning import planned
from .reach import LocalPort

if TYPE_CHECKING:
    from genops_lab.hosts.service import TargetsService

T = TypeVar("T")

_STEP_S = 60.0
_BREAKS, _AWAY_S = 6, 600.0


class HostTarget(DeploymentTarget):
    """Deployments on the one host of the target ``name``. All methods belong to the Lab's loop.

    ``folder`` keeps the ports, and the name of this data folder for hosts: a deployment of another one's is not
    touched.
    """

    def __init__(self, name: str, targets: TargetsService, folder: Path) -> None:
        self.name = name
        self._targets = targets
        self._owner_file = folder / "owner"
        self._secrets = Secrets(folder.with_name("secrets"))
        self.port = LocalPort(targets.connections, folder / f"{name}.port")
        self._watches: dict[str, HostWatch] = {}

    def capabilities(self) -> Capabilities:
        return Capabilities()

    def plan(self, spec: DeploymentSpec, observed: Observed) -> Changes:
        return planned(spec, observed)

    async def reach(self, name: str) -> None:
        link = await self._link()
        if not link.is_up:
            raise Conflict(
                f"{self.name} is not connected, so nothing about {name!r} can be changed there.",
                hint=f"Connect it first: genops targets connect {self.name}",
                code="not_connected",
            )

    async def apply(
        self, spec: DeploymentSpec, generation: int, progress: Progress, *, check: Check | None = None
    ) -> None:
        link = await self._reached(progress)
        for step in self.plan(spec, await self._asked(spec.name, link)).steps:
            if step == "place":
                python = await self._interpreter(link, spec, progress)
                await self._place(link, spec, generation, python, progress, check)
            else:
                await self._step(link, step, spec, generation)
        if not spec.wanted:
            await self._step(link, "refuse_older", spec, generation)

    async def observe(self, name: str) -> Observed:
        try:
            link = await self._link()
        except NotFound:
            return Observed(
                away=f"The target {self.name} was removed. The deployment may continue on its host."
            )
        watch = self._watch(name)
        if not link.is_up:
            return self._away(link, watch)
        if not watch.is_current:
            try:
                await self._asked(name, link)
            except LinkDown:
                return self._away(link, watch)
            except RemoteError as error:
                if error.code != "gone":
                    raise
                return self._away(link, watch)
        return self._observed(name, watch.state or {}, link)

    async def logs(
        self, name: str, revision: int | None = None, *, lines: int, follow: bool = False
    ) -> AsyncIterator[list[str]]:
        link = await self._reached(lambda _line: None)
        queue: asyncio.Queue[list[str] | GenOpsError | None] = asyncio.Queue()
        loop = asyncio.get_running_loop()
        after: int | None = None

        async def read() -> None:
            nonlocal after
            params = {"name": name, "revision": revision, "lines": lines, "follow": follow, "after": after}
            async with host_transfer(Following, link, "deployment-log", params) as talk:
                async for found in talk.documents():
                    after = found.get("after", after)
                    loop.call_soon_threadsafe(queue.put_nowait, [str(each) for each in found["lines"]])

        async def all() -> None:
            try:
                await through_breaks(link, read, breaks=_BREAKS, within_s=_AWAY_S)
            except GenOpsError as error:
                loop.call_soon_threadsafe(queue.put_nowait, error)
            else:
                loop.call_soon_threadsafe(queue.put_nowait, None)

        reading = asyncio.ensure_future(self._run(all()))
        try:
            while (found := await queue.get()) is not None:
                if isinstance(found, GenOpsError):
                    raise found
                yield found
        finally:
            reading.cancel()

    async def delete(self, name: str) -> None:
        await self.reach(name)
        link = await self._link()
        try:
            await self._call(link, op="delete", name=name)
        finally:
            if (watch := self._watches.pop(name, None)) is not None:
                watch.close()

    async def ask_gateway(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        name = deployment_of(asked)
        await self.reach(name)
        self._watch(name).changed()
        try:
            return await self._call(await self._link(), op="gateway", name=name, asked=dict(asked))
        except RemoteError as error:
            raise plain(error) from None
        finally:
            self._watch(name).changed()

    async def key(self, name: str) -> str:
        await self.reach(name)
        return str((await self._call(await self._link(), op="key", name=name))["key"])

    async def checked(
        self, model: Path, check: DeployCheck, serving: Mapping[str, Any] | None = None
    ) -> DeployCheck:
        await self.reach(check.model)
        missing = (await self._requirements(await self._link(), model, serving))[1].missing
        return msgspec.structs.replace(
            check, where=self.name, environment="build" if missing else "present", missing_requirements=missing,
            outlives_server=True, warning="",
        )  # fmt: skip

    async def machine(self, name: str) -> Machine:
        await self.reach(name)
        found = await self._host(await self._link())
        gpus = tuple(int(each["free_bytes"]) for each in found.get("gpus", ()))
        return Machine(
            name=self.name, free_bytes=int(found["free_bytes"]), disk_bytes=int(found.get("disk_bytes", 0)), gpus=gpus
        )  # fmt: skip

    async def bringing(self, origin: HubOrigin, files: Sequence[ModelFile]) -> str:
        link = await self._link()
        found = [(f"model/{each.path}", each.sha256, each.size_bytes) for each in files]
        hub = addresses(origin, found)
        if not hub or not (await self._host(link)).get("hub"):  # of an older agent
            return ""
        listed = [{"path": path, "sha": sha, "size": size} for path, sha, size in found]
        return plan_of(await self._call(link, op="hub", files=listed, **hub), self.name, origin)

    async def close(self) -> None:
        """End what follows the host. Its deployments go on."""
        for watch in self._watches.values():
            watch.close()
        await asyncio.to_thread(self.port.close)

    # Steps ----------------------------------------------------------------------------------------------------------

    async def _step(self, link: HostConnection, step: str, spec: DeploymentSpec, generation: int) -> None:
        described = self._described(spec)
        if step == "start":
            given = await asyncio.to_thread(self._secrets.values, spec.secrets)
            described["variables"] = {**spec.environment, **given}
        if step == "route" and spec.https is not None:
            described["tls"] = await asyncio.to_thread(https.for_host, spec.https)
        self._watch(spec.name).changed()
        try:
            await self._call(link, op=step, spec=described, generation=generation)
        except RemoteError as error:
            raise plain(error) from None
        finally:
            self._watch(spec.name).changed()

    async def _interpreter(self, link: HostConnection, spec: DeploymentSpec, progress: Progress) -> str:
        """Return an interpreter on the host with the model's requirements: the target's own, or a new one."""
        if spec.files is None:
            raise Failed(f"The files of {spec.name!r} are missing.", hint="Deploy the version again.")
        host, wanted = await self._requirements(link, spec.files, spec.serving)
        return await interpreter_on(
            self._targets.connections, link, host, wanted, name=repr(spec.name), project=spec.name,
            build_id=f"deployment-{spec.name[:30]}-{spec.revision}", hint="Deploy the version again.",
            progress=progress, say=progress,
        )  # fmt: skip

    async def _requirements(
        self, link: HostConnection, model: Path, serving: Mapping[str, Any] | None
    ) -> tuple[HostPython, Requirements]:
        """Return the Python of the host, and what the model needs there. Raises Failed."""
        told = await self._host(link)
        if serving and not told.get("engines"):
            raise Failed(
                f"The agent of {self.name} is older, and serves no language models and commands.",
                hint=f"End the kernels there, then connect it again: genops targets connect {self.name}",
            )
        try:
            host = msgspec.convert(told["python"], HostPython)
        except (msgspec.ValidationError, KeyError) as error:
            raise Failed(
                f"{self.name} does not say what its Python has: {error}", hint="Test the target."
            ) from None
        if serving:
            return host, engine_requirements(str(serving["engine"]), host)
        return host, await asyncio.to_thread(requirements_on, model, host, HOST_SERVING)

    async def _place(
        self,
        link: HostConnection,
        spec: DeploymentSpec,
        generation: int,
        python: str,
        progress: Progress,
        check: Check | None,
    ) -> None:
        assert spec.files is not None
        code = await asyncio.to_thread(host_code)
        files = [*await asyncio.to_thread(sent_folder, "model", spec.files), *code.files]
        size = sum(each.size for each in files)
        progress(
            f"Sending the files to {self.name} ({size / 1e6:,.1f} MB); those that it has are not sent again."
        )
        described = {
            **self._described(spec),
            "interpreter": python,
            "code": code.digest,
            "scorer": f"genops_lab/{ENGINE if spec.serving else SCORER}",
        }
        hub = addresses(spec.origin, [(each.path, each.sha, each.size) for each in files])
        order = {
            "spec": described,
            "generation": generation,
            "files": [each.listed for each in files],
            "hub": hub,
        }
        loop = asyncio.get_running_loop()
        say = FetchProgress(self.name, spec.origin, progress).told if spec.origin else None

        def fetched(told: dict[str, Any]) -> None:
            if say is not None:
                loop.call_soon_threadsafe(say, told)

        async def once() -> None:
            async with host_transfer(HostTalk, link, "deployment", {}) as talk:
                await talk.place(order, files, check, fetched)

        def waits(reason: str) -> None:
            loop.call_soon_threadsafe(progress, f"{reason} The upload continues when it is back.")

        try:
            await self._run(through_breaks(link, once, breaks=_BREAKS, within_s=_AWAY_S, waits=waits))
        except RemoteError as error:
            raise plain(error) from None
        finally:
            self._watch(spec.name).changed()
        await asyncio.to_thread(shutil.rmtree, spec.files, ignore_errors=True)

    def _owner(self) -> str:
        private_dir(self._owner_file.parent)
        return read_or_create_private(self._owner_file, lambda: secrets.token_hex(16).encode()).decode()

    def _described(self, spec: DeploymentSpec) -> dict[str, Any]:
        """Return the desired state for the host. Without the key of callers: the host makes it."""
        return {
            "name": spec.name,
            "owner": self._owner(),
            "version": spec.version,
            "revision": spec.revision,
            "number": spec.number,
            "wanted": spec.wanted,
            "lease_s": spec.lease_s,
            "lease_until": spec.lease_until,
            "allow_pickle": spec.allow_pickle,
            "beside": list(spec.beside),
            "known": list(spec.known),
            "since": spec.since,
            "weights": {str(number): weight for number, weight in (spec.weights or {}).items()},
            "keys": msgspec.to_builtins(spec.keys),
            "warm_s": spec.warm_s,
            "sleep_s": spec.sleep_s,
            "serving": dict(spec.serving),
            "timeout_s": spec.timeout_s,
            "scale": for_gateway(spec.scale, spec.serving) if spec.scale != ONE else None,
            "scorer_options": dict(spec.scorer),
        }

    # The host -------------------------------------------------------------------------------------------------------

    async def _link(self) -> HostConnection:
        record = await self._targets.record(self.name)
        require_one_host(record.route, "Deployments", "Deploy on this machine, or on an SSH host.")
        return self._targets.connections.link(record.route)

    async def _reached(self, progress: Callable[[str], None]) -> HostConnection:
        """Return the connection once it is up. A login that asks something waits until a person connects."""
        link, loop = await self._link(), asyncio.get_running_loop()

        def waits(error: GenOpsError) -> None:
            words = f"Waiting for you to connect {self.name}. {error.message}"
            loop.call_soon_threadsafe(progress, words)

        await self._run(link.up_unasked(waits))
        return link

    async def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return await self._targets.connections.run(work)

    async def _call(self, link: HostConnection, **params: Any) -> dict[str, Any]:
        found: dict[str, Any] = await self._run(link.call("deployments", params, timeout_s=_STEP_S))
        return found

    async def _host(self, link: HostConnection) -> dict[str, Any]:
        return await self._call(link, op="host")

    def _watch(self, name: str) -> HostWatch:
        return self._watches.setdefault(name, HostWatch(self._targets.connections, name))

    async def _asked(self, name: str, link: HostConnection) -> Observed:
        watch = self._watch(name)
        await watch.ask(link)
        return self._observed(name, watch.state or {}, link)

    def _observed(self, name: str, found: dict[str, Any], link: HostConnection) -> Observed:
        try:
            revisions = msgspec.convert(found.get("revisions", ()), tuple[Revision, ...])
            keys = msgspec.convert(found.get("keys", ()), tuple[CallerKey, ...])
            weights = {int(number): int(weight) for number, weight in found.get("weights", {}).items()}
            port = int(found.get("port", 0))
            rollout = msgspec.convert(found.get("rollout"), Rollout | None)
            scale = msgspec.convert(found.get("scale") or {}, Scale)
            tls = msgspec.convert(found.get("tls"), https.Https | None)
        except (msgspec.ValidationError, ValueError) as error:
            raise Failed(
                f"{self.name} sent an invalid state of {name!r}: {error}", hint="Test the target."
            ) from None
        if not revisions:
            return Observed()
        address = f"http://127.0.0.1:{self.port.open(link)}/{name}" if weights and port else ""
        return Observed(
            revisions=revisions,
            address=address,
            weights=weights,
            keys=keys,
            scale=scale,
            problem=str(found.get("problem", "")),
            rollout=rollout,
            lease_until=max(each.lease_until for each in revisions),
            tls=tls,
            https=f"https://{tls.address}/{name}" if address and tls else "",
            there=f"http://127.0.0.1:{port}/{name}" if address else "",
            forwarding=provider_of(link.route.kind).forwarding(link.route.config, port) if address else "",
        )

    def _away(self, link: HostConnection, watch: HostWatch) -> Observed:
        seen = self._observed(watch.name, watch.state, link) if watch.state else Observed()
        if link.state.state == "idle":
            words = f"{self.name} is not connected. The deployment continues there."
        else:
            since = time.strftime("%H:%M:%S", time.localtime(watch.away_since(link.state.since)))
            words = f"{self.name} cannot be reached since {since}. The deployment continues there."
        return replace(seen, address="", away=words)
