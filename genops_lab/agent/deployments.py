"""Keep deployments on this host: revisions in folders, their scoring processes, and a gateway in front of them.

Nothing here needs a connection: the processes go on without the Lab and without this agent. Each method is one step of
a change; it can run twice, in two agents at once, and again after a kill in its middle. All methods block.

A deployment is the folder ``NAME``: ``deployment.json`` (owner, generation), ``key``, ``route.json``, and
``revisions/ID`` with ``model``, ``process.json``, ``spec.json``, ``lease.json``, ``key``, ``state.json``, ``log.txt``.
A scoring process holds the lock of ``run.lock``, from before its interpreter starts until it has ended (:mod:`.score`).
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import hashlib
import os
import re
import secrets
import shutil
import sys
import time
from pathlib import Path
from typing import Any, AsyncIterator, Dict, Iterator, List, NamedTuple, Optional, Tuple

from . import deployment_tls
from .channels import ChannelReset
from .deployment_files import Revision, read, write
from .deployment_gateway import HostGateway
from .detached import outliving, start
from .model_variables import model_environment
from .paths import kept_folder, private_folder
from .processes import boot_id
from .starter import agent_command

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}\Z")
_CODE = re.compile(r"[0-9a-f]{16}\Z")
OWN_KEY = "default"
STOP_S = 10.0
_PAUSE_S = 0.05
#: The settings of the scorer that a change may have.
_SCORER = ("batch_rows", "batch_wait_ms", "memory_bytes", "workers")
_ENDED = ("failed", "ended", "stopped")


class Change(NamedTuple):
    """A change that the Lab asks for: the desired state of a deployment, and its generation."""

    spec: Dict[str, Any]
    generation: int

    @property
    def name(self) -> str:
        """The deployment."""
        return checked_name(self.spec["name"])

    @property
    def revision(self) -> int:
        """The revision that is asked for."""
        return int(self.spec["revision"])

    @property
    def going_on(self) -> Tuple[int, ...]:
        """The revisions that go on."""
        return (self.revision, *map(int, self.spec["beside"])) if self.spec["wanted"] else ()


def checked_name(name: Any) -> str:
    """Return the name of a deployment. Raises ValueError."""
    if not isinstance(name, str) or not _NAME.match(name):
        raise ValueError(f"{str(name)[:80]!r} is no name of a deployment")
    return name


class Deployments:
    """The deployments of this user on this host."""

    def __init__(self) -> None:
        self.root = Path(kept_folder("deployments"))
        self.gateway = HostGateway(self.root)

    # Changes --------------------------------------------------------------------------------------------------------

    def fresh(self, change: Change) -> Optional[Path]:
        """Return the folder in which the files of a new revision arrive; None if the revision has them already."""
        self._check_owner(change)
        base = self.root / change.name
        if self._generation(base) > change.generation or self._of(base, change.revision).written:
            return None
        fresh = self.root / f".new-{change.name}-{change.revision}"
        for each in self._unplaced(change.name):
            if each != fresh:
                shutil.rmtree(each, ignore_errors=True)
        return fresh

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock of all deployments: one process changes them at a time."""
        with (self.root / ".lock").open("a") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            yield

    @contextlib.asynccontextmanager
    async def placing(self, change: Change) -> AsyncIterator[None]:
        """Hold the lock of the upload to a deployment: two Labs, or two connections, may place it at once."""
        async with _held(self.root / f".placing-{change.name}"):
            yield

    @contextlib.asynccontextmanager
    async def changing(self) -> AsyncIterator[None]:
        """Hold the lock of :meth:`locked` in a loop, which goes on while another process has it."""
        async with _held(self.root / ".lock"):
            yield

    def place(self, change: Change) -> None:
        """Make the files that have arrived a revision. The caller holds the lock."""
        fresh = self.fresh(change)
        if fresh is None:
            return
        base, spec = self.root / change.name, change.spec
        revision = self._of(base, change.revision)
        code = self._code(str(spec["code"]))
        if not code.exists():
            private_folder(str(code.parent))
            (fresh / "code").rename(code)
        shutil.rmtree(fresh / "code", ignore_errors=True)
        if not (fresh / "key").exists():
            write(fresh / "key", secrets.token_urlsafe(32))
        handle = {
            "revision": change.revision, "number": int(spec["number"]), "version": str(spec["version"]),
            "generation": change.generation, "wanted": 1, "begun": False, "code": str(spec["code"]),
            "scorer": str(spec["scorer"]), "interpreter": str(spec["interpreter"]),
            "allow_pickle": bool(spec["allow_pickle"]), "serving": dict(spec.get("serving") or {}),
        }  # fmt: skip
        write(fresh / "process.json", handle)
        private_folder(str(base))
        if not (base / "key").exists():
            write(base / "key", secrets.token_urlsafe(32))
        self._takes(change)
        kept = {change.revision, *map(int, spec["known"]), *map(int, spec["beside"])}
        for each in self._revisions(base):
            if each.id not in kept and not each.alive:
                each.remove()
        private_folder(str(revision.folder.parent))
        shutil.rmtree(revision.folder, ignore_errors=True)  # a folder without a handle is none
        fresh.rename(revision.folder)

    def start(self, change: Change) -> None:
        """Start the scoring process of a revision unless it was started."""
        with self.locked():
            base = self.root / change.name
            revision = self._of(base, change.revision)
            handle = revision.handle
            if handle is None or not self._takes(change) or revision.alive:
                return  # stopped, deleted or replaced meanwhile
            if handle["begun"] and int(handle["generation"]) < int(change.spec["since"]):
                revision.end_replicas(STOP_S, forget=True)
                for name in ("state.json", "pid.json"):
                    with contextlib.suppress(FileNotFoundError):
                        (revision.folder / name).unlink()
                handle.update(begun=False, wanted=1, generation=change.generation)
                write(revision.folder / "process.json", handle)
            if (revision.folder / "pid.json").exists():
                return  # it ran, and has ended
            self._launch(base, revision, handle, change)

    def _launch(self, base: Path, revision: Revision, handle: Dict[str, Any], change: Change) -> None:
        interpreter, code = str(handle["interpreter"]), self._code(str(handle["code"]))
        if not os.access(interpreter, os.X_OK):
            raise ChannelReset(
                "failed",
                f"The Python of revision {handle['number']} of {change.name!r} is no longer on the host: {interpreter}",
                "Deploy the version again: its environment is then built again.",
            )
        folder = revision.folder
        spec = {
            "folder": str(folder),
            "name": change.name,
            "version": str(handle["version"]),
            "model": str(folder / "model"),
            "key_file": str(folder / "key"),
            "lease_s": float(change.spec["lease_s"]),
            "sleep_s": float(change.spec["sleep_s"]),
            "gateway": {**self.gateway.revival(interpreter, code), "route": str(base / "route.json")},
            **{
                name: float(value)
                for name, value in change.spec.get("scorer_options", {}).items()
                if name in _SCORER
            },
        }
        if handle.get("serving"):
            spec.update(serving=handle["serving"], number=int(handle["number"]))
        write(folder / "spec.json", spec)
        revision.lease(float(change.spec["lease_until"]))
        write(folder / "process.json", {**handle, "begun": True})
        # A unit of systemd has the variables of its manager: those of the login are written down.
        allow_pickle = bool(handle["allow_pickle"])
        environment = model_environment(os.environ, allow_pickle=allow_pickle)
        environment.update(change.spec.get("variables") or {})
        environment.update(model_environment({}, allow_pickle=allow_pickle))
        write(folder / "environment.json", environment)
        command = agent_command(sys.executable, ["score", str(folder), str(code / str(handle["scorer"]))])
        start(outliving(command, f"deployment-{folder.name}"), str(folder))

    def renew(self, change: Change) -> None:
        """Renew the lease of a revision."""
        with self.locked():
            revision = self._of(self.root / change.name, change.revision)
            if revision.written and self._takes(change):
                revision.lease(float(change.spec["lease_until"]))

    def route(self, change: Change) -> None:
        """Share the requests by the weights. Before, revisions without one get a short lease, the others a long one."""
        with self.locked():
            base, spec = self.root / change.name, change.spec
            found = self._revisions(base)
            if not found or not self._takes(change):
                return
            weights = {int(number): int(weight) for number, weight in spec["weights"].items()}
            processes, python = [], ("", Path())
            for each in found:
                report, handle = each.report, each.handle
                if handle is None or report.get("state") != "running" or not each.alive:
                    continue
                weight, until = weights.get(each.id, 0), time.time() + float(spec["warm_s"])
                with contextlib.suppress(OSError):  # on a full disk requests go on
                    if weight and (each.is_warm or each.leased < float(spec["lease_until"])):
                        each.lease(float(spec["lease_until"]))
                    elif not weight and each.leased > until:
                        each.lease(until, warm_s=float(spec["warm_s"]))
                if weight or not python[0]:
                    python = (str(handle["interpreter"]), self._code(str(handle["code"])))
                processes.append(
                    {
                        "id": each.id, "number": int(handle["number"]), "port": int(report["port"]),
                        "key": each.key, "weight": weight,
                    }
                )  # fmt: skip
            if not any(each["weight"] for each in processes):
                raise ChannelReset(
                    "failed",
                    f"No process of {change.name!r} that should get requests is ready.",
                    f"Look at its revisions: genops deployments show {change.name}",
                )
            own = {"name": OWN_KEY, "sha256": hashlib.sha256(self.key(change.name).encode()).hexdigest()}
            route = {
                "name": change.name,
                "generation": change.generation,
                "revisions": processes,
                "keys": [own, *spec["keys"]],
            }
            if spec.get("timeout_s"):  # of an older Lab there is none
                route["timeout_s"] = float(spec["timeout_s"])
            if spec.get("scale"):
                route["scale"] = spec["scale"]
            deployment_tls.take(self.root, change.name, spec.get("tls"))
            self.gateway.set(route, *python)
            self.gateway.keep_tls()
            # Written when it is true: the address of the deployment is shown from then on.
            with contextlib.suppress(OSError):  # on a full disk the gateway has it in memory
                write(base / "route.json", route)

    def unroute(self, change: Change) -> None:
        """Let no further request reach the deployment."""
        with self.locked():
            if self._takes(change):
                self._unroute(change.name, change.generation)

    def stop(self, change: Change) -> None:
        """Finish the requests in flight for up to 10 s, then stop the processes that should not go on."""
        ending = []
        with self.locked():
            if not self._takes(change):
                return
            for each in self._revisions(self.root / change.name):
                if each.id not in change.going_on:
                    with contextlib.suppress(OSError):  # a stop must work on a full disk
                        each.unwanted()
                    ending.append(each)
        for each in ending:
            each.end(STOP_S)

    def refuse_older(self, change: Change) -> None:
        """Note the generation of a stop, so that a late start is refused, also of an unknown deployment."""
        with self.locked():
            private_folder(str(self.root / change.name))
            self._takes(change)

    def delete(self, name: str) -> None:
        """End a deployment and remove its files."""
        base = self.root / checked_name(name)
        with self.locked():
            self._unroute(name, self._generation(base))
            found = self._revisions(base)
            for each in found:
                with contextlib.suppress(OSError):
                    each.unwanted()
        for each in found:
            each.end(STOP_S)
        with self.locked():
            if base.is_dir():  # under another name first: a folder that is removed in part is no deployment
                base.rename(self.root / f".gone-{name}-{secrets.token_hex(4)}")
            for gone in [*self._unplaced(name), *self.root.glob(f".gone-{name}-*")]:
                shutil.rmtree(gone, ignore_errors=True)
            with contextlib.suppress(FileNotFoundError):
                (self.root / f".placing-{name}").unlink()
            self.gateway.keep_tls()
            self._remove_unused_code()

    # What is there --------------------------------------------------------------------------------------------------

    def names(self) -> List[str]:
        """Return the names of all deployments."""
        return sorted(each.name for each in self.root.iterdir() if _NAME.match(each.name) and each.is_dir())

    def observe(self, name: str) -> Dict[str, Any]:
        """Return the state of a deployment; no revisions if it is not here."""
        base = self.root / checked_name(name)
        shown, ports = [], {}
        for each in self._revisions(base):
            handle = each.handle
            if handle is None:
                continue
            state, reason, hint = self._state(each, handle)
            report = each.report
            if state == "running":
                ports[each.id] = report["port"]
            leased = each.leased
            shown.append(
                {
                    "number": each.id, "version": handle["version"], "state": state, "wanted": handle["wanted"],
                    "ready": int(state == "running"), "reason": reason, "hint": hint,
                    "generation": handle["generation"],
                    "lease_until": leased if each.is_warm else max(leased, float(report.get("lease_until", 0))),
                    "requests": report.get("requests", 0) + each.replica_counts("requests"),
                    "errors": report.get("errors", 0) + each.replica_counts("errors"),
                    "replicas": each.replicas,
                    "latency_ms": report.get("latency_ms"), "loading_s": report.get("loading_s", 0.0),
                    "tokens": read(each.folder / "tokens.json"),
                }
            )  # fmt: skip
        route = read(base / "route.json") or {}
        weights = {
            str(each["id"]): each["weight"]
            for each in route.get("revisions", ())
            if ports.get(each["id"]) == each["port"]
        }
        return {
            "revisions": shown,
            "port": self.gateway.port if weights else 0,
            "weights": weights,
            "keys": [each for each in route.get("keys", ()) if each["name"] != OWN_KEY],
            "scale": route.get("scale"),
            "tls": deployment_tls.asked(base),
            "problem": self.gateway.problem(tls=(base / deployment_tls.FILE).exists()) if weights else "",
            "rollout": read(base / "evidence.json"),
        }

    def key(self, name: str) -> str:
        """Return the key of callers; empty without a deployment."""
        try:
            return (self.root / checked_name(name) / "key").read_text(encoding="utf-8").strip()
        except OSError:
            return ""

    def log_of(self, name: str, revision: Optional[int]) -> Optional[Tuple[int, Path]]:
        """Return a revision (None: the newest) and its log; None if it is not here."""
        found = [each for each in self._revisions(self.root / checked_name(name)) if each.written]
        chosen = [each for each in found if revision in (None, each.id)]
        return (chosen[-1].id, chosen[-1].folder / "log.txt") if chosen else None

    # Parts ----------------------------------------------------------------------------------------------------------

    def _of(self, base: Path, revision: int) -> Revision:
        return Revision(base / "revisions" / str(revision))

    def _revisions(self, base: Path) -> List[Revision]:
        """Return all revisions, the oldest first."""
        inside = base / "revisions"
        found = [each for each in inside.iterdir() if each.name.isdigit()] if inside.is_dir() else []
        return [Revision(each) for each in sorted(found, key=lambda each: int(each.name))]

    def _code(self, digest: str) -> Path:
        if not _CODE.match(digest):
            raise ValueError("the code has no digest")
        return self.root / ".code" / digest

    def _unplaced(self, name: str) -> List[Path]:
        """Return the folders of unfinished placements of this name."""
        return [each for each in self.root.iterdir() if each.name.rpartition("-")[0] == f".new-{name}"]

    def _generation(self, base: Path) -> int:
        return int((read(base / "deployment.json") or {}).get("generation", 0))

    def _takes(self, change: Change) -> bool:
        """Return whether the deployment takes a change of this generation, and note the generation."""
        base = self.root / change.name
        known = self._generation(base)
        if known > change.generation:
            return False
        if known < change.generation and base.is_dir():
            with contextlib.suppress(OSError):  # a stop and a way back must work on a full disk
                noted = {"generation": change.generation, "owner": change.spec["owner"]}
                write(base / "deployment.json", noted)
        return True

    def _check_owner(self, change: Change) -> None:
        """Raise ChannelReset if another Lab of this user has a deployment of this name here."""
        owner = (read(self.root / change.name / "deployment.json") or {}).get("owner")
        if owner not in (None, change.spec["owner"]):
            raise ChannelReset(
                "name_in_use",
                f"Another GenOps Lab has a deployment {change.name!r} on this host.",
                "Choose another name: --name NAME",
            )

    def _unroute(self, name: str, generation: int) -> None:
        with contextlib.suppress(FileNotFoundError):
            (self.root / name / "route.json").unlink()
        self.gateway.remove(name, generation)

    def _remove_unused_code(self) -> None:
        used = {self.gateway.code}
        for name in self.names():
            used |= {str((each.handle or {}).get("code")) for each in self._revisions(self.root / name)}
        for each in self.root.glob(".code/*"):
            if each.name not in used:
                shutil.rmtree(each, ignore_errors=True)

    def _state(self, revision: Revision, handle: Dict[str, Any]) -> Tuple[str, str, str]:
        alive, report = revision.alive, revision.report
        pid = read(revision.folder / "pid.json")
        if not alive and pid is None:
            if not handle["wanted"]:
                return "stopped", "Stopped.", ""
            return "preparing", "Preparing the environment.", ""
        if report.get("state") in _ENDED:
            return str(report["state"]), str(report["message"]), str(report["hint"])
        if alive and not handle["wanted"]:
            return "stopping", "Finishing the requests in flight.", ""
        if alive:
            return str(report.get("state", "starting")), str(report.get("message", "Loading the model.")), ""
        if not handle["wanted"]:
            return "stopped", "Stopped.", ""
        again = "Deploy the version again."
        if pid is not None and pid.get("boot") != boot_id():
            return "ended", "The deployment ended when its host was started again.", again
        doing = " while it loaded the model" if report.get("state", "starting") == "starting" else ""
        hint = "Read the log, then deploy the version again. The host may have run out of memory."
        return "failed", f"The scoring process ended unexpectedly{doing}.", hint


@contextlib.asynccontextmanager
async def _held(path: Path) -> AsyncIterator[None]:
    with path.open("a") as stream:
        while True:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                await asyncio.sleep(_PAUSE_S)
        yield


def disk_words(error: OSError, name: str) -> ChannelReset:
    """Return the error of a change that could not write."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return ChannelReset(
        "failed",
        f"Cannot write the files of {name!r} on the host: {'its disk is full' if full else error.strerror or error}.",
        "Free some disk space on the host, then deploy again." if full else "Test the target.",
    )
