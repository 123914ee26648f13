"""Make notebooks and patches from the source that runs keep; the caller writes them."""

from __future__ import annotations

import asyncio

from genops_lab.core.errors import NotFound
from genops_lab.experiments.backends.run_source import MlflowKept
from genops_lab.experiments.mlflow import MlflowConnection
from genops_lab.experiments.models import Run
from genops_lab.experiments.service import ExperimentsService

from .environment import difference
from .models import RestoredNotebook, RunPatch
from .notebook import file_name, notebook, total_redacted
from .run_source import Kept


class RestoringService:
    """Reads the source of runs. All methods raise Unavailable while MLflow does not answer."""

    def __init__(self, mlflow: MlflowConnection, experiments: ExperimentsService) -> None:
        self._mlflow = mlflow
        self._experiments = experiments

    async def restore_notebook(self, run_id: str) -> RestoredNotebook:
        """Return a notebook with exactly the cells of a run; the id may be a unique prefix, or ``latest``.

        Raises NotFound for a run without cells.
        """
        run = await self._experiments.resolve_run(run_id)
        kept = await self._mlflow.worker.call(MlflowKept.kept, run.run_id)
        environment = await asyncio.to_thread(difference, kept)
        git = kept.record.git if kept.record is not None else None
        return RestoredNotebook(
            run_id=run.run_id,
            name=file_name(run),
            notebook=notebook(run, kept, environment, _kernel(run, kept)),
            cells=len(kept.cells),
            redacted=total_redacted(kept.cells),
            altered=sum(cell.altered for cell in kept.cells),
            git_commit=git.commit if git is not None else run.git_commit,
            git_branch=git.branch if git is not None else "",
            patch_files=len(git.patch.files) if git is not None and git.patch is not None else 0,
            environment=environment,
        )

    async def get_patch(self, run_id: str) -> RunPatch:
        """Return the uncommitted changes at the start of a run. Raises NotFound if there are none."""
        run = await self._experiments.resolve_run(run_id)
        text = await self._mlflow.worker.call(MlflowKept.patch, run.run_id)
        if not text:
            raise NotFound(
                f"The run {run.run_id} has no uncommitted changes.",
                hint=(
                    "All changes were committed, the run was outside of a git repository, or --no-source "
                    "was used."
                ),
                code="no_patch",
            )
        kept = await self._mlflow.worker.call(MlflowKept.kept, run.run_id)
        git = kept.record.git if kept.record is not None else None
        patch = git.patch if git is not None else None
        counts = patch.redacted.values() if patch is not None else ()
        return RunPatch(
            run_id=run.run_id,
            git_commit=git.commit if git is not None else run.git_commit,
            text=text,
            files=patch.files if patch is not None else [],
            left_out=patch.left_out if patch is not None else [],
            redacted=sum(sum(each.values()) for each in counts),
        )


def _kernel(run: Run, kept: Kept) -> str:
    """Return the kernelspec's name: the target's if there is a target, else the kernel's own."""
    from genops_lab.kernels.kernelspecs import name_of

    target = run.tags.get("genops.target", "")
    if target:
        return name_of(target)
    return kept.record.kernel.name if kept.record is not None else ""
