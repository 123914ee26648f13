"""The features of labels: queues with their labels, and what the answers said."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genops_lab.core.features import Feature

from .routes import CONTENT, OPERATIONS

if TYPE_CHECKING:
    from genops_lab.core.services import Services


def _provide(services: Services) -> None:
    from genops_lab.core.events import EventBus
    from genops_lab.core.settings import Settings
    from genops_lab.core.work import WorkService
    from genops_lab.experiments.mlflow import MlflowConnection
    from genops_lab.genai.endpoints.service import EndpointsService
    from genops_lab.genai.evaluations.service import AnswersService

    from .alignments import JudgeAlignments
    from .service import LabelsService

    services.provide(
        LabelsService,
        lambda get: LabelsService(get(Settings), get(MlflowConnection), get(EventBus), get(EndpointsService)),
    )
    services.provide(
        JudgeAlignments,
        lambda get: JudgeAlignments(
            get(Settings),
            get(AnswersService),
            get(EndpointsService),
            get(MlflowConnection),
            get(WorkService),
            get(EventBus),
        ),
    )


LABELS = Feature(
    name="labels",
    switch="genai",
    resource="labels",
    operations=OPERATIONS,
    events=("label",),
    provide=_provide,
)
#: An authorizer that forbids what traces say forbids it here too.
LABEL_CONTENT = Feature(name="label_content", switch="genai", resource="trace_content", operations=CONTENT)
