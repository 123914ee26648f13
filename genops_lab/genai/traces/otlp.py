"""Take spans over OTLP/HTTP at the Jupyter server's address: the embedded MLflow has no server of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jupyter_server.base.handlers import APIHandler
from tornado import web

from genops_lab.core.api import AUTH_RESOURCE, MAX_BODY_BYTES, ServiceGate, authorize, refuse
from genops_lab.core.errors import GenOpsError, InvalidRequest

if TYPE_CHECKING:
    from .service import TracesService

#: OpenTelemetry's exporters add ``/v1/traces`` to OTEL_EXPORTER_OTLP_ENDPOINT.
OTLP = r"/genops/otlp/v1/traces"
EXPERIMENT, RUN = "x-mlflow-experiment-id", "x-mlflow-run-id"


class OtlpHandler(APIHandler):
    """Keeps an ``ExportTraceServiceRequest`` (protobuf or JSON, plain or gzip); the headers are MLflow's own."""

    auth_resource = AUTH_RESOURCE
    _track_activity = False

    def initialize(self, services: ServiceGate) -> None:
        """Store the gate; its services may still be opening."""
        self._services = services

    @web.authenticated
    async def post(self) -> None:
        """Keep the spans; the answer has no content that an exporter would read."""
        await authorize(self, "write", "traces")
        headers = self.request.headers
        try:
            if len(self.request.body) > MAX_BODY_BYTES:
                raise InvalidRequest(
                    f"The body has more than {MAX_BODY_BYTES // 1024**2} MB.",
                    hint="Let the exporter send smaller batches.",
                )
            service: TracesService = await self._services.get("TracesService")
            media_type = headers.get("Content-Type", "").partition(";")[0].strip().lower()
            await service.take_spans(
                self.request.body,
                media_type,
                headers.get("Content-Encoding", "").strip().lower(),
                headers.get(EXPERIMENT, "").strip(),
                headers.get(RUN, "").strip(),
            )
        except GenOpsError as error:
            refuse(self, error)
            return
        # An empty ExportTraceServiceResponse, in the form of the request.
        self.set_header("Content-Type", media_type)
        self.finish(b"{}" if media_type.endswith("json") else b"")
