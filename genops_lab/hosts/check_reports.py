"""Keep the reports of targets' tests in memory, and publish them as they grow."""

from __future__ import annotations

import time
from typing import Literal

import msgspec

from genops_lab.core.events import EventBus
from genops_lab.core.live import LiveHub

from .models import ReportStep, StepState, TargetReport

TOPIC = "target-report"
EVENT = "target"

Outcome = Literal["", "failed", "cancelled"]

_WORST: tuple[StepState, ...] = ("failed", "warning")


def what_to_do(step: ReportStep) -> str:
    """Return the hint of a step with its commands."""
    return " ".join(filter(None, [step.hint, " | ".join(step.commands)]))


class Reports:
    """The last report of each target. The live topic ``target-report:NAME`` carries each as it grows."""

    def __init__(self, events: EventBus, live: LiveHub) -> None:
        self._events = events
        self._live = live
        self._by_target: dict[str, TargetReport] = {}

    def get(self, target: str) -> TargetReport:
        """Return the last report; one in state ``none`` where there was no test."""
        return self._by_target.get(target) or TargetReport(target=target, state="none")

    def begin(self, target: str, task_id: str) -> None:
        """Start a report."""
        self._tell(TargetReport(target=target, state="running", task_id=task_id, started_at=time.time()))

    def add(self, target: str, step: ReportStep) -> None:
        """Add a finished step."""
        report = self.get(target)
        self._tell(msgspec.structs.replace(report, steps=[*report.steps, step]))

    def end(self, target: str, outcome: Outcome = "") -> TargetReport:
        """End a report; without ``outcome`` its state is that of its worst step."""
        report = self.get(target)
        found = {step.state for step in report.steps}
        worst = next((state for state in _WORST if state in found), "ok")
        self._tell(msgspec.structs.replace(report, state=outcome or worst, ended_at=time.time()))
        return self.get(target)

    def forget(self, target: str) -> None:
        """Drop the report of a removed target."""
        self._by_target.pop(target, None)

    def _tell(self, report: TargetReport) -> None:
        self._by_target[report.target] = report
        self._live.publish(f"{TOPIC}:{report.target}", report)
        self._events.emit(EVENT, report.target)
