"""Traces on targets, as ``TARGET:PATH`` names them on the command line."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

from genops_lab.core.errors import Failed

from .session import Session

if TYPE_CHECKING:
    from genops_lab.profiling.models import ProfileSummary

_LOOK_S = 0.2
_PLACE = re.compile(r"([A-Za-z0-9][\w.-]*):(.+)\Z", re.DOTALL)


def on_target(trace: Path) -> tuple[str, str] | None:
    """The target and the path there; None for a file of this machine."""
    found = _PLACE.match(str(trace))
    return None if found is None or trace.exists() else (found[1], found[2])


def analyze_there(session: Session, target: str, path: str, usd_per_hour: float | None) -> ProfileSummary:
    """What a trace on a target says: the engine reads it there. The Lab keeps the profile.

    Raises Conflict for a target that is not connected, Failed where the trace cannot be read.
    """
    from genops_lab.profiling.models import TraceOnTarget
    from genops_lab.profiling.remote_analysis.service import RemoteAnalysisService
    from genops_lab.profiling.service import ProfilesService

    body = TraceOnTarget(target=target, path=path, usd_per_hour=usd_per_hour)
    profile = session.call(RemoteAnalysisService.open_on_target, body=body)
    while profile.state == "analyzing":
        time.sleep(_LOOK_S)
        profile = session.call(ProfilesService.get_profile, profile_id=profile.id)
    if profile.state == "failed" or profile.summary is None:
        raise Failed(
            profile.message or f"{target}:{path} could not be analysed.", hint="Look at it on the host."
        )
    if profile.message:
        session.say(profile.message)
    session.say(
        f"The Lab keeps it as profile {profile.id}; `genops profiles show {profile.id}` shows it again."
    )
    return profile.summary
