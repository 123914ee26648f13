"""Describe where requests to a deployment go: its revisions with weights, its keys and its limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from .scaling import ONE, Scale

if TYPE_CHECKING:
    from .rollouts import Trial

#: The unit that always goes to the same revision, while the weights are the same.
STICKY = ("request", "key", "header")


@dataclass(frozen=True)
class Upstream:
    """A scoring process. ``number`` is the revision on the screen, ``key`` the process's own."""

    id: int
    number: int
    port: int
    key: str
    weight: int = 0
    host: str = "127.0.0.1"


@dataclass(frozen=True)
class KeyEntry:
    """A key that callers may send, as the SHA-256 of its text.

    ``limit`` is in requests a minute, ``tokens`` in tokens of language models a minute; 0 is no limit.
    """

    name: str
    sha256: str
    limit: int = 0
    tokens: int = 0


@dataclass(frozen=True)
class Route:
    """The desired state of a deployment's traffic. A route with a smaller ``generation`` than the last is refused.

    ``header`` names the header of the unit if ``sticky`` is "header". ``timeout_s`` bounds the time to the first byte
    of an answer. ``in_flight`` bounds the requests that a scoring process has at once, ``queue`` those that wait.
    ``idle_s`` is how long an idle connection to a scoring process is kept: shorter than that process keeps it (30 s).
    """

    name: str
    generation: int
    revisions: tuple[Upstream, ...]
    keys: tuple[KeyEntry, ...]
    sticky: str = "request"
    header: str = ""
    timeout_s: float = 60.0
    max_body: int = 64 * 1024 * 1024
    in_flight: int = 64
    queue: int = 256
    idle_s: float = 15.0
    scale: Scale = ONE
    #: The rollout, which no file has.
    trial: Trial | None = None

    @staticmethod
    def decode(given: Mapping[str, Any]) -> Route:
        """Return the route of decoded JSON. Unknown fields are left out; raises ValueError for a wrong one."""
        try:
            names = [name for name in Route.__dataclass_fields__ if name != "trial"]
            fields = {name: given[name] for name in names if name in given}
            fields["revisions"] = tuple(_known(Upstream, each) for each in given["revisions"])
            fields["keys"] = tuple(_known(KeyEntry, each) for each in given["keys"])
            fields["scale"] = Scale.decode(given.get("scale") or {})
            route = Route(**fields)
        except (KeyError, TypeError) as error:
            raise ValueError(f"This is not a route: {error}.") from error
        if route.sticky not in STICKY:
            raise ValueError(f"sticky is {route.sticky!r}; it is one of {', '.join(STICKY)}.")
        if any(each.weight < 0 for each in route.revisions):
            raise ValueError("A weight must be 0 or more.")
        return route

    def candidates(self, unit: bytes) -> list[Upstream]:
        """Return the revisions to try for a unit, the chosen one first.

        The others follow for the case that it does not take connections: those with a weight, then the newest.
        """
        weighted = [each for each in self.revisions if each.weight]
        if len(weighted) > 1:
            chosen = _share_of(unit, weighted)
            weighted = [chosen, *(each for each in weighted if each is not chosen)]
        if len(weighted) == len(self.revisions):
            return weighted
        rest = sorted((each for each in self.revisions if not each.weight), key=lambda each: -each.id)
        return weighted + rest


def _share_of(unit: bytes, weighted: list[Upstream]) -> Upstream:
    """Return the revision whose part of the weights has the unit's point, a hash that is spread evenly."""
    total = sum(each.weight for each in weighted)
    point = int.from_bytes(blake2b(unit, digest_size=8).digest(), "big") * total / 2**64
    for each in weighted:
        point -= each.weight
        if point < 0:
            return each
    return weighted[-1]


def _known(kind: Any, given: Mapping[str, Any]) -> Any:
    return kind(**{name: given[name] for name in kind.__dataclass_fields__ if name in given})


class Routes:
    """The routes by name. A change of an older generation than the last one changes nothing."""

    def __init__(self) -> None:
        self._routes: dict[str, Route] = {}
        self._generations: dict[str, int] = {}

    def get(self, name: str) -> Route | None:
        """Return the route of a deployment."""
        return self._routes.get(name)

    def all(self) -> list[Route]:
        """Return all routes."""
        return list(self._routes.values())

    def generation(self, name: str) -> int:
        """Return the generation of the last change, also of a removal; 0 without one."""
        return self._generations.get(name, 0)

    def set(self, route: Route) -> bool:
        """Set a route. Return False if a newer one is known."""
        if route.generation < self.generation(route.name):
            return False
        self._routes[route.name] = route
        self._generations[route.name] = route.generation
        return True

    def remove(self, name: str, generation: int) -> bool:
        """Remove a route. Return False if a newer one is known."""
        if generation < self.generation(name):
            return False
        self._routes.pop(name, None)
        self._generations[name] = generation
        return True

    def forget(self, name: str) -> None:
        """Forget a removed deployment: after the clock was set back, its next generation may be smaller."""
        if name not in self._routes:
            self._generations.pop(name, None)
