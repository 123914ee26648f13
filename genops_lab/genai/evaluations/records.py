"""Write an evaluation of answers into MLflow, in its worker process: a run for each model, a trace for each answer."""

from __future__ import annotations

import contextlib
import json
import re
import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from genops_lab.core.errors import GenOpsError
from genops_lab.experiments.backends.client import MlflowBackend, experiment_named, mlflow_errors, quoted
from genops_lab.genai.scorers.base import BaseScorer, Judge

from .asking_models import wanted_of
from .attachments import for_trace
from .evaluation_file import Evaluation, read_evaluation
from .journal import Call, read
from .models import EXPERIMENT, AnswerEvaluation, ModelAnswers, ScoresReport
from .process import all_scorers, on_disk
from .redacting import Redact, redact_of, redacted
from .results_folder import ResultsFolder
from .traces import AnswerTrace, Mark, TraceWriter

#: Tags of a run: the evaluation's id, and the name of the model in its file.
EVALUATION_TAG, MODEL_TAG = "genops.answers.evaluation", "genops.answers.model"
_METRIC = re.compile(r"[^\w .:/-]")
#: MLflow writes rows that it does not know yet, and fails where another thread does so at the same time.
_LOGGING_ROWS = threading.Lock()


@contextlib.contextmanager
def _kept(id: str) -> Iterator[None]:
    """Say with an error of MLflow that nothing is lost, and how to go on: no task tries again by itself."""
    try:
        yield
    except GenOpsError as error:
        hint = error.hint.removesuffix("GenOps Lab tries again by itself.").strip()
        error.hint = f"{hint} The answers and scores are kept. Then: genops evaluate resume {id}".strip()
        raise


class AnswerRecords(MlflowBackend):
    """The runs and traces of evaluations of answers."""

    def ready(self) -> None:
        """Import what :meth:`record` needs, while models are still asked."""
        import mlflow.store.tracking.dbmodels.models
        import mlflow.store.tracking.utils.sql_trace_rollups  # noqa: F401

    def record_answers(self, folder: str, since: float, redaction: str) -> bool:
        """Write the traces of answers that came after ``since``, while models are asked. Raises Unavailable.

        :meth:`record` writes all that is missing: calls that failed, and marks. Returns False where it writes all: a
        server of MLflow would get each trace twice, redaction would take twice as long, and another harness has no
        rows before its end.
        """
        results = ResultsFolder(Path(folder))
        state, file = results.state(), read_evaluation(results.text())
        with mlflow_errors(f"The evaluation {state.id} could not be written into MLflow"):
            experiment, _restored = experiment_named(self._client, file.experiment or EXPERIMENT)
            writer = TraceWriter(self._client, experiment)
            if file.harness or redaction != "off" or not writer.in_bulk:
                return False
            for model, traces in _traces(results, file, state, since).items():
                writer.write(self._run(experiment, state, model), traces)
        return True

    def stop(self, folder: str) -> None:
        """End the runs of an evaluation that goes no further. Raises Unavailable."""
        results = ResultsFolder(Path(folder))
        state, file = results.state(), read_evaluation(results.text())
        with mlflow_errors(f"The runs of the evaluation {state.id} could not be ended"):
            experiment, _restored = experiment_named(self._client, file.experiment or EXPERIMENT)
            for each in state.models:
                for run in self._kept_runs(experiment, state, each.model):
                    self._client.set_terminated(run.info.run_id, "FAILED")

    def record(self, folder: str, redaction: str = "off") -> AnswerEvaluation:
        """Keep an evaluation in MLflow. Runs and traces of an earlier try stay. Raises Failed, Unavailable.

        ``redaction`` is the setting ``GenOpsLab.redact_traces``.
        """
        results = ResultsFolder(Path(folder))
        state, report = results.state(), results.report()
        file, redact = read_evaluation(results.text()), redact_of(redaction)
        with _kept(state.id), mlflow_errors(f"The evaluation {state.id} could not be written into MLflow"):
            experiment, _restored = experiment_named(self._client, file.experiment or EXPERIMENT)
            writer = TraceWriter(self._client, experiment)
            traces = _traces(results, file, state)
            models = []
            for each in state.models:
                run_id = self._run(experiment, state, each.model)
                own = traces.get(each.model, [])
                writer.write(run_id, [redacted(trace, redact) for trace in own] if redact else own)
                self._finish(run_id, results, state, each, report, redact)
                models.append(msgspec.structs.replace(each, run_id=run_id))
        state = msgspec.structs.replace(state, models=models, stage="done")
        with on_disk(f"Free some disk space. Then: genops evaluate resume {state.id}"):
            results.keep_state(state)
        return state

    def _kept_runs(self, experiment: str, state: AnswerEvaluation, model: str) -> list[Any]:
        """Return the run of a model, which an earlier try may have made."""
        clause = f"tags.`{EVALUATION_TAG}` = {quoted(state.id)} AND tags.`{MODEL_TAG}` = {quoted(model)}"
        return list(self._client.search_runs([experiment], clause, max_results=1))

    def _run(self, experiment: str, state: AnswerEvaluation, model: str) -> str:
        """Return the id of a model's run, which is made where it is missing."""
        if found := self._kept_runs(experiment, state, model):
            return str(found[0].info.run_id)
        made = self._client.create_run(
            experiment,
            start_time=int(state.created_at * 1000),
            run_name=f"{state.name} {model}",
            tags={EVALUATION_TAG: state.id, MODEL_TAG: model, "mlflow.runType": "genai_evaluate"},
        )
        return str(made.info.run_id)

    def _finish(
        self, run_id: str, results: ResultsFolder, state: AnswerEvaluation, model: ModelAnswers,
        report: ScoresReport | None, redact: Redact | None,
    ) -> None:  # fmt: skip
        from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param

        now = int(state.created_at * 1000)
        metrics = [Metric(name, value, now, 0) for name, value in _metrics(model, report).items()]
        params = {"model": model.model, "rows": state.rows, "repeats": state.repeats, "data": state.data}
        self._client.log_batch(
            run_id, metrics, [Param(key, str(value)[:6000]) for key, value in params.items()]
        )
        dataset = Dataset(
            name=Path(state.data).name[:500] or "rows", digest=state.digest, source_type="local",
            source=json.dumps({"uri": state.data}), profile=json.dumps({"num_rows": state.rows}),
        )  # fmt: skip
        if report is not None and report.sentences:
            said = "\n\n".join(report.sentences)  # they name rows by their ids
            note = str(redact(said)) if redact else said
            self._client.set_tag(run_id, "mlflow.note.content", note[:5000])
        tag = InputTag("mlflow.data.context", "evaluation")
        with _LOGGING_ROWS:
            self._client.log_inputs(run_id, [DatasetInput(dataset, [tag])])
        with tempfile.TemporaryDirectory(prefix="answers-", dir=self._scratch) as scratch:
            kept: dict[str, Any] = {
                "evaluation.yaml": results.text(), "state.json": msgspec.to_builtins(state),
            }  # fmt: skip
            if report is not None:
                kept["report.json"] = msgspec.to_builtins(report)
            for name, content in (redact(kept) if redact else kept).items():
                data = content.encode() if isinstance(content, str) else msgspec.json.encode(content)
                (Path(scratch) / name).write_bytes(data)
            self._client.log_artifacts(run_id, scratch)
        self._client.set_terminated(run_id, "FINISHED" if model.answered == model.wanted else "FAILED")


def _metrics(model: ModelAnswers, report: ScoresReport | None) -> dict[str, float]:
    found: dict[str, float | None] = {
        "answered": model.answered,
        "failed": model.failed,
        "input_tokens": model.spent.input,
        "output_tokens": model.spent.output,
        "cost": model.money,
        "latency_s": model.latency_s,
    }
    for each in report.scored if report is not None else []:
        if each.model == model.model:
            name = _METRIC.sub("_", each.scorer)
            ends = {"mean": each.mean.value, "low": each.mean.low, "high": each.mean.high}
            found |= {f"{name}/{end}": value for end, value in ends.items()}
    return {name: float(value) for name, value in found.items() if value is not None}


def _traces(
    results: ResultsFolder, file: Evaluation, state: AnswerEvaluation, since: float | None = None
) -> dict[str, list[AnswerTrace]]:
    """Return the traces of each model's calls with the marks of all scorers; with ``since``, of later answers alone."""
    calls, rows = read(results.calls), results.rows()
    scorers, _judges = all_scorers(results, file)
    marks = {each.label: results.scores(each.label) for each in scorers}
    sources = {each.label: _source(each) for each in scorers}
    expected = {str(name) for each in scorers if (name := getattr(each, "expected", ""))}
    found: dict[str, list[AnswerTrace]] = {}
    for model in file.models:
        for wanted in wanted_of(file, rows, model):
            key = (model, wanted.example, wanted.repeat)
            call = calls.get(key)
            if call is None or (since is not None and not _answered_since(call, since)):
                continue
            own = []
            for name, scores in marks.items():
                score = scores.get(key)
                if score is not None:
                    own.append(Mark(name, score.value, score.reason, *sources[name]))
            row = rows[wanted.example]
            shown = msgspec.structs.replace(wanted, messages=for_trace(wanted.messages, results.attachments))
            found.setdefault(model, []).append(
                AnswerTrace(state.id, state.name, shown, call, own, _expected(row, expected))
            )
    return found


def _answered_since(call: Call, since: float) -> bool:
    return call.answer is not None and call.at + call.latency_s >= since


def _source(scorer: BaseScorer) -> tuple[str, str]:
    """Return the type and the id of the source of a scorer's marks, as MLflow has them."""
    if isinstance(scorer, Judge):
        return "LLM_JUDGE", scorer.model
    return "CODE", str(scorer.__struct_config__.tag)


def _expected(row: Mapping[str, Any], columns: set[str]) -> dict[str, Any]:
    return {column: row[column] for column in sorted(columns) if row.get(column) is not None}
