"""Adapt mlflow's messages to a notebook, without importing mlflow."""

from __future__ import annotations

import logging
import os
from typing import Any

_LOGGERS = ("mlflow.utils.requirements_utils", "mlflow.utils.environment")
#: Beginnings of harmless warnings when a model is logged. All others are shown: they may be about an error.
_HARMLESS = (
    "Failed to resolve installed pip version.",
    "The following packages were not found in the public PyPI",
)
_MODEL_INFO = ("mlflow.models.model", "ModelInfo")


class QuietRequirements(logging.Filter):
    """Silences mlflow's harmless warnings about a model's pip requirements until it is closed.

    If ``MLFLOW_LOGGING_LEVEL`` is set, nothing is silenced.
    """

    def __init__(self) -> None:
        super().__init__()
        self._heard = (
            [] if os.environ.get("MLFLOW_LOGGING_LEVEL") else [logging.getLogger(name) for name in _LOGGERS]
        )
        for logger in self._heard:
            logger.addFilter(self)

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the record is shown."""
        text = record.getMessage()
        return not text.startswith(_HARMLESS) and "contains a local version label" not in text

    def close(self) -> None:
        """Stop silencing warnings."""
        for logger in self._heard:
            logger.removeFilter(self)


def show_models(shell: Any) -> None:
    """Make a cell that ends with ``log_model(...)`` show a sentence in place of ``<ModelInfo at 0x7f...>``."""
    shell.display_formatter.formatters["text/plain"].for_type_by_name(*_MODEL_INFO, _print_model)


def show_models_as_before(shell: Any) -> None:
    """Undo :func:`show_models`."""
    plain = shell.display_formatter.formatters["text/plain"]
    if ".".join(_MODEL_INFO) in plain:
        plain.pop(".".join(_MODEL_INFO))


def _print_model(info: Any, printer: Any, _cycle: bool) -> None:
    name = getattr(info, "name", None) or str(getattr(info, "artifact_path", "")).rpartition("/")[2]
    run = str(getattr(info, "run_id", None) or "")[:8] or "latest"
    printer.text(
        f"Logged the model {name!r}. To register it, run `%genops models register NAME --run {run}`. "
        "To serve it, run `%genops deploy NAME`."
    )
