"""How the runs of an MLflow are reached."""

from __future__ import annotations

from collections.abc import Callable

from .source import Source
from .sqlite_source import SqliteSource, file_of


def ways_to(tracking_uri: str) -> list[Callable[[], Source]]:
    """The sources to try, the best first; the last one takes any store that mlflow can open."""
    ways: list[Callable[[], Source]] = []
    file = file_of(tracking_uri)
    if file is not None:
        ways.append(lambda: SqliteSource(file))
    if tracking_uri.startswith("postgresql"):
        ways.append(lambda: _postgres(tracking_uri))
    ways.append(lambda: _api(tracking_uri))
    return ways


def _postgres(tracking_uri: str) -> Source:
    from .postgres_source import PostgresSource

    return PostgresSource(tracking_uri)


def _api(tracking_uri: str) -> Source:
    from .api import ClientApi, HttpApi
    from .api_source import ApiSource

    over_http = tracking_uri.startswith(("http://", "https://"))
    return ApiSource(HttpApi(tracking_uri) if over_http else ClientApi(tracking_uri))
