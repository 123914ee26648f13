"""Deployments on this machine: each a process of its own, which needs no Lab to go on."""

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
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from genops_lab.core.errors import Failed
from genops_lab.core.paths import contained, private_dir, write_private
from genops_lab.deployments.environments import Environments
from genops_lab.deployments.lifetime import lifetime
from genops_lab.deployments.logs import tail
from genops_lab.deployments.models import DeploymentState
from genops_lab.deployments.record import Record
from genops_lab.deployments.shielding import to_the_end

from .base import DeploymentBackend, ObservedState, Plan, Stats, Tell
from .environment_filter import scoring_environment

SERVER = Path(__file__).resolve().parents[1] / "server.py"
STOP_S = 10.0
# Of two measurements of one process's start; a number is not used again so soon.
_SAME_START_S = 2.0


class ProcessState(msgspec.Struct, frozen=True, kw_only=True):
    """What the scoring process says in ``state.json``."""

    pid: int
    state: DeploymentState
    message: str = ""
    hint: str = ""
    port: int = 0
    lease_until: float = 0.0
    requests: int = 0
    errors: int = 0
    latency_ms: float | None = None


class LocalBackend(DeploymentBackend):
    """Folders ``root/<name>`` (0700): model, spec.json, key (0600), lease.json, state.json, log.txt."""

    target = "this machine"

    def __init__(self, root: Path, environments: Environments) -> None:
        self._root = root
        self._environments = environments
        self._interpreters: dict[str, Path] = {}
        self._children: dict[int, subprocess.Popen[bytes]] = {}
        #: processes that this Lab saw alive: the others ended while nobody looked
        self._seen: set[tuple[int, float]] = set()

    def folder(self, name: str) -> Path:
        """Where a deployment's files are."""
        return contained(self._root, name)

    async def prepare(self, plan: Plan, tell: Tell) -> None:
        await to_the_end(asyncio.to_thread(self._place, plan))
        folder = self.folder(plan.name)
        self._interpreters[plan.name] = await self._environments.interpreter(folder / "model", tell)

    def _place(self, plan: Plan) -> None:
        with _disk_errors(plan.name):
            folder = self.folder(plan.name)
            fresh = private_dir(self._root / f".new-{plan.name}-{secrets.token_hex(4)}")
            plan.model.rename(fresh / "model")
            write_private(fresh / "key", plan.key)
            shutil.rmtree(folder, ignore_errors=True)
            fresh.rename(folder)

    def start(self, plan: Plan) -> tuple[int, float]:
        folder = self.folder(plan.name)
        spec = {
            "folder": str(folder),
            "model": str(folder / "model"),
            "key_file": str(folder / "key"),
            "lease_s": plan.lease_s,
        }
        environment = {
            **scoring_environment(os.environ),
            "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "true" if plan.allow_pickle else "false",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "PYTHONUNBUFFERED": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        interpreter = self._interpreters.pop(plan.name, Path(sys.executable))
        with _disk_errors(plan.name):
            write_private(folder / "spec.json", msgspec.json.encode(spec).decode())
            write_private(folder / "lease.json", msgspec.json.encode({"until": plan.lease_until}).decode())
            with self.log_path(plan.name).open("ab") as log:
                child = subprocess.Popen(
                    [str(interpreter), str(SERVER), str(folder / "spec.json")],
                    cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                    start_new_session=True,
                )  # fmt: skip
        self._children[child.pid] = child
        created = _created(child.pid) or time.time()
        self._seen.add((child.pid, created))
        return child.pid, created

    def stop(self, record: Record) -> None:
        if record.pid is None or not self._alive(record):
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(record.pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_S
        while self._alive(record):
            if time.monotonic() > deadline:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(record.pid, signal.SIGKILL)
                deadline += STOP_S
            time.sleep(0.05)

    def find(self, record: Record) -> ObservedState:
        told = self._told(record.name)
        if not record.active:
            return _sighting(record.state, told, record.message, record.hint)
        if record.state == "preparing":
            return self._preparing(record)
        if told is not None and told.state in ("failed", "ended", "stopped"):
            return _sighting(told.state, told, told.message, told.hint)
        if not self._alive(record):
            # It may have written its last words between the two looks.
            return self._gone(record, self._told(record.name))
        if told is None:
            return ObservedState(state="starting", message=record.message, lease_until=record.lease_until)
        if record.state == "stopping":
            return _sighting("stopping", told, told.message)
        return _sighting(told.state, told, self._first_meeting(record, told) or told.message, told.hint)

    def _preparing(self, record: Record) -> ObservedState:
        if _created(record.pid) is not None and _same(_created(record.pid), record.pid_created):
            return ObservedState(state="preparing", message=record.message, lease_until=record.lease_until)
        return ObservedState(
            state="failed", message="The Lab ended while it prepared this.", hint="Deploy it again."
        )

    def _gone(self, record: Record, told: ProcessState | None) -> ObservedState:
        if told is not None and told.state in ("failed", "ended", "stopped"):
            return _sighting(told.state, told, told.message, told.hint)
        if record.state == "stopping":
            return _sighting("stopped", told, "Stopped.")
        if (record.pid, record.pid_created) in self._seen:
            child = self._children.get(record.pid or 0)
            code = _exit_code(child)
            how = f"was killed by signal {-code}" if code is not None and code < 0 else "ended by itself"
            doing = (
                "while it loaded the model" if told is None or told.state == "starting" else "while it ran"
            )
            hint = "If nobody killed it, the machine's memory may be exhausted: see the log, then deploy it again."
            return _sighting("failed", told, f"The scoring process {how} {doing}.", hint)
        if not record.outlives_server:
            return _sighting(
                "ended", told, "It ended with its server.", lifetime().warning or "Deploy it again."
            )
        message = "It ended while no Lab was looking, perhaps at a restart of this machine."
        return _sighting("ended", told, message, "Deploy it again.")

    def _first_meeting(self, record: Record, told: ProcessState) -> str:
        """A process that another Lab started must know its key; what to say when it does not answer."""
        mark = (record.pid or 0, record.pid_created or 0.0)
        if mark in self._seen or told.state != "running":
            return ""
        if not _answers(told.port, self.key(record)):
            return "It does not answer at the moment."
        self._seen.add(mark)
        return ""

    def _alive(self, record: Record) -> bool:
        child = self._children.get(record.pid or 0)
        if child is not None and child.poll() is not None:
            return False
        return _same(_created(record.pid), record.pid_created)

    def _told(self, name: str) -> ProcessState | None:
        try:
            return msgspec.json.decode((self.folder(name) / "state.json").read_bytes(), type=ProcessState)
        except (OSError, msgspec.DecodeError):
            return None

    def stats(self, record: Record) -> Stats:
        return self.find(record).stats

    def renew(self, record: Record, until: float) -> None:
        with _disk_errors(record.name):
            write_private(
                self.folder(record.name) / "lease.json", msgspec.json.encode({"until": until}).decode()
            )

    def key(self, record: Record) -> str:
        try:
            return (self.folder(record.name) / "key").read_text(encoding="utf-8")
        except OSError:
            return ""

    def url(self, record: Record, sighting: ObservedState) -> str:
        running = sighting.state == "running" and sighting.port
        return f"http://127.0.0.1:{sighting.port}" if running else ""

    def log_path(self, name: str) -> Path:
        return self.folder(name) / "log.txt"

    def log(self, name: str, lines: int) -> list[str]:
        return tail(self.log_path(name), lines)

    def remove(self, record: Record) -> None:
        shutil.rmtree(self.folder(record.name), ignore_errors=True)


def _exit_code(child: subprocess.Popen[bytes] | None) -> int | None:
    """How a child of ours ended; it has, though another thread may be the one that learns it first."""
    if child is None:
        return None
    try:
        return child.wait(1)
    except subprocess.TimeoutExpired:
        return None


def this_process() -> tuple[int, float]:
    """This process, as records name the one that prepares a deployment."""
    return os.getpid(), _created(os.getpid()) or 0.0


def _sighting(
    state: DeploymentState, told: ProcessState | None, message: str, hint: str = ""
) -> ObservedState:
    if told is None:
        return ObservedState(state=state, message=message, hint=hint)
    return ObservedState(
        state=state, message=message, hint=hint, port=told.port or None, lease_until=told.lease_until,
        stats=Stats(requests=told.requests, errors=told.errors, latency_ms=told.latency_ms),
    )  # fmt: skip


def _created(pid: int | None) -> float | None:
    """When the process with this number started; None when it has ended (a zombie has)."""
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
            f"The files of {name!r} could not be written: {'the disk is full' if full else error.strerror or error}.",
            hint="Free some disk space, then deploy again."
            if full
            else "See who owns the GenOps data folder.",
        ) from error
