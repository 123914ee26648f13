"""Observe deployments; emit events for changes and publish figures and log lines on a live topic."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from genops_lab.core.errors import GenOpsError
from genops_lab.core.events import EventBus
from genops_lab.core.live import CHANGES, LiveHub

from .logs import MAX_LOG_LINES
from .models import Deployment
from .names import is_name
from .record import ACTIVE
from .targets.base import DeploymentTarget

log = logging.getLogger("genops_lab")

INTERVAL_S = 0.5
TOPIC = "deployment"


class _FollowedLog:
    """Collect the new lines of a revision's log: from now on, and from the start for the next revision."""

    def __init__(self, target: DeploymentTarget, name: str, revision: int | None) -> None:
        self._target, self._name, self._revision = target, name, revision
        self._lines: list[str] = []
        self._task = asyncio.ensure_future(self._follow(0))

    async def _follow(self, lines: int) -> None:
        try:
            async for news in self._target.logs(self._name, self._revision, lines=lines, follow=True):
                self._lines += news
        except (GenOpsError, OSError) as error:
            log.warning("Cannot read the log of %s: %s", self._name, error)

    def news(self, started: bool, revision: int | None) -> list[str]:
        """Return the lines since the last call. A revision that was ``started`` and another one are read whole."""
        lines, self._lines = self._lines, []
        if revision != self._revision or (started and self._task.done()):
            self._task.cancel()
            self._revision = revision
            self._task = asyncio.ensure_future(self._follow(MAX_LOG_LINES))
        return lines

    def close(self) -> None:
        self._task.cancel()


def _shown(deployment: Deployment) -> tuple[Any, ...]:
    """Return what is announced when it changes."""
    revisions = [
        (each.number, each.state, each.weight, each.is_current, each.replicas)
        for each in deployment.revisions
    ]
    found = deployment.rollout
    rollout = () if found is None else (found.id, found.state, found.step, found.next)
    return (deployment.created_at, deployment.state, deployment.message, deployment.url, *rollout, *revisions)


class Supervision:
    """Observe every 0.5 s while a deployment is active or a client listens; otherwise read nothing."""

    def __init__(
        self,
        look: Callable[[], Awaitable[Sequence[Deployment]]],
        target: DeploymentTarget,
        events: EventBus,
        live: LiveHub,
    ) -> None:
        self._look = look
        self._target = target
        self._events = events
        self._live = live
        self._followers: dict[str, _FollowedLog] = {}
        self._states: dict[str, tuple[Any, ...]] | None = None
        self._figures: dict[str, tuple[Any, ...]] = {}
        #: The revision whose log is shown, by deployment.
        self.log_revisions: dict[str, int] = {}
        self._busy = True
        self._wake = asyncio.Event()
        live.produce(TOPIC, self._switch)

    def wake(self) -> None:
        """Observe at once."""
        self._busy = True
        self._wake.set()

    def _switch(self, topic: str, active: bool) -> None:
        name = topic.partition(":")[2]
        if active and is_name(name):
            self._followers[name] = _FollowedLog(self._target, name, self.log_revisions.get(name))
            self._figures.pop(name, None)
            self._wake.set()
        elif not active and (follower := self._followers.pop(name, None)) is not None:
            follower.close()

    async def run(self) -> None:
        """Run until cancelled."""
        try:
            while True:
                if self._busy or self._followers or self._live.wanted(CHANGES):
                    try:
                        if self._busy:
                            await self._target.keep()
                        self._announce(await self._look())
                    except (GenOpsError, OSError) as error:
                        log.warning("Cannot observe the deployments: %s", error)
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), INTERVAL_S)
                self._wake.clear()
        finally:
            for follower in self._followers.values():
                follower.close()

    def _announce(self, deployments: Sequence[Deployment]) -> None:
        self._busy = any(each.state in ACTIVE for each in deployments)
        states = {each.name: _shown(each) for each in deployments}
        known, self._states = self._states, states
        watched = self._live.wanted(CHANGES)
        for each in deployments:
            figures = (each.requests, each.errors, each.latency_ms)
            counted = self._figures.get(each.name) != figures
            if known is not None and (known.get(each.name) != states[each.name] or (counted and watched)):
                self._events.emit("deployment", each.name)
            self._publish(each, counted)
            self._figures[each.name] = figures
        for gone in set(known or ()) - set(states):
            self._figures.pop(gone, None)
            self._events.emit("deployment", gone)

    def _publish(self, deployment: Deployment, counted: bool) -> None:
        follower = self._followers.get(deployment.name)
        if follower is None:
            return
        revision = self.log_revisions.get(deployment.name)
        lines = follower.news(deployment.state in ("starting", "running"), revision)
        if lines or counted:
            self._live.publish(
                f"{TOPIC}:{deployment.name}",
                {
                    "requests": deployment.requests,
                    "errors": deployment.errors,
                    "latency_ms": deployment.latency_ms,
                    "lines": lines,
                },
            )
