"""Keep the rollouts of a gateway: their files, the weights that follow from them, and what callers send back."""

from __future__ import annotations

import asyncio
import contextlib
import json
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .judge import ENDED, Judge
from .rollout import WEIGHTS, Rollout
from .routes import Route
from .served import ServedLog

LOOK_S = 0.25
#: How often the evidence is written, unless the state changes.
WRITE_S = 2.0
POLICY, EVIDENCE = "rollout.json", "evidence.json"
_UNREADABLE = (OSError, ValueError, KeyError, TypeError, IndexError)


@dataclass(frozen=True)
class Trial:
    """A route's rollout at one time: ``share`` is the chance that a unit is given to the candidate."""

    judge: Judge
    candidate: int
    champion: int
    share: float


class Rollouts:
    """The rollouts by name. ``reroute`` sets the route of a deployment again, with new weights."""

    def __init__(self, folder: Path, reroute: Callable[[str], None], log: Callable[[str], None]) -> None:
        self._folder = folder
        self._reroute = reroute
        self._log = log
        self._loop = asyncio.get_running_loop()
        self._judges: dict[str, Judge] = {}
        self._written: dict[str, float] = {}
        self._failed: dict[str, str] = {}
        #: How often candidates had loaded their model again at the first look, by deployment and revision.
        self._reloads: dict[tuple[str, int], int] = {}

    @property
    def problem(self) -> str:
        """Why the evidence of a rollout is not written; empty if it is."""
        return next((f"Cannot write the evidence of {name}: {why}" for name, why in self._failed.items()), "")

    def get(self, name: str) -> Judge | None:
        """Return the judge of a deployment's rollout."""
        return self._judges.get(name)

    def read(self) -> None:
        """Read the policies and the evidence that a gateway before left."""
        for path in sorted(self._folder.glob(f"*/{POLICY}")):
            try:
                rollout = Rollout.decode(json.loads(path.read_bytes()))
                self._judges[rollout.name] = self._judge(rollout)
            except _UNREADABLE as error:
                self._log(f"Cannot read the rollout of {path.parent.name}: {error!r}")

    def _judge(self, rollout: Rollout) -> Judge:
        """Return the judge of a rollout, with the evidence that there is of it."""
        saved = None
        with contextlib.suppress(FileNotFoundError):
            saved = json.loads((self._folder / rollout.name / EVIDENCE).read_bytes())
        return self._kept(Judge(rollout, self._loop.time(), saved))

    def _kept(self, judge: Judge) -> Judge:
        """Return a judge that keeps what feedback needs, and has what a gateway before kept."""
        judge.log = ServedLog(self._folder / judge.rollout.name, judge.rollout.id)
        judge.recall(*judge.log.read(), self._loop.time())
        return judge

    def begin(self, rollout: Rollout) -> None:
        """Begin a rollout, once: the same one goes on. One that has ended and was forgotten stays as it ended."""
        found = self._judges.get(rollout.name)
        if found is None or found.rollout.id != rollout.id:
            try:
                judge = self._judge(rollout)
            except _UNREADABLE as error:
                self._log(f"Cannot read the evidence of {rollout.name}: {error!r}")
                judge = self._kept(Judge(rollout, self._loop.time()))
            self._judges[rollout.name] = judge
        self._keep(rollout.name, POLICY, json.dumps(rollout.encoded()))
        self._write(rollout.name)
        self._reroute(rollout.name)

    def end(self, name: str, id: str) -> None:
        """Forget a rollout, with its policy; its evidence stays."""
        found = self._judges.get(name)
        if found is not None and found.rollout.id == id:
            del self._judges[name]
            self._failed.pop(name, None)
            with contextlib.suppress(OSError):
                (self._folder / name / POLICY).unlink(missing_ok=True)
            self._reroute(name)

    def remove(self, name: str) -> None:
        """Forget the rollout of a deployment that was removed."""
        if self._judges.pop(name, None) is not None:
            self._failed.pop(name, None)
            with contextlib.suppress(OSError):
                (self._folder / name / POLICY).unlink(missing_ok=True)

    def decide(self, name: str, id: str, decision: str, by: str) -> str:
        """Take a person's decision. Return why it is refused, or an empty string."""
        judge = self._judges.get(name)
        if judge is None or (id and judge.rollout.id != id):
            return "There is no such rollout."
        refused = judge.decide(decision, by)
        if not refused:
            self._reroute(name)
            self._write(name)
            self._log(f"rollout of {name}: {decision} by {by}.")
        return refused

    def applied(self, route: Route) -> Route:
        """Return a route with the weights, the unit and the judge of its rollout."""
        judge = self._judges.get(route.name)
        if judge is None:
            return route
        rollout, there = judge.rollout, {each.id for each in route.revisions}
        share = judge.traffic / 100 if rollout.candidate in there else 0.0
        if rollout.champion not in there:
            share = 1.0 if rollout.candidate in there else 0.0
        of = {rollout.candidate: round(WEIGHTS * share), rollout.champion: round(WEIGHTS * (1 - share))}
        trial = None
        if judge.state not in ENDED and {rollout.candidate, rollout.champion} <= there:
            trial = Trial(judge, rollout.candidate, rollout.champion, judge.traffic / 100)
        return replace(
            route,
            # The champion comes first: a unit that has the candidate keeps it in later steps.
            revisions=tuple(
                sorted(
                    (replace(each, weight=of.get(each.id, 0)) for each in route.revisions),
                    key=lambda each: each.id == rollout.candidate,
                )
            ),
            sticky=rollout.unit,
            header=rollout.header,
            trial=trial,
        )

    async def look(self) -> None:
        """Look at all rollouts until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            for name, judge in list(self._judges.items()):
                now, before = self._loop.time(), (judge.state, judge.step)
                try:
                    changed = self._see_reloads(name, judge) or judge.look(now)
                except Exception as error:  # a fault of the judge must not end the looks, nor go on unseen
                    traceback.print_exc()
                    judge.decide("hold", f"A fault of the judge ({error})")
                    changed = False
                self._flush(judge)
                if changed:
                    self._reroute(name)
                if (judge.state, judge.step) != before:
                    self._log(f"rollout of {name}: {judge.state}, {judge.traffic:g} %. {judge.why}".strip())
                    self._write(name)
                elif judge.state not in ENDED and now - self._written.get(name, 0.0) > WRITE_S:
                    self._write(name)

    def _see_reloads(self, name: str, judge: Judge) -> bool:
        """Roll back a candidate whose process loads its model again. Return whether it does."""
        candidate = judge.rollout.candidate
        if judge.state in ENDED:
            self._reloads.pop((name, candidate), None)
            return False
        try:
            path = self._folder / name / "revisions" / str(candidate) / "state.json"
            state = json.loads(path.read_bytes())
            count, why = int(state.get("reloads", 0)), str(state.get("reloaded", ""))
        except _UNREADABLE:
            return False
        if count <= self._reloads.setdefault((name, candidate), count):
            return False
        judge.reloaded(why)
        return True

    def write(self) -> None:
        """Write the evidence of all rollouts."""
        for name in self._judges:
            self._write(name)

    def _write(self, name: str) -> None:
        judge = self._judges[name]
        self._written[name] = self._loop.time()
        self._keep(name, EVIDENCE, json.dumps(judge.saved()))
        if judge.log is not None and name not in self._failed:
            judge.log.evidence_written()
        self._flush(judge)

    def _flush(self, judge: Judge) -> None:
        with contextlib.suppress(OSError):  # as in _keep, which says it
            if judge.log is not None:
                judge.log.flush()

    def _keep(self, name: str, file: str, text: str) -> None:
        """Write a file. On a full disk the answers and the judge go on."""
        path = self._folder / name / file
        try:
            path.parent.mkdir(mode=0o700, exist_ok=True)
            temporary = path.with_name(f".{file}.new")
            temporary.write_text(text)
            temporary.chmod(0o600)
            temporary.replace(path)
            if self._failed.pop(name, ""):
                self._log(f"The evidence of {name} is written again.")
        except OSError as error:
            if name not in self._failed:
                self._log(f"Cannot write the evidence of {name}: {error}")
            self._failed[name] = f"{error.strerror or error}. The rollout goes on."

    # What callers send back ------------------------------------------------------------------------------------------

    def feedback(self, name: str, body: bytes) -> tuple[int, str, dict[str, Any]]:
        """Take a value for a request. Return the status, the reason of a refusal, and the answer."""
        try:
            given = json.loads(body)
            id, outcome, value = str(given["request_id"]), str(given["name"]), float(given["value"])
            if value != value or value in (float("inf"), float("-inf")):
                raise ValueError("value is not finite")
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
            text = "Send JSON with request_id, name and value, a number."
            return 400, "bad_request", {"message": text}
        judge = self._judges.get(name)
        refused = (
            judge.feedback(id.encode("latin-1", "replace"), outcome, value, self._loop.time())
            if judge is not None
            else f"{name} has no rollout that collects outcomes."
        )
        return 200, "", {"counted": not refused, "reason": refused}
