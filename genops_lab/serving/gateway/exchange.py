"""Carry one request to a scoring process and its answer back."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

from .answers import Answer, connection_header, head, returned
from .request import Request
from .routes import Upstream
from .upstream import Pool, UpstreamConnection

if TYPE_CHECKING:
    from collections.abc import Callable

    from .caller import CallerConnection
    from .server import Gateway
    from .shadow import Shadow

#: How often a request is sent that may be repeated, each time after the connection was lost.
ATTEMPTS = 3
LEFT = 499
#: An answer of up to so many bytes is passed on whole: if the process dies in it, the caller gets no part of it.
HELD = 256 * 1024


class Exchange:
    """A request on its way.

    It is sent to the next candidate only if the one before took no connection, or if it may be repeated.
    """

    def __init__(
        self,
        gateway: Gateway,
        caller: CallerConnection | Shadow,
        request: Request,
        *,
        watch: Callable[[int, bytes, float], None] | None = None,
        counts: bool = True,
    ) -> None:
        assert request.route is not None
        self.request = request
        self.over = False
        #: Gets the status, a digest of the body and the seconds at the end.
        self._watch, self._counts = watch, counts
        self._digest = blake2b(digest_size=16)
        self._gateway = gateway
        self._caller = caller
        self._route = request.route
        self._loop = gateway.loop
        self._until = request.arrived + request.timeout_s
        self._unit = request.unit
        chosen = request.route.candidates(self._unit)
        #: The revision that chance gave the request to, whichever answers.
        self._given = chosen[0].id if chosen else 0
        self._candidates = gateway.replicas.spread(request.route.name, chosen)
        self._moved = False
        self._next = 0
        self._attempts = 0
        self._pool: Pool | None = None
        self._upstream: Upstream | None = None
        self._connection: UpstreamConnection | None = None
        self._status = 0
        self._chunked = False
        self._holds = False
        #: Whether the caller has a part of the answer.
        self._passed = False
        self._parts: list[bytes] = []
        self._tokens = gateway.tokens.watch(request) if counts else None
        self._sample = gateway.samples.watch(request) if counts else None
        self._timer = self._loop.call_at(self._until, self._late)
        self._try_next()

    # To the scoring process -----------------------------------------------------------------------------------------

    def _try_next(self) -> None:
        if self._next >= len(self._candidates):
            self._answer(
                Answer(
                    503,
                    "unavailable",
                    "No scoring process of this deployment takes requests.",
                    retry_after_s=1,
                )
            )
            return
        self._upstream = self._candidates[self._next]
        self._moved = self._moved or self._upstream.id != self._given
        self._next += 1
        self._pool = self._gateway.pools.of(self._upstream)
        if not self._pool.give(self, self._route):
            self._answer(
                Answer(
                    429, "too_many_requests", "Too many requests wait for this deployment.", retry_after_s=1
                )
            )

    def refused(self) -> None:
        """The scoring process took no connection: the request was not sent."""
        if not self.over:
            self._try_next()

    def send(self, connection: UpstreamConnection) -> None:
        """Send the request on a connection."""
        assert self._upstream is not None
        self._connection = connection
        self._attempts += 1
        left_s = self._until - self._loop.time()
        if self._tokens is not None:
            self._gateway.tokens.sent(self._route.name, self._upstream.number, self._tokens)
        connection.send(self, self.request.encoded(self._upstream, left_s), self.request.body)

    # From the scoring process ---------------------------------------------------------------------------------------

    def began(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        """The head of the answer has arrived."""
        assert self._upstream is not None
        request = self.request
        if status == 401:  # another program has the port of a scoring process that ended
            self._drop()
            self._answer(Answer(502, "bad_gateway", "The scoring process does not know the gateway's key."))
            return
        self._status = status
        if self._tokens is not None:
            self._tokens.began(status, headers)
        if self._sample is not None:
            self._sample.began(headers)
        length = next((value for name, value in headers if name == b"content-length"), b"")
        self._holds = bool(length) and int(length) <= HELD
        if not self._holds:
            self._timer.cancel()
        bodiless = request.method == b"HEAD" or status in (204, 304)
        shown = returned(headers)
        shown.append((b"x-request-id", request.id))
        shown.append((b"x-genops-revision", b"%d" % self._upstream.number))
        if self._route.trial is not None:
            trial = self._route.trial
            trial.judge.remember(request.id, self._given == trial.candidate, self._unit, self._loop.time())
        if length:
            shown.append((b"content-length", length))
        elif not bodiless:
            self._chunked = request.http_1_1
            if self._chunked:
                shown.append((b"transfer-encoding", b"chunked"))
            else:
                request.keep_alive = False  # the end of the connection is the end of the answer
        shown += connection_header(close=not request.keep_alive, http_1_1=request.http_1_1)
        self._parts.append(head(status, shown))

    def body(self, data: bytes) -> None:
        """A part of the answer has arrived."""
        if self.over:
            return
        if self._watch is not None:
            self._digest.update(data)
        if self._tokens is not None:
            self._tokens.part(data, self._loop.time())
        if self._sample is not None:
            self._sample.part(data, self._loop.time() - self.request.arrived)
        self._parts.append(b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data)

    def flush(self) -> None:
        """Pass on what has arrived."""
        if self._parts and not self.over and not self._holds:
            parts, self._parts, self._passed = self._parts, [], True
            self._caller.write(b"".join(parts))

    def done(self) -> None:
        """The answer is complete."""
        if self.over:
            return
        self._connection = None
        if self._chunked:
            self._parts.append(b"0\r\n\r\n")
        self._holds = False
        self.flush()
        self._end(self._status)
        self._caller.finished(self.request.keep_alive)

    def broken(self) -> None:
        """The connection was lost before the end of the answer."""
        if self.over:
            return
        if self._is_cut():
            return
        if self.request.repeatable and self._attempts < ATTEMPTS:
            assert self._pool is not None
            self._moved = True
            self._pool.close_idle()  # those to a process that died look open for a moment
            self._next = 0
            self._try_next()
        else:
            self._answer(
                Answer(
                    502,
                    "bad_gateway",
                    "The scoring process ended while it had this request. Whether it was carried out is not known. "
                    "A request with an Idempotency-Key header is sent again.",
                )
            )

    def unreadable(self) -> None:
        """The answer has more beside its body than allowed: it would be no other if the request were sent again."""
        if not self.over and not self._is_cut():
            text = "The scoring process sent an answer whose head, trailers or extensions of chunks are too long."
            self._answer(Answer(502, "bad_gateway", text))

    def _is_cut(self) -> bool:
        """End the answer if the caller has a part of it, and must not take that for the whole."""
        self._connection = None
        self._digest = blake2b(digest_size=16)
        if self._passed:
            self.flush()
            self._end(502)
            self._caller.abort()
            return True
        self._status, self._holds, self._chunked, self._parts = 0, False, False, []
        self._timer.cancel()
        self._timer = self._loop.call_at(self._until, self._late)  # a stream that began has none
        return False

    # The end --------------------------------------------------------------------------------------------------------

    def _late(self) -> None:
        self._drop()
        text = f"No answer within {self.request.timeout_s:g} s."
        self._answer(Answer(504, "deadline_exceeded", text))

    def left(self) -> None:
        """The caller has left: the scoring process need not go on."""
        if not self.over:
            self._drop()
            self._end(LEFT)

    def hold(self) -> None:
        """The caller reads slowly: read no more of the answer."""
        if self._connection is not None and not self._connection.transport.is_closing():
            self._connection.transport.pause_reading()

    def go_on(self) -> None:
        """The caller reads again."""
        if self._connection is not None and not self._connection.transport.is_closing():
            self._connection.transport.resume_reading()

    def _drop(self) -> None:
        if self._pool is not None:
            self._pool.withdraw(self)
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.abandon()

    def _answer(self, answer: Answer) -> None:
        self._parts = []
        own = answer.status in (429, 503)
        self._end(answer.status, gateway=own)
        self._caller.answer(self.request, answer)

    def _end(self, status: int, *, gateway: bool = False) -> None:
        self.over = True
        self._timer.cancel()
        seconds = self._loop.time() - self.request.arrived
        if self._watch is not None:
            self._watch(status, self._digest.digest(), seconds)
        trial = self._route.trial
        if trial is not None and self._given in (trial.candidate, trial.champion):
            # A request that another revision had to answer is a failure of the one that it was given to. One whose
            # caller left counts with its time alone: perhaps it took too long.
            failed = self._moved or (status >= 400 and status != LEFT)
            trial.judge.ended(
                self._given == trial.candidate, trial.share, self._unit,
                failed=failed, arrived=self.request.arrived, now=self._loop.time(),
            )  # fmt: skip
        if self._tokens is not None:
            self._gateway.tokens.ended(self.request, self._tokens, self._loop.time())
        revision = 0 if gateway or self._upstream is None else self._upstream.number
        if self._sample is not None:
            self._gateway.samples.ended(self.request, self._sample, status, seconds, revision)
        if self._counts:
            self._gateway.metrics.count(self._route.name, revision, status, seconds)
