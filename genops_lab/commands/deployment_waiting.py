"""Wait for a deployment at the terminal."""

from __future__ import annotations

import time

from genops_lab.core.errors import Failed
from genops_lab.deployments.models import Deployment, LogQuery, RollBack
from genops_lab.deployments.service import DeploymentsService

from .rollouts import in_rollout
from .session import Session
from .terminal import render
from .views import deployments as views

POLL_S = 0.25
LOG_TAIL_LINES = 20
_UNSETTLED = ("preparing", "starting", "stopping")


def settled(
    session: Session, deployment: Deployment, timeout_s: float, *, judged: bool = False
) -> Deployment:
    """Wait until a deployment neither starts nor updates; say its news. Raises Failed after ``timeout_s``.

    ``judged``: until the gateway judges a rollout, at most.
    """
    deadline = time.monotonic() + timeout_s
    printed = ""
    while deployment.state in _UNSETTLED or deployment.updating_to:
        if judged and in_rollout(deployment):
            break
        news = f"{deployment.name}: {deployment.state}" + (
            f", {deployment.message}" if deployment.message else ""
        )
        if news != printed:
            session.say(news)
            printed = news
        if time.monotonic() > deadline:
            goes_on = f"It continues to start: genops deployments show {deployment.name}"
            raise Failed(
                f"{deployment.name} was still {deployment.state} after {timeout_s:g} s.",
                code="timeout",
                hint="Give a larger --timeout." if session.local else goes_on,
            )
        time.sleep(POLL_S)
        deployment = session.call(DeploymentsService.get_deployment, name=deployment.name)
    return deployment


def _failure(session: Session, deployment: Deployment) -> Failed:
    tail = session.call(
        DeploymentsService.get_deployment_log, name=deployment.name, query=LogQuery(lines=LOG_TAIL_LINES)
    )
    if tail.lines:
        session.say(render(views.log_tail(tail)))
    reason = deployment.message or f"it is {deployment.state}"
    return Failed(f"Deployment {deployment.name} does not run: {reason}", hint=deployment.hint)


def _undo(session: Session, deployment: Deployment) -> None:
    """End what was begun: an update, or the whole deployment."""
    if deployment.updating_to:
        session.call(DeploymentsService.roll_back_deployment, name=deployment.name, body=RollBack())
    else:
        session.call(DeploymentsService.stop_deployment, name=deployment.name)


def followed(session: Session, deployment: Deployment, timeout_s: float, *, wait: bool) -> Deployment:
    """Wait for a start or an update if ``wait``, or if this command does the work itself; then undo a failed one."""
    if not (wait or session.local):
        return deployment
    try:
        # Without a Lab the command waits until the gateway judges; it goes on alone.
        return settled(session, deployment, timeout_s, judged=not wait)
    except (Failed, KeyboardInterrupt):
        if session.local:  # else the next Lab would go on
            _undo(session, deployment)
        raise


def check_outcome(session: Session, deployment: Deployment, updating_to: int) -> None:
    """Raise Failed if the deployment does not run, or if its update to this revision failed."""
    if deployment.state in ("failed", "ended"):
        raise _failure(session, deployment)
    if in_rollout(deployment):
        return  # the gateway goes on without this command
    if updating_to and not deployment.updating_to and deployment.revision != updating_to:
        raise Failed(
            deployment.message,
            hint=f"Its log: genops deployments logs {deployment.name} --revision {updating_to}",
        )
