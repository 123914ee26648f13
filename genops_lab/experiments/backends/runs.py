"""Read and change experiments and runs, in the worker process."""

from __future__ import annotations

import hashlib
import re
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

from genops_lab.core.errors import GenOpsError, InvalidRequest, NotFound
from genops_lab.core.paging import Page, PageQuery
from genops_lab.experiments.columns.models import RunTags
from genops_lab.experiments.histories import chosen_points, finite
from genops_lab.experiments.models import (
    Artifact,
    Experiment,
    LatestMetric,
    LatestMetrics,
    OutputText,
    RelatedRun,
    Run,
    RunDetail,
    RunMetrics,
    RunOutput,
    RunQuery,
    RunStatus,
    Series,
)
from genops_lab.experiments.run_tags import HIDDEN_TAGS, NOTE_TAG, PARENT_TAG, TARGET_TAG
from genops_lab.runtime.artifacts import OUTPUT, STREAMS

from .client import MlflowBackend, all_pages, mlflow_errors, one_page, quoted, search_models
from .experiments import shown
from .logged import logged_models

LATEST = "latest"
_NEWEST_FIRST = ["attributes.start_time DESC"]
_RUN_ID = re.compile(r"[A-Za-z0-9][\w-]{0,63}", re.ASCII)
_LOOKED_AT = 25
#: Characters of a run's id.
_WHOLE = 32
_MAX_CHILDREN = 100
_MAX_OUTPUT_BYTES = 2_000_000

#: Seconds without a metric after which a run is stalled.
STALLED_AFTER_S = 300.0
_SYSTEM = "system/"


class MlflowRuns(MlflowBackend):
    """Reads one MLflow."""

    def list_experiments(self, query: PageQuery) -> Page[Experiment]:
        """Return active experiments, the latest changed first."""
        with mlflow_errors("The experiments could not be listed"):
            found, token = one_page(
                self._client.search_experiments, query, order_by=["last_update_time DESC"]
            )
        return Page(items=[shown(experiment) for experiment in found], next=token)

    def list_runs(self, query: RunQuery) -> Page[Run]:
        """Return runs of one experiment, or of all active ones, newest first."""
        experiments = self._experiments(query.experiment)
        if not experiments:
            return Page(items=[])
        with mlflow_errors("The runs could not be listed"):
            found, token = one_page(
                self._client.search_runs,
                query,
                experiment_ids=list(experiments),
                filter_string=query.filter,
                order_by=_NEWEST_FIRST,
            )
        return Page(items=[self._run(run, experiments[run.info.experiment_id]) for run in found], next=token)

    def _with_id(self, ref: str) -> Run:
        if ref == LATEST:
            newest = self.list_runs(RunQuery(limit=1)).items
            if not newest:
                raise NotFound(
                    "There is no run yet.", hint="Run a `%%track` cell, or start a run with MLflow."
                )
            return newest[0]
        if not _RUN_ID.fullmatch(ref):
            raise InvalidRequest(
                f"{ref[:60]!r} is not a run's id.",
                hint="Use an id from `genops runs list`, its first characters, a run's name, or 'latest'.",
            )
        if len(ref) == _WHOLE:
            with mlflow_errors(f"The run {ref} could not be read"):
                found = self._client.get_run(ref)
                return self._run(found, self._client.get_experiment(found.info.experiment_id).name)
        return self._by_prefix(ref)

    def resolve(self, ref: str) -> Run:
        """Return the run with this id, with an id that begins so, the newest for ``latest``, or the only one
        of this name.

        Raises NotFound, InvalidRequest for several.
        """
        try:
            return self._with_id(ref)
        except NotFound as unknown:
            missing: GenOpsError = unknown
        except InvalidRequest as error:
            if error.code == "ambiguous":
                raise
            missing = error
        experiments = self._experiments("")
        with mlflow_errors(f"The run {ref[:60]!r} could not be found"):
            page = self._client.search_runs(
                list(experiments),
                filter_string=f"attributes.run_name = {quoted(ref)}",
                max_results=2,
                order_by=_NEWEST_FIRST,
            )
        if not page:
            self._refuse_deleted(ref, list(experiments))
            raise missing
        if len(page) > 1:
            raise InvalidRequest(f"Several runs are named {ref[:60]!r}.", hint="Give the id of one of them.")
        return self._run(page[0], experiments[page[0].info.experiment_id])

    def resolve_at(self, ref: str, place: str) -> Run:
        """Like :meth:`resolve`, but only among runs of kernels on the target ``place``, which must not learn
        of others.

        Raises NotFound, InvalidRequest for several.
        """
        experiments = self._experiments("")
        with mlflow_errors(f"The run {ref[:60]!r} could not be found"):
            runs = all_pages(
                self._client.search_runs,
                experiment_ids=list(experiments),
                filter_string=f"tags.`{TARGET_TAG}` = {quoted(place)}",
                order_by=_NEWEST_FIRST,
            )
        found = runs[:1] if ref == LATEST else [run for run in runs if run.info.run_id.startswith(ref)]
        found = found or [run for run in runs if run.info.run_name == ref]
        if not found or not ref:
            raise NotFound(
                f"The run {ref[:60]!r} does not belong to this host.",
                hint=(
                    "A kernel on another host can continue only runs of that host. Use a kernel of the "
                    "Lab's machine."
                ),
            )
        if len(found) > 1:
            raise InvalidRequest(
                f"Several runs of this host match {ref[:60]!r}.", hint="Give the whole id of one of them."
            )
        return self._run(found[0], experiments[found[0].info.experiment_id])

    def output(self, ref: str) -> RunOutput:
        """Return the kept part of a run's printed output."""
        run = self.resolve(ref)
        with mlflow_errors(f"The output of run {run.run_id} could not be read"):
            found = self._client.list_artifacts(run.run_id, OUTPUT)
            for folder in sorted(entry.path for entry in found if entry.is_dir):
                found = [*found, *self._client.list_artifacts(run.run_id, folder)]
            texts = [
                self._output(run.run_id, entry.path)
                for entry in found
                if not entry.is_dir and (entry.file_size or 0) <= _MAX_OUTPUT_BYTES
            ]
        return RunOutput(run_id=run.run_id, texts=[text for text in texts if text is not None])

    def _output(self, run_id: str, path: str) -> OutputText | None:
        _, *session, name = path.split("/")
        stream = name.removesuffix(".txt")
        if stream not in STREAMS or len(session) > 1:
            return None
        with tempfile.TemporaryDirectory(prefix="output-", dir=self._scratch) as folder:
            local = Path(self._client.download_artifacts(run_id, path, folder))
            text = local.read_bytes().decode("utf-8", "replace")
        return OutputText(path=path, stream=stream, session="".join(session), text=text)

    def _parent(self, stored: Any) -> RelatedRun | None:
        above = stored.data.tags.get(PARENT_TAG)
        try:
            with mlflow_errors(f"The parent run of {stored.info.run_id} could not be read"):
                return _as_related(self._client.get_run(above)) if above else None
        except (InvalidRequest, NotFound):  # the tag may name anything
            return None

    def _children(self, run_id: str) -> Page[RelatedRun]:
        with mlflow_errors(f"The child runs of {run_id} could not be listed"):
            page, token = one_page(
                self._client.search_runs,
                PageQuery(limit=_MAX_CHILDREN),
                experiment_ids=list(self._experiments("")),
                filter_string=f"tags.`{PARENT_TAG}` = {quoted(run_id)}",
                order_by=["attributes.start_time ASC"],
            )
        return Page(items=[_as_related(found) for found in page], next=token)

    def detail(self, ref: str) -> RunDetail:
        """Return a run with its logged models, the files at the top of its artifacts, its parent and
        children.
        """
        run = self.resolve(ref)
        # Read once for all parts: with a thousand metrics each reading takes a server a second.
        with mlflow_errors(f"The run {run.run_id} could not be read"):
            stored = self._client.get_run(run.run_id)
        with mlflow_errors(f"The artifacts of run {run.run_id} could not be listed"):
            artifacts = self._client.list_artifacts(run.run_id)
        children = self._children(run.run_id)
        return RunDetail(
            run=run,
            models=[found.model for found in logged_models(self._client, run.run_id, stored, artifacts)],
            artifacts=[
                Artifact(path=entry.path, is_dir=bool(entry.is_dir), size_bytes=entry.file_size)
                for entry in artifacts
            ],
            latest=_latest(stored),
            parent=self._parent(stored),
            children=children.items,
            more_children=bool(children.next),
            output=any(entry.is_dir and entry.path == OUTPUT for entry in artifacts),
            note=str(stored.data.tags.get(NOTE_TAG, "")),
        )

    def latest(self, ref: str) -> LatestMetrics:
        """Return the latest value of each metric of a run, with its step and time, and whether the run is
        stalled.
        """
        run_id = ref if len(ref) == _WHOLE else self.resolve(ref).run_id
        with mlflow_errors(f"The metrics of run {run_id} could not be read"):
            stored = self._client.get_run(run_id)
        metrics = _latest(stored)
        goes_on = stored.info.status == "RUNNING"
        return LatestMetrics(metrics=metrics, stalled_s=stalled_s(metrics, time.time()) if goes_on else None)

    def metrics(self, ref: str, after_step: int) -> RunMetrics:
        """Return a run's metric histories after a step (below 0: all steps), each of at most 2,000 points."""
        run = self.resolve(ref)
        with mlflow_errors(f"The metrics of run {run.run_id} could not be read"):
            histories = [
                (key, self._client.get_metric_history(run.run_id, key)) for key in sorted(run.metrics)
            ]
        series = [_series(key, history, after_step) for key, history in histories]
        return RunMetrics(
            run_id=run.run_id,
            series=[one for one in series if not one.key.startswith("system/")],
            system=[one for one in series if one.key.startswith("system/")],
        )

    def fingerprints(self, runs: bool = True) -> dict[str, str]:
        """Return a short text for each kind of object that differs after a change: a cheap question.

        ``runs=False`` leaves runs out, because another part watches them.
        """
        with mlflow_errors("MLflow could not be asked for changes"):
            experiments = all_pages(self._client.search_experiments)
            ids = [experiment.experiment_id for experiment in experiments] if runs else []
            newest = (
                self._client.search_runs(ids, max_results=_LOOKED_AT, order_by=_NEWEST_FIRST) if ids else []
            )
            models = search_models(
                self._client, max_results=_LOOKED_AT, order_by=["last_updated_timestamp DESC"]
            )
        return {
            "experiment": _digest(
                [(found.experiment_id, found.name, found.last_update_time) for found in experiments]
            ),
            **({"run": _digest([found.to_dictionary() for found in newest])} if runs else {}),
            "model": _digest(
                [
                    (found.name, found.last_updated_timestamp, sorted(found.aliases.items()))
                    for found in models
                ]
            ),
        }

    def _experiments(self, wanted: str) -> dict[str, str]:
        """Return names by id: of all experiments, or of the one with this name or id."""
        with mlflow_errors("The experiments could not be listed"):
            if not wanted:
                return {
                    found.experiment_id: found.name for found in all_pages(self._client.search_experiments)
                }
            found = self._client.get_experiment_by_name(wanted)
        if found is None and _RUN_ID.fullmatch(wanted):
            with mlflow_errors(f"There is no experiment {wanted!r}"):
                found = self._client.get_experiment(wanted)
        if found is None:
            raise NotFound(
                f"There is no experiment {wanted[:80]!r}.",
                hint="List the experiments: `genops experiments list`.",
            )
        return {found.experiment_id: found.name}

    def _refuse_deleted(self, ref: str, experiments: list[str]) -> None:
        """Raise NotFound with the command that restores it if a deleted run has this name, or an id that
        begins so.
        """
        from mlflow.entities import ViewType

        asked = [f"attributes.run_name = {quoted(ref)}"]
        if _RUN_ID.fullmatch(ref):
            asked.append(f"attributes.run_id LIKE {quoted(ref + '%')}")
        for condition in asked:
            with mlflow_errors(f"The run {ref[:60]!r} could not be found"):
                page = self._client.search_runs(experiments, condition, ViewType.DELETED_ONLY, max_results=1)
            if page:
                run_id = page[0].info.run_id
                raise NotFound(
                    f"The run {ref[:60]!r} is deleted.",
                    hint=f"To restore it, run `genops runs undelete {run_id[:8]}`.",
                    code="deleted",
                )

    def _by_prefix(self, prefix: str) -> Run:
        experiments = self._experiments("")
        with mlflow_errors(f"The run {prefix} could not be read"):
            page = self._client.search_runs(
                list(experiments),
                filter_string=f"attributes.run_id LIKE {quoted(prefix + '%')}",
                max_results=20,
            )
        found = _the_one(page, "run", prefix, "List the runs with `genops runs list`, or use 'latest'.")
        return self._run(found, experiments[found.info.experiment_id])

    @staticmethod
    def _run(found: Any, experiment: str) -> Run:
        tags = found.data.tags
        return Run(
            run_id=found.info.run_id,
            experiment_id=found.info.experiment_id,
            experiment=experiment,
            name=found.info.run_name or tags.get("mlflow.runName", ""),
            status=cast("RunStatus", found.info.status),
            started_at=_seconds(found.info.start_time),
            # MLflow keeps the earlier end of a run that is continued.
            ended_at=None if found.info.status == "RUNNING" else _seconds(found.info.end_time),
            user=tags.get("mlflow.user", ""),
            params=dict(found.data.params),
            metrics={key: finite(value) for key, value in found.data.metrics.items()},
            tags={
                key: value
                for key, value in tags.items()
                if not key.startswith("mlflow.") and key not in HIDDEN_TAGS
            },
            source=tags.get("mlflow.source.name", ""),
            git_commit=tags.get("mlflow.source.git.commit", ""),
            git_dirty=tags.get("mlflow.source.git.dirty", "").lower() == "true",
        )


class RunChanges(MlflowBackend):
    """Changes runs through MLflow's own API."""

    def tag(self, run_id: str, tags: RunTags) -> None:
        """Set tags, then remove some. Raises NotFound if a tag to remove does not exist."""
        with mlflow_errors(f"The tags of run {run_id} could not be changed"):
            for key, value in tags.set.items():
                self._client.set_tag(run_id, key, value)
            for key in tags.remove:
                self._client.delete_tag(run_id, key)

    def delete(self, run_ids: list[str]) -> None:
        """Mark runs as deleted."""
        for run_id in run_ids:
            with mlflow_errors(f"Run {run_id} could not be deleted"):
                self._client.delete_run(run_id)

    def undelete(self, refs: list[str]) -> list[str]:
        """Restore deleted runs, given by ids or unique prefixes. Returns the ids."""
        ids = [self._deleted(ref) for ref in refs]
        for run_id in ids:
            with mlflow_errors(f"Run {run_id} could not be restored"):
                self._client.restore_run(run_id)
        return ids

    def _deleted(self, ref: str) -> str:
        from mlflow.entities import ViewType

        if not _RUN_ID.fullmatch(ref):
            raise InvalidRequest(f"{ref[:60]!r} is not a run's id.", hint="Use the id of a deleted run.")
        if len(ref) == _WHOLE:
            return ref
        with mlflow_errors(f"The run {ref} could not be read"):
            experiments = all_pages(self._client.search_experiments, view_type=ViewType.ALL)
            page = self._client.search_runs(
                [experiment.experiment_id for experiment in experiments],
                filter_string=f"attributes.run_id LIKE {quoted(ref + '%')}",
                run_view_type=ViewType.DELETED_ONLY,
                max_results=20,
            )
        found = _the_one(page, "deleted run", ref, "List the deleted runs: `genops runs list --deleted`.")
        return str(found.info.run_id)


def _the_one(page: list[Any], what: str, prefix: str, hint: str) -> Any:
    """Return the only run whose id begins with ``prefix``; an underscore is a wildcard of MLflow's LIKE."""
    found = [run for run in page if run.info.run_id.startswith(prefix)]
    if not found:
        raise NotFound(f"There is no {what} {prefix!r}.", hint=hint)
    if len(found) > 1:
        raise InvalidRequest(
            f"{len(found)} {what}s begin with {prefix!r}.",
            hint="Give more characters of the id.",
            code="ambiguous",
            details={"runs": sorted(run.info.run_id for run in found)},
        )
    return found[0]


def _latest(stored: Any) -> list[LatestMetric]:
    return [
        LatestMetric(key=each.key, value=finite(each.value), step=each.step, at=each.timestamp / 1000)
        for each in sorted(stored.data.to_proto().metrics, key=lambda each: each.key)
    ]


def _as_related(found: Any) -> RelatedRun:
    return RelatedRun(
        run_id=found.info.run_id,
        name=found.info.run_name or "",
        status=cast("RunStatus", found.info.status),
    )


def _series(key: str, history: list[Any], after_step: int) -> Series:
    points = sorted(
        (point for point in history if after_step < 0 or point.step > after_step),
        key=lambda point: (point.step, point.timestamp),
    )
    values = [finite(point.value) for point in points]
    chosen = chosen_points(values)
    return Series(
        key=key,
        steps=[points[index].step for index in chosen],
        values=[values[index] for index in chosen],
        timestamps=[points[index].timestamp / 1000 for index in chosen],
    )


def _seconds(milliseconds: int | None) -> float | None:
    return milliseconds / 1000 if milliseconds else None


def _digest(value: object) -> str:
    return hashlib.sha256(repr(value).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def stalled_s(latest: Iterable[LatestMetric], now: float) -> float | None:
    """Return for how many seconds a running run has logged no metric of its own (``system/...`` do not
    count).

    None while it logs, and if it never logged any. ``now``: seconds since 1970.
    """
    times = [metric.at for metric in latest if not metric.key.startswith(_SYSTEM)]
    quiet = now - max(times) if times else 0.0
    return quiet if quiet > STALLED_AFTER_S else None
