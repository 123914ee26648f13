"""``genops targets connect``, ``disconnect`` and ``test``."""

from __future__ import annotations

import time

from genops_lab.core.errors import Failed, Unavailable
from genops_lab.core.tasks import TasksService
from genops_lab.hosts.check_reports import what_to_do
from genops_lab.hosts.models import Target, TargetReport
from genops_lab.hosts.service import TargetsService
from genops_lab.hosts.target_tests import TargetTestsService

from .session import Json, Session, command
from .target_argument import Name, Timeout
from .views import targets as views
from .waiting import Prompts

POLL_S = 0.25


def connect_target(name: Name, timeout: Timeout = 300.0, json: Json = False) -> None:
    """Connect a target in the running JupyterLab. Questions, such as for a password, are asked here."""
    with command(json) as session:
        session.call(TargetsService.get_target, name=name)
        if session.local:
            raise Unavailable(
                "No JupyterLab with GenOps Lab is running, and only a running one keeps connections.",
                hint=f"Start JupyterLab. To check the host without it: genops targets test {name}",
            )
        found = connected(session, session.call(TargetsService.connect_target, name=name), timeout)
        session.show(found, views.target(found))


def connected(session: Session, target: Target, timeout_s: float) -> Target:
    """Return the target once it is connected, and ask its questions meanwhile. Raises Unavailable, Failed."""
    prompts = Prompts(session, target.name)
    deadline = time.monotonic() + timeout_s
    while target.state != "up":
        if target.state in ("failed", "idle"):
            reason = target.message or "it was disconnected meanwhile."
            raise Unavailable(f"Cannot connect {target.name}: {reason}", hint=target.hint)
        if time.monotonic() > deadline:
            raise Failed(
                f"{target.name} is still {target.state} after {timeout_s:.0f} s.",
                hint="JupyterLab continues to connect it: genops targets list",
            )
        prompts.look()
        time.sleep(POLL_S)
        target = session.call(TargetsService.get_target, name=target.name)
    return target


def disconnect_target(name: Name, json: Json = False) -> None:
    """Disconnect a target. Its kernels keep running."""
    with command(json) as session:
        found = session.call(TargetsService.disconnect_target, name=name)
        session.show(found, views.target(found))


def test_target(name: Name, json: Json = False) -> None:
    """Test a target step by step, from the connection to its GPUs.

    The test logs out and in again, to see whether kernels survive a logout. The exit code is 1 if a step failed.
    """
    with command(json) as session:
        report = tested(session, name)
        if session.json or not session.can_ask:  # a person has seen each step
            session.show(report, views.report(report))
        check_report(name, report)


def check_report(name: str, report: TargetReport) -> None:
    """Raise Failed if a step of a test failed, or the test was cancelled."""
    failed = [step for step in report.steps if step.state == "failed"]
    if failed:
        raise Failed(f"{name}, {failed[0].step}: {failed[0].message}", hint=what_to_do(failed[0]))
    if report.state == "cancelled":
        raise Failed(f"The test of {name} was cancelled.")


def tested(session: Session, name: str) -> TargetReport:
    """Test a target; with a terminal or JSON, print each step when it is done. An interrupt cancels the test."""
    task = session.call(TargetTestsService.test_target, name=name)
    prompts, printed = Prompts(session, name), 0
    follows = session.json or session.can_ask
    try:
        while True:
            report = session.call(TargetTestsService.get_report, name=name)
            if follows:
                for step in report.steps[printed:]:
                    if session.json or step.state != "skipped":
                        session.say(f"{step.step}: {step.state}. {step.message}")
            printed = len(report.steps)
            if report.state != "running":
                skipped = [step.step for step in report.steps if step.state == "skipped"]
                if skipped and follows and not session.json:
                    session.say(f"skipped: {', '.join(skipped)}.")
                return report
            prompts.look()
            time.sleep(POLL_S)
    except KeyboardInterrupt:
        session.call(TasksService.cancel_task, task_id=task.id)
        raise
