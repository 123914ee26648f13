"""Write evaluations into MLflow and read them back, in the worker process."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from genops_lab.core.errors import Failed, InvalidRequest, NotFound, Unavailable
from genops_lab.core.paging import Page
from genops_lab.evaluations import tags
from genops_lab.evaluations.models import (
    DataSet,
    Evaluation,
    EvaluationReport,
    EvaluationsQuery,
    How,
    JudgedMetric,
    LoggedPredictions,
)
from genops_lab.experiments.backends.client import (
    MlflowBackend,
    all_pages,
    experiment_named,
    mlflow_errors,
    one_page,
    quoted,
)  # fmt: skip
from genops_lab.registry.models import ModelVersion

from .data_sets import EvaluationData

if TYPE_CHECKING:
    from genops_lab.evaluations.predictions import Predictions

EXPERIMENT = "Evaluations"
REPORT = "report.json"
#: A data set of more bytes stays where it is.
KEPT_BYTES = 100_000_000
#: Evaluations of a version that are read at once.
MOST_OF_VERSION = 20


class EvaluationRecords(MlflowBackend):
    """The evaluations of one MLflow: runs with tags, a data set, metrics and files."""

    def __init__(self, tracking_uri: str, store_url: str = "", address: str = "", **others: Any) -> None:
        from .judgings import Judgings, team_store  # SQLAlchemy, which commands do not need

        super().__init__(tracking_uri, **others)
        store = team_store(store_url)
        self._judgings = Judgings(store, address) if store is not None else None

    def claim(self, digest: str, versions: list[ModelVersion]) -> None:
        """Count that the data set judges the versions, in the store of the team if there is one. Raises Unavailable."""
        if self._judgings is not None:
            self._judgings.claim(digest, [(each.name, each.version) for each in versions])

    def record(
        self,
        session: str,
        folder: str,
        data: DataSet,
        versions: list[ModelVersion],
        batch_rows: int,
        task: str,
        place: str = "",
    ) -> list[Evaluation]:
        """Keep the predictions of versions that were evaluated together, the candidate first.

        Runs of an earlier try of this session that are whole stay; others are made again.
        """
        from .batches import predictions_of

        made_at = time.time()
        found = []
        for at, version in enumerate(versions):
            about = {**_about(version, data, "evaluate", made_at, place), "batch_rows": batch_rows}
            if task:
                about["task"] = task
            found.append(predictions_of(Path(folder), Path(folder) / f"model-{at}", about))
        kept: list[Evaluation] = []
        for version, predictions in reversed(list(zip(versions, found, strict=True))):
            against = kept[0] if kept else None
            champion = found[-1] if kept else None
            kept.append(self._kept(session, version, data, predictions, champion, against))
        return kept[::-1]

    def record_logged(
        self, session: str, body: LoggedPredictions, version: ModelVersion, against: ModelVersion | None
    ) -> EvaluationReport:
        """Keep predictions that a person computed; their file is JSON. Raises InvalidRequest."""
        data, predictions = self._logged(body, version)
        self.claim(data.digest, [version])
        rival = self._newest_of(against, data) if against is not None else None
        champion = self._predictions(rival.run_id) if rival is not None else None
        made = self._kept(session, version, data, predictions, champion, rival)
        found = self.report(made.run_id, None)
        if against is not None and rival is None:
            note = f"Version {against.version} has no evaluation on this data set, so nothing is compared."
            found = msgspec.structs.replace(found, notes=[note, *found.notes])
        return found

    def page(self, query: EvaluationsQuery) -> Page[Evaluation]:
        """Return a page of evaluations, newest first."""
        wanted = {
            tags.MODEL: query.model,
            tags.VERSION: query.version,
            tags.DIGEST: query.digest,
            tags.SESSION: query.session,
        }
        clauses = [f"tags.`{tag}` = {quoted(value)}" for tag, value in wanted.items() if value]
        if not query.model:
            clauses.append(f"tags.`{tags.MODEL}` LIKE '%'")
        clauses.append("attributes.status = 'FINISHED'")

        def search(**arguments: Any) -> Any:
            return self._client.search_runs(
                self._experiments(),
                " AND ".join(clauses),
                order_by=["attributes.start_time DESC"],
                **arguments,
            )

        with mlflow_errors("The evaluations could not be listed"):
            runs, token = one_page(search, query)
        return Page(items=[_evaluation(run) for run in runs], next=token)

    def of_version(self, name: str, version: str) -> list[EvaluationReport]:
        """Return the newest evaluation of a version on each data set, the newest first."""
        found = []
        with mlflow_errors(f"The evaluations of {name!r} version {version} could not be read"):
            runs = tags.newest(self._client.get_model_version(name, version).tags)
        for run_id in list(runs.values())[:MOST_OF_VERSION]:
            try:
                found.append(self.report(run_id, None))
            except NotFound:  # the run or its files were deleted
                continue
        return sorted(found, key=lambda each: -(each.evaluation.made_at or 0))

    def report(self, run_id: str, against: str | None) -> EvaluationReport:
        """Return an evaluation with its differences to another one. Raises NotFound."""
        from genops_lab.evaluations.report import judged_note, make_report

        run = self._run(run_id)
        evaluation = _evaluation(run)
        if against is None:
            found = self._kept_report(run_id)
        else:
            rival = _evaluation(self._run(against)) if against else None
            if rival is not None and rival.digest != evaluation.digest:
                raise InvalidRequest(
                    f"The two evaluations are on different data: {evaluation.data}@{evaluation.digest} and "
                    f"{rival.data}@{rival.digest}.",
                    hint="Evaluate both versions on one data set.",
                    code="digest_differs",
                )
            champion = self._predictions(against) if against else None
            found = make_report(self._predictions(run_id), champion, evaluation, rival)
        judged, notes = self._judged(evaluation.digest)
        return msgspec.structs.replace(
            found, evaluation=evaluation, judged=judged, notes=[*found.notes, judged_note(judged), *notes]
        )

    def _kept(
        self,
        session: str,
        version: ModelVersion,
        data: DataSet,
        predictions: Predictions,
        champion: Predictions | None,
        against: Evaluation | None,
    ) -> Evaluation:
        """Write one evaluation as a run: everything, then its end, then the version's tag."""
        from genops_lab.evaluations.report import make_report

        what = f"The evaluation of {version.name!r} version {version.version} could not be written"
        with mlflow_errors(what):
            run = self._earlier(session, version)
            if run is None:
                run_id = self._begin(session, version, data, predictions.about)
                draft = _evaluation(self._client.get_run(run_id))
                report = make_report(predictions, champion, draft, against)
                try:
                    self._fill(run_id, data, predictions, report)
                except Exception:  # such as a full disk: a run without its predictions is no evaluation
                    self._client.delete_run(run_id)
                    raise
                self._client.set_terminated(run_id)
                run = self._client.get_run(run_id)
            tag = tags.version_tag(data.name, data.digest)
            self._attach(version, tag, run.info.run_id)
        return _evaluation(run)

    def _attach(self, version: ModelVersion, tag: str, run_id: str) -> None:
        """Write the version's tag; delete the run of a version that was deleted meanwhile."""
        from mlflow.exceptions import MlflowException

        try:
            self._client.set_model_version_tag(version.name, version.version, tag, run_id)
        except MlflowException as error:
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "NOT_FOUND"):
                self._client.delete_run(run_id)
            raise

    def _earlier(self, session: str, version: ModelVersion) -> Any:
        """Return the whole run of this session and version; delete what an interrupted try left."""
        clause = (
            f"tags.`{tags.SESSION}` = {quoted(session)} AND tags.`{tags.MODEL}` = {quoted(version.name)} "
            f"AND tags.`{tags.VERSION}` = {quoted(version.version)}"
        )
        for run in self._client.search_runs(self._experiments(), clause):
            if run.info.status == "FINISHED":
                return run
            self._client.delete_run(run.info.run_id)
        return None

    def _begin(self, session: str, version: ModelVersion, data: DataSet, about: dict[str, Any]) -> str:
        made = self._client.create_run(
            self._experiment_of(version),
            run_name=f"{version.name} v{version.version} on {data.name}"[:250],
            tags={
                tags.MODEL: version.name,
                tags.VERSION: version.version,
                tags.DATA: data.name,
                tags.DIGEST: data.digest,
                tags.SESSION: session,
                tags.HOW: str(about["how"]),
                **({tags.PLACE: str(about["place"])} if about.get("place") else {}),
            },
        )
        return str(made.info.run_id)

    def _fill(self, run_id: str, data: DataSet, predictions: Predictions, report: EvaluationReport) -> None:
        from mlflow.entities import Dataset, DatasetInput, InputTag, Metric
        from mlflow.utils.mlflow_tags import MLFLOW_DATASET_CONTEXT

        from genops_lab.evaluations.predictions import FILE, write

        dataset = Dataset(
            name=data.name,
            digest=data.digest,
            source_type=data.source_type,
            source=data.source,
            profile=json.dumps(data.profile),
        )
        self._client.log_inputs(
            run_id, [DatasetInput(dataset, [InputTag(MLFLOW_DATASET_CONTEXT, "evaluation")])]
        )
        with tempfile.TemporaryDirectory(prefix="evaluation-", dir=self._scratch) as folder:
            write(Path(folder) / FILE, predictions)
            (Path(folder) / REPORT).write_bytes(msgspec.json.encode(report))
            self._client.log_artifact(run_id, str(Path(folder) / FILE))
            self._client.log_artifact(run_id, str(Path(folder) / REPORT))
        if data.file and not data.kept and Path(data.file).stat().st_size <= KEPT_BYTES:
            self._client.log_artifact(run_id, data.file, "data")
            self._client.set_tag(run_id, tags.FILE, f"data/{Path(data.file).name}")
        now = int(time.time() * 1000)
        measured = [Metric(each.metric, value, now, 0) for each, value in _values(report.metrics)]
        self._client.log_batch(run_id, metrics=measured)

    def _experiment_of(self, version: ModelVersion) -> str:
        from mlflow.exceptions import MlflowException

        if version.run_id:
            try:
                found = self._client.get_run(version.run_id).info.experiment_id
                if self._client.get_experiment(found).lifecycle_stage == "active":
                    return str(found)
            except MlflowException as error:
                if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "NOT_FOUND"):
                    raise
        return experiment_named(self._client, EXPERIMENT)[0]

    def _experiments(self) -> list[str]:
        return [each.experiment_id for each in all_pages(self._client.search_experiments)]

    def _run(self, run_id: str) -> Any:
        with mlflow_errors(f"The evaluation {run_id} could not be read"):
            run = self._client.get_run(run_id)
        if tags.MODEL not in run.data.tags or run.info.lifecycle_stage != "active":
            raise NotFound(
                f"The run {run_id} is no evaluation.", hint="List the evaluations: genops evaluations list"
            )
        return run

    def _kept_report(self, run_id: str) -> EvaluationReport:
        with tempfile.TemporaryDirectory(prefix="evaluation-", dir=self._scratch) as folder:
            path = self._file(run_id, REPORT, folder)
            try:
                return msgspec.json.decode(path.read_bytes(), type=EvaluationReport)
            except msgspec.DecodeError as error:
                raise Failed(
                    f"The report of the evaluation {run_id} cannot be read: {error}.",
                    hint="Evaluate the version again.",
                ) from error

    def _predictions(self, run_id: str) -> Predictions:
        from genops_lab.evaluations.predictions import FILE, read

        with tempfile.TemporaryDirectory(prefix="evaluation-", dir=self._scratch) as folder:
            return read(self._file(run_id, FILE, folder))

    def _file(self, run_id: str, name: str, folder: str) -> Path:
        try:
            with mlflow_errors(f"{name} of the evaluation {run_id} could not be read"):
                return Path(self._client.download_artifacts(run_id, name, folder))
        except Exception as error:
            raise NotFound(
                f"The evaluation {run_id} has no file {name}.", hint="Evaluate the version again."
            ) from error

    def _newest_of(self, version: ModelVersion, data: DataSet) -> Evaluation | None:
        with mlflow_errors(f"The evaluations of version {version.version} could not be read"):
            found = self._client.get_model_version(version.name, version.version).tags
        run_id = found.get(tags.version_tag(data.name, data.digest))
        try:
            return _evaluation(self._run(run_id)) if run_id else None
        except NotFound:
            return None

    def _judged(self, digest: str) -> tuple[int, list[str]]:
        """Return how many versions the data set has judged, and a note if the team's store does not answer."""
        clause = f"tags.`{tags.DIGEST}` = {quoted(digest)} AND attributes.status = 'FINISHED'"
        with mlflow_errors("The evaluations on this data set could not be counted"):
            runs = all_pages(
                self._client.search_runs, experiment_ids=self._experiments(), filter_string=clause
            )
        found = {(run.data.tags.get(tags.MODEL, ""), run.data.tags.get(tags.VERSION, "")) for run in runs}
        try:
            return len(found | (self._judgings.of(digest) if self._judgings is not None else set())), []
        except Unavailable as error:
            return len(found), [f"The versions are counted in MLflow alone. {error.message}"]

    def _logged(self, body: LoggedPredictions, version: ModelVersion) -> tuple[DataSet, Predictions]:
        from .batches import predictions_of
        from .logged import joined

        given = _read_json(Path(body.path))
        sets = EvaluationData(self._client.tracking_uri, self._scratch)
        roles: Predictions | None = None
        if body.digest:
            data = DataSet(
                name=body.data,
                digest=body.digest,
                source_type=body.source_type or "unknown",
                source=body.source,
            )
        else:
            data = sets.find(body.data, "")
        if given.get("labels") is None:
            named = f"{body.data}@{body.digest}" if body.digest else body.data
            with tempfile.TemporaryDirectory(prefix="evaluation-", dir=self._scratch) as folder:
                try:
                    data = sets.prepare(
                        named, "", DataSet(name="", digest="", source_type="", source=""), folder
                    )
                except NotFound as error:
                    if not body.digest:
                        raise
                    raise InvalidRequest(
                        "The labels are unknown: only the caller has the data.",
                        hint="Give them: genops.log_predictions(..., labels=y).",
                    ) from error
                roles = predictions_of(Path(folder), None, {})
        about = _about(version, data, "logged", time.time(), body.place)
        if body.task:
            about["task"] = body.task
        return data, joined(given, roles, about)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise InvalidRequest(
            f"The predictions {path} cannot be read: {error}.", hint="Call genops.log_predictions again."
        ) from error
    if not isinstance(found, dict) or not {"ids", "predictions"} <= set(found):
        raise InvalidRequest(
            f"The predictions {path.name} have no ids or no predictions.",
            hint="Give both: genops.log_predictions(ids=..., predictions=...).",
        )
    return found


def _values(metrics: list[JudgedMetric]) -> list[tuple[JudgedMetric, float]]:
    return [(each, each.candidate.value) for each in metrics if each.candidate.value is not None]


def _about(version: ModelVersion, data: DataSet, how: How, made_at: float, place: str) -> dict[str, Any]:
    return {
        "model": version.name,
        "version": version.version,
        "data": data.name,
        "digest": data.digest,
        "made_at": made_at,
        "how": how,
        **({"place": place} if place else {}),
    }


def _evaluation(run: Any) -> Evaluation:
    found = run.data.tags
    started = run.info.start_time
    return Evaluation(
        run_id=run.info.run_id,
        model=found.get(tags.MODEL, ""),
        version=found.get(tags.VERSION, ""),
        data=found.get(tags.DATA, ""),
        digest=found.get(tags.DIGEST, ""),
        session=found.get(tags.SESSION, ""),
        made_at=None if started is None else started / 1000,
        how="logged" if found.get(tags.HOW) == "logged" else "evaluate",
        place=found.get(tags.PLACE, ""),
        metrics=dict(run.data.metrics),
    )
