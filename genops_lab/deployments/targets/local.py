"""Run deployments on this machine: scoring processes that do not need JupyterLab, behind one gateway."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from genops_lab.agent.model_variables import model_environment
from genops_lab.core.errors import Failed
from genops_lab.core.locks import locked
from genops_lab.core.paths import contained, private_dir, write_private
from genops_lab.deployments.environments import Environments
from genops_lab.deployments.lifetime import Lifetime, lifetime
from genops_lab.deployments.logs import LogFollower, tail
from genops_lab.deployments.models import DeploymentState, TokenFigures
from genops_lab.deployments.record import CallerKey
from genops_lab.deployments.rollout_models import Rollout
from genops_lab.deployments.scaling import Scale, for_gateway
from genops_lab.deployments.secrets import Secrets
from genops_lab.serving import engines

from . import replicas
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
)
from .folders import (
    OWN_KEY,
    DeploymentFile,
    DeploymentFolder,
    Handle,
    ProcessState,
    RouteFile,
    RouteRevision,
    encoded,
    hashed,
    read,
)
from .local_gateway import LocalGateway
from .planning import planned
from .processes import answers, created, exit_code, process_with, same

T = TypeVar("T")

ENGINE = Path(engines.__file__).with_name("serve.py")
SERVER = Path(__file__).resolve().parents[2] / "serving" / "scorer" / "__main__.py"
STOP_S = 10.0
FOLLOW_S = 0.2
_ENDED = ("failed", "ended", "stopped")


class LocalTarget(DeploymentTarget):
    """Deployments in folders ``root/NAME`` (0700), as ``folders.py`` lays them out."""

    name = "this machine"

    def __init__(
        self,
        root: Path,
        environments: Environments,
        life: Lifetime | None = None,
        tls: Mapping[str, Any] | None = None,
    ) -> None:
        self._root = private_dir(root)
        self._lock = root / ".lock"
        self._environments = environments
        self._life = life or lifetime()
        self._secrets = Secrets(root.with_name("secrets"))
        self._gateway = LocalGateway(root.with_name("gateway"), root, tls)
        self._children: dict[int, subprocess.Popen[bytes]] = {}
        #: Processes that this Lab saw alive; the others ended while no Lab observed them.
        self._seen: set[tuple[int, float]] = set()

    def capabilities(self) -> Capabilities:
        return Capabilities(outlives_server=self._life.outlives_server, warning=self._life.warning)

    def plan(self, spec: DeploymentSpec, observed: Observed) -> Changes:
        return planned(spec, observed)

    async def apply(
        self, spec: DeploymentSpec, generation: int, progress: Progress, *, check: Check | None = None
    ) -> None:
        folder = self._of(spec.name)
        if await asyncio.to_thread(folder.generation) > generation:
            return
        for step in self.plan(spec, await self.observe(spec.name)).steps:
            if step == "place":
                await to_the_end(asyncio.to_thread(self._place, spec, generation, check))
            elif step == "start":
                model = folder.of(spec.revision) / "model"
                interpreter = (
                    Path(sys.executable)
                    if spec.serving
                    else await self._environments.interpreter(model, progress)
                )
                await to_the_end(asyncio.to_thread(self._start, spec, generation, interpreter))
            elif step == "renew":
                await asyncio.to_thread(self._renew, spec, generation)
            elif step == "route":
                await to_the_end(asyncio.to_thread(self._route, spec, generation))
            elif step == "unroute":
                await to_the_end(asyncio.to_thread(self._unroute, spec.name, generation))
            else:
                await asyncio.to_thread(self._stop, spec, generation)
        if not spec.wanted:
            await asyncio.to_thread(self._refuse_older, spec, generation)

    async def observe(self, name: str) -> Observed:
        return await asyncio.to_thread(self._observe, name)

    async def machine(self, name: str) -> Machine:
        from genops_lab.agent.free_memory import resources
        from genops_lab.deployments import memory

        free = await asyncio.to_thread(memory.free_bytes)
        found = await asyncio.to_thread(resources, str(self._root))
        gpus = tuple(each["free_bytes"] for each in found["gpus"])
        return Machine(name=self.name, free_bytes=free, disk_bytes=found["disk_bytes"], gpus=gpus)

    async def keep(self) -> None:
        await asyncio.to_thread(self._keep)

    async def logs(
        self, name: str, revision: int | None = None, *, lines: int, follow: bool = False
    ) -> AsyncIterator[list[str]]:
        handles = await asyncio.to_thread(self._handles, name)
        numbers = [each.revision for _, each in handles]
        if not numbers or revision not in (None, *numbers):
            return
        which = max(numbers) if revision is None else revision
        path = self._of(name).of(which) / "log.txt"
        if not follow:
            yield await asyncio.to_thread(tail, path, lines)
            return
        follower = LogFollower(path)
        if found := await asyncio.to_thread(follower.earlier, lines):
            yield found
        while True:
            # Observe first: lines that were written before the end are then read after the end was seen.
            seen = (await self.observe(name)).revision(which)
            if news := await asyncio.to_thread(follower.news):
                yield news
            if seen is None or not seen.active:
                return
            await asyncio.sleep(FOLLOW_S)

    async def delete(self, name: str) -> None:
        await asyncio.to_thread(self._delete, name)

    async def ask_gateway(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        return await asyncio.to_thread(self._gateway.ask, asked)

    async def key(self, name: str) -> str:
        return await asyncio.to_thread(self._of(name).key)

    # The methods below block ---------------------------------------------------------------------------------------

    def _of(self, name: str) -> DeploymentFolder:
        return DeploymentFolder(contained(self._root, name))

    @contextlib.contextmanager
    def _changing(self, name: str) -> Iterator[None]:
        """Lock the files of deployments: one process of this user changes them at a time."""
        with _disk_errors(name), locked(self._lock):
            yield

    def _takes(self, name: str, generation: int) -> bool:
        """Return whether the deployment takes a change of this generation, and note the generation."""
        folder = self._of(name)
        known = folder.generation()
        if known > generation:
            return False
        if known < generation and folder.path.is_dir():
            with contextlib.suppress(OSError):  # a stop and a way back must work on a full disk
                write_private(folder.path / "deployment.json", encoded(DeploymentFile(generation=generation)))
        return True

    def _handles(self, name: str) -> list[tuple[Path, Handle]]:
        """Return the folders and handles of the revisions, the oldest first."""
        found = [(each, self._handle(each)) for each in self._of(name).revisions()]
        return [(folder, handle) for folder, handle in found if handle is not None]

    def _handle(self, folder: Path) -> Handle | None:
        """Return a handle. A handle without a pid gets it by a search for the process.

        An older GenOps Lab wrote no handle, and a Lab that was killed may have written no pid.
        """
        handle = _written(folder)
        if (handle is None or (handle.begun and handle.pid is None)) and (folder / "spec.json").exists():
            with locked(self._lock):
                handle = _written(folder) or Handle(begun=True, outlives_server=self._life.outlives_server)
                if handle.begun and handle.pid is None:
                    handle = self._adopt(folder, handle)
                    with contextlib.suppress(OSError):  # a full disk: the next call searches again
                        self._write(folder, handle)
        return handle

    def _write(self, folder: Path, handle: Handle) -> Handle:
        write_private(folder / "process.json", encoded(handle))
        return handle

    def _adopt(self, folder: Path, handle: Handle) -> Handle:
        found, report = process_with(str(folder / "spec.json")), _report(folder)
        if found is not None:
            handle = msgspec.structs.replace(handle, pid=found[0], pid_created=found[1])
        elif report is not None:  # it ran and has ended
            handle = msgspec.structs.replace(handle, pid=report.pid, pid_created=0.0)
        return handle

    def _place(self, spec: DeploymentSpec, generation: int, check: Check | None) -> None:
        with self._changing(spec.name):
            if check is not None:
                check()
            base = self._of(spec.name)
            folder = base.of(spec.revision)
            if base.generation() > generation or _written(folder) is not None:
                return
            fresh = private_dir(self._root / f".new-{spec.name}-{spec.revision}")
            for each in self._unplaced(spec.name):
                if each != fresh:
                    shutil.rmtree(each, ignore_errors=True)
            if not (fresh / "model").exists():
                if spec.files is None:
                    raise Failed(f"The files of {spec.name!r} are missing.", hint="Deploy the version again.")
                spec.files.rename(fresh / "model")
            if not (fresh / "key").exists():
                write_private(fresh / "key", secrets.token_urlsafe(32))
            handle = Handle(
                revision=spec.revision,
                number=spec.number,
                version=spec.version,
                generation=generation,
                outlives_server=self._life.outlives_server,
            )
            write_private(fresh / "process.json", encoded(handle))
            private_dir(base.path)
            if not base.key():
                write_private(base.path / "key", secrets.token_urlsafe(32))
            self._takes(spec.name, generation)
            for each in base.revisions():
                old = _written(each)
                if old is None or (old.revision not in (*spec.known, *spec.beside) and not self._alive(old)):
                    base.forget(each)
            private_dir(folder.parent)
            shutil.rmtree(folder, ignore_errors=True)  # a folder without a handle is none
            fresh.rename(folder)

    def _unplaced(self, name: str) -> list[Path]:
        """Return the folders of unfinished placements of this name."""
        return [each for each in self._root.iterdir() if each.name.rpartition("-")[0] == f".new-{name}"]

    def _start(self, spec: DeploymentSpec, generation: int, interpreter: Path) -> None:
        name, base = spec.name, self._of(spec.name)
        folder = base.of(spec.revision)
        with self._changing(name):
            handle = _written(folder)
            if handle is None or not self._takes(name, generation):
                return  # stopped, deleted or replaced meanwhile
            if handle.begun and handle.generation < spec.since and self._has_ended(folder, handle):
                (folder / "state.json").unlink(missing_ok=True)
                replicas.forget(folder)
                handle = msgspec.structs.replace(
                    handle, begun=False, pid=None, pid_created=None, wanted=1, generation=generation
                )
                self._write(folder, handle)
            if handle.begun:
                handle = self._adopt(folder, handle) if handle.pid is None else handle
                if handle.pid is not None:
                    self._write(folder, handle)
                    return
            own = {
                "folder": str(folder),
                "name": name,
                "version": spec.version,
                "model": str(folder / "model"),
                "key_file": str(folder / "key"),
                "lease_s": spec.lease_s,
                "sleep_s": spec.sleep_s,
                "gateway": {**self._gateway.revival(), "route": str(base.route_path)},
                **spec.scorer,
            }
            if spec.serving:
                own |= {"serving": dict(spec.serving), "name": name, "number": handle.number}
            # GenOps Lab's own variables win: they decide whether a pickle may be loaded.
            own_variables = model_environment({}, allow_pickle=spec.allow_pickle)
            environment = model_environment(os.environ, allow_pickle=spec.allow_pickle)
            environment |= {**spec.environment} | self._secrets.values(spec.secrets) | own_variables
            write_private(folder / "spec.json", msgspec.json.encode(own).decode())
            _lease(folder, spec.lease_until)
            handle = self._write(folder, msgspec.structs.replace(handle, begun=True))
            with (folder / "log.txt").open("ab") as log:
                child = subprocess.Popen(
                    [str(interpreter), str(ENGINE if spec.serving else SERVER), str(folder / "spec.json")],
                    cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                    start_new_session=True,
                )  # fmt: skip
            self._children[child.pid] = child
            began = created(child.pid) or time.time()
            self._seen.add((child.pid, began))
            try:
                self._write(folder, msgspec.structs.replace(handle, pid=child.pid, pid_created=began))
            except OSError:
                os.killpg(child.pid, signal.SIGKILL)
                raise

    def _renew(self, spec: DeploymentSpec, generation: int) -> None:
        with self._changing(spec.name):
            folder = self._of(spec.name).of(spec.revision)
            if _written(folder) is not None and self._takes(spec.name, generation):
                _lease(folder, spec.lease_until)

    def _route(self, spec: DeploymentSpec, generation: int) -> None:
        """Share the requests by the weights. Before, revisions without one get a short lease, the others a long one."""
        self._handles(spec.name)  # which completes them
        with self._changing(spec.name):
            base = self._of(spec.name)
            if not base.revisions() or not self._takes(spec.name, generation):
                return
            weights, processes = spec.weights or {}, []
            for folder, handle in base.handles():
                report = _report(folder)
                if report is None or report.state != "running" or not self._alive(handle):
                    continue
                weight = weights.get(handle.revision, 0)
                with contextlib.suppress(OSError):  # on a full disk requests go on
                    if weight and (_is_warm(folder) or _leased(folder) < spec.lease_until):
                        _lease(folder, spec.lease_until)
                    elif not weight and _leased(folder) > time.time() + spec.warm_s:
                        _lease(folder, time.time() + spec.warm_s, warm_s=spec.warm_s)
                processes.append(
                    RouteRevision(
                        id=handle.revision, number=handle.number, port=report.port, key=base.key(folder), weight=weight
                    )
                )  # fmt: skip
            if not any(each.weight for each in processes):
                raise Failed(
                    f"No process of {spec.name!r} that should get requests is ready.",
                    hint=f"Look at its revisions: genops deployments show {spec.name}",
                )
            own = CallerKey(name=OWN_KEY, sha256=hashed(base.key()))
            route = RouteFile(
                name=spec.name, generation=generation, revisions=processes, keys=[own, *spec.keys],
                timeout_s=spec.timeout_s,
                scale=for_gateway(spec.scale, spec.serving) if spec.scale != ONE else None,
            )  # fmt: skip
            self._gateway.set(route)
            # Written when it is true: the address of the deployment is shown from then on.
            with contextlib.suppress(OSError):  # on a full disk the gateway has it in memory
                write_private(base.route_path, encoded(route))

    def _unroute(self, name: str, generation: int) -> None:
        with self._changing(name):
            if self._takes(name, generation):
                self._of(name).route_path.unlink(missing_ok=True)
                self._gateway.remove(name, generation)

    def _stop(self, spec: DeploymentSpec, generation: int) -> None:
        """Finish the requests in flight for up to 10 s, then stop the processes that should not go on."""
        ending = []
        self._handles(spec.name)  # which completes them
        with self._changing(spec.name):
            if not self._takes(spec.name, generation):
                return
            for folder, handle in self._of(spec.name).handles():
                if spec.wanted and handle.revision in (spec.revision, *spec.beside):
                    continue
                handle = msgspec.structs.replace(handle, wanted=0)
                with contextlib.suppress(OSError):  # a stop must work on a full disk
                    self._write(folder, handle)
                ending.append((folder, handle))
        for folder, handle in ending:
            self._end(folder, handle)

    def _refuse_older(self, spec: DeploymentSpec, generation: int) -> None:
        """Note the generation, so that a late start by a delayed Lab is refused, also of an unknown deployment."""
        with self._changing(spec.name):
            if self._of(spec.name).generation() < generation:
                private_dir(self._of(spec.name).path)
                self._takes(spec.name, generation)

    def _end(self, folder: Path, handle: Handle) -> None:
        if handle.pid is not None and self._alive(handle):
            with contextlib.suppress(ProcessLookupError):
                os.kill(handle.pid, signal.SIGTERM)
        replicas.end(folder)
        if handle.pid is None:
            return
        deadline = time.monotonic() + STOP_S
        while self._alive(handle):
            if time.monotonic() > deadline:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(handle.pid, signal.SIGKILL)
                deadline += STOP_S
            time.sleep(0.05)

    def _delete(self, name: str) -> None:
        base = self._of(name)
        generation = base.generation()
        self._unroute(name, generation)
        for folder, handle in self._handles(name):
            with self._changing(name), contextlib.suppress(OSError):
                self._write(folder, msgspec.structs.replace(handle, wanted=0))
            self._end(folder, handle)
        with self._changing(name):
            if (
                base.path.is_dir()
            ):  # under another name first: a folder that is removed in part is no deployment
                gone = self._root / f".gone-{name}-{secrets.token_hex(4)}"
                base.path.rename(gone)
            for each in [*self._unplaced(name), *self._root.glob(f".gone-{name}-*")]:
                shutil.rmtree(each, ignore_errors=True)

    def _keep(self) -> None:
        if self._gateway.runs():
            rollouts = any(self._root.glob("*/rollout.json"))
            if self._gateway.problem or self._gateway.https or rollouts:
                self._gateway.keep()
            return
        for path in self._root.glob("*/route.json"):
            if any(self._alive(handle) for _, handle in DeploymentFolder(path.parent).handles()):
                self._gateway.keep()
                return

    def _observe(self, name: str) -> Observed:
        handles = self._handles(name)
        if not handles:
            return Observed()
        base, revisions, ports = self._of(name), [], {}
        for folder, handle in handles:
            report = _report(folder)
            state, reason, hint = self._state(folder, handle, report)
            shown = report or ProcessState(pid=0, state=state)
            further = replicas.counts(folder) if not (folder / "tokens.json").exists() else (0, 0)
            if state == "running":
                ports[handle.revision] = shown.port
            leased = _leased(folder)
            revisions.append(
                Revision(
                    number=handle.revision, version=handle.version, state=state, wanted=handle.wanted,
                    ready=int(state == "running"), reason=reason, hint=hint, generation=handle.generation,
                    lease_until=leased if _is_warm(folder) else max(leased, shown.lease_until),
                    requests=shown.requests + further[0], errors=shown.errors + further[1],
                    latency_ms=shown.latency_ms, loading_s=shown.loading_s,
                    tokens=read(folder / "tokens.json", TokenFigures), replicas=replicas.shown(folder),
                )
            )  # fmt: skip
        route = base.route()
        weights = (
            {each.id: each.weight for each in route.revisions if ports.get(each.id) == each.port}
            if route
            else {}
        )
        address = ""
        if weights and self._gateway.port:
            address = f"http://127.0.0.1:{self._gateway.port}/{name}"
        elif route is None and handles[0][0] == base.path and handles[0][1].revision in ports:
            address = f"http://127.0.0.1:{ports[handles[0][1].revision]}"  # an older GenOps Lab started it
        return Observed(
            revisions=tuple(revisions),
            address=address,
            weights=weights,
            keys=tuple(each for each in route.keys if each.name != OWN_KEY) if route else (),
            scale=msgspec.convert(route.scale, Scale) if route and route.scale else ONE,
            problem=self._gateway.problem if route else "",
            https=f"{self._gateway.https}/{name}" if weights and self._gateway.https else "",
            rollout=read(base.path / "evidence.json", Rollout),
            lease_until=max(each.lease_until for each in revisions),
            outlives_server=handles[-1][1].outlives_server,
        )

    def _state(
        self, folder: Path, handle: Handle, report: ProcessState | None
    ) -> tuple[DeploymentState, str, str]:
        if handle.pid is None:
            return (
                ("preparing", "Preparing the environment.", "")
                if handle.wanted
                else ("stopped", "Stopped.", "")
            )
        if report is not None and report.state in _ENDED:
            return report.state, report.message, report.hint
        if not self._alive(handle):
            # The process may have written its final report meanwhile.
            return self._gone(handle, _report(folder))
        if not handle.wanted:
            return "stopping", "Finishing the requests in flight.", ""
        if report is None:
            return "starting", "Loading the model.", ""
        return report.state, self._first_contact(folder, handle, report) or report.message, report.hint

    def _gone(self, handle: Handle, report: ProcessState | None) -> tuple[DeploymentState, str, str]:
        if report is not None and report.state in _ENDED:
            return report.state, report.message, report.hint
        if not handle.wanted:
            return "stopped", "Stopped.", ""
        if (handle.pid, handle.pid_created) in self._seen:
            code = exit_code(self._children.get(handle.pid or 0))
            how = f"was killed by signal {-code}" if code is not None and code < 0 else "ended unexpectedly"
            doing = " while it loaded the model" if report is None or report.state == "starting" else ""
            hint = "Read the log, then deploy the version again. The machine may have run out of memory."
            return "failed", f"The scoring process {how}{doing}.", hint
        if not handle.outlives_server:
            return "ended", "The deployment ended with its Jupyter server.", "Deploy the version again."
        message = (
            "The deployment ended while JupyterLab was not running, perhaps at a restart of this machine."
        )
        return "ended", message, "Deploy the version again."

    def _first_contact(self, folder: Path, handle: Handle, report: ProcessState) -> str:
        """Check a process that another Lab started once with its key; return a message if it does not answer."""
        mark = (handle.pid or 0, handle.pid_created or 0.0)
        if mark in self._seen or report.state != "running" or report.asleep:
            return ""
        if "serving" in (read(folder / "spec.json", dict[str, Any]) or {}):
            return ""  # its own process watches the engine, which has no such path
        if not answers(report.port, DeploymentFolder(folder).key()):
            return "The deployment does not answer at the moment."
        self._seen.add(mark)
        return ""

    def _alive(self, handle: Handle) -> bool:
        child = self._children.get(handle.pid or 0)
        if child is not None and child.poll() is not None:
            return False
        return same(created(handle.pid), handle.pid_created)

    def _has_ended(self, folder: Path, handle: Handle) -> bool:
        handle = self._adopt(folder, handle) if handle.pid is None else handle
        return handle.pid is not None and not self._alive(handle)


def _written(folder: Path) -> Handle | None:
    return read(folder / "process.json", Handle)


def _report(folder: Path) -> ProcessState | None:
    return read(folder / "state.json", ProcessState)


def _lease(folder: Path, until: float, *, warm_s: float = 0.0) -> None:
    """Write until when the process may run at least; with ``warm_s`` no longer, and so long after each request."""
    content = {"until": until, "warm_s": warm_s} if warm_s else {"until": until}
    write_private(folder / "lease.json", msgspec.json.encode(content).decode())


def _leased(folder: Path) -> float:
    found = read(folder / "lease.json", dict[str, Any])
    return float((found or {}).get("until", 0.0))


def _is_warm(folder: Path) -> bool:
    return bool((read(folder / "lease.json", dict[str, Any]) or {}).get("warm_s"))


async def to_the_end(step: Coroutine[Any, Any, T]) -> T:
    """Run ``step`` to its end; a cancellation takes effect after it."""
    running = asyncio.ensure_future(step)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        raise


@contextlib.contextmanager
def _disk_errors(name: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise Failed(
            f"Cannot write the files of {name!r}: {'the disk is full' if full else error.strerror or error}.",
            hint="Free some disk space, then deploy again."
            if full
            else "Check that you own the data folder: genops doctor shows its path.",
        ) from error
