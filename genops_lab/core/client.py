"""Calling operations from a program: through a running server's private socket, or in this process."""

from __future__ import annotations

import asyncio
import http.client
import socket
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, cast
from urllib.parse import quote, urlencode

import msgspec

from .errors import ErrorBody, ErrorInfo, GenOpsError, Unavailable
from .operations import Operation

S = TypeVar("S")
P = ParamSpec("P")
R = TypeVar("R")


class Caller(Protocol):
    """Runs an operation, named by its service method, and waits for its answer."""

    def call(self, method: Callable[Concatenate[S, P], Awaitable[R]], *args: P.args, **kwargs: P.kwargs) -> R:
        """The operation's answer; raises the GenOpsError that it raised."""
        ...

    def close(self) -> None:
        """Let go of the server or of this process's own services."""
        ...


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class SocketCaller:
    """Operations of a running server. ``timeout_s`` bounds one answer."""

    def __init__(self, path: str, operations: list[Operation], timeout_s: float = 120.0) -> None:
        self._path = path
        self._timeout_s = timeout_s
        self._operations = {(operation.room, operation.name): operation for operation in operations}

    def call(self, method: Callable[Concatenate[S, P], Awaitable[R]], *args: P.args, **kwargs: P.kwargs) -> R:
        room, name = method.__qualname__.split(".")[-2:]
        operation = self._operations[room, name]
        given = dict(kwargs)
        for name, value in zip([*operation.path_parameters, "query", "body"], args, strict=False):
            given[name] = value
        path = "/genops" + operation.path
        for name in operation.path_parameters:
            path = path.replace("{" + name + "}", quote(str(given[name]), safe=""))
        if "query" in given:
            fields = cast("dict[str, Any]", msgspec.to_builtins(given["query"]))
            path += "?" + urlencode({name: value for name, value in fields.items() if value is not None})
        body = msgspec.json.encode(given["body"]) if "body" in given else None
        connection = _UnixConnection(self._path, self._timeout_s)
        try:
            connection.request(operation.method, path, body)
            answer = connection.getresponse()
            payload = answer.read()
        except OSError as error:
            raise Unavailable(
                f"The running GenOps Lab did not answer: {error}.",
                hint="See whether JupyterLab still runs; without it, run the command again to work on its own.",
            ) from error
        finally:
            connection.close()
        if answer.status >= 400:
            raise GenOpsError.from_info(answer.status, _error_of(answer.status, payload))
        if operation.answer is None:
            return cast("R", None)
        return cast("R", msgspec.json.decode(payload, type=operation.answer))

    def close(self) -> None:
        """Nothing is kept open between calls."""


def _error_of(status: int, payload: bytes) -> ErrorInfo:
    try:
        return msgspec.json.decode(payload, type=ErrorBody).error
    except msgspec.DecodeError:
        return ErrorInfo(code="http", message=f"The server answered HTTP {status}.")


class LocalCaller:
    """The same services in this process, on an event loop of their own."""

    def __init__(self, start: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="genops-services", daemon=True)
        self._thread.start()
        self._lab = self._wait(start())

    def _wait(self, work: Coroutine[Any, Any, R]) -> R:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def call(self, method: Callable[Concatenate[S, P], Awaitable[R]], *args: P.args, **kwargs: P.kwargs) -> R:
        service = self._lab.services.named(method.__qualname__.split(".")[-2])
        return self._wait(cast("Coroutine[Any, Any, R]", method(service, *args, **kwargs)))

    def close(self) -> None:
        """Stop the services."""
        self._wait(self._lab.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=10)
        self._loop.close()
