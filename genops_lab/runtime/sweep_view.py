"""A sweep shown under its cell while it goes on, and the picture that stays afterwards."""

from __future__ import annotations

import threading
import time
from typing import Any, Dict, List, Mapping, Optional

from . import lab
from .display import in_notebook
from .errors import GenOpsError, LabAway
from .live import LiveView
from .sweep_cards import sweep_card, sweep_text

#: The Lab answers as soon as there is something new, or after so long.
ASK_S = 20.0
#: Between two answers: what changes many times a second is shown twice.
PAUSE_S = 0.5
#: A Lab that is started anew is waited for so long.
AWAY_S = 900.0
AGAIN_AFTER_S = 3.0
#: Of a long sweep the last trials are shown, and the best one.
MAX_ROWS = 100
_FIELDS = (
    "id", "name", "state", "method", "metric", "direction", "planned", "best", "message", "hint", "summary",
)  # fmt: skip
_TRIAL_FIELDS = (
    "number",
    "state",
    "params",
    "value",
    "message",
    "run_id",
    "kernel_name",
    "started_at",
    "ended_at",
)


def shown_state(sweep: Mapping[str, Any]) -> Dict[str, Any]:
    """What the sweep view shows."""
    trials: List[Dict[str, Any]] = [
        {name: trial.get(name) for name in _TRIAL_FIELDS} for trial in sweep["trials"]
    ]
    counts: Dict[str, int] = {}
    for trial in trials:
        counts[trial["state"]] = counts.get(trial["state"], 0) + 1
    rows = trials[-MAX_ROWS:]
    best = sweep.get("best")
    if best is not None and all(trial["number"] != best for trial in rows):
        rows = [trial for trial in trials if trial["number"] == best] + rows
    return {
        **{name: sweep.get(name) for name in _FIELDS},
        "trials": rows,
        "counts": counts,
        "series": _series(trials, str(sweep.get("metric") or ""), str(sweep.get("direction"))),
    }


def _series(trials: List[Dict[str, Any]], metric: str, direction: str) -> Dict[str, Any]:
    if not metric:
        return {}
    points = [
        (t["number"], t["value"]) for t in trials if t["state"] == "finished" and t["value"] is not None
    ]
    better = min if direction == "minimize" else max
    best: List[float] = []
    for _, value in points:
        best.append(value if not best else better(best[-1], value))
    steps = [number for number, _ in points]
    return {
        metric: {"steps": steps, "values": [v for _, v in points]},
        "best so far": {"steps": steps, "values": best},
    }


class SweepView:
    """Follows a sweep in the output of the cell that is executing, until it has ended. In a terminal: texts."""

    def __init__(self, sweep: Dict[str, Any]) -> None:
        self._sweep = sweep
        self._ended = threading.Event()
        self._view: Optional[LiveView] = None
        if in_notebook():
            self._view = LiveView("sweep", shown_state(sweep), sweep_card, sweep_text, self._asked)
        self._thread = threading.Thread(target=self._follow, name="genops-sweep", daemon=True)

    def open(self) -> None:
        """Show it and begin to follow."""
        if self._view is not None:
            self._view.open()
        self._thread.start()

    def wait(self) -> None:
        """Wait for the sweep's end, and say in a terminal how it was."""
        # Python hears of an interrupt between two short waits on every platform.
        while not self._ended.wait(1.0):
            continue
        if self._view is None:
            print(sweep_text(shown_state(self._sweep)))

    def _asked(self, content: Any) -> None:
        if content == {"do": "stop"}:
            threading.Thread(target=self._stop, name="genops-sweep-stop", daemon=True).start()

    def _stop(self) -> None:
        try:
            lab.call("POST", f"/sweeps/{lab.segment(self._sweep['id'])}/stop", timeout_s=20)
        except GenOpsError as error:
            self._show({**self._sweep, "message": str(error)})

    def _follow(self) -> None:
        answered_at = time.monotonic()
        path = "/sweeps/" + lab.segment(self._sweep["id"])
        try:
            while self._sweep["ended_at"] is None:
                query = {"after": self._sweep["version"], "wait_s": ASK_S}
                try:
                    found = lab.call("GET", path, query=query, timeout_s=ASK_S + 30)
                except LabAway as error:
                    if time.monotonic() - answered_at > AWAY_S:
                        self._sweep = {**self._sweep, "message": str(error)}
                        break
                    time.sleep(AGAIN_AFTER_S)
                    continue
                except GenOpsError as error:
                    self._sweep = {**self._sweep, "message": str(error)}
                    break
                answered_at = time.monotonic()
                self._show(found)
                time.sleep(PAUSE_S)
            if self._view is not None:
                self._view.finish(shown_state(self._sweep), close=False)
        finally:
            self._ended.set()

    def _show(self, sweep: Dict[str, Any]) -> None:
        self._sweep = sweep
        if self._view is not None:
            self._view.update(shown_state(sweep))
