"""Read how the last rollout of a version ended, from the tag that a deployment keeps with the version."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

TAG = "genops.rollout"
_MOST_WHY = 400


class VersionRollout(msgspec.Struct, frozen=True, kw_only=True):
    """The end of a rollout: in which deployment, when (seconds since 1970), by whom and why."""

    deployment: str
    state: Literal["promoted", "rolled back"]
    why: str
    by: str = ""
    ended_at: float = 0.0


def rollout_of(tags: Mapping[str, str]) -> VersionRollout | None:
    """Return the end of the last rollout; None without one, or if the tag is not such a text: anybody may write tags.

    >>> rollout_of({TAG: '{"deployment":"digits","state":"promoted","why":"Every margin is excluded."}'}).state
    'promoted'
    """
    try:
        found = msgspec.json.decode(tags.get(TAG, ""), type=VersionRollout)
    except (msgspec.DecodeError, ValueError):
        return None
    return msgspec.structs.replace(found, why=found.why[:_MOST_WHY])
