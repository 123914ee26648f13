"""List and delete what interrupted pulls and pushes left."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from genops_lab.core.errors import Conflict, NotFound
from genops_lab.core.settings import Settings

from .models import DeleteLeftovers, Leftover
from .unfinished import Unfinished, all_of, pulls_of

if TYPE_CHECKING:
    from genops_lab.experiments.mlflow import MlflowConnection


class ModelLeftovers:
    """The unfinished copies of versions on the Lab's machine."""

    def __init__(self, settings: Settings, mlflow: MlflowConnection) -> None:
        self._records = pulls_of(settings.data_dir)
        self._scratch = mlflow.scratch

    async def list_leftovers(self) -> list[Leftover]:
        """List the unfinished copies of versions: of pulls and pushes that run now, and of interrupted ones."""
        return await asyncio.to_thread(
            lambda: [_shown(each) for each in all_of(self._records, self._scratch)]
        )

    async def delete_leftovers(self, body: DeleteLeftovers) -> list[Leftover]:
        """Delete unfinished copies by their path, and return them. Raises NotFound, and Conflict for one in use."""
        return await asyncio.to_thread(self._delete, body.paths)

    def _delete(self, paths: list[str]) -> list[Leftover]:
        known = {str(each.root): each for each in all_of(self._records, self._scratch)}
        deleted = []
        for path in paths:
            copy = known.get(path)
            if copy is None:
                raise NotFound(
                    f"{path} has no unfinished copy of a version.", hint="List them: genops models free-space"
                )
            shown = _shown(copy)
            if not copy.delete_if_free():
                raise Conflict(
                    f"{shown.model} version {shown.version} is being copied now.",
                    hint="Wait until that task has ended, or cancel it.",
                )
            deleted.append(shown)
        return deleted


def _shown(copy: Unfinished) -> Leftover:
    about = copy.about()
    return Leftover(
        path=str(copy.root),
        model=about.model if about else "",
        version=about.version if about else "",
        folder=about.folder if about else "",
        size_bytes=copy.size(),
        changed_at=copy.root.stat().st_mtime,
        in_use=copy.is_open(),
    )
