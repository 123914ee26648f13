"""Show a run or a profile below its cell while it is made, and the picture that stays."""

from __future__ import annotations

import sys
import threading
import time
from typing import Any, Dict, List, Mapping, NamedTuple, Optional

from .cards import run_card, run_text
from .cells import executed_cells
from .display import in_notebook, shell
from .live import LiveView
from .palette import microseconds
from .profile_cards import profile_card, profile_text
from .run import Run

INTERVAL_S = 0.25
#: Without the widget the display is replaced, which costs more.
PLAIN_INTERVAL_S = 1.0

MAX_ADVICE = 3
MAX_LINES = 6
_MAX_TEXT = 120


def run_state(run: Run) -> Dict[str, Any]:
    """Return the state that the run view shows. Its time is rounded as shown, so that unchanged fields are
    not sent.
    """
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
    """Shows a run in the output of the executing cell; in a terminal, prints a text at the end."""

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
        """Replace the live view by a picture."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=5)
        if self._view is None:
            print(run_text(run_state(self._run)))
            return
        self._view.finish(run_state(self._run))


_PROFILE_FIELDS = ("id", "title", "state", "message", "note", "summary")


class ProfileView:
    """Shows that a trace is written and analysed, then its summary; in a terminal, prints a text at the end."""

    def __init__(self, title: str) -> None:
        self._state: Dict[str, Any] = {
            "id": "", "title": title, "state": "writing", "message": "", "note": "", "summary": None, "findings": None,
            "started_at": time.time(),
        }  # fmt: skip
        self._view: Optional[LiveView] = None
        if in_notebook():
            self._view = LiveView("profile", self._state, profile_card, profile_text)

    def open(self) -> None:
        """Show the view."""
        if self._view is not None:
            self._view.open()

    def update(self, profile: Mapping[str, Any]) -> None:
        """Show the Lab's ``Profile``, or the known part of it."""
        news = {name: profile[name] for name in _PROFILE_FIELDS if name in profile}
        if news.get("summary"):
            news["findings"] = findings(news["summary"])
        self._state = {**self._state, **news}
        if self._view is not None:
            self._view.update(self._state)

    def note(self, words: str) -> None:
        """Show what was recorded and at which cost; this is not an error."""
        if self._view is not None:
            self.update({"note": words})
        elif words:
            print(f"GenOps: {words}", file=sys.stderr)

    def finish(self) -> None:
        """Replace the live view by a picture."""
        if self._view is not None:
            self._view.finish(self._state)
        elif self._state["id"]:
            print(profile_text(self._state))


class _Cell(NamedTuple):
    number: int
    lines: List[str]


def findings(summary: Mapping[str, Any]) -> Dict[str, Any]:
    """Return the ``advice``, the ``lines`` with their share of all lines' time, and their device
    (``lines_of``).

    Lines with time on a device count that time. If no line has any, all count their time on the host.
    """
    attribution = summary.get("attribution") or {}
    lines = attribution.get("lines") or []
    on_device = any(line["device_us"] > 0 for line in lines)
    basis = "device_us" if on_device else "cpu_us"
    total = sum(line[basis] for line in lines) or 1.0
    cells = _cells()
    costliest = sorted((line for line in lines if line[basis] > 0), key=lambda line: -float(line[basis]))
    return {
        "advice": [_advice(one, cells) for one in _by_saving(summary)[:MAX_ADVICE]],
        "more_advice": max(0, len(summary.get("advice") or []) - MAX_ADVICE),
        "lines": [
            {
                **_words(line["place"], cells),
                "time": microseconds(line[basis]),
                "share": line[basis] / total,
            }
            for line in costliest[:MAX_LINES]
        ],
        "lines_of": "device" if on_device else "host",
    }


def _by_saving(summary: Mapping[str, Any]) -> List[Mapping[str, Any]]:
    return sorted(summary.get("advice") or [], key=lambda one: -float(one["saving_us"]))


def _advice(one: Mapping[str, Any], cells: Mapping[str, _Cell]) -> Dict[str, Any]:
    places = [_words(place, cells)["where"] for place in one.get("places") or []]
    return {
        "title": one["title"],
        "severity": one["severity"],
        "saving": f"up to {microseconds(one['saving_us'])}" if one["saving_us"] > 0 else "",
        "evidence": one["evidence"],
        "suggestion": one.get("suggestion") or "",
        "where": ", ".join(places),
    }


def _words(place: Mapping[str, Any], cells: Mapping[str, _Cell]) -> Dict[str, str]:
    """Return a line's place, as the notebook numbers its cells, and its text if known."""
    cell, line, text = cells.get(place.get("cell") or ""), int(place["line"]), str(place.get("text") or "")
    file = str(place["file"])
    name = f"[{cell.number}]" if cell is not None else file
    if cell is not None and not text and 0 < line <= len(cell.lines):
        text = cell.lines[line - 1]
    where = name if line <= 0 else f"{name} line {line}" if name.startswith("[") else f"{name}:{line}"
    return {"where": where, "text": text.strip()[:_MAX_TEXT]}


def _cells() -> Dict[str, _Cell]:
    """Return this session's cells by their marker names; a cell that ran again counts as it ran last."""
    here = shell()
    if here is None or not hasattr(here, "history_manager"):
        return {}
    return {
        cell.cell_id or f"In[{cell.execution_count}]": _Cell(cell.execution_count, cell.source.split("\n"))
        for cell in executed_cells(here)
        if cell.execution_count is not None
    }
