"""Call operations from a program, through a running server's private socket or in this process."""

from __future__ import annotations

import asyncio
import http.client
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, cast
from urllib.parse import quote, urlencode

import msgspec

from .audit import AuditLog, perform
from .errors import ErrorBody, ErrorInfo, GenOpsError, Unavailable
from .operations import UNVERSIONED, VERSIONED, Operation
from .paging import FormerList, Page
from .principals import PRINCIPAL, this_user

_END = object()

S = TypeVar("S")
P = ParamSpec("P")
R = TypeVar("R")


class Caller(Protocol):
    """Runs operations, each given by its service method."""

    def call(self, method: Callable[Concatenate[S, P], Awaitable[R]], *args: P.args, **kwargs: P.kwargs) -> R:
        """Return the operation's answer. Raises the operation's GenOpsError."""
        ...

    def stream(
        self, method: Callable[Concatenate[S, P], AsyncIterator[R]], *args: P.args, **kwargs: P.kwargs
    ) -> Iterator[R]:
        """Yield the items of an operation that streams."""
        ...

    def close(self) -> None:
        """Disconnect from the server, or stop this process's own services."""
        ...


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def by_method(operations: list[Operation]) -> dict[str, Operation]:
    """Return the operations by the qualified names of their methods."""
    return {f"{operation.service}.{operation.name}": operation for operation in operations}


def _named(operation: Operation, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments by name."""
    names = [*operation.path_parameters, *(["query"] if operation.query else []), "body"]
    return {**kwargs, **dict(zip(names, args, strict=False))}


async def _next(items: AsyncIterator[Any]) -> Any:
    return await anext(items, _END)


class SocketCaller:
    """Call operations of a running server. ``timeout_s`` bounds each answer."""

    def __init__(self, path: str, operations: list[Operation], timeout_s: float = 120.0) -> None:
        self._path = path
        self._timeout_s = timeout_s
        self._operations = by_method(operations)
        self._prefix = VERSIONED

    def call(self, method: Callable[Concatenate[S, P], Awaitable[R]], *args: P.args, **kwargs: P.kwargs) -> R:
        operation = self._operations[method.__qualname__]
        with self._answer(operation, _named(operation, args, kwargs)) as answer:
            if operation.answer is None:
                return cast("R", None)
            former = operation.former
            if self._prefix == UNVERSIONED and isinstance(former, FormerList):
                return cast("R", Page(items=msgspec.json.decode(answer.read(), type=former.answer)))
            return cast("R", msgspec.json.decode(answer.read(), type=operation.answer))

    def stream(
        self, method: Callable[Concatenate[S, P], AsyncIterator[R]], *args: P.args, **kwargs: P.kwargs
    ) -> Iterator[R]:
        operation = self._operations[method.__qualname__]
        decoder = msgspec.json.Decoder(operation.answer)
        with self._answer(operation, _named(operation, args, kwargs)) as answer:
            while line := answer.readline():
                if line.startswith(b'{"error":'):
                    raise GenOpsError.from_info(500, _error_of(500, line))
                if line.strip():
                    yield cast("R", decoder.decode(line))

    @contextmanager
    def _answer(self, operation: Operation, given: dict[str, Any]) -> Iterator[http.client.HTTPResponse]:
        """Return the answer of a successful operation. Raises GenOpsError."""
        path = operation.path
        for name in operation.path_parameters:
            path = path.replace("{" + name + "}", quote(str(given[name]), safe=""))
        if "query" in given:
            fields = cast("dict[str, Any]", msgspec.to_builtins(given["query"]))
            path += "?" + urlencode({name: value for name, value in fields.items() if value is not None})
        body = msgspec.json.encode(given["body"]) if "body" in given else None
        connection = _UnixConnection(self._path, self._timeout_s)
        try:
            connection.request(operation.method, self._prefix + path, body)
            answer = connection.getresponse()
            if answer.status >= 400:
                error = _error_of(answer.status, answer.read())
                if answer.status == 404 and error.code == "http" and self._prefix == VERSIONED:
                    self._prefix = UNVERSIONED  # an older server without versioned paths
                    with self._answer(operation, given) as answer:
                        yield answer
                    return
                raise GenOpsError.from_info(answer.status, error)
            yield answer
        except (OSError, http.client.HTTPException) as error:
            raise Unavailable(
                f"The running JupyterLab did not answer: {error}.",
                hint="Check that JupyterLab still runs. If it has ended, run the command again.",
            ) from error
        finally:
            connection.close()

    def close(self) -> None:
        """Do nothing: no connection stays open between calls."""


def _error_of(status: int, payload: bytes) -> ErrorInfo:
    try:
        return msgspec.json.decode(payload, type=ErrorBody).error
    except msgspec.DecodeError:
        return ErrorInfo(code="http", message=f"The server answered HTTP {status}.")


class LocalCaller:
    """Call operations of services in this process, on their own event loop."""

    def __init__(self, start: Callable[[], Coroutine[Any, Any, Any]], operations: list[Operation]) -> None:
        self._operations = by_method(operations)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="genops-services", daemon=True)
        self._thread.start()
        self._lab = self._wait(start())

    def _wait(self, work: Coroutine[Any, Any, R]) -> R:
        asked = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return asked.result()
        except KeyboardInterrupt:
            asked.cancel()
            raise

    def call(self, method: Callable[Concatenate[S, P], Awaitable[R]], *args: P.args, **kwargs: P.kwargs) -> R:
        return cast("R", self._wait(self._perform(method.__qualname__, args, kwargs)))

    def stream(
        self, method: Callable[Concatenate[S, P], AsyncIterator[R]], *args: P.args, **kwargs: P.kwargs
    ) -> Iterator[R]:
        items: AsyncIterator[R] = self._wait(self._perform(method.__qualname__, args, kwargs))
        while (item := self._wait(_next(items))) is not _END:
            yield cast("R", item)

    async def _perform(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        operation, services = self._operations[name], self._lab.services
        PRINCIPAL.set(this_user())
        given = _named(operation, args, kwargs)
        return await perform(operation, services.named(operation.service), given, services.find(AuditLog))

    def close(self) -> None:
        """Stop the services."""
        self._wait(self._lab.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=10)
        self._loop.close()
