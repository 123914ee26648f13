"""Keep the bodies of some requests, for a load test with them.

They are kept because a person asked for it, in the memory of this process alone, for an hour at most.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from .request import Request

MOST_REQUESTS, MOST_BYTES = 1000, 2 * 2**20
KEPT_S = 3600.0


@dataclass
class Recording:
    """The requests of a deployment since ``began``: those with JSON bodies, to the path of the first."""

    wanted: int
    began: float
    path: str = ""
    bodies: list[str] = field(default_factory=list)
    size: int = 0
    full: bool = False

    def take(self, request: Request) -> None:
        """Keep the body of a request, while there is room for it."""
        if self.full or request.method != b"POST" or not request.body_size:
            return
        path = request.path.decode("latin-1")
        if path != (self.path or path) or b"json" not in request.header(b"content-type"):
            return
        if self.size + request.body_size > MOST_BYTES:
            self.full = True
            return
        try:
            self.bodies.append(b"".join(request.body).decode())
        except UnicodeDecodeError:
            return
        self.path = path
        self.size += request.body_size
        self.full = len(self.bodies) >= self.wanted


class Recordings:
    """The recordings of all deployments. ``now`` is a monotonic clock."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._of: dict[str, Recording] = {}

    def begin(self, name: str, wanted: int) -> None:
        """Record from now on, in place of an earlier recording."""
        self._of[name] = Recording(max(1, min(wanted, MOST_REQUESTS)), self._now())

    def end(self, name: str) -> None:
        """Forget a recording."""
        self._of.pop(name, None)

    def take(self, request: Request) -> None:
        """Record a request that was let in, if its deployment is recorded."""
        if self._of and request.route is not None and (found := self._get(request.route.name)) is not None:
            found.take(request)

    def shown(self, name: str, *, whole: bool) -> dict[str, Any]:
        """Return how far a recording is, with the bodies if the ``whole`` is asked for; ``wanted`` is 0 without one."""
        found = self._get(name)
        if found is None:
            return {"wanted": 0}
        left_s = KEPT_S - (self._now() - found.began)
        shown = {
            "wanted": found.wanted,
            "requests": len(found.bodies),
            "full": found.full,
            "path": found.path,
        }
        return {**shown, "left_s": left_s, **({"bodies": found.bodies} if whole else {})}

    def _get(self, name: str) -> Recording | None:
        found = self._of.get(name)
        if found is not None and self._now() - found.began > KEPT_S:
            del self._of[name]
            return None
        return found

    def forget_old(self) -> None:
        """Forget what is older than an hour, also while no request comes."""
        for name in list(self._of):
            self._get(name)
