"""Read versions through MlflowClient: any store that mlflow can open."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

from genops_lab.experiments.backends.client import (
    all_pages,
    mlflow_errors,
    quoted,
    search_models,
)
from genops_lab.experiments.columns.changes import Changes
from genops_lab.experiments.columns.paged_source import PagedSource
from genops_lab.experiments.columns.snapshot import Snapshot

from .rows import VersionChanges, id_of

PAGE = 1000
#: Versions that each poll reads again: a new tag changes nothing else.
_SWEEP = 200
#: Share of the time that polling may take.
_SHARE = 0.05
_EVERY_S = 2.0


class ApiVersions(PagedSource):
    """Reads the models with every poll, and the versions of those that changed.

    MLflow answers a search for versions without their aliases (mlflow#16734): these come from the models. A changed
    tag of a version shows neither in its model nor in a time, so all versions are read again in turn.
    """

    _rows = "versions"
    _largest = PAGE

    def __init__(self, tracking_uri: str) -> None:
        super().__init__(tracking_uri, _EVERY_S)
        self._stamps: dict[str, str] = {}
        self._aliases: list[tuple[str, int, str]] = []
        self._read_models()

    def poll(self, known: Snapshot, touched: frozenset[str]) -> Changes:
        """Return the versions of models that changed, and some others. ``touched`` are names of models."""
        begun = time.monotonic()
        before = self._stamps
        self._read_models()
        names = {name for name, stamp in self._stamps.items() if before.get(name) != stamp}
        names |= touched & self._stamps.keys()
        found: list[Any] = []
        for name in sorted(names):
            with mlflow_errors(f"The versions of the model {name!r} could not be read"):
                found += all_pages(self._client.search_model_versions, filter_string=f"name = {quoted(name)}")
        changes = self._changes([*found, *self._swept(_SWEEP)])
        there = set(changes.ids)
        changed = names | (before.keys() - self._stamps.keys())
        changes.gone = [
            id for id in known.ids[: known.rows] if id.rpartition("/")[0] in changed and id not in there
        ]
        self.every_s = max(_EVERY_S, (time.monotonic() - begun) / _SHARE)
        return changes

    def _read_models(self) -> None:
        with mlflow_errors("The models could not be listed"):
            models = all_pages(partial(search_models, self._client))
        self._stamps = {
            each.name: f"{each.creation_timestamp} {each.last_updated_timestamp} {sorted(each.aliases.items())}"
            for each in models
        }
        self._aliases = [
            (each.name, int(version), alias) for each in models for alias, version in each.aliases.items()
        ]

    def _page(self, count: int, token: str) -> tuple[list[Any], str]:
        with mlflow_errors("The versions could not be read"):
            page = self._client.search_model_versions(
                max_results=count, order_by=["creation_timestamp DESC"], page_token=token or None
            )
        following: Any = page.token or ""  # of a database: bytes
        return list(page), following.decode() if isinstance(following, bytes) else following

    def _changes(self, found: list[Any]) -> VersionChanges:
        """Return versions in a mirror's form, without those of prompts; if a version comes twice, once."""
        versions = {id_of(each.name, each.version): each for each in found if each.name in self._stamps}
        return VersionChanges(
            [
                (
                    each.name, int(each.version), each.creation_timestamp, each.last_updated_timestamp,
                    each.description, each.user_id, each.current_stage, each.source, each.run_id, str(each.status),
                )
                for each in versions.values()
            ],
            self._aliases,
            [
                (each.name, int(each.version), key, value or "")
                for each in versions.values()
                for key, value in each.tags.items()
            ],
        )  # fmt: skip
