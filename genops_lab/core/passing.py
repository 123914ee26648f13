"""Pass a request on to a program, and its answer back as it arrives: also websockets and server-sent events.

Jupyter's cookies and tokens never reach the program. No header of the program changes what browsers do at Jupyter's
origin. jupyter-server-proxy passes cookies and tokens on. It returns an answer in one piece unless the request accepts
``text/event-stream``. Its installation opens every port of this machine at Jupyter's address.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from jupyter_server.base.handlers import APIHandler
from tornado.iostream import StreamClosedError

from .api import AUTH_RESOURCE, ServiceGate, refuse
from .errors import GenOpsError, InvalidRequest
from .http_clients import httpx_client

#: Headers of one connection (RFC 9110, 7.6.1).
_HOP = {
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer",
    "transfer-encoding", "upgrade",
}  # fmt: skip
#: Headers that are about Jupyter: its credentials, its address and the page that asks.
_KEPT_HERE = {
    "host", "authorization", "cookie", "content-length", "origin", "referer", "x-xsrftoken", "forwarded", "x-real-ip",
}  # fmt: skip
#: Headers by which an answer would change what browsers do at Jupyter's origin.
_NOT_RETURNED = {
    "set-cookie", "content-security-policy", "x-content-type-options", "clear-site-data", "service-worker-allowed",
    "strict-transport-security",
}  # fmt: skip
_PREFIXES = ("x-forwarded-", "sec-fetch-", "access-control-")
_PORTION_BYTES = 65536


class PassingHandler(APIHandler):
    """Passes requests on. A caller that leaves ends the request."""

    auth_resource = AUTH_RESOURCE
    _track_activity = False
    _passing: asyncio.Task[None] | None = None

    def initialize(self, services: ServiceGate) -> None:
        """Store the gate; its services may still be opening."""
        self._services = services

    async def while_connected(self, work: Coroutine[Any, Any, None]) -> None:
        """Do ``work``, and answer with its GenOpsError. It is cancelled when the caller leaves."""
        self._passing = asyncio.create_task(work)
        await asyncio.wait([self._passing])
        if self._passing.cancelled() or (error := self._passing.exception()) is None:
            return
        if not isinstance(error, GenOpsError):
            raise error
        refuse(self, error)

    def on_connection_close(self) -> None:
        """End the request: its caller has left."""
        super().on_connection_close()
        if self._passing is not None:
            self._passing.cancel()

    async def pass_on(
        self, client: Any, url: str, given: Mapping[str, str], failure: Callable[[Exception], GenOpsError]
    ) -> None:
        """Send the request to ``url`` by an httpx client, with the headers ``given`` too, and return the answer.

        Raises what ``failure`` makes of an error of the connection. An answer that breaks off ends the connection of
        the caller, who must not take a part for the whole.
        """
        httpx = importlib.import_module("httpx")
        headers = {**self._headers_of_caller(), **given}
        try:
            async with client.stream(
                self.request.method, url, content=self.request.body or None, headers=headers
            ) as answer:
                if answer.status_code == 101:
                    await self._carry(answer)
                else:
                    await self._return(answer)
        except StreamClosedError:
            return  # the caller has left
        except httpx.HTTPError as error:
            if self._headers_written:
                self.detach().close()
                return
            raise failure(error) from error

    def _headers_of_caller(self) -> dict[str, str]:
        left_out = _HOP | _KEPT_HERE
        given = {
            each.lower(): value
            for each, value in self.request.headers.items()
            if each.lower() not in left_out and not each.lower().startswith(_PREFIXES)
        }
        if is_websocket(self.request):
            given.update({"connection": "upgrade", "upgrade": "websocket"})
        return {"accept-encoding": "identity", **given}

    def _set_headers_of(self, answer: Any) -> None:
        self.set_status(answer.status_code, answer.reason_phrase or None)
        self.clear_header("Content-Type")
        for name, value in answer.headers.multi_items():
            if name not in _HOP | _NOT_RETURNED and not name.startswith(_PREFIXES):
                self.add_header(name, self.moved(value) if name == "location" else value)

    def moved(self, location: str) -> str:
        """Return the address of a redirection as the caller sees it."""
        return location

    async def _return(self, answer: Any) -> None:
        self._set_headers_of(answer)
        await self.flush()
        async for part in answer.aiter_raw():
            self.write(part)
            await self.flush()
        await self.finish()

    async def _carry(self, answer: Any) -> None:
        """Carry the bytes of a websocket both ways, until one side ends."""
        self._set_headers_of(answer)
        self.set_header("Connection", "Upgrade")
        self.set_header("Upgrade", "websocket")
        self.finish()
        near, far = self.detach(), answer.extensions["network_stream"]

        async def there() -> None:
            while True:
                await far.write(await near.read_bytes(_PORTION_BYTES, partial=True))

        async def back() -> None:
            while portion := await far.read(_PORTION_BYTES):
                await near.write(portion)

        ways = [asyncio.create_task(there()), asyncio.create_task(back())]
        try:
            done, _ = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in done:
                way.result()
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            near.close()


def is_websocket(request: Any) -> bool:
    """Return whether the request asks for a websocket."""
    return str(request.headers.get("Upgrade", "")).lower() == "websocket"


def rest_of(uri: str, base: str) -> str:
    """Return the path behind ``/base/NAME/`` with its query, without a token of Jupyter. Raises InvalidRequest.

    >>> rest_of("/user/ada/genops/call/churn/v1/models?token=x&a=1", "genops/call")
    'v1/models?a=1'
    """
    path, _, query = uri.partition(f"/{base}/")[2].partition("/")[2].partition("?")
    if ".." in path.split("/"):
        raise InvalidRequest(f"The path {path!r} leaves the address.", hint="Leave out the two dots.")
    kept = "&".join(each for each in query.split("&") if each.partition("=")[0] != "token")
    return f"{path}?{kept}" if kept else path


async def http_client(**transport: Any) -> Any:
    """Return an HTTP client for a program on this machine. It keeps no idle connection, so none is closed under a
    request. ``uds`` is the path of a unix socket. The program bounds the time of its answers."""
    httpx = await asyncio.to_thread(importlib.import_module, "httpx")
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    return httpx_client(
        timeout=httpx.Timeout(None, connect=10.0),
        transport=httpx.AsyncHTTPTransport(verify=False, trust_env=False, limits=limits, **transport),
    )
