"""Declare the feature of prompts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genops_lab.core.features import Feature

from .routes import OPERATIONS

if TYPE_CHECKING:
    from genops_lab.core.services import Services


def _provide(services: Services) -> None:
    from genops_lab.core.events import EventBus
    from genops_lab.core.settings import Settings
    from genops_lab.core.tasks import TasksService
    from genops_lab.core.work import WorkService
    from genops_lab.deployments.service import DeploymentsService
    from genops_lab.experiments.mlflow import MlflowConnection
    from genops_lab.genai.endpoints.service import EndpointsService
    from genops_lab.genai.evaluations.service import AnswersService

    from .optimizations import PromptOptimizations
    from .service import PromptsService
    from .trials import PromptTrials

    services.provide(PromptsService, lambda get: PromptsService(get(MlflowConnection), get(EventBus)))
    services.provide(
        PromptTrials,
        lambda get: PromptTrials(
            get(Settings),
            get(PromptsService),
            get(DeploymentsService),
            get(WorkService),
            get(EventBus),
            get(EndpointsService),
            get(AnswersService),
        ),
    )
    services.provide(
        PromptOptimizations,
        lambda get: PromptOptimizations(
            get(Settings),
            get(PromptsService),
            get(AnswersService),
            get(EndpointsService),
            get(MlflowConnection),
            get(TasksService),
            get(WorkService),
            get(EventBus),
        ),
    )


FEATURE = Feature(
    name="prompts",
    switch="genai",
    resource="prompts",
    operations=OPERATIONS,
    events=("prompt",),
    provide=_provide,
)
