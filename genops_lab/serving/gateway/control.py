"""Take changes over a unix socket: one JSON line asks, one answers.

=========  ===============================  ======================================================
op         with                             answer
=========  ===============================  ======================================================
status                                      pid, port, ``waits_for`` (a port in use), problems, generations
set        route                            applied, generation (that of the newest known change)
remove     name, generation                 applied, generation
=========  ===============================  ======================================================

Further operations are about rollouts:

- ``rollout`` begins the one that is given.
- ``decide`` takes a name, an id, a decision and who decided. It answers why that is refused; empty if it is taken.
- ``end`` forgets the rollout with this name and id.
- ``evidence`` and ``traffic`` answer what is known of a deployment.
- ``feedback`` takes an outcome as a caller sends it (``body``).

Three are about recordings: ``record`` begins one of so many ``requests``, ``recorded`` shows it, the ``whole`` with the
bodies, and ``forget`` ends it.

``samples`` wants a ``share`` of the requests of a deployment, and answers those kept ``after`` a number
(``samples.py``).

``key_uses`` answers the seconds since the last request with each key of a deployment (``ago_s``).

An answer to ``set`` means that every request that arrives later follows the new route.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .rollout import Rollout
from .routes import Route

if TYPE_CHECKING:
    from .server import Gateway

_ROLLOUTS = ("rollout", "decide", "end", "evidence", "feedback", "traffic")
_RECORDINGS = ("record", "recorded", "forget")
MAX_LINE = 4 * 1024 * 1024


class Control:
    """The socket of the owner of this host. Its folder is private (0700)."""

    def __init__(self, gateway: Gateway, path: Path) -> None:
        self._gateway = gateway
        self._path = path
        self._server: asyncio.AbstractServer | None = None

    async def open(self) -> None:
        """Listen. A socket that a dead gateway left is replaced."""
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._serve, self._path, limit=MAX_LINE)
        self._path.chmod(0o600)

    async def keep(self) -> None:
        """Listen again if somebody removed the socket, as cleaners of /tmp do."""
        if not self._gateway.stopping and not self._path.exists():
            self.close()
            with contextlib.suppress(OSError):
                await self.open()

    def close(self) -> None:
        """Stop to listen."""
        if self._server is not None:
            self._server.close()

    def remove(self) -> None:
        """Remove the socket at the end."""
        self.close()
        self._path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                writer.write(json.dumps(self._answer(line)).encode() + b"\n")
                await writer.drain()
        except (ConnectionError, ValueError):
            pass  # the Lab has left, or sent a line that is too long
        finally:
            writer.close()

    def _answer(self, line: bytes) -> dict[str, Any]:
        if self._gateway.stopping:
            return {"stopping": True}  # the next gateway takes the change
        try:
            asked = json.loads(line)
            if asked["op"] == "status":
                return self._status()
            if asked["op"] in _ROLLOUTS:
                return self._rollout(asked)
            if asked["op"] in _RECORDINGS:
                return self._recording(asked)
            if asked["op"] == "samples":
                return self._gateway.samples.asked(
                    str(asked["name"]), float(asked["share"]), str(asked["run"]), int(asked["after"]),
                    all=bool(asked.get("all")),
                )  # fmt: skip
            if asked["op"] == "key_uses":
                gateway = self._gateway
                return {"ago_s": gateway.key_uses.ago_s(str(asked["name"]), gateway.loop.time())}
            if asked["op"] == "usage":
                return self._usage(str(asked["name"]), int(asked["revision"]))
            if asked["op"] == "set":
                route = Route.decode(asked["route"])
                applied, name = self._gateway.set_route(route), route.name
            elif asked["op"] == "remove":
                name = str(asked["name"])
                applied = self._gateway.remove_route(name, int(asked["generation"]))
            else:
                raise ValueError(f"There is no operation {asked['op']!r}.")
        except (ValueError, KeyError, TypeError) as error:
            return {"error": str(error) or type(error).__name__}
        return {"applied": applied, "generation": self._gateway.routes.generation(name)}

    def _rollout(self, asked: dict[str, Any]) -> dict[str, Any]:
        rollouts = self._gateway.rollouts
        if asked["op"] == "rollout":
            rollouts.begin(Rollout.decode(asked["rollout"]))
            return {"begun": True}
        name = str(asked["name"])
        if asked["op"] == "feedback":
            status, _, found = rollouts.feedback(name, json.dumps(asked["body"]).encode())
            return found if status == 200 else {"counted": False, "reason": found["message"]}
        if asked["op"] == "traffic":
            requests, failures = self._gateway.metrics.totals(name)
            return {"requests": requests, "failures": failures, "seconds": self._gateway.runs_s}
        if asked["op"] == "decide":
            id, decision, by = (str(asked[each]) for each in ("id", "decision", "by"))
            return {"refused": rollouts.decide(name, id, decision, by)}
        if asked["op"] == "end":
            rollouts.end(name, str(asked["id"]))
            return {"ended": True}
        judge = rollouts.get(name)
        return {"evidence": None if judge is None else judge.shown()}

    def _recording(self, asked: dict[str, Any]) -> dict[str, Any]:
        recordings, name = self._gateway.recordings, str(asked["name"])
        if asked["op"] == "record":
            recordings.begin(name, int(asked["requests"]))
        elif asked["op"] == "forget":
            recordings.end(name)
        return recordings.shown(name, whole=bool(asked.get("whole")))

    def _usage(self, name: str, revision: int) -> dict[str, Any]:
        """Return what a revision was asked, and the tokens that it used."""
        requests, errors = self._gateway.metrics.requests_of(name, revision)
        return {"requests": requests, "errors": errors, **self._gateway.tokens.figures(name, revision)}

    def _status(self) -> dict[str, Any]:
        routes = self._gateway.routes
        return {
            "pid": os.getpid(),
            "port": self._gateway.port,
            "waits_for": self._gateway.waits_for,
            "tls_problem": self._gateway.tls.problem,
            "disk_problem": self._gateway.rollouts.problem,
            "generations": {each.name: each.generation for each in routes.all()},
        }
