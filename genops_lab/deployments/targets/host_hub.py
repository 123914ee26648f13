"""Let a host fetch the weights of a repository from the hub itself. The Lab sends what the host cannot fetch."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from genops_lab.deployments.hub_origin import HubOrigin
from genops_lab.serving.engines.memory import sized

#: Smaller files are sent by the Lab: to ask for each would take longer.
LEAST_BYTES = 1 << 20
#: Seconds between two lines of progress.
_TOLD_S = 5.0
_MODEL, _ADAPTER = "model/", "model/adapter/"


def addresses(origin: HubOrigin | None, files: Sequence[tuple[str, str, int]]) -> dict[str, Any]:
    """Return the ``urls`` of files (path, hash, size) by their hash and the ``token``; empty if the Lab sends all."""
    if origin is None:
        return {}
    urls = {
        sha: origin.url(path.removeprefix(_MODEL))
        for path, sha, size in files
        if size >= LEAST_BYTES and path.startswith(_MODEL) and not path.startswith(_ADAPTER)
    }
    return {"urls": urls, "token": origin.token()} if urls else {}


def plan_of(found: dict[str, Any], name: str, origin: HubOrigin) -> str:
    """Return who brings the weights to the host, and how long that takes, from what its agent measured."""
    missing = int(found.get("missing_bytes", 0))
    if not missing:
        return f"{name} has the files."
    if found.get("problem"):
        return f"{name} cannot fetch from {origin.host} ({found['problem']}), so this machine sends {sized(missing)}."
    took = missing / max(float(found["bytes_per_s"]), 1.0)
    return f"{name} fetches {sized(missing)} from {origin.host} itself, in about {_time(took)}."


class FetchProgress:
    """Turns what the agent tells of a fetch into lines for the user."""

    def __init__(self, name: str, origin: HubOrigin, say: Callable[[str], None]) -> None:
        self._name, self._host, self._say = name, origin.host, say
        self._began: tuple[float, int] | None = None
        self._said = 0.0

    def told(self, found: dict[str, Any]) -> None:
        """Take a document of the agent: ``done`` and ``all`` in bytes, and the ``problem`` that ended the fetch."""
        done, every, now = int(found["done"]), int(found["all"]), time.monotonic()
        if found.get("problem"):
            problem = str(found["problem"])[:200]
            self._say(f"{self._name} cannot fetch from {self._host}: {problem}. This machine sends the rest.")
            return
        self._began = self._began or (now, done)
        if done < every and now - self._said < _TOLD_S:
            return
        self._said = now
        speed = (done - self._began[1]) / (now - self._began[0]) if now > self._began[0] else 0.0
        left = f", about {_time((every - done) / speed)} left" if speed and done < every else ""
        self._say(f"{self._name} fetches from {self._host}: {sized(done)} of {sized(every)}{left}.")


def _time(seconds: float) -> str:
    return f"{max(1, round(seconds))} s" if seconds < 120 else f"{round(seconds / 60)} min"
