"""Run deployments on this machine, each in its own process that does not need JupyterLab."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import http.client
import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Coroutine, Iterator
from dataclasses import replace
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
from genops_lab.deployments.models import DeploymentState

from .base import (
    Capabilities,
    Changes,
    Check,
    DeploymentSpec,
    DeploymentTarget,
    Observed,
    Progress,
    Revision,
    Step,
)

T = TypeVar("T")

SERVER = Path(__file__).resolve().parents[1] / "server.py"
STOP_S = 10.0
FOLLOW_S = 0.2
# Most difference between two readings of a process's start time; no pid is reused that soon.
_SAME_START_S = 2.0
_ENDED = ("failed", "ended", "stopped")


class ProcessState(msgspec.Struct, frozen=True, kw_only=True):
    """The report of the scoring process in ``state.json``."""

    pid: int
    state: DeploymentState
    message: str = ""
    hint: str = ""
    port: int = 0
    lease_until: float = 0.0
    requests: int = 0
    errors: int = 0
    latency_ms: float | None = None


class Handle(msgspec.Struct, frozen=True, kw_only=True):
    """The target's record of a deployment, in ``process.json``.

    ``begun`` is written before the process starts, ``pid`` after: with only ``begun`` a process may exist.
    """

    revision: int = 0
    version: str = ""
    generation: int = 0
    wanted: int = 1
    outlives_server: bool = True
    begun: bool = False
    pid: int | None = None
    pid_created: float | None = None


class LocalTarget(DeploymentTarget):
    """Deployments in folders ``root/<name>`` (0700).

    A folder has model, process.json, spec.json, key (0600), lease.json, state.json and log.txt.
    """

    name = "this machine"

    def __init__(self, root: Path, environments: Environments, life: Lifetime | None = None) -> None:
        self._root = private_dir(root)
        self._lock = root / ".lock"
        self._environments = environments
        self._life = life or lifetime()
        self._children: dict[int, subprocess.Popen[bytes]] = {}
        #: Processes that this Lab saw alive; the others ended while no Lab observed them.
        self._seen: set[tuple[int, float]] = set()

    def capabilities(self) -> Capabilities:
        return Capabilities(outlives_server=self._life.outlives_server, warning=self._life.warning)

    def plan(self, spec: DeploymentSpec, observed: Observed) -> Changes:
        found = observed.revision(spec.revision)
        steps: list[Step] = []
        if any(each.active and (each is not found or not spec.wanted) for each in observed.revisions):
            steps.append("stop")
        if spec.wanted and found is None:
            steps += ["place", "start"]
        elif spec.wanted and found is not None and found.state == "preparing":
            steps.append("start")
        elif spec.wanted and found is not None and found.active and spec.lease_until > observed.lease_until:
            steps.append("renew")
        return Changes(steps=tuple(steps))

    async def apply(
        self, spec: DeploymentSpec, generation: int, progress: Progress, *, check: Check | None = None
    ) -> None:
        handle = await asyncio.to_thread(self._handle, spec.name)
        if handle is not None and (handle.generation > generation or handle.revision > spec.revision):
            return
        for step in self.plan(spec, await self.observe(spec.name)).steps:
            if step == "place":
                await to_the_end(asyncio.to_thread(self._place, spec, generation, check))
            elif step == "start":
                model = self._folder(spec.name) / "model"
                interpreter = await self._environments.interpreter(model, progress)
                await to_the_end(asyncio.to_thread(self._start, spec, generation, interpreter))
            elif step == "renew":
                await asyncio.to_thread(self._renew, spec, generation)
            else:
                await asyncio.to_thread(self._stop, spec.name, generation)
        if not spec.wanted:
            await asyncio.to_thread(self._refuse_older, spec, generation)

    async def observe(self, name: str) -> Observed:
        return await asyncio.to_thread(self._observe, name)

    async def logs(
        self, name: str, revision: int | None = None, *, lines: int, follow: bool = False
    ) -> AsyncIterator[list[str]]:
        handle = await asyncio.to_thread(self._handle, name)
        if handle is None or revision not in (None, handle.revision):
            return
        path = self._folder(name) / "log.txt"
        if not follow:
            yield await asyncio.to_thread(tail, path, lines)
            return
        follower = LogFollower(path)
        if found := await asyncio.to_thread(follower.earlier, lines):
            yield found
        while True:
            # Observe first: lines that were written before the end are then read after the end was seen.
            seen = (await self.observe(name)).revision(handle.revision)
            if news := await asyncio.to_thread(follower.news):
                yield news
            if seen is None or not seen.active:
                return
            await asyncio.sleep(FOLLOW_S)

    async def delete(self, name: str) -> None:
        await asyncio.to_thread(self._delete, name)

    async def key(self, name: str) -> str:
        return await asyncio.to_thread(self._key, name)

    # The methods below block ---------------------------------------------------------------------------------------

    def _folder(self, name: str) -> Path:
        return contained(self._root, name)

    @contextlib.contextmanager
    def _changing(self, name: str) -> Iterator[None]:
        """Lock the files of deployments: one process of this user changes them at a time."""
        with _disk_errors(name), locked(self._lock):
            yield

    def _handle(self, name: str) -> Handle | None:
        """Return the handle. A handle without a pid gets it by a search for the process.

        An older GenOps Lab wrote no handle, and a Lab that was killed may have written no pid.
        """
        handle = self._written(name)
        if (handle is None or (handle.begun and handle.pid is None)) and self._spec(name).exists():
            with locked(self._lock):
                handle = self._written(name) or Handle(begun=True, outlives_server=self._life.outlives_server)
                if handle.begun and handle.pid is None:
                    handle = self._adopt(name, handle)
                    with contextlib.suppress(OSError):  # a full disk: the next call searches again
                        self._write(name, handle)
        return handle

    def _written(self, name: str) -> Handle | None:
        try:
            return msgspec.json.decode((self._folder(name) / "process.json").read_bytes(), type=Handle)
        except (OSError, msgspec.DecodeError):
            return None

    def _write(self, name: str, handle: Handle) -> Handle:
        write_private(self._folder(name) / "process.json", msgspec.json.encode(handle).decode())
        return handle

    def _adopt(self, name: str, handle: Handle) -> Handle:
        found, report = _process_with(str(self._spec(name))), self._report(name)
        if found is not None:
            handle = msgspec.structs.replace(handle, pid=found[0], pid_created=found[1])
        elif report is not None:  # it ran and has ended
            handle = msgspec.structs.replace(handle, pid=report.pid, pid_created=0.0)
        return handle

    def _spec(self, name: str) -> Path:
        return self._folder(name) / "spec.json"

    def _place(self, spec: DeploymentSpec, generation: int, check: Check | None) -> None:
        with self._changing(spec.name):
            if check is not None:
                check()
            folder, written = self._folder(spec.name), self._written(spec.name)
            if written is not None and (written.generation > generation or written.revision == spec.revision):
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
                version=spec.version,
                generation=generation,
                outlives_server=self._life.outlives_server,
            )
            write_private(fresh / "process.json", msgspec.json.encode(handle).decode())
            _remove(folder)
            fresh.rename(folder)

    def _unplaced(self, name: str) -> list[Path]:
        """Return the folders of unfinished placements of this name."""
        return [each for each in self._root.iterdir() if each.name.rpartition("-")[0] == f".new-{name}"]

    def _start(self, spec: DeploymentSpec, generation: int, interpreter: Path) -> None:
        name, folder = spec.name, self._folder(spec.name)
        with self._changing(name):
            handle = self._written(name)
            if handle is None or handle.generation > generation or handle.revision != spec.revision:
                return  # stopped, deleted or replaced meanwhile
            if handle.begun:
                handle = self._adopt(name, handle) if handle.pid is None else handle
                if handle.pid is not None:
                    self._write(name, handle)
                    return
            own = {
                "folder": str(folder),
                "model": str(folder / "model"),
                "key_file": str(folder / "key"),
                "lease_s": spec.lease_s,
            }
            environment = model_environment(os.environ, allow_pickle=spec.allow_pickle)
            write_private(folder / "spec.json", msgspec.json.encode(own).decode())
            self._lease(spec)
            handle = self._write(name, msgspec.structs.replace(handle, begun=True))
            with (folder / "log.txt").open("ab") as log:
                child = subprocess.Popen(
                    [str(interpreter), str(SERVER), str(folder / "spec.json")],
                    cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                    start_new_session=True,
                )  # fmt: skip
            self._children[child.pid] = child
            created = _created(child.pid) or time.time()
            self._seen.add((child.pid, created))
            try:
                self._write(name, msgspec.structs.replace(handle, pid=child.pid, pid_created=created))
            except OSError:
                os.killpg(child.pid, signal.SIGKILL)
                raise

    def _lease(self, spec: DeploymentSpec) -> None:
        write_private(
            self._folder(spec.name) / "lease.json", msgspec.json.encode({"until": spec.lease_until}).decode()
        )

    def _leased(self, name: str) -> float:
        try:
            return float(msgspec.json.decode((self._folder(name) / "lease.json").read_bytes())["until"])
        except (OSError, msgspec.DecodeError, KeyError):
            return 0.0

    def _renew(self, spec: DeploymentSpec, generation: int) -> None:
        with self._changing(spec.name):
            handle = self._written(spec.name)
            if handle is not None and handle.generation <= generation and handle.revision == spec.revision:
                self._lease(spec)
                self._write(spec.name, msgspec.structs.replace(handle, generation=generation))

    def _stop(self, name: str, generation: int) -> None:
        """Finish the requests in flight for up to 10 s, then stop the process."""
        with self._changing(name):
            handle = self._written(name)
            if handle is None or handle.generation > generation:
                return
            handle = msgspec.structs.replace(handle, wanted=0, generation=generation)
            with contextlib.suppress(OSError):  # a stop must work on a full disk
                self._write(name, handle)
        self._end(handle)

    def _refuse_older(self, spec: DeploymentSpec, generation: int) -> None:
        """Write a handle that refuses a late start of an older generation, from a delayed Lab."""
        with self._changing(spec.name):
            if self._written(spec.name) is None:
                private_dir(self._folder(spec.name))
                self._write(
                    spec.name,
                    Handle(revision=spec.revision, version=spec.version, generation=generation, wanted=0),
                )

    def _end(self, handle: Handle) -> None:
        if handle.pid is None or not self._alive(handle):
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(handle.pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_S
        while self._alive(handle):
            if time.monotonic() > deadline:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(handle.pid, signal.SIGKILL)
                deadline += STOP_S
            time.sleep(0.05)

    def _delete(self, name: str) -> None:
        handle = self._handle(name)
        if handle is not None:
            self._stop(name, handle.generation)
        with self._changing(name):
            for folder in (self._folder(name), *self._unplaced(name)):
                _remove(folder)

    def _observe(self, name: str) -> Observed:
        handle = self._handle(name)
        if handle is None:
            return Observed()
        report = self._report(name)
        state, reason, hint = self._state(name, handle, report)
        revision = Revision(
            number=handle.revision, version=handle.version, state=state, wanted=handle.wanted,
            ready=int(state == "running"), reason=reason, hint=hint,
        )  # fmt: skip
        leased = self._leased(name)
        seen = Observed(revisions=(revision,), outlives_server=handle.outlives_server, lease_until=leased)
        if report is None:
            return seen
        return replace(
            seen, address=f"http://127.0.0.1:{report.port}" if state == "running" and report.port else "",
            lease_until=max(leased, report.lease_until), requests=report.requests, errors=report.errors,
            latency_ms=report.latency_ms,
        )  # fmt: skip

    def _state(
        self, name: str, handle: Handle, report: ProcessState | None
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
            return self._gone(handle, self._report(name))
        if not handle.wanted:
            return "stopping", "Finishing the requests in flight.", ""
        if report is None:
            return "starting", "Loading the model.", ""
        return report.state, self._first_contact(name, handle, report) or report.message, report.hint

    def _gone(self, handle: Handle, report: ProcessState | None) -> tuple[DeploymentState, str, str]:
        if report is not None and report.state in _ENDED:
            return report.state, report.message, report.hint
        if not handle.wanted:
            return "stopped", "Stopped.", ""
        if (handle.pid, handle.pid_created) in self._seen:
            code = _exit_code(self._children.get(handle.pid or 0))
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

    def _first_contact(self, name: str, handle: Handle, report: ProcessState) -> str:
        """Check a process that another Lab started once with its key; return a message if it does not answer."""
        mark = (handle.pid or 0, handle.pid_created or 0.0)
        if mark in self._seen or report.state != "running":
            return ""
        if not _answers(report.port, self._key(name)):
            return "The deployment does not answer at the moment."
        self._seen.add(mark)
        return ""

    def _alive(self, handle: Handle) -> bool:
        child = self._children.get(handle.pid or 0)
        if child is not None and child.poll() is not None:
            return False
        return _same(_created(handle.pid), handle.pid_created)

    def _report(self, name: str) -> ProcessState | None:
        try:
            return msgspec.json.decode((self._folder(name) / "state.json").read_bytes(), type=ProcessState)
        except (OSError, msgspec.DecodeError):
            return None

    def _key(self, name: str) -> str:
        try:
            return (self._folder(name) / "key").read_text(encoding="utf-8")
        except OSError:
            return ""


async def to_the_end(step: Coroutine[Any, Any, T]) -> T:
    """Run ``step`` to its end; a cancellation takes effect after it."""
    running = asyncio.ensure_future(step)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        raise


def _remove(folder: Path) -> None:
    """Remove a deployment's folder, the handle first, so that a partly removed folder is no deployment."""
    (folder / "process.json").unlink(missing_ok=True)
    (folder / "spec.json").unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


def _process_with(spec: str) -> tuple[int, float] | None:
    """Return the pid and start time of the scoring process with this ``spec.json``, or None."""
    import psutil

    for process in psutil.process_iter(["cmdline"]):
        command: list[str] = process.info["cmdline"] or []
        if len(command) > 2 and command[-1] == spec and command[-2].endswith(".py"):
            created = _created(process.pid)
            if created is not None:
                return process.pid, created
    return None


def _exit_code(child: subprocess.Popen[bytes] | None) -> int | None:
    """Return the exit code of a child that has ended; wait up to 1 s, as another thread may reap it."""
    if child is None:
        return None
    try:
        return child.wait(1)
    except subprocess.TimeoutExpired:
        return None


def _created(pid: int | None) -> float | None:
    """Return the start time of a process, or None if it has ended or is a zombie."""
    import psutil

    if pid is None:
        return None
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return float(process.create_time())
    except psutil.Error:
        return None


def _same(found: float | None, recorded: float | None) -> bool:
    return found is not None and recorded is not None and abs(found - recorded) < _SAME_START_S


def _answers(port: int, key: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=3)
    try:
        connection.request("GET", "/ping", headers={"Authorization": f"Bearer {key}"})
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


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
