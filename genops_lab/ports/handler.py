"""Serve open ports at ``/genops/ports/HOST/PORT/`` below the base URL.

Pages of a program have JupyterLab's origin: with its cookies they could do what the user can. So a page of a port that
is not trusted is sandboxed. Its scripts run without an origin, and send no requests with Jupyter's cookies.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from jupyter_server.base.handlers import APIHandler
from tornado import web

from genops_lab.core.api import authorize
from genops_lab.core.passing import PassingHandler, is_websocket, rest_of

from .service import PORTS_PATH

if TYPE_CHECKING:
    from .service import Forward, PortsService

ROUTE = rf"/{PORTS_PATH}/([^/]+)/([^/]+)(/.*|)"
_SANDBOX = "sandbox allow-scripts allow-forms allow-popups allow-modals allow-downloads"


class PortHandler(PassingHandler):
    """Passes requests and websockets on to a port."""

    @property
    def content_security_policy(self) -> str:
        """Return the policy of a port that is not trusted."""
        return f"{self._own_policy}; {_SANDBOX}"

    @property
    def _own_policy(self) -> str:
        policy: str = super(APIHandler, self).content_security_policy
        return policy

    def check_xsrf_cookie(self) -> None:
        """Refuse requests that change something and come from pages of other origins.

        Pages of the program cannot know Jupyter's token against forged requests. Browsers say the origin of a page.
        """
        if (
            hasattr(self, "_jupyter_current_user")
            and not self.token_authenticated
            and not self._from_own_page()
        ):
            raise web.HTTPError(403, "A page of another origin sent the request.")

    @web.authenticated
    async def get(self, host: str, name: str, path: str) -> None:
        """Pass the request on."""
        await authorize(self, "execute", "kernels")
        if is_websocket(self.request):
            self.check_xsrf_cookie()
        if self.request.headers.get("Service-Worker"):
            raise web.HTTPError(403, "A service worker would outlive the program on the port.")
        if path:
            await self.while_connected(self._pass(unquote(host), unquote(name)))
        else:  # relative addresses of its pages need the slash
            query = f"?{self.request.query}" if self.request.query else ""
            self.redirect(f"{self.request.path}/{query}")

    head = post = put = patch = delete = get

    def _from_own_page(self) -> bool:
        origin = self.request.headers.get("Origin", "")
        return bool(origin) and urlsplit(origin).netloc == self.request.host

    async def _pass(self, host: str, name: str) -> None:
        ports: PortsService = await self._services.get("PortsService")
        forward = ports.forward(host, name)
        forward.refusal = None
        if forward.opened.trusted:
            self.set_header("Content-Security-Policy", self._own_policy)
        self._prefix, self._program = forward.opened.path.rstrip("/"), _address(forward)
        rest = rest_of(self.request.uri or "", f"{PORTS_PATH}/{self.path_args[0]}")
        given = {
            "x-forwarded-host": self.request.host,
            "x-forwarded-proto": self.request.protocol,
            "x-forwarded-prefix": self._prefix,
        }
        await self.pass_on(forward.client, f"{self._program}/{rest}", given, forward.failure)

    def moved(self, location: str) -> str:
        """Return the address of a redirection below the port's own path, also for a program that does not know it."""
        path = location.removeprefix(self._program)
        if path.startswith("/") and not path.startswith(("//", f"{self._prefix}/")):
            return f"{self._prefix}{path}"
        return location


def _address(forward: Forward) -> str:
    port = forward.opened.port
    return f"http://localhost:{port}" if port.isdigit() else "http://localhost"
