"""Hold one request of a caller, and decide at its head whether it is let in."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field

from .answers import Answer, passed_on, request_head
from .keys import find_key
from .routes import KeyEntry, Route, Routes, Upstream

LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})
_REQUEST_ID = re.compile(rb"[!-~]{1,128}")
_NOT_PASSED = frozenset(
    {b"host", b"authorization", b"content-length", b"expect", b"x-request-id", b"x-request-timeout"}
)
_HOST_PORT = re.compile(r"(?P<name>\[[^]]*\]|[^:]*)(:\d+)?")

METRICS = b"/metrics"
#: The path below a deployment's name where callers send outcomes.
FEEDBACK = b"/feedback"


@dataclass
class Request:
    """A request. ``headers`` have names in lower case; ``answer`` is that of a request that is not passed on."""

    method: bytes
    target: bytes
    headers: list[tuple[bytes, bytes]]
    http_1_1: bool
    keep_alive: bool
    id: bytes = b""
    route: Route | None = None
    key: KeyEntry | None = None
    answer: Answer | None = None
    timeout_s: float = 60.0
    arrived: float = 0.0
    #: Whether the whole body has arrived.
    complete: bool = False
    body: list[bytearray] = field(default_factory=list)
    body_size: int = 0

    def header(self, name: bytes) -> bytes:
        """Return the value of a header, empty without it."""
        return next((value for each, value in self.headers if each == name), b"")

    @property
    def repeatable(self) -> bool:
        """Whether the request may be sent again after a scoring process may have had it."""
        return self.method in (b"GET", b"HEAD", b"OPTIONS") or bool(self.header(b"idempotency-key"))

    @property
    def unit(self) -> bytes:
        """The unit of the split: its requests go to one revision."""
        assert self.route is not None and self.key is not None
        if self.route.sticky == "key":
            return self.key.sha256.encode()
        if self.route.sticky == "header":
            return self.header(self.route.header.lower().encode("latin-1")) or self.id
        # Callers may repeat the id of a request: in a rollout each request is given to a revision by chance.
        return self.id if self.route.trial is None else secrets.token_bytes(8)

    @property
    def path(self) -> bytes:
        """The path below the deployment's name, with its query."""
        rest = self.target[1:].partition(b"/")[2]
        return b"/" + rest

    def admit(self, routes: Routes, name: str = "") -> Answer | None:
        """Check host, origin, deployment, key and size. Return the answer of a request that is refused, else None.

        ``name`` is the host by which other machines reach this one; empty if they do not.
        """
        given = self.header(b"x-request-id")
        self.id = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8).encode()
        hosts = [value for name, value in self.headers if name == b"host"]
        if len(hosts) > 1 or (self.http_1_1 and not hosts):
            return Answer(400, "bad_request", "Send one Host header.")
        own = LOOPBACK | {name} if name else LOOPBACK
        if not _is_own(hosts[0] if hosts else b"", own) or not _is_own_origin(self.header(b"origin"), own):
            return Answer(
                403, "permission_denied", "Use localhost or 127.0.0.1 as the host and origin of requests."
            )
        if not self.target.startswith(b"/"):
            return Answer(400, "bad_request", "Send the path of a deployment, such as /NAME/invocations.")
        authorization = self.header(b"authorization")
        if self.target.partition(b"?")[0] == METRICS:
            accepting = any(find_key(authorization, each.keys) for each in routes.all())
            return None if accepting else _NO_KEY
        first = self.target[1:].partition(b"/")[0].partition(b"?")[0]
        self.route = route = routes.get(first.decode("latin-1"))
        self.key = find_key(authorization, route.keys if route else ())
        if self.key is None or route is None:
            # The same answer for an unknown name: a stranger does not learn which deployments there are.
            return _NO_KEY
        return self._limits(route)

    def _limits(self, route: Route) -> Answer | None:
        self.timeout_s = route.timeout_s
        asked = self.header(b"x-request-timeout")
        if asked:
            try:
                seconds = float(asked)
            except ValueError:
                seconds = 0.0
            if not 0 < seconds < 86_400:
                return Answer(400, "bad_request", "X-Request-Timeout is a number of seconds, more than 0.")
            self.timeout_s = min(route.timeout_s, seconds)
        length = self.header(b"content-length")
        return too_large(route) if length and int(length) > route.max_body else None

    def encoded(self, upstream: Upstream, left_s: float) -> bytes:
        """Return the message for a scoring process: framed anew, with its own key and the time that is left."""
        headers = passed_on(self.headers, _NOT_PASSED)
        headers += [
            (b"host", b"127.0.0.1:%d" % upstream.port),
            (b"authorization", b"Bearer " + upstream.key.encode()),
            (b"x-request-id", self.id),
            (b"x-request-timeout", b"%.3f" % max(left_s, 0.001)),
        ]
        if self.body_size or self.method in (b"POST", b"PUT", b"PATCH"):
            headers.append((b"content-length", b"%d" % self.body_size))
        return request_head(self.method, self.path, headers)


_NO_KEY = Answer(401, "unauthenticated", "Send a key of the deployment: Authorization: Bearer <key>.")


def too_large(route: Route) -> Answer:
    """Return the answer to a body over the limit."""
    return Answer(413, "request_too_large", f"A request body may have at most {route.max_body // 2**20} MiB.")


def _is_own(host: bytes, names: frozenset[str]) -> bool:
    found = _HOST_PORT.fullmatch(host.decode("latin-1").lower())
    return found is not None and found["name"] in names


def _is_own_origin(origin: bytes, names: frozenset[str]) -> bool:
    if not origin:
        return True
    scheme, _, host = origin.partition(b"://")
    return scheme.lower() in (b"http", b"https") and _is_own(host, names)
