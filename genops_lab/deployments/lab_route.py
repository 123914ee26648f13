"""Pass requests from JupyterLab's own address on to deployments, for callers that Jupyter has let in.

The path is ``/genops/call/NAME/...`` below the base URL. Jupyter's token is the one credential: the server adds the key
of the deployment.
"""

from __future__ import annotations

from typing import Any

from tornado import web

from genops_lab.core.api import authorize
from genops_lab.core.errors import Conflict, Unavailable
from genops_lab.core.passing import PassingHandler, http_client, rest_of
from genops_lab.core.services import Service

from .addresses import LAB_PATH
from .service import DeploymentsService

ROUTE = rf"/{LAB_PATH}/([^/]+)/(.*)"


class LabRouteService(Service):
    """Open requests to deployments, with their keys."""

    def __init__(self, deployments: DeploymentsService) -> None:
        self._deployments = deployments
        self._client: Any = None

    async def client(self) -> Any:
        """Return the HTTP client. It keeps no idle connection, so none is closed under a request."""
        if self._client is None:
            client = await http_client()
            self._client = self._client or client
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


class LabRouteHandler(PassingHandler):
    """Passes a request on."""

    @property
    def content_security_policy(self) -> str:
        """A page of a deployment has no access to JupyterLab, although it comes from the same origin."""
        return f"{super().content_security_policy}; sandbox"

    @web.authenticated
    async def get(self, name: str, _path: str) -> None:
        """Pass the request on."""
        await authorize(self, "execute", "deployments")
        await self.while_connected(self._pass(name))

    head = post = put = patch = delete = get

    async def _pass(self, name: str) -> None:
        service: LabRouteService = await self._services.get("LabRouteService")
        address, key = await service.address(name)
        url = f"{address}/{rest_of(self.request.uri or '', LAB_PATH)}"
        hint = f"Read its log: genops deployments logs {name}"
        await self.pass_on(
            await service.client(), url, {"authorization": f"Bearer {key}"},
            lambda error: Unavailable(f"The deployment {name!r} did not answer: {error}.", hint=hint),
        )  # fmt: skip
