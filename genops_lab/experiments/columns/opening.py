"""How the runs of an MLflow are reached."""

from __future__ import annotations

from collections.abc import Callable

from .source import Source
from .sqlite_source import SqliteSource, file_of


def ways_to(tracking_uri: str) -> list[Callable[[], Source]]:
    """The sources to try, the best first."""
    file = file_of(tracking_uri)
    return [lambda: SqliteSource(file)] if file is not None else []
