"""What a ``%genops`` command shows of a deployment while it waits for it, and after it."""

from __future__ import annotations

import re
from typing import Any, Dict, Mapping, Optional

from .deploying import STARTING, DeploymentView, ask, shown_state
from .display import in_notebook
from .errors import GenOpsError
from .palette import escape

#: ``genops deploy --wait`` tells a deployment's name and state in such a line, and what it does.
_NEWS = re.compile(r"(?P<name>[^\s:]+): (preparing|starting)\b")


class Progress:
    """Shows the deployment that a command is waiting for in place of the command's lines about it."""

    def __init__(self, *, follows: bool) -> None:
        self._follows = follows and in_notebook()
        self._view: Optional[DeploymentView] = None

    def takes(self, line: str) -> bool:
        """Whether the live view shows what this line of the command says."""
        news = _NEWS.match(line) if self._follows else None
        if news is None:
            return False
        if self._view is None:
            try:
                state = ask(news["name"])
            except GenOpsError:
                self._follows = False  # the command works without a Lab: its lines tell
                return False
            self._view = DeploymentView(state)
            self._view.open()
        return True

    def answered(self, deployment: Mapping[str, Any], bundle: Optional[Dict[str, Any]]) -> bool:
        """Whether the live view shows the command's answer too: for good (``bundle``) or by following on.

        Without a bundle the answer was assigned to a name; a line stays, as the user shows the rest.
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
        """The command ended without an answer."""
        if self._view is not None:
            self._view.finish()
            self._view = None


def _line(state: Mapping[str, Any]) -> Dict[str, Any]:
    text = f"{state['name']}: {state['state']}"
    return {"text/plain": text, "text/html": f"<div>{escape(text)}</div>"}
