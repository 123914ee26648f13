"""Send an artifact's bytes so that nothing in them can act as the Lab."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote

from tornado import web

from genops_lab.core.api import FileHandler, authorize
from genops_lab.core.errors import GenOpsError
from genops_lab.core.file_response import disposition, send_file

if TYPE_CHECKING:
    from genops_lab.experiments.service import ExperimentsService

ARTIFACT = r"/genops/runs/([^/]+)/artifact"
#: A browser that displays it anyway gives it no origin, no scripts and no network.
SANDBOX = "sandbox; default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"


class ArtifactHandler(FileHandler):
    """Sends a file in parts, as fast as the browser takes them: always as an attachment without a type."""

    @property
    def content_security_policy(self) -> str:
        """The policy of every answer, errors too."""
        return SANDBOX

    def set_default_headers(self) -> None:
        """Set the policy even if the server's configuration has headers of its own."""
        super().set_default_headers()
        self.set_header("Content-Security-Policy", SANDBOX)
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Cross-Origin-Resource-Policy", "same-origin")
        self.set_header("Cache-Control", "no-store")

    @web.authenticated
    async def get(self, run_id: str) -> None:
        """Send the file that ``path`` names among the run's artifacts."""
        await authorize(self, "read", "runs")
        path = self.get_query_argument("path", "", strip=False)
        try:
            service: ExperimentsService = await self._services.get("ExperimentsService")
            file = await service.open_artifact(unquote(run_id), path)
        except GenOpsError as error:
            self.set_status(error.status)
            self.set_header("Content-Type", "text/plain; charset=utf-8")
            self.finish(f"{error.message} {error.hint}".strip())  # as text, for a user who follows the link
            return
        with file:
            self.set_header("Content-Type", "application/octet-stream")
            self.set_header("Content-Disposition", disposition(path))
            await send_file(self, file)
