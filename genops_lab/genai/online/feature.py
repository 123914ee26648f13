"""Declare the scorers of live traces."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genops_lab.core.features import Feature

from .routes import OPERATIONS

if TYPE_CHECKING:
    from genops_lab.core.services import Get, Services


def _provide(services: Services) -> None:
    from genops_lab.core.events import EventBus
    from genops_lab.core.settings import Settings
    from genops_lab.core.store import LocalStore
    from genops_lab.deployments.live_scorers import LiveScorers
    from genops_lab.experiments.mlflow import MlflowConnection
    from genops_lab.genai.endpoints.service import EndpointsService
    from genops_lab.genai.evaluations.service import AnswersService
    from genops_lab.genai.traces.service import KnownPrices

    from .service import OnlineService
    from .store import OnlineStore

    services.provide(
        OnlineStore, lambda get: OnlineStore(get(Settings).data_dir / "online" / "scores.sqlite")
    )
    services.provide(
        OnlineService,
        lambda get: OnlineService(
            get(Settings), get(OnlineStore), get(LocalStore), get(MlflowConnection), get(EventBus),
            get(AnswersService), KnownPrices(get(EndpointsService).prices),
        ),
    )  # fmt: skip

    def of_files(get: Get) -> LiveScorers:
        online = get(OnlineService)
        return LiveScorers(check=online.check, keep=online.keep, drop=online.drop)

    services.provide(LiveScorers, of_files)


#: The same resource as the texts of traces: an authorizer forbids both at once.
FEATURE = Feature(
    name="online_scorers", switch="genai", resource="trace_content", operations=OPERATIONS, provide=_provide
)
