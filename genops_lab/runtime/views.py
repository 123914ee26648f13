"""A run or a profile shown under its cell while it is made, and the picture that stays afterwards."""

from __future__ import annotations

import sys
import threading
import time
from typing import Any, Dict, Mapping, Optional

from .cards import run_card, run_text
from .display import in_notebook
from .live import LiveView
from .profile_cards import profile_card, profile_text
from .profile_highlights import findings
from .run import Run

INTERVAL_S = 0.25
#: Without the widget the display is replaced, which is costlier.
PLAIN_INTERVAL_S = 1.0


def run_state(run: Run) -> Dict[str, Any]:
    """What the run view shows. Its time is as exact as it is shown: what did not change is not sent."""
    elapsed_s = run.elapsed_s
    return {
        "title": run.name or "run",
        "status": run.status,
        "series": run.history.series(),
        "diverged": dict(run.history.diverged),
        "params": dict(run.shown_params),
        "elapsed_s": round(elapsed_s, 1 if elapsed_s < 10 else 0),
        "run_id": run.run_id or run.known_id,
        "key": run.first_key,
        "message": run.message,
    }


class RunView:
    """Shows a run in the output of the cell that is executing. In a terminal: a text at the end."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._stop = threading.Event()
        self._thread: Optional[threading.Thread] = None
        self._view: Optional[LiveView] = None
        if not in_notebook():
            return
        self._view = LiveView("run", run_state(run), lambda state: run_card(state, charts=True), run_text)
        self._view.open()
        self._thread = threading.Thread(
            target=self._follow, args=(self._view,), name="genops-view", daemon=True
        )
        self._thread.start()

    def _follow(self, view: LiveView) -> None:
        while not self._stop.wait(INTERVAL_S if view.has_widget else PLAIN_INTERVAL_S):
            view.update(run_state(self._run))

    def finish(self) -> None:
        """Leave a picture in place of the live view."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=5)
        if self._view is None:
            print(run_text(run_state(self._run)))
            return
        self._view.finish(run_state(self._run))


_PROFILE_FIELDS = ("id", "title", "state", "message", "note", "summary")


class ProfileView:
    """Shows that a trace is written and analysed, then its summary. In a terminal: a text at the end."""

    def __init__(self, title: str) -> None:
        self._state: Dict[str, Any] = {
            "id": "", "title": title, "state": "writing", "message": "", "note": "", "summary": None, "findings": None,
            "started_at": time.time(),
        }  # fmt: skip
        self._view: Optional[LiveView] = None
        if in_notebook():
            self._view = LiveView("profile", self._state, profile_card, profile_text)

    def open(self) -> None:
        """Show it."""
        if self._view is not None:
            self._view.open()

    def update(self, profile: Mapping[str, Any]) -> None:
        """What is known now: the Lab's ``Profile``, or a part of it."""
        news = {name: profile[name] for name in _PROFILE_FIELDS if name in profile}
        if news.get("summary"):
            news["findings"] = findings(news["summary"])
        self._state = {**self._state, **news}
        if self._view is not None:
            self._view.update(self._state)

    def note(self, words: str) -> None:
        """Say what was recorded and what it cost: no error, so beside the summary where there is one."""
        if self._view is not None:
            self.update({"note": words})
        elif words:
            print(f"GenOps: {words}", file=sys.stderr)

    def finish(self) -> None:
        """Leave a picture in place of the live view."""
        if self._view is not None:
            self._view.finish(self._state)
        elif self._state["id"]:
            print(profile_text(self._state))
