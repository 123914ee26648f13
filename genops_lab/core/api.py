"""Serve operations over HTTP and turn errors into answers.

The Jupyter server and the user's private socket serve the same operations. The Jupyter server authenticates and
authorises each verb. The private socket is a unix socket in a 0700 folder, and accepts only peers with the user's uid.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import socket
import struct
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Sequence
from typing import Any, Final, TypeVar, cast
from urllib.parse import unquote

import msgspec
from jupyter_core.utils import ensure_async
from jupyter_server.auth.utils import HTTP_METHOD_TO_AUTH_ACTION
from jupyter_server.base.handlers import APIHandler, JupyterHandler
from tornado import web
from tornado.iostream import StreamClosedError

from .audit import AuditLog, Call, in_full, perform
from .errors import ErrorBody, ErrorInfo, GenOpsError, Unavailable
from .operations import ALSO_ALLOWED, CLIENT, PREFIXES, Action, Operation
from .principals import PRINCIPAL, Principal, this_user
from .services import Services

T = TypeVar("T")

AUTH_RESOURCE = "genops"
MAX_BODY_BYTES = 16 * 1024 * 1024
START_TIMEOUT_S = 30.0
STREAM_KEEPALIVE_S = 15.0
#: Header with the id of a page of JupyterLab, which the page makes itself.
CLIENT_HEADER = "X-GenOps-Client"
MAX_CLIENT_CHARACTERS = 64

log = logging.getLogger("genops_lab")

_encoder = msgspec.json.Encoder()
_END: Final = object()


class ServiceGate:
    """The services behind the routes.

    Routes exist before the event loop runs and the store is open. Requests wait until then, at most 30 s, and get the
    error of a failed start. With ``services`` the gate is open from the start.
    """

    def __init__(self, services: Services | None = None) -> None:
        self._services = services
        self._opened = asyncio.Event()
        self._failure: GenOpsError | None = None
        if services is not None:
            self._opened.set()

    def open(self, services: Services) -> None:
        """Let requests in."""
        self._services = services
        self._opened.set()

    def fail(self, reason: GenOpsError) -> None:
        """Answer every request with ``reason``."""
        self._failure = reason
        self._opened.set()

    async def get(self, name: str) -> Any:
        """Return the service of this name. Wait until the services are open."""
        try:
            await asyncio.wait_for(self._opened.wait(), START_TIMEOUT_S)
        except asyncio.TimeoutError:
            raise Unavailable("GenOps Lab is still starting.", hint="Try again in a few seconds.") from None
        if self._failure is not None:
            raise self._failure
        assert self._services is not None  # it is open
        return self._services.named(name)

    def now(self, kind: type[T]) -> T | None:
        """Return the service of this class, or None if the services are not open."""
        return None if self._services is None else self._services.find(kind)


def _answer_for(error: BaseException) -> tuple[int, ErrorInfo]:
    """Return the status and body of an error. The details of an unexpected error go only to the log."""
    if isinstance(error, GenOpsError):
        return error.status, error.info()
    if isinstance(error, web.HTTPError):
        return error.status_code, ErrorInfo(
            code="http", message=error.log_message or error.reason or f"HTTP {error.status_code}"
        )
    log.error("unexpected error", exc_info=error)
    return 500, ErrorInfo(
        code="unexpected",
        message=f"An unexpected error happened in GenOps Lab: {type(error).__name__}.",
        hint="The log of JupyterLab has the details. If it happens again, report it with the text of `genops doctor`.",
    )


async def _respond(
    handler: _Streams,
    operation: Operation,
    services: ServiceGate,
    values: Sequence[str],
    call: Call = in_full,
) -> None:
    try:
        service = await services.get(operation.service)
        query = {name: handler.get_query_argument(name) for name in handler.request.query_arguments}
        arguments = operation.arguments([unquote(value) for value in values], query, handler.request.body)
        work = perform(operation, service, arguments, services.now(AuditLog), call)
        result = await (handler.while_connected(work) if operation.interruptible else work)
        if operation.streams:
            await handler.stream(result)
            return
    except ClientAway:
        log.info("The client of %s has disconnected, and the operation is cancelled.", operation.id)
        return
    except Exception as error:  # the one place where errors become HTTP
        refuse(handler, error)
        return
    if operation.answer is None:
        handler.set_status(204)
        handler.finish()
        return
    _finish(handler, _encoder.encode(result))


def refuse(handler: web.RequestHandler, error: BaseException) -> None:
    """Answer with an error."""
    status, info = _answer_for(error)
    handler.set_status(status)
    _finish(handler, _encoder.encode(ErrorBody(info)))


def _finish(handler: web.RequestHandler, payload: bytes) -> None:
    handler.set_header("Content-Type", "application/json")
    handler.set_header("Cache-Control", "no-store")
    handler.finish(payload)


class ClientAway(Exception):
    """The client of an interruptible operation has disconnected."""


class _Streams(web.RequestHandler):
    """A handler that can stream an answer: one JSON document on each line (``application/x-ndjson``).

    An empty line is a keepalive. An error after the first item is the last line, ``{"error": {...}}``. The iterator of
    the items is closed when the client disconnects.
    """

    _sending: asyncio.Future[Any] | None = None

    async def while_connected(self, work: Coroutine[Any, Any, T]) -> T:
        """Return the result of ``work``, which is cancelled when the client disconnects. Raises ClientAway."""
        sending: asyncio.Future[T] = asyncio.ensure_future(work)
        self._sending = sending
        await asyncio.wait([sending])
        if sending.cancelled():
            raise ClientAway
        return sending.result()

    async def stream(self, items: AsyncIterator[Any]) -> None:
        """Send each item when it is ready. Raises an error that comes before the first item."""
        sending = self._sending = asyncio.ensure_future(self._send(items))
        try:
            await asyncio.wait([sending])
        finally:
            sending.cancel()
        if not sending.cancelled() and (error := sending.exception()) is not None:
            raise error

    def on_connection_close(self) -> None:
        """Stop the answer: the client has disconnected."""
        super().on_connection_close()
        if self._sending is not None:
            self._sending.cancel()

    async def _send(self, items: AsyncIterator[Any]) -> None:
        begun = False
        coming: asyncio.Future[Any] = asyncio.ensure_future(anext(items, _END))
        try:
            while True:
                done, _ = await asyncio.wait([coming], timeout=STREAM_KEEPALIVE_S)
                if done and coming.exception() is not None and not begun:
                    await coming
                if not begun:
                    begun = True
                    self.set_header("Content-Type", "application/x-ndjson")
                    self.set_header("Cache-Control", "no-store")
                    self.set_header("X-Accel-Buffering", "no")  # nginx, in front of many hubs
                if not done:
                    self.write(b"\n")
                elif (error := coming.exception()) is not None:
                    self.write(_encoder.encode(ErrorBody(_answer_for(error)[1])) + b"\n")
                    break
                elif (item := coming.result()) is _END:
                    break
                else:
                    self.write(_encoder.encode(item) + b"\n")
                    coming = asyncio.ensure_future(anext(items, _END))
                await self.flush()
            await self.finish()
        except StreamClosedError:
            log.debug("The client of %s has disconnected.", self.request.path)
        finally:
            coming.cancel()
            await asyncio.wait([coming])
            if isinstance(items, AsyncGenerator):
                await items.aclose()


def _by_path(operations: Sequence[Operation]) -> dict[str, list[Operation]]:
    paths: dict[str, list[Operation]] = defaultdict(list)
    for operation in operations:
        paths[operation.pattern].append(operation)
    return paths


async def authorize(handler: JupyterHandler, action: Action, resource: str) -> None:
    """Check that the user may do this. Raises HTTPError 403.

    One of two grants is enough: the operation's action on ``genops:<resource>``, or the HTTP method's action on
    ``genops``.
    """
    if not handler.current_user:
        raise web.HTTPError(403)
    if not await _is_allowed(handler, action, resource):
        raise web.HTTPError(403, f"This user may not {action} {AUTH_RESOURCE}:{resource}.")


async def _is_allowed(handler: JupyterHandler, action: Action, resource: str) -> bool:
    method_action = HTTP_METHOD_TO_AUTH_ACTION[handler.request.method or "GET"]
    for each, what in ((action, f"{AUTH_RESOURCE}:{resource}"), (method_action, AUTH_RESOURCE)):
        if await ensure_async(handler.authorizer.is_authorized(handler, handler.current_user, each, what)):
            return True
    return False


def principal_of(handler: JupyterHandler) -> Principal:
    """Return the hub's user, or without a hub this machine's user: a token or password has no user name."""
    user = handler.current_user
    if "JUPYTERHUB_SERVICE_PREFIX" in os.environ and user is not None and user.username:
        return Principal("user", str(user.username))
    return this_user()


def jupyter_handlers(
    operations: Sequence[Operation], services: ServiceGate
) -> list[tuple[str, type[APIHandler]]]:
    """Return the handlers of the Jupyter server, one class for each path. Each verb is authenticated and authorised."""

    def verb(operation: Operation) -> Any:
        @web.authenticated
        async def handle(self: Any, *values: str) -> None:
            await authorize(self, operation.action, operation.resource)
            ALSO_ALLOWED.set(functools.partial(_is_allowed, self))
            CLIENT.set(self.request.headers.get(CLIENT_HEADER, "")[:MAX_CLIENT_CHARACTERS])
            PRINCIPAL.set(principal_of(self))
            await _respond(self, operation, services, values)

        handle.__name__ = operation.method.lower()
        return handle

    handlers: list[tuple[str, type[APIHandler]]] = []
    for pattern, group in _by_path(operations).items():
        for prefix in PREFIXES:
            answered = [each.at(prefix, socket=False) for each in group]
            members: dict[str, Any] = {operation.method.lower(): verb(operation) for operation in answered}
            members["auth_resource"] = AUTH_RESOURCE
            # Decision 14: an open panel is no activity: an idle GPU server must still be culled.
            members["_track_activity"] = False
            name = f"{group[0].name}_Handler"
            handler = cast("type[APIHandler]", type(name, (_Streams, APIHandler), members))
            handlers.append((f"{prefix}{pattern}", handler))
    return handlers


class FileHandler(JupyterHandler):
    """A handler that sends a file to an authenticated user; others get 403.

    Jupyter's redirect to its login page would save that page under the file's name.
    """

    auth_resource = AUTH_RESOURCE
    _track_activity = False

    def initialize(self, services: ServiceGate) -> None:
        """Store the gate; its services may still be opening."""
        self._services = services

    def get_login_url(self) -> str:
        """Called for a request without a login. Raises HTTPError 403."""
        raise web.HTTPError(403, "Log in to JupyterLab, then try again.")


class SocketHandler(_Streams):
    """A handler of the private socket: it needs no token, but the peer must be this user."""

    SUPPORTED_METHODS: tuple[str, ...] = ("GET", "POST", "PUT", "DELETE")

    def prepare(self) -> None:
        if (uid := peer_uid(self.request.connection)) not in (None, _own_uid()):
            raise web.HTTPError(403, f"The private socket belongs to another user (peer uid {uid}).")

    def check_xsrf_cookie(self) -> None:
        """Check nothing: browsers cannot open a unix socket, so cross-site requests are impossible."""

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        """Log unexpected errors; a GenOpsError becomes an answer."""
        if not isinstance(value, GenOpsError):
            super().log_exception(typ, value, tb)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        error = kwargs.get("exc_info", (None, None, None))[1] or web.HTTPError(status_code)
        status, info = _answer_for(error)
        self.set_status(status)
        self.set_header("Content-Type", "application/json")
        self.finish(_encoder.encode(ErrorBody(info)))


def socket_handlers(
    operations: Sequence[Operation],
    services: ServiceGate,
    principal: Principal | None = None,
    call: Call = in_full,
) -> list[tuple[str, type[web.RequestHandler]]]:
    """Return the handlers of a private socket. ``principal`` (default: this user) asks, and ``call`` runs them."""

    def verb(operation: Operation) -> Any:
        async def handle(self: SocketHandler, *values: str) -> None:
            CLIENT.set("socket")
            PRINCIPAL.set(principal or this_user())
            await _respond(self, operation, services, values, call)

        return handle

    handlers: list[tuple[str, type[web.RequestHandler]]] = []
    for pattern, group in _by_path(operations).items():
        for prefix in PREFIXES:
            answered = [each.at(prefix, socket=True) for each in group]
            members = {operation.method.lower(): verb(operation) for operation in answered}
            handler = type(f"{group[0].name}_SocketHandler", (SocketHandler,), members)
            handlers.append((f"{prefix}{pattern}", handler))
    return handlers


def _own_uid() -> int | None:
    return os.getuid() if hasattr(os, "getuid") else None


def peer_uid(connection: Any) -> int | None:
    """Return the uid of the peer of a unix socket, or None where the platform does not tell (only Linux does)."""
    stream = getattr(connection, "stream", None)
    peer: socket.socket | None = getattr(stream, "socket", None)
    if peer is None or not hasattr(socket, "SO_PEERCRED"):
        return None
    _pid, uid, _gid = struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return cast("int", uid)
