"""Changes of runs that exist, made through MLflow's own API in the worker process."""

from __future__ import annotations

import re
from typing import Any

from genops_lab.core.errors import InvalidRequest, NotFound
from genops_lab.experiments.columns.models import RunTags

from .client import all_pages, open_client, quoted, told

_ID = re.compile(r"[A-Za-z0-9][\w-]{0,63}", re.ASCII)


class RunChanges:
    """All methods block."""

    def __init__(self, tracking_uri: str, **_others: Any) -> None:
        self._client = open_client(tracking_uri)

    def tag(self, run_id: str, tags: RunTags) -> None:
        """Set tags, then remove some. Raises NotFound where one to remove is not there."""
        with told(f"The tags of run {run_id} could not be changed"):
            for key, value in tags.set.items():
                self._client.set_tag(run_id, key, value)
            for key in tags.remove:
                self._client.delete_tag(run_id, key)

    def delete(self, run_ids: list[str]) -> None:
        """Mark runs as deleted."""
        for run_id in run_ids:
            with told(f"Run {run_id} could not be deleted"):
                self._client.delete_run(run_id)

    def undelete(self, refs: list[str]) -> list[str]:
        """Bring deleted runs back, named by their ids or unique prefixes of these. Answers with the ids."""
        ids = [self._deleted(ref) for ref in refs]
        for run_id in ids:
            with told(f"Run {run_id} could not be brought back"):
                self._client.restore_run(run_id)
        return ids

    def _deleted(self, ref: str) -> str:
        from mlflow.entities import ViewType

        if not _ID.fullmatch(ref):
            raise InvalidRequest(f"{ref[:60]!r} cannot be a run's id.", hint="Use the id of a deleted run.")
        if len(ref) == 32:
            return ref
        with told(f"The run {ref} could not be read"):
            experiments = all_pages(self._client.search_experiments, view_type=ViewType.ALL)
            found = self._client.search_runs(
                [experiment.experiment_id for experiment in experiments],
                filter_string=f"attributes.run_id LIKE {quoted(ref + '%')}",
                run_view_type=ViewType.DELETED_ONLY,
                max_results=20,
            )
        # An underscore is a wildcard of LIKE.
        ids = [run.info.run_id for run in found if run.info.run_id.startswith(ref)]
        if not ids:
            raise NotFound(f"There is no deleted run {ref!r}.", hint="See `genops runs list --deleted`.")
        if len(ids) > 1:
            raise InvalidRequest(
                f"{len(ids)} deleted runs begin with {ref!r}.",
                hint="Give more characters of the id.",
                code="ambiguous",
                details={"runs": sorted(ids)},
            )
        return str(ids[0])
