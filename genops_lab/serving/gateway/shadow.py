"""Copy a share of the requests to a candidate whose answers nobody gets, and compare both answers."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING

from .answers import Answer
from .exchange import Exchange
from .request import Request

if TYPE_CHECKING:
    from .judge import Judge
    from .server import Gateway

#: Larger requests, and more at once, are not copied: a shadow must not cost the callers anything.
MOST_BYTES, MOST_AT_ONCE = 1024 * 1024, 16
#: Requests that may have effects of their own elsewhere.
_EFFECTS = (b'"tools"', b'"functions"')


class Shadow:
    """A request and its copy. It takes the part of a caller for the copy."""

    def __init__(self, gateway: Gateway, judge: Judge, request: Request) -> None:
        self._gateway, self._judge = gateway, judge
        self._request = request
        self._answers: dict[str, tuple[int, bytes]] = {}

    def began(self) -> None:
        """Send the copy, once the request itself is on its way."""
        route = self._request.route
        assert route is not None
        candidate = self._judge.rollout.candidate
        revisions = tuple(replace(each, weight=1) for each in route.revisions if each.id == candidate)
        copy = replace(
            self._request,
            route=replace(route, revisions=revisions, trial=None, sticky="request"),
            headers=[each for each in self._request.headers if each[0] != b"idempotency-key"],
            arrived=self._gateway.loop.time(),
        )
        self._judge.shadows += 1
        Exchange(self._gateway, self, copy, watch=self.copy, counts=False)

    def answered(self, status: int, digest: bytes, _seconds: float) -> None:
        """Take the answer that the caller gets."""
        self._compare("caller", status, digest)

    def copy(self, status: int, digest: bytes, seconds: float) -> None:
        """Take the answer of the candidate."""
        self._judge.shadows -= 1
        self._judge.shadow["seconds"] += seconds
        self._compare("copy", status, digest)

    def _compare(self, whose: str, status: int, digest: bytes) -> None:
        self._answers[whose] = (status, digest)
        if len(self._answers) < 2:
            return
        one, other = self._answers["caller"], self._answers["copy"]
        counts = self._judge.shadow
        counts["requests"] += 1
        if other[0] >= 400 > one[0]:
            counts["failed"] += 1
        else:
            counts["equal" if one == other else "different"] += 1

    # What an exchange needs of a caller ------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Drop a part of the answer."""

    def answer(self, request: Request, answer: Answer) -> None:
        """Drop the gateway's own answer."""

    def finished(self, keep_alive: bool) -> None:
        """Nothing waits for the end of the copy."""

    def abort(self) -> None:
        """Nobody took a part of the answer."""


def shadow_of(gateway: Gateway, request: Request) -> Shadow | None:
    """Return the copy to make of a request; None for most."""
    route = request.route
    if route is None or route.trial is None or not route.trial.judge.rollout.share:
        return None
    judge = route.trial.judge
    if request.method != b"POST" or request.body_size > MOST_BYTES or judge.shadows >= MOST_AT_ONCE:
        return None
    if random.random() * 100 >= judge.rollout.share:  # noqa: S311 - no secret depends on it
        return None
    if any(each in b"".join(request.body) for each in _EFFECTS):
        return None
    return Shadow(gateway, judge, request)
