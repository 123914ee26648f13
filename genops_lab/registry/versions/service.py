"""Serve the table of all versions of all models."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from msgspec.structs import replace

from genops_lab.core.errors import GenOpsError, InvalidRequest
from genops_lab.core.events import EventBus
from genops_lab.core.live import CHANGES, LiveHub
from genops_lab.core.services import Service
from genops_lab.experiments.columns.models import RunColumns, RunQueryText, RunsState, RunTable, RunTableQuery
from genops_lab.experiments.columns.watch import TableWatch
from genops_lab.experiments.mlflow import MlflowConnection
from genops_lab.experiments.query.models import Completion
from genops_lab.registry.backends.formats import MlflowFormats

from .backend import VersionMirror

#: Versions whose files are read before the page hears of them.
_READ_AT_ONCE = 8

log = logging.getLogger("genops_lab")


@dataclass(frozen=True)
class DeployedVersions:
    """``of()`` names the active deployments of all versions, by model and version."""

    of: Callable[[], Awaitable[dict[tuple[str, str], list[str]]]]


class VersionTableService(Service):
    """Asks the mirror in the process of the runs. While a table is open, changes become events of ``version``."""

    def __init__(
        self, mlflow: MlflowConnection, events: EventBus, live: LiveHub, deployments: DeployedVersions
    ) -> None:
        self._mlflow = mlflow
        self._deployments = deployments
        self._touched: set[str] = set()
        self._live = live
        self._reading: asyncio.Task[None] | None = None
        self._watch = TableWatch(
            lambda version, wait_s: mlflow.columns.call(VersionMirror.wait, version, wait_s),
            lambda: events.emit("version"),
            live,
        )
        events.listen(self._on_event)

    async def query_versions(self, body: RunTableQuery) -> RunTable:
        """Return a window of the matching versions, in order; the id of a row is "MODEL/VERSION".

        Raises InvalidRequest (the query, a column, ``experiments``), Unavailable.
        """
        if body.experiments:
            raise InvalidRequest(
                "Versions cannot be chosen by experiments.",
                hint="Query by the attribute: experiment = 'NAME'.",
            )
        asked = replace(body, lifecycle="all")
        touched, self._touched = list(self._touched), set()
        found = await self._mlflow.call_columns(VersionMirror.table, asked, await self._deployed(), touched)
        self._watch.used(found.state.version)
        if self._live.wanted(CHANGES) and (self._reading is None or self._reading.done()):
            self._reading = asyncio.create_task(self._read_formats())
        return found

    async def _read_formats(self) -> None:
        """Read the formats that an open page wants, some versions at a time; the page hears of a change."""
        try:
            while self._live.wanted(CHANGES):
                unread = await self._mlflow.call_columns(VersionMirror.unread_formats, _READ_AT_ONCE)
                if not unread:
                    return
                versions = [(model, number) for model, _, number in (id.rpartition("/") for id, _ in unread)]
                read = await self._formats_of(versions)
                found = [(*known, formats) for known, formats in zip(unread, read, strict=True)]
                await self._mlflow.call_columns(VersionMirror.put_formats, found)
        except GenOpsError as error:
            log.warning("The formats of versions are not shown: %s", error.message)

    async def _formats_of(self, versions: list[tuple[str, str]]) -> list[str | None]:
        try:
            return await self._mlflow.call_transfers(MlflowFormats.formats, versions)
        except GenOpsError as error:  # one of them ended the process
            log.warning("The formats of %s could not be read: %s", versions, error.message)
            return [None] * len(versions)

    async def list_version_columns(self) -> RunColumns:
        """Return all columns of versions, with the number of versions that have a value."""
        return await self._mlflow.call_columns(VersionMirror.columns, await self._deployed())

    async def complete_version_query(self, body: RunQueryText) -> list[Completion]:
        """Return completions for a query that is being written, best first."""
        return await self._mlflow.call_columns(VersionMirror.completions, body, await self._deployed())

    async def get_versions_state(self) -> RunsState:
        """Return how many of the versions are read, and how old they may be."""
        found = await self._mlflow.call_columns(VersionMirror.state)
        self._watch.used(found.version)
        return found

    async def close(self) -> None:
        """Stop reporting changes and reading formats."""
        self._watch.close()
        if self._reading is not None:
            self._reading.cancel()

    async def _deployed(self) -> dict[str, list[str]]:
        found = await self._deployments.of()
        from .rows import id_of

        return {id_of(model, version): names for (model, version), names in found.items()}

    def _on_event(self, kind: str, id: str, _revision: int) -> None:
        """Note a model that this Lab changed: the next question reads its versions again."""
        if kind == "model" and id:
            self._touched.add(id)
