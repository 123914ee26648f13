"""Keep the replicas of revisions: how many there are by their load, and which of them get requests.

The gateway alone decides. It asks by ``replicas.json`` in the revision's folder, and processes of the revision start
what is asked for (``serving/scorer/replicas.py``). The first process of a revision is the Lab's: it is no replica here.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .routes import Route, Upstream
from .scaling import ONE, Scale, Scaler, needed
from .upstream import Pools

LOOK_S = 0.5
#: A replica that does not run so long after it was asked for is given up.
START_S = 30.0
#: The next start after a failed one waits so long, and twice as long after each further one.
AGAIN_S, AGAIN_MOST_S = 5.0, 300.0
#: Requests in flight at a replica that should end are waited for at most so long.
DRAIN_S = 3600.0
#: An engine writes its figures each second while it has requests. Older ones are missing ones.
STALE_S = 5.0


@dataclass
class _Replica:
    number: int
    since: float
    port: int = 0
    ran: bool = False
    draining_since: float | None = None
    #: No process should run any more.
    ends: bool = False


class _Revision:
    """The replicas of one revision."""

    def __init__(
        self, name: str, upstream: Upstream, folder: Path, pools: Pools, log: Callable[[str], None]
    ) -> None:
        self.upstream = upstream
        self.scaler = Scaler()
        self.replicas: dict[int, _Replica] = {}
        self._name, self._folder, self._pools, self._log = name, folder, pools, log
        self._file = folder / "replicas.json"
        self._again_at, self._failures = 0.0, 0
        self._why = ""
        self._written: dict[str, Any] = {}
        self._gone = {"requests": 0, "errors": 0}
        self._unwritten = False
        self._figures: dict[Path, tuple[int, float, dict[str, Any]]] = {}
        #: How many there should be; it is shown.
        self.asked = 1

    @property
    def ready(self) -> list[Upstream]:
        """The replicas that get requests."""
        return [
            replace(self.upstream, port=each.port)
            for each in self.replicas.values()
            if each.port and each.draining_since is None
        ]

    @property
    def known(self) -> list[Upstream]:
        """All replicas with a port, also those that finish their requests."""
        return [replace(self.upstream, port=each.port) for each in self.replicas.values() if each.port]

    def adopt(self, now: float) -> None:
        """Go on with what a gateway before asked for."""
        found = _read(self._file)
        with contextlib.suppress(TypeError, ValueError):
            self._gone = {name: int(found.get("gone", {}).get(name, 0)) for name in self._gone}
            for number in found.get("wanted", ()):
                self.replicas[int(number)] = _Replica(int(number), now)

    def look(self, scale: Scale, now: float) -> bool:
        """See what runs, and ask for more or fewer. Return whether other processes get requests than before."""
        before = self.ready
        if _read(self._file).get("stopped"):  # the Lab stops the revision
            self.replicas.clear()
            return self.ready != before
        for each in list(self.replicas.values()):
            self._see(each, now)
        settled = all(each.port and each.draining_since is None for each in self.replicas.values())
        there = 1 + sum(each.draining_since is None for each in self.replicas.values())
        self.scaler.add(scale, now, self._load(scale, now))
        wanted = self.scaler.count(scale, there)
        if wanted != there and (settled or scale.max < there):
            self._change(wanted - there, now)
        self._write(scale)
        return self.ready != before

    def _change(self, more: int, now: float) -> None:
        if more > 0 and now < self._again_at:
            return
        for _ in range(more):
            number = max([0, *self.replicas, *_numbers(self._folder)]) + 1
            self.replicas[number] = _Replica(number, now)
        for _ in range(-more):
            left = [each for each in self.replicas.values() if each.draining_since is None]
            fewest = min(left, key=lambda each: (self._in_flight(each.port), -each.number))
            fewest.draining_since = now
        self.asked = 1 + sum(each.draining_since is None for each in self.replicas.values())
        self._log(f"{self._name} revision {self.upstream.number}: {self.asked} replicas are asked for.")
        self.scaler.forget()

    def _see(self, each: _Replica, now: float) -> None:
        folder = self._folder / "replicas" / str(each.number)
        runs, report = _is_locked(folder / "lock"), _read(folder / "state.json")
        each.ran = each.ran or runs
        if runs and not each.ends and report.get("state") == "running" and not each.port:
            each.port, self._failures, self._why = int(report.get("port", 0)), 0, ""
            self.scaler.forget()
        if not runs and (each.ran or each.ends or now - each.since > START_S):
            del self.replicas[each.number]
            for name in self._gone:
                self._gone[name] += int(report.get(name, 0))
            if not each.ends and each.draining_since is None:
                self._failed(each, str(report.get("message", "")), now)
            self._figures.pop(folder / "tokens.json", None)
            shutil.rmtree(folder, ignore_errors=True)
        elif each.draining_since is not None and not each.ends:
            late = now - each.draining_since
            each.ends = late > DRAIN_S or (late > LOOK_S / 2 and not self._in_flight(each.port))

    def _failed(self, each: _Replica, message: str, now: float) -> None:
        what = "ended" if each.port else "did not start"
        self._why = f"Replica {each.number} {what}. {message if not each.port else ''}".strip()
        self._again_at = now + min(AGAIN_S * 2**self._failures, AGAIN_MOST_S)
        self._failures += 1
        self.asked = 1 + len(self.replicas)
        self._log(f"{self._name} revision {self.upstream.number}: {self._why}")

    # The load -------------------------------------------------------------------------------------------------------

    def _in_flight(self, port: int) -> int:
        if not port:
            return 0
        pool = self._pools.of(replace(self.upstream, port=port))
        return pool.at_work + pool.waiting

    def _load(self, scale: Scale, now: float) -> float | None:
        """Return how many replicas the load of all needs; None if an engine does not tell."""
        places = [(self.upstream.port, self._folder)]
        places += [
            (each.port, self._folder / "replicas" / str(each.number)) for each in self.replicas.values()
        ]
        total = 0.0
        for port, folder in places:
            figures = self._figures_of(folder / "tokens.json", now) if scale.engine else None
            load = needed(scale, self._in_flight(port), figures)
            if load is None:
                return None
            total += load
        return total

    def _figures_of(self, path: Path, now: float) -> dict[str, Any]:
        """Return the engine's figures; empty if they were not written for a while."""
        try:
            changed = path.stat().st_mtime_ns
        except OSError:
            return {}
        seen = self._figures.get(path)
        if seen is None or seen[0] != changed:
            seen = self._figures[path] = (changed, now, _read(path))
        return seen[2] if now - seen[1] <= STALE_S else {}

    # The file -------------------------------------------------------------------------------------------------------

    def _write(self, scale: Scale) -> None:
        content = {
            "wanted": sorted(each.number for each in self.replicas.values() if not each.ends),
            "asked": self.asked, "ready": 1 + len(self.ready), "min": scale.min, "max": scale.max,
            "why": self._why, "gone": dict(self._gone),
        }  # fmt: skip
        if content == self._written or (not self._written and content["wanted"] == [] and scale == ONE):
            return
        try:
            temporary = self._file.with_name(".replicas.json.new")
            temporary.write_text(json.dumps(content))
            temporary.chmod(0o600)
            temporary.replace(self._file)
            self._written, self._unwritten = content, False
        except OSError as error:  # a full disk: the number stays as it is
            if not self._unwritten:
                self._log(f"Cannot change the replicas of {self._name}: {error}")
            self._unwritten = True


class Replicas:
    """The replicas of all deployments. ``changed`` is told which deployment has others."""

    def __init__(
        self,
        folder: Path,
        pools: Pools,
        routes: Callable[[], Iterable[Route]],
        changed: Callable[[str], None],
        log: Callable[[str], None],
    ) -> None:
        self._folder, self._pools, self._log = folder, pools, log
        self._routes, self._changed = routes, changed
        self._revisions: dict[str, dict[int, _Revision]] = {}
        self._turn = 0

    def of(self, name: str) -> list[Upstream]:
        """Return the replicas of a deployment beside the first processes of its revisions."""
        return [each for revision in self._revisions.get(name, {}).values() for each in revision.known]

    def spread(self, name: str, candidates: list[Upstream]) -> list[Upstream]:
        """Return the processes to try in the order of revisions, those with the fewest requests first in each."""
        revisions = self._revisions.get(name)
        if not revisions:
            return candidates
        found: list[Upstream] = []
        self._turn += 1
        for each in candidates:
            revision = revisions.get(each.id)
            if revision is None or not (further := revision.ready):
                found.append(each)
                continue
            processes = [each, *further]
            at = self._turn % len(processes)  # of those with as many requests another one each time
            processes = processes[at:] + processes[:at]
            found += sorted(processes, key=self._order)
        return found

    def _order(self, upstream: Upstream) -> tuple[bool, int]:
        pool = self._pools.of(upstream)
        return pool.refuses, pool.at_work + pool.waiting

    def figures(self, name: str) -> Iterable[tuple[int, int, int]]:
        """Yield the number of each revision with replicas, how many processes get requests, and how many should."""
        for each in self._revisions.get(name, {}).values():
            yield each.upstream.number, 1 + len(each.ready), each.asked

    async def look(self) -> None:
        """Look at all deployments until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                self.look_once(asyncio.get_running_loop().time())
            except Exception as error:  # a fault here must not end the looks, nor go on unseen
                self._log(f"Traceback: the replicas cannot be looked at: {error!r}")

    def look_once(self, now: float) -> None:
        """Look at all deployments that have replicas or may get some."""
        names = set()
        for route in self._routes():
            known = self._revisions.get(route.name, {})
            if route.scale.max == 1 and not known:
                continue
            names.add(route.name)
            known = self._revisions.setdefault(route.name, {})
            for upstream in route.revisions:
                revision = known.get(upstream.id)
                if revision is None:
                    folder = self._folder / route.name / "revisions" / str(upstream.id)
                    revision = known[upstream.id] = _Revision(
                        route.name, upstream, folder, self._pools, self._log
                    )
                    revision.adopt(now)
                revision.upstream = upstream
                # A revision without requests stays warm in one process.
                if revision.look(
                    route.scale if upstream.weight else replace(ONE, engine=route.scale.engine), now
                ):
                    self._changed(route.name)
            for gone in set(known) - {each.id for each in route.revisions}:
                del known[gone]
                self._changed(route.name)
        for gone_name in set(self._revisions) - names:
            del self._revisions[gone_name]


def _numbers(folder: Path) -> list[int]:
    try:
        return [int(each.name) for each in (folder / "replicas").iterdir() if each.name.isdigit()]
    except OSError:
        return []


def _is_locked(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
