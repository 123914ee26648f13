"""Show a deployment below its cell while it starts, and in its first minute of service."""

from __future__ import annotations

import re
import threading
import time
from typing import Any, Dict, Mapping, Optional

from . import lab
from .cards import deployment_card, deployment_text
from .display import in_notebook
from .errors import GenOpsError, LabAway
from .live import LiveView
from .palette import escape

INTERVAL_S = 1.0
#: Seconds for which requests are shown after the start. The saved notebook then needs no kernel.
RUNNING_S = 60.0
AWAY_S = 30.0
STARTING = ("preparing", "starting")
#: The key is not in this list, so it cannot reach the front end or the notebook's file.
_FIELDS = (
    "name", "model", "version", "state", "url", "requests", "errors", "latency_ms", "lease_until",
    "message", "hint",
)  # fmt: skip

#: ``genops deploy --wait`` prints a deployment's name, state and progress in such lines.
_NEWS = re.compile(r"(?P<name>[^\s:]+): (preparing|starting)\b")


def shown_state(deployment: Mapping[str, Any]) -> Dict[str, Any]:
    """Return the state that the deployment view shows."""
    return {name: deployment[name] for name in _FIELDS if name in deployment}


def ask(name: str) -> Dict[str, Any]:
    """Return the state of the deployment ``name``. Raises LabAway or Refused."""
    return shown_state(lab.call("GET", "/deployments/" + lab.segment(name), timeout_s=10))


class DeploymentView:
    """Follows a deployment in the output of the executing cell, until it is settled or ``finish``."""

    def __init__(self, state: Dict[str, Any]) -> None:
        self._state = state
        self._stop = threading.Event()
        self._view = LiveView("deployment", state, deployment_card, deployment_text)
        self._thread = threading.Thread(target=self._follow, name="genops-deployment", daemon=True)

    def open(self) -> None:
        """Show the view and begin to follow."""
        self._view.open()
        self._thread.start()

    def _follow(self) -> None:
        now = time.monotonic()
        running_since: Optional[float] = None
        answered_at = now
        while not self._stop.wait(INTERVAL_S):
            now = time.monotonic()
            try:
                self._state = ask(self._state["name"])
                answered_at = now
            except LabAway:
                if now - answered_at < AWAY_S:
                    continue
                break
            except GenOpsError:
                break  # it was removed
            self._view.update(self._state)
            if self._state["state"] == "running":
                running_since = now if running_since is None else running_since
                if now - running_since >= RUNNING_S:
                    break
            elif self._state["state"] not in STARTING:
                break
        if not self._stop.is_set():
            self._view.finish(self._state)

    def finish(self, state: Optional[Dict[str, Any]] = None, bundle: Optional[Dict[str, Any]] = None) -> None:
        """Replace the live view by a picture of ``state``, of the last known state, or by ``bundle``."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=15)
        self._view.finish(state or self._state, bundle)


class Progress:
    """Shows the deployment that a command waits for, in place of the command's lines about it."""

    def __init__(self, *, follows: bool) -> None:
        self._follows = follows and in_notebook()
        self._view: Optional[DeploymentView] = None

    def takes(self, line: str) -> bool:
        """Return whether the live view replaces this line of the command."""
        news = _NEWS.match(line) if self._follows else None
        if news is None:
            return False
        if self._view is None:
            try:
                state = ask(news["name"])
            except GenOpsError:
                self._follows = False  # the command works without a Lab: show its lines
                return False
            self._view = DeploymentView(state)
            self._view.open()
        return True

    def answered(self, deployment: Mapping[str, Any], bundle: Optional[Dict[str, Any]]) -> bool:
        """Return whether the live view also shows the command's answer: as ``bundle``, or by following on.

        Without a bundle the answer was assigned to a name; one line stays, and the user shows the rest.
        """
        state = shown_state(deployment)
        if self._view is not None:
            self._view.finish(state, bundle or _line(state))
            self._view = None
            return True
        if self._follows and state["state"] in STARTING:
            DeploymentView(state).open()
            return True
        return False

    def finish(self) -> None:
        """End the view of a command that ended without an answer."""
        if self._view is not None:
            self._view.finish()
            self._view = None


def _line(state: Mapping[str, Any]) -> Dict[str, Any]:
    text = f"{state['name']}: {state['state']}"
    return {"text/plain": text, "text/html": f"<div>{escape(text)}</div>"}
