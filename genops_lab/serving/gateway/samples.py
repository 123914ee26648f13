"""Keep a sample of requests with their answers, until the Lab has made traces of them.

The Lab asks every few seconds and says which share it wants, so nothing is kept for a Lab that is gone. Samples beyond
the bounds are counted as lost. The memory of this process is the only place.

A request that names a span of its application (``traceparent``) waits a little longer, until the application's trace
may be in MLflow.
"""

from __future__ import annotations

import itertools
import random
import secrets
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from .trace_context import TraceContext, trace_context

if TYPE_CHECKING:
    from collections.abc import Callable

    from .request import Request

#: Samples of a deployment that wait for the Lab, and the bytes of all samples.
MOST_WAITING, MOST_BYTES = 1000, 16 * 2**20
#: The longest part of a request and of an answer that is kept, and the bytes of one reply to the Lab.
MOST_TEXT, MOST_REPLY = 64 * 1024, 2**20
#: How long the Lab's wish holds after it asked.
HOLDS_S = 60.0
#: How long a request of an application's span waits: exporters of OpenTelemetry send what has ended every 5 s.
APPLICATION_S = 10.0


class Sample:
    """A request under way, and the beginning of its answer."""

    def __init__(self, request: Request, now: float, application: TraceContext | None = None) -> None:
        #: The span of the application that calls; None where the application keeps no trace.
        self.application = application if application is not None and application.sampled else None
        self._at = time.time() - (now - request.arrived)
        self._streamed = False
        self._answer: list[bytes] = []
        self._room = MOST_TEXT
        self._cut = False
        self._first_s: float | None = None

    def began(self, headers: list[tuple[bytes, bytes]]) -> None:
        """Take the head of the answer."""
        self._streamed = any(
            name == b"content-type" and value.startswith(b"text/event-stream") for name, value in headers
        )

    def part(self, data: bytes, seconds: float) -> None:
        """Take a part of the answer, which came after ``seconds``."""
        if self._first_s is None:
            self._first_s = seconds
        self._cut = self._cut or len(data) > self._room
        if self._room:
            self._answer.append(data[: self._room])
            self._room -= len(self._answer[-1])

    def shown(self, request: Request, status: int, seconds: float, revision: int) -> dict[str, Any]:
        """Return what the Lab gets. The caller's key is only named."""
        assert request.key is not None
        body = b"".join(request.body)
        return {
            "trace": secrets.token_hex(16),
            "caller_trace": self.application.trace if self.application else "",
            "caller_span": self.application.span if self.application else "",
            "at": self._at,
            "seconds": seconds,
            "first_s": self._first_s if self._streamed else None,
            "status": status,
            "path": request.path.partition(b"?")[0].decode("latin-1"),
            "request_id": request.id.decode("latin-1"),
            "revision": revision,
            "caller": request.key.name,
            "streamed": self._streamed,
            "request": body[:MOST_TEXT].decode("utf-8", "replace"),
            "answer": b"".join(self._answer).decode("utf-8", "replace"),
            "cut": self._cut or len(body) > MOST_TEXT,
        }


class _Wish:
    """The share of a deployment's requests that the Lab wants, and those that wait for it."""

    def __init__(self) -> None:
        self.share = 0.0
        self.until = 0.0
        self.lost = 0
        self.waiting: deque[tuple[int, int, dict[str, Any]]] = deque()
        #: Requests of applications with the time until which they wait: they have no number yet.
        self.held: deque[tuple[float, int, dict[str, Any]]] = deque()
        #: Whether the log has told of a header that says no span.
        self.told = False


class Samples:
    """The samples of all deployments. ``now`` is a monotonic clock."""

    def __init__(self, now: Callable[[], float], log: Callable[[str], None]) -> None:
        self._now, self._log = now, log
        self._of: dict[str, _Wish] = {}
        self._numbers = itertools.count(1)
        self._bytes = 0
        #: Numbers are those of this process.
        self._run = secrets.token_hex(8)

    def watch(self, request: Request) -> Sample | None:
        """Return a sample to fill, if chance takes the request: a POST with a JSON body."""
        if not self._of or request.route is None or (found := self._of.get(request.route.name)) is None:
            return None
        now = self._now()
        if now > found.until or random.random() >= found.share:  # noqa: S311 - no secret depends on it
            return None
        if request.method != b"POST" or b"json" not in request.header(b"content-type"):
            return None
        return Sample(request, now, self._application(request, found))

    def _application(self, request: Request, found: _Wish) -> TraceContext | None:
        try:
            return trace_context(request.headers)
        except ValueError as error:
            if not found.told:
                assert request.route is not None and request.key is not None
                self._log(
                    f"A request to {request.route.name} with the key {request.key.name!r} is in no trace of its "
                    f"application: {error}. This is told once."
                )
            found.told = True
            return None

    def ended(self, request: Request, sample: Sample, status: int, seconds: float, revision: int) -> None:
        """Keep a sample whose request has ended, or count it as lost."""
        assert request.route is not None
        found = self._of.get(request.route.name)
        if found is None:
            return
        shown = sample.shown(request, status, seconds, revision)
        size = len(shown["request"]) + len(shown["answer"]) + 500
        if len(found.waiting) + len(found.held) >= MOST_WAITING or self._bytes + size > MOST_BYTES:
            found.lost += 1
            return
        self._bytes += size
        if sample.application is None:
            found.waiting.append((next(self._numbers), size, shown))
        else:
            found.held.append((self._now() + APPLICATION_S, size, shown))

    def asked(self, name: str, share: float, run: str, after: int, *, all: bool = False) -> dict[str, Any]:
        """Return samples with numbers above ``after``, and forget the others: the Lab has them.

        A number holds for the ``run`` of the gateway that gave it. A ``share`` of 0 ends the sampling. ``more``: some
        wait for the next question. ``lost`` counts since the first question. ``all``: those too that wait for the
        trace of their application.
        """
        if share <= 0:
            self.drop(name)
            return {"run": self._run, "samples": [], "last": 0, "lost": 0, "more": False}
        after = after if run == self._run else 0
        found = self._of.setdefault(name, _Wish())
        found.share, found.until = share, self._now() + HOLDS_S
        while found.waiting and found.waiting[0][0] <= after:
            self._bytes -= found.waiting.popleft()[1]
        while found.held and (all or found.held[0][0] <= self._now()):
            _, size, shown = found.held.popleft()
            found.waiting.append((next(self._numbers), size, shown))
        given: list[dict[str, Any]] = []
        room, last = MOST_REPLY, after
        for number, size, shown in found.waiting:
            if given and size > room:
                break
            given.append(shown)
            room -= size
            last = number
        more = len(given) < len(found.waiting)
        return {"run": self._run, "samples": given, "last": last, "lost": found.lost, "more": more}

    def drop(self, name: str) -> None:
        """Forget a deployment's samples."""
        if (found := self._of.pop(name, None)) is not None:
            self._bytes -= sum(size for _, size, _ in [*found.waiting, *found.held])

    def forget_old(self) -> None:
        """Forget the samples that no Lab has asked for in an hour."""
        for name, found in list(self._of.items()):
            if self._now() > found.until + 3600:
                self.drop(name)
