"""Write runs, in the worker process; doing anything here twice has the same result."""

from __future__ import annotations

import getpass
import os
import shutil
import stat
import tempfile
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import msgspec

from genops_lab.core.errors import Conflict, Failed, GenOpsError, InvalidRequest, NotAllowed, NotFound
from genops_lab.experiments.histories import finite
from genops_lab.experiments.limits import (
    MAX_DATASET_DIGEST,
    MAX_DATASET_TEXT,
    MAX_KEY,
    MAX_NAME,
    MAX_PARAM_BYTES,
    MAX_TAG_BYTES,
    Notes,
    artifact_path,
    fitting_key,
    fitting_value,
    moment,
    number,
)
from genops_lab.experiments.models import (
    Applied,
    MetricPoint,
    ResumableRun,
    Started,
    TrackedProcess,
    TrackingEvent,
)
from genops_lab.experiments.run_tags import (
    EXTREMES_TAG,
    KERNEL_TAG,
    PARENT_TAG,
    RUN_KEY_TAG,
    TARGET_TAG,
)
from genops_lab.runtime.steps import next_steps

from .client import MlflowBackend, all_pages, experiment_named, mlflow_errors, quoted
from .extremes import RunExtremes, as_tag
from .media import MediaWriter

if TYPE_CHECKING:
    from mlflow import MlflowClient

FAILURE_TAG = "genops.failure"
_ACTIVE = "active"
MLFLOW_CONTEXT = "mlflow.data.context"
NOTES_TAG = "genops.notes"
#: GenOps Lab finds its runs by these tags. They are set only here, whatever a kernel sends.
_OWN_TAGS = (RUN_KEY_TAG, KERNEL_TAG, TARGET_TAG, NOTES_TAG, FAILURE_TAG, EXTREMES_TAG)
#: These tags link a run to a parent or a sweep. A kernel on another host sets none of them.
_LOCAL_TAGS = ("mlflow.user", PARENT_TAG, "genops.sweep", "genops.trial", "genops.trial_attempt")
#: MLflow accepts 1,000 metrics, parameters and tags at once; one is the tag of the extremes.
_PER_BATCH = 999
_PARAMS_PER_BATCH = 100
_MAX_STEP = 2**63
_ENDS = ("FINISHED", "FAILED", "KILLED")


class MlflowWriter(MlflowBackend):
    """Writes one MLflow."""

    def __init__(self, tracking_uri: str, scratch: str, spool: str, **_others: Any) -> None:
        from mlflow import entities

        super().__init__(tracking_uri, scratch)
        self._entities = entities
        self._spool = Path(spool)
        self._media = MediaWriter(self._client, scratch)
        self._extremes = RunExtremes(self._client)

    def start(
        self,
        run_key: str,
        process: TrackedProcess,
        event: TrackingEvent,
        parent: str = "",
        resumed: str = "",
        why_not: str = "",
        trial_tags: dict[str, str] | None = None,
    ) -> Started:
        """Return the run of this key: found if an earlier start was not acknowledged, else new.

        ``parent`` is the id of its parent, ``resumed`` that of the run that it continues. If that run was
        deleted, or for a reason ``why_not``, a new run begins, so that no logged data is lost. ``trial_tags``
        are the Lab's tags of the trial in this kernel.
        """
        notes: Notes = []
        if event.data.get("resume"):
            if not why_not and (gone_on := self._going_on(resumed, event, process.place)):
                return gone_on
            notes.append(
                f"It was meant to continue the run {resumed or 'of this name'}, "
                f"{why_not or 'which was deleted'}."
            )
        experiment = self._experiment(str(event.data.get("experiment") or "Default"), notes)
        with mlflow_errors("The run could not be started"):
            found = self._with_key(run_key, process, [experiment])
            run = found or self._create(experiment, run_key, process, event, parent, trial_tags or {}, notes)
        if event.data.get("parent") and not parent:
            notes.append("The parent of this run is unknown here, so the run has no parent.")
        params = event.data.get("params")
        self._params(run.info.run_id, params if isinstance(params, dict) else {}, notes)
        self._note(run.info.run_id, notes)
        return Started(run_id=run.info.run_id, experiment_id=experiment, name=run.info.run_name or "")

    def resumable(self, run_id: str, process: TrackedProcess) -> ResumableRun:
        """Return what a session that continues this run must know.

        Raises Conflict for a deleted run, and NotAllowed for another user's run. For a kernel on another
        host, it also raises NotAllowed for runs of other hosts.
        """
        with mlflow_errors(f"The run {run_id} could not be read"):
            run = self._client.get_run(run_id)
            experiment = self._client.get_experiment(run.info.experiment_id).name
        if refusal := _refusal(run, process):
            raise refusal
        # the latest of each metric, with its step
        steps = next_steps((metric.key, int(metric.step)) for metric in run.data._metric_objs)
        return ResumableRun(
            run_id=run_id,
            name=run.info.run_name or "",
            experiment=experiment,
            next_step=steps.own,
            next_system_step=steps.system,
            next_auto_step=steps.auto,
        )

    def _going_on(self, run_id: str, event: TrackingEvent, place: str) -> Started | None:
        """Set the run to RUNNING again; None if it was deleted. Doing this twice has the same result."""
        if not run_id:
            return None
        try:
            with mlflow_errors(f"The run {run_id} could not be continued"):
                run = self._client.get_run(run_id)
                if run.info.lifecycle_stage != _ACTIVE:
                    return None
                self._client.update_run(run_id, "RUNNING")
                if FAILURE_TAG in run.data.tags:
                    self._client.delete_tag(run_id, FAILURE_TAG)
        except NotFound:
            return None
        at = datetime.fromtimestamp(event.timestamp, timezone.utc)
        notes: Notes = [f"It was continued at {at:%Y-%m-%d %H:%M:%S} UTC."]
        tags, params = event.data.get("tags"), event.data.get("params")
        self._tags(run_id, tags if isinstance(tags, dict) else {}, place, notes)
        self._params(run_id, params if isinstance(params, dict) else {}, notes)
        self._note(run_id, notes)
        return Started(run_id=run_id, experiment_id=run.info.experiment_id, name=run.info.run_name or "")

    def find(self, run_key: str, process: TrackedProcess) -> Started | None:
        """Return the run of this key in any experiment."""
        with mlflow_errors("The run could not be found"):
            experiments = all_pages(self._client.search_experiments)
            run = self._with_key(run_key, process, [found.experiment_id for found in experiments])
        if run is None:
            return None
        return Started(
            run_id=run.info.run_id, experiment_id=run.info.experiment_id, name=run.info.run_name or ""
        )

    def key_of(self, run_id: str) -> str:
        """Return the key under which this run began; empty for a run that did not come through a Lab."""
        with mlflow_errors(f"The run {run_id} could not be read"):
            return str(self._client.get_run(run_id).data.tags.get(RUN_KEY_TAG, ""))

    def apply(self, run_id: str, events: list[TrackingEvent], place: str = "") -> Applied:
        """Write events in order; ``place`` is the target that sent them. Events that MLflow refuses for good
        become notes.

        Raises Unavailable if MLflow cannot be written now: apply the same events again later.
        """
        notes: Notes = []
        points: list[MetricPoint] = []
        ended = ""
        waiting: list[MetricPoint] = []
        self._media.write(run_id, [event for event in events if event.kind == "media"], notes)
        for event in events:
            if event.kind == "metrics":
                waiting += _points(event, notes)
                continue
            points += self._metrics(run_id, waiting, notes)
            waiting = []
            if event.kind == "params":
                self._params(run_id, event.data, notes)
            elif event.kind == "tags":
                self._tags(run_id, event.data, place, notes)
            elif event.kind in ("text", "file"):
                self._artifact(run_id, event, notes)
            elif event.kind == "dataset":
                self._dataset(run_id, event, notes)
            elif event.kind == "end":
                ended = self._end(run_id, event, notes)
        points += self._metrics(run_id, waiting, notes)
        self._note(run_id, notes)
        return Applied(points=points, ended=ended, notes=notes)

    def has(self, run_id: str) -> bool:
        """Return whether MLflow has this run, deleted or not."""
        try:
            with mlflow_errors(f"The run {run_id} could not be read"):
                self._client.get_run(run_id)
        except NotFound:
            return False
        return True

    def fail(self, run_id: str, reason: str, ended_at: float) -> None:
        """Set a run without a process to FAILED; a run that has ended stays as it is."""
        with mlflow_errors(f"The run {run_id} could not be ended"):
            if self._client.get_run(run_id).info.status in _ENDS:
                return
            self._client.set_tag(run_id, FAILURE_TAG, reason)
            self._client.set_terminated(run_id, "FAILED", end_time=int(ended_at * 1000))

    def _with_key(self, run_key: str, process: TrackedProcess, experiments: list[str]) -> Any:
        key = f"tags.`{RUN_KEY_TAG}` = {quoted(run_key)}"
        for tag, value in _place_tags(process).items():
            key += f" AND tags.`{tag}` = {quoted(value)}"
        found = self._client.search_runs(experiments, filter_string=key, max_results=1)
        return found[0] if found else None

    def _experiment(self, name: str, notes: Notes) -> str:
        name = fitting_value(name, MAX_NAME, "The experiment's name", notes)
        with mlflow_errors(f"The experiment {name[:80]!r} could not be opened"):
            id, restored = experiment_named(self._client, name)
        if restored:
            notes.append(f"The experiment {name[:80]!r} had been deleted and was restored.")
        return id

    def _create(
        self,
        experiment: str,
        run_key: str,
        process: TrackedProcess,
        event: TrackingEvent,
        parent: str,
        trial_tags: dict[str, str],
        notes: Notes,
    ) -> Any:
        given = event.data.get("tags")
        tags = _fitting_tags(given if isinstance(given, dict) else {}, process.place, notes, trial_tags)
        source = process.notebook or str(event.data.get("script") or "")
        defaults = {
            "mlflow.user": _user(),
            "mlflow.source.name": fitting_value(source, MAX_TAG_BYTES, "The source's name", notes),
            "mlflow.source.type": "NOTEBOOK" if process.notebook.endswith(".ipynb") else "LOCAL",
        }
        name = fitting_value(event.data.get("name") or "", MAX_NAME, "The run's name", notes)
        tags.pop("mlflow.runName", None)
        return self._client.create_run(
            experiment,
            start_time=int(event.timestamp * 1000),
            tags={
                **{key: value for key, value in defaults.items() if value},
                **tags,
                **({PARENT_TAG: parent} if parent else {}),
                **_place_tags(process),
                RUN_KEY_TAG: run_key,
            },
            run_name=name or None,
        )

    def _metrics(self, run_id: str, points: list[MetricPoint], notes: Notes) -> list[MetricPoint]:
        for begin in range(0, len(points), _PER_BATCH):
            some = points[begin : begin + _PER_BATCH]
            metrics = [
                self._entities.Metric(point.key, point.value, int(point.timestamp * 1000), point.step)
                for point in some
                if point.value is not None
            ]
            extremes = self._extremes.with_points(run_id, some)
            tags = [] if extremes is None else [self._entities.RunTag(EXTREMES_TAG, as_tag(extremes))]
            try:
                with mlflow_errors(f"Metrics of run {run_id} could not be written"):
                    self._client.log_batch(run_id, metrics=metrics, tags=tags)
                if extremes is not None:
                    self._extremes.keep(run_id, extremes)
            except InvalidRequest as refused:
                notes.append(f"{len(some)} metrics were refused: {refused.message[:300]}")
        return [msgspec.structs.replace(point, value=_shown(point.value)) for point in points]

    def _params(self, run_id: str, given: dict[str, Any], notes: Notes) -> None:
        params = []
        for key, value in given.items():
            what = f"The parameter {str(key)[:60]!r}"
            params.append(
                self._entities.Param(
                    fitting_key(str(key), notes), fitting_value(value, MAX_PARAM_BYTES, what, notes)
                )
            )
        for begin in range(0, len(params), _PARAMS_PER_BATCH):
            some = params[begin : begin + _PARAMS_PER_BATCH]
            try:
                with mlflow_errors(f"Parameters of run {run_id} could not be written"):
                    self._client.log_batch(run_id, params=some)
            except InvalidRequest:
                self._one_by_one(run_id, some, notes)

    def _one_by_one(self, run_id: str, params: list[Any], notes: Notes) -> None:
        """Set parameters one by one, so that a changed one does not cost the others."""
        for param in params:
            try:
                with mlflow_errors(f"The parameter {param.key[:60]!r} could not be written"):
                    self._client.log_batch(run_id, params=[param])
            except InvalidRequest as refused:
                notes.append(refused.message[:300])

    def _tags(self, run_id: str, given: dict[str, Any], place: str, notes: Notes) -> None:
        tags = [
            self._entities.RunTag(key, value) for key, value in _fitting_tags(given, place, notes).items()
        ]
        for begin in range(0, len(tags), _PARAMS_PER_BATCH):
            try:
                with mlflow_errors(f"Tags of run {run_id} could not be written"):
                    self._client.log_batch(run_id, tags=tags[begin : begin + _PARAMS_PER_BATCH])
            except InvalidRequest as refused:
                notes.append(refused.message[:300])

    def _artifact(self, run_id: str, event: TrackingEvent, notes: Notes) -> None:
        given = str(event.data.get("path") or "")
        path = artifact_path(given)
        if path is None:
            notes.append(f"The artifact {given[:80]!r} was not kept: its path leaves the run's folder.")
            return
        try:
            with mlflow_errors(f"The artifact {path[:80]!r} of run {run_id} could not be written"):
                if event.kind == "text":
                    self._client.log_text(run_id, str(event.data.get("content") or ""), path)
                elif why := event.data.get("why"):  # a kernel on another host could not send it
                    notes.append(f"The file {path[:80]!r} was not kept: {str(why)[:300]}")
                else:
                    source = Path(str(event.data.get("source") or ""))
                    keep_file(self._client, run_id, source, path, self._spool, self._scratch)
        except (InvalidRequest, NotFound) as refused:
            notes.append(f"{refused.message[:300]} {refused.hint}")

    def _dataset(self, run_id: str, event: TrackingEvent, notes: Notes) -> None:
        def text(key: str, limit: int) -> str:
            return fitting_value(event.data.get(key) or "", limit, f"The data set's {key}", notes)

        name = text("name", MAX_NAME) or "data"
        dataset = self._entities.Dataset(
            name=name,
            digest=text("digest", MAX_DATASET_DIGEST) or "unknown",
            source_type=text("source_type", MAX_DATASET_DIGEST) or "unknown",
            source=text("source", MAX_DATASET_TEXT),
            schema=text("schema", MAX_DATASET_TEXT) or None,
            profile=text("profile", MAX_DATASET_TEXT) or None,
        )
        context = text("context", MAX_KEY)
        tags = [self._entities.InputTag(MLFLOW_CONTEXT, context)] if context else []
        try:
            with mlflow_errors(f"The data set {name[:60]!r} of run {run_id} could not be written"):
                self._client.log_inputs(run_id, [self._entities.DatasetInput(dataset, tags)])
        except (InvalidRequest, Failed, NotFound) as refused:  # NotFound: a server without data sets
            notes.append(refused.message[:300])

    def _end(self, run_id: str, event: TrackingEvent, notes: Notes) -> str:
        status = str(event.data.get("status") or "FINISHED")
        if status not in _ENDS:
            notes.append(f"The run ended with the unknown status {status[:40]!r}, kept as FAILED.")
            status = "FAILED"
        with mlflow_errors(f"The run {run_id} could not be ended"):
            self._client.set_terminated(run_id, status, end_time=int(event.timestamp * 1000))
        return status

    def _note(self, run_id: str, notes: Notes) -> None:
        if not notes:
            return
        with mlflow_errors(f"Notes on run {run_id} could not be written"):
            kept = self._client.get_run(run_id).data.tags.get(NOTES_TAG, "").splitlines()
            lines = list(dict.fromkeys([*kept, *(note.replace("\n", " ") for note in notes)]))
            self._client.set_tag(run_id, NOTES_TAG, fitting_value("\n".join(lines), MAX_TAG_BYTES, "", []))


def _refusal(run: Any, process: TrackedProcess) -> GenOpsError | None:
    name, tags = run.info.run_name or run.info.run_id, run.data.tags
    if process.place and tags.get(TARGET_TAG) != process.place:
        return NotAllowed(
            f"The run {run.info.run_id} does not belong to this host.",
            hint=(
                "A kernel on another host can continue only runs of that host. Use a kernel of the Lab's "
                "machine."
            ),
        )
    if run.info.lifecycle_stage != _ACTIVE:
        return Conflict(
            f"The run {name!r} is deleted.",
            hint=f"To restore it first, run: genops runs undelete {run.info.run_id[:8]}",
        )
    owner = tags.get("mlflow.user", "")
    if owner and _user() and owner != _user():
        return NotAllowed(
            f"The run {name!r} belongs to {owner}, not to you.",
            hint=(
                "Start a run of your own. mlflow.start_run(run_id=...) can write to it, if MLflow allows "
                "that."
            ),
        )
    return None


def _user() -> str:
    """Return the user whose runs are written here."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container whose uid has no name
        return ""


def _points(event: TrackingEvent, notes: Notes) -> list[MetricPoint]:
    values = event.data.get("values")
    step, at = event.data.get("step"), moment(event.data.get("timestamp"))
    points = []
    for key, value in (values if isinstance(values, dict) else {}).items():
        known = number(value)
        if known is None:
            notes.append(f"The metric {str(key)[:60]!r} got {value!r:.60}, which is not a number.")
            continue
        points.append(
            MetricPoint(
                key=fitting_key(str(key), notes),
                step=int(step) if isinstance(step, (int, float)) and abs(step) < _MAX_STEP else 0,
                value=known,
                timestamp=event.timestamp if at is None else at,
            )
        )
    return points


def _shown(value: float | None) -> float | None:
    return None if value is None else finite(value)


def _fitting_tags(
    given: dict[str, Any], place: str, notes: Notes, known: Mapping[str, str] = MappingProxyType({})
) -> dict[str, str]:
    """Return the tags that can be set; the Lab sets the ``known`` ones, whatever a kernel on another host
    sends.
    """
    fitted = {
        fitting_key(str(key), notes): fitting_value(value, MAX_TAG_BYTES, f"The tag {str(key)[:60]!r}", notes)
        for key, value in given.items()
    }
    for own in _OWN_TAGS:
        if fitted.pop(own, None) is not None:
            notes.append(f"The tag {own!r} is reserved for GenOps Lab and was not set.")
    for local in _LOCAL_TAGS if place else ():
        if fitted.pop(local, None) is not None and local not in known:
            notes.append(f"A kernel on another host cannot set the tag {local!r}.")
    return {**fitted, **known}


def _place_tags(process: TrackedProcess) -> dict[str, str]:
    """Return the tags that mark a run on another host; none for this machine."""
    return {TARGET_TAG: process.place, KERNEL_TAG: process.kernel_id} if process.place else {}


def keep_file(
    client: MlflowClient, run_id: str, source: Path, path: str, spool: Path, scratch: str | None
) -> None:
    """Keep ``source`` as the run's artifact ``path``.

    ``source`` must be a plain file of this user outside the spool; a link must not lead out of the spool.
    Raises InvalidRequest otherwise, and NotFound if the file was deleted.
    """
    if not source.is_absolute():
        raise InvalidRequest(
            f"The file {str(source)[:80]!r} was not kept.", hint="Give the file's absolute path."
        )
    with tempfile.TemporaryDirectory(prefix="artifact-", dir=scratch) as folder:
        target = PurePosixPath(path)
        copy = Path(folder) / target.name
        _copy_checked(source, copy, spool)
        parent = str(target.parent)
        client.log_artifact(run_id, str(copy), None if parent == "." else parent)


def _copy_checked(source: Path, copy: Path, spool: Path) -> None:
    # The opened file is checked, so that nothing can replace it in between.
    try:
        descriptor = os.open(
            source, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
        )
    except FileNotFoundError as error:
        raise NotFound(
            f"The file {source.name[:80]!r} was not kept.", hint="It was deleted before it was read."
        ) from error
    except OSError as error:
        raise InvalidRequest(
            f"The file {source.name[:80]!r} was not kept.", hint=f"It cannot be read: {error.strerror}."
        ) from error
    with os.fdopen(descriptor, "rb") as stream:
        found = os.fstat(stream.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise InvalidRequest(f"{source.name[:80]!r} was not kept.", hint="It is not a plain file.")
        inside = source.resolve().is_relative_to(spool.resolve())
        if not inside and hasattr(os, "getuid") and found.st_uid != os.getuid():
            raise InvalidRequest(
                f"The file {source.name[:80]!r} was not kept.", hint="It belongs to another user."
            )
        with copy.open("wb") as target:
            shutil.copyfileobj(stream, target)
