"""Declare evaluations of answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genops_lab.core.features import Feature

from .routes import CONTENT, OPERATIONS

if TYPE_CHECKING:
    from genops_lab.core.services import Services


def _provide(services: Services) -> None:
    from genops_lab.core.events import EventBus
    from genops_lab.core.settings import Settings
    from genops_lab.core.tasks import TasksService
    from genops_lab.core.work import WorkService
    from genops_lab.deployments.service import DeploymentsService
    from genops_lab.evaluations.service import EvaluationsService
    from genops_lab.experiments.mlflow import MlflowConnection
    from genops_lab.genai.endpoints.service import EndpointsService
    from genops_lab.genai.traces.service import TracesService
    from genops_lab.hosts.questions import QuestionsService
    from genops_lab.hosts.service import TargetsService

    from .kernel_requests import KernelEvaluations
    from .service import AnswersService

    services.provide(
        AnswersService,
        lambda get: AnswersService(
            get(Settings),
            get(MlflowConnection),
            get(EventBus),
            get(WorkService),
            get(DeploymentsService),
            get(EndpointsService).endpoint,
            get(EvaluationsService),
            get(TracesService),
            get(TargetsService),
        ),
    )
    services.provide(
        KernelEvaluations,
        lambda get: KernelEvaluations(
            get(AnswersService),
            get(TasksService),
            get(QuestionsService).ask,
            get(Settings).data_dir / "incoming",
        ),
    )


FEATURE = Feature(
    name="answer_evaluations",
    switch="genai",
    resource="answer_evaluations",
    operations=OPERATIONS,
    events=("answer-evaluation",),
    provide=_provide,
)
#: The same resource as the texts of traces: an authorizer forbids both at once.
CONTENT_FEATURE = Feature(name="answer_content", switch="genai", resource="trace_content", operations=CONTENT)
