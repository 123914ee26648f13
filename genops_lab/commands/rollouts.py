"""``genops deployments promote``, ``hold`` and ``continue``, and the option ``--rollout``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, get_args

import typer

from genops_lab.core.errors import InvalidRequest
from genops_lab.deployments.models import Deployment
from genops_lab.deployments.policy import RolloutKind, RolloutPolicy, named_policy, read_policy
from genops_lab.deployments.rollout_models import DecideRollout
from genops_lab.deployments.rollout_service import RolloutsService

from .deployment_argument import Deployed
from .grammar import noun
from .session import Json, Session, command
from .views import deployments as views

rollouts = noun()

_KINDS = get_args(RolloutKind)
Rollout = Annotated[
    str,
    typer.Option(
        "--rollout",
        metavar="KIND|FILE",
        help=f"How a new version gets the requests: {', '.join(_KINDS)}, or a file. Default: replace.",
        autocompletion=lambda: list(_KINDS),
    ),
]


def policy_of(given: str) -> RolloutPolicy | None:
    """Return the policy that ``--rollout`` names, or None without one. Raises InvalidRequest."""
    if not given:
        return None
    if given in _KINDS:
        return named_policy(given)
    try:
        return read_policy(Path(given).read_text(encoding="utf-8"), given)
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequest(
            f"{given!r} is neither a kind of rollout nor a file that can be read.",
            hint=f"Use {', '.join(_KINDS)}, or the path of a YAML file.",
        ) from error


def in_rollout(deployment: Deployment) -> bool:
    """Return whether the gateway shares the requests between two revisions."""
    found = deployment.rollout
    return found is not None and found.candidate == deployment.updating_to > 0


def say_outlook(session: Session, name: str, policy: RolloutPolicy) -> None:
    """Say what the traffic can show before the rollout begins."""
    for line in session.call(RolloutsService.get_rollout_outlook, name=name, body=policy).lines:
        session.say(line)


def decide(name: str, decision: Literal["promote", "rollback", "hold", "continue"], json: bool) -> None:
    """Decide and show the deployment."""
    with command(json) as session:
        body = DecideRollout(decision=decision)
        found = session.call(RolloutsService.decide_rollout, name=name, body=body)
        session.show(found, views.deployment(found), view="deployment")


@rollouts.command("promote")
def promote(name: Deployed, json: Json = False) -> None:
    """Give all requests to the new revision."""
    decide(name, "promote", json)


@rollouts.command("hold")
def hold(name: Deployed, json: Json = False) -> None:
    """Stay at the present step of a rollout until a person decides. Harm still rolls it back."""
    decide(name, "hold", json)


@rollouts.command("continue")
def go_on(name: Deployed, json: Json = False) -> None:
    """Go on with a rollout that is held. If its time is used up, it gets the same time again."""
    decide(name, "continue", json)
