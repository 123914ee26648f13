"""Register kernels under Nsight's tools as a feature of the application."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genops_lab.core.features import Feature

from .routes import OPERATIONS

if TYPE_CHECKING:
    from genops_lab.core.services import Services


def _provide(services: Services) -> None:
    from .service import NsightService

    services.provide(NsightService, lambda _get: NsightService())


FEATURE = Feature(name="nsight", switch="nsight", resource="kernels", operations=OPERATIONS, provide=_provide)
