"""Fetch the files of repositories for deployments, show them, and delete those that no revision uses."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from genops_lab.core.errors import InvalidRequest
from genops_lab.core.formatting import size_of
from genops_lab.core.models import Task
from genops_lab.core.services import Service
from genops_lab.core.tasks import TaskHandle, TasksService
from genops_lab.serving.engines.memory import sized

from .fetched_files import FetchedFiles
from .hub_models import HUB_KIND
from .models import CheckDeploy, FetchedModel, FetchedModels
from .record import LOCAL

if TYPE_CHECKING:
    from .records import Records
    from .service import DeploymentsService


class FetchedService(Service):
    """The cache of fetched models. ``root`` is that of the deployments."""

    def __init__(
        self, root: Path, records: Records, tasks: TasksService, deployments: DeploymentsService
    ) -> None:
        self._fetched = FetchedFiles(root / ".fetched")
        self._records = records
        self._tasks = tasks
        self._deployments = deployments

    async def fetch_model(self, body: CheckDeploy) -> Task:
        """Fetch the files of a repository of the hub as a task; parts that are here are not fetched again."""
        if not body.model.startswith(HUB_KIND):
            raise InvalidRequest(
                "Only repositories of the Hugging Face hub are fetched.",
                hint="Name one: hf:ORG/NAME@REVISION",
            )
        version = await self._deployments.deploying.resolve(body, LOCAL)
        named = f"{version.name} at {version.version}"

        async def work(handle: TaskHandle) -> str:
            size = 0

            def show(done: int, all: int) -> None:
                nonlocal size
                size = all
                handle.show(f"{sized(done)} of {sized(all)}", done / max(1, all))

            await self._deployments.checker.fetch(version, show)
            return f"{named} was fetched: {sized(size)}." if size else f"{named} is here."

        return self._tasks.start(f"Fetch {named}", work, kind="fetch")

    async def list_fetched_models(self) -> FetchedModels:
        """List the repositories whose files were fetched, the newest first."""
        return await asyncio.to_thread(self._shown)

    async def delete_unused_models(self) -> FetchedModels:
        """Delete the fetched files of repositories that no revision of a deployment uses."""
        return await asyncio.to_thread(self._delete)

    def _delete(self) -> FetchedModels:
        used = {
            (each.repository, each.listing.revision)
            for each in self._fetched.listings()
            if self._used_by(f"{HUB_KIND}{each.repository}", each.listing.revision)
        }
        return self._shown(self._fetched.delete_unused(used))

    def _shown(self, freed: int = 0) -> FetchedModels:
        found = [
            FetchedModel(
                model=f"{HUB_KIND}{each.repository}",
                revision=each.listing.revision,
                size_bytes=size,
                at=each.at,
                used_by=self._used_by(f"{HUB_KIND}{each.repository}", each.listing.revision),
            )
            for each in self._fetched.listings()
            if (size := self._fetched.size(each.listing))
        ]
        return FetchedModels(
            folder=str(self._fetched.root), size_bytes=self._fetched.total(), models=found, freed_bytes=freed
        )

    def _used_by(self, model: str, commit: str) -> list[str]:
        return sorted(
            {
                record.name
                for record in self._records.all()
                for each in record.revisions
                if (each.model == model and commit.startswith(each.version.partition("+")[0]))
                or each.serving.get("adapter_name") == f"{model}@{commit[:12]}"
            }
        )


def freed(found: FetchedModels) -> str:
    """Return what a deletion gave back, as a sentence."""
    return f"{size_of(found.freed_bytes)} were deleted; {size_of(found.size_bytes)} are in use."
