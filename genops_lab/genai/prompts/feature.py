"""Declare the feature of prompts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genops_lab.core.features import Feature

from .routes import OPERATIONS

if TYPE_CHECKING:
    from genops_lab.core.services import Services


def _provide(services: Services) -> None:
    from genops_lab.core.events import EventBus
    from genops_lab.experiments.mlflow import MlflowConnection

    from .service import PromptsService

    services.provide(PromptsService, lambda get: PromptsService(get(MlflowConnection), get(EventBus)))


FEATURE = Feature(
    name="prompts",
    switch="genai",
    resource="prompts",
    operations=OPERATIONS,
    events=("prompt",),
    provide=_provide,
)
