"""Pass requests from JupyterLab's own address on to deployments, for callers that Jupyter has let in.

The path is ``/genops/call/NAME/...`` below the base URL. Jupyter's token is the one credential: the server adds the key
of the deployment. jupyter-server-proxy does not fit. It needs both credentials in one ``Authorization`` header, and
returns a stream in one piece unless the request accepts ``text/event-stream``, which the openai client does not send.
"""

from __future__ import annotations

import asyncio
import importlib
from typing import Any

from jupyter_server.base.handlers import APIHandler
from tornado import web
from tornado.iostream import StreamClosedError

from genops_lab.core.api import AUTH_RESOURCE, ServiceGate, authorize, refuse
from genops_lab.core.errors import Conflict, GenOpsError, InvalidRequest, Unavailable
from genops_lab.core.services import Service

from .addresses import LAB_PATH
from .service import DeploymentsService

ROUTE = rf"/{LAB_PATH}/([^/]+)/(.*)"
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


class LabRouteService(Service):
    """Open requests to deployments, with their keys."""

    def __init__(self, deployments: DeploymentsService) -> None:
        self._deployments = deployments
        self._client: Any = None

    async def client(self) -> Any:
        """Return the HTTP client. It keeps no idle connection, so none is closed under a request."""
        if self._client is None:
            httpx = await asyncio.to_thread(importlib.import_module, "httpx")
            # The gateway bounds the time of each request. No proxy of the environment: it is on this machine.
            self._client = self._client or httpx.AsyncClient(
                timeout=httpx.Timeout(None, connect=10.0),
                limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
                trust_env=False,
                verify=False,  # all addresses are http on loopback
            )
        return self._client

    async def address(self, name: str) -> tuple[str, str]:
        """Return the address of a deployment on this machine, and its key. Raises Conflict unless it runs."""
        found = await self._deployments.get_keyed_deployment(name)
        if not found.url:
            raise Conflict(
                f"{name!r} is {found.state}: it does not answer.",
                hint=found.hint or f"Look at it: genops deployments show {name}",
            )
        return found.url, found.key

    async def close(self) -> None:
        """Close the client."""
        if self._client is not None:
            await self._client.aclose()


class LabRouteHandler(APIHandler):
    """Pass a request on. Parts of the answer are sent when they arrive; a caller that leaves ends the request."""

    auth_resource = AUTH_RESOURCE
    _track_activity = False
    _passing: asyncio.Task[None] | None = None

    def initialize(self, services: ServiceGate) -> None:
        """Store the gate; its services may still be opening."""
        self._services = services

    @property
    def content_security_policy(self) -> str:
        """A page of a deployment has no access to JupyterLab, although it comes from the same origin."""
        return f"{super().content_security_policy}; sandbox"

    @web.authenticated
    async def get(self, name: str, _path: str) -> None:
        """Pass the request on."""
        await authorize(self, "execute", "deployments")
        self._passing = asyncio.create_task(self._pass(name))
        await asyncio.wait([self._passing])
        if not self._passing.cancelled() and (error := self._passing.exception()) is not None:
            raise error

    head = post = put = patch = delete = get

    def on_connection_close(self) -> None:
        """End the request: its caller has left."""
        super().on_connection_close()
        if self._passing is not None:
            self._passing.cancel()

    async def _pass(self, name: str) -> None:
        try:
            service: LabRouteService = await self._services.get("LabRouteService")
            address, key = await service.address(name)
            url = f"{address}/{_rest(self.request.uri or '')}"
            client = await service.client()
        except GenOpsError as error:
            refuse(self, error)
            return
        httpx = importlib.import_module("httpx")
        try:
            async with client.stream(
                self.request.method, url, content=self.request.body or None, headers=self._given(key)
            ) as answer:
                await self._return(answer)
        except StreamClosedError:
            return  # the caller has left
        except httpx.HTTPError as error:
            if self._headers_written:  # a caller must not take a part for the whole
                self.detach().close()
                return
            hint = f"Read its log: genops deployments logs {name}"
            refuse(self, Unavailable(f"The deployment {name!r} did not answer: {error}.", hint=hint))

    def _given(self, key: str) -> dict[str, str]:
        left_out = _HOP | _KEPT_HERE
        given = {
            each.lower(): value
            for each, value in self.request.headers.items()
            if each.lower() not in left_out and not each.lower().startswith(_PREFIXES)
        }
        return {"accept-encoding": "identity", **given, "authorization": f"Bearer {key}"}

    async def _return(self, answer: Any) -> None:
        self.set_status(answer.status_code, answer.reason_phrase or None)
        self.clear_header("Content-Type")
        for name, value in answer.headers.multi_items():
            if name not in _HOP | _NOT_RETURNED and not name.startswith(_PREFIXES):
                self.add_header(name, value)
        await self.flush()
        async for part in answer.aiter_raw():
            self.write(part)
            await self.flush()
        await self.finish()


def _rest(uri: str) -> str:
    """Return the path below the deployment with its query, without a token of Jupyter. Raises InvalidRequest."""
    path, _, query = uri.partition(f"/{LAB_PATH}/")[2].partition("/")[2].partition("?")
    if ".." in path.split("/"):
        raise InvalidRequest(f"The path {path!r} leaves the deployment.", hint="Leave out the two dots.")
    kept = "&".join(each for each in query.split("&") if each.partition("=")[0] != "token")
    return f"{path}?{kept}" if kept else path
