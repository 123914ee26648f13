"""Declare the quickstart feature."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genops_lab.core.features import Feature

from .routes import OPERATIONS

if TYPE_CHECKING:
    from genops_lab.core.services import Services


def _provide(services: Services) -> None:
    from genops_lab.core.settings import Settings

    from .service import QuickstartService

    services.provide(QuickstartService, lambda get: QuickstartService(get(Settings)))


FEATURE = Feature(name="quickstart", operations=OPERATIONS, provide=_provide)
