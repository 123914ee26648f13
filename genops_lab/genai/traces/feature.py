"""The features of traces: their figures, and what requests and answers said."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genops_lab.core.features import Feature, Route

from .routes import CONTENT, OPERATIONS

if TYPE_CHECKING:
    from genops_lab.core.jupyter import JupyterServer
    from genops_lab.core.services import Services


def _provide(services: Services) -> None:
    from genops_lab.core.events import EventBus
    from genops_lab.core.live import LiveHub
    from genops_lab.core.settings import Settings
    from genops_lab.core.store import LocalStore
    from genops_lab.deployments.service import DeploymentsService
    from genops_lab.experiments.mlflow import MlflowConnection
    from genops_lab.genai.endpoints.service import EndpointsService
    from genops_lab.genai.online.store import OnlineStore

    from .deployments import DeploymentTracesService
    from .service import KnownPrices, TracesService

    services.provide(
        TracesService,
        lambda get: TracesService(
            get(MlflowConnection), get(EventBus), get(LiveHub), get(Settings),
            KnownPrices(get(EndpointsService).prices),
        ),
    )  # fmt: skip
    services.provide(
        DeploymentTracesService,
        lambda get: DeploymentTracesService(
            get(Settings),
            get(DeploymentsService),
            get(LocalStore),
            get(MlflowConnection),
            get(EventBus),
            get(OnlineStore),
        ),
    )


def _routes(server: JupyterServer) -> list[Route]:
    from .otlp import OTLP, OtlpHandler

    return [(OTLP, OtlpHandler, {"services": server.services})]


TRACES = Feature(
    name="traces",
    switch="genai",
    resource="traces",
    operations=OPERATIONS,
    events=("trace",),
    provide=_provide,
    routes=_routes,
)
#: An authorizer can forbid this resource alone: traces are then shown without what was said.
TRACE_CONTENT = Feature(name="trace_content", switch="genai", resource="trace_content", operations=CONTENT)
