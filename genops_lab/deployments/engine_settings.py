"""The settings of language models and of MLflow models, with their meanings, for forms."""

from __future__ import annotations

from typing import Literal

import msgspec

from genops_lab.core.services import Service
from genops_lab.serving.engines.settings import SETTINGS


class EngineSetting(msgspec.Struct, frozen=True, kw_only=True):
    """A setting of language models or of MLflow models. ``engines`` have it.

    A ``number`` or ``share`` is from ``least`` to ``most``; a ``size`` has a unit.
    """

    name: str
    meaning: str
    kind: Literal["number", "share", "flag", "choice", "name", "file", "size"]
    engines: list[str]
    least: float
    most: float
    choices: list[str] = []


class EngineSettingsService(Service):
    """Tell which settings there are."""

    async def list_engine_settings(self) -> list[EngineSetting]:
        """List the settings of language models and of MLflow models."""
        return [
            EngineSetting(
                name=name,
                meaning=each.meaning,
                kind=each.kind,  # type: ignore[arg-type]
                engines=list(each.options),
                least=each.least,
                most=each.most,
                choices=list(each.choices),
            )
            for name, each in SETTINGS.items()
        ]
