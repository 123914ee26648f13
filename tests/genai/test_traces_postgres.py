"""Traces of an MLflow on PostgreSQL, through MLflow's API: values, tags, assessments, changes, whole traces."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from genops_lab.experiments.columns.models import RunSort, RunTable, RunTableQuery
from genops_lab.genai.traces.backend import TraceMirror
from genops_lab.genai.traces.mlflow_traces import MlflowTraces
from genops_lab.genai.traces.models import NewRows, SessionQuery
from genops_lab.genai.traces.sessions import query_of, session_of, traces_of
from genops_lab.genai.traces.writing import DatasetRows
from tests.support.postgres import missing, running_postgres

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an MLflow store in which traces are logged."""
    import mlflow

    before = mlflow.get_tracking_uri()
    with running_postgres() as uri:
        mlflow.set_tracking_uri(uri)
        artifacts = tmp_path_factory.mktemp("artifacts")
        mlflow.set_experiment(
            experiment_id=mlflow.create_experiment("shop", artifact_location=str(artifacts))
        )
        yield uri
        mlflow.set_experiment("Default")  # the experiment is one of the process, also for later tests' stores
    mlflow.set_tracking_uri(before)


def log(name: str, question: str, session: str) -> str:
    import mlflow

    with mlflow.start_span(name) as span:
        span.set_inputs({"question": question})
        mlflow.update_current_trace(
            tags={"app": name}, metadata={"mlflow.trace.session": session, "team": "blue"}
        )
        with mlflow.start_span("call", span_type="CHAT_MODEL") as call:
            call.set_attribute(
                "mlflow.chat.tokenUsage", {"input_tokens": 7, "output_tokens": 3, "total_tokens": 10}
            )
        span.set_outputs("It comes.")
    mlflow.flush_trace_async_logging()
    return str(span.trace_id)


def test_traces_of_a_postgresql(database: str, tmp_path: Path) -> None:
    import mlflow

    first, second = log("order", "Where is it?", "s1"), log("refund", "When?", "s1")
    mlflow.log_feedback(trace_id=first, name="correct", value=True, rationale="so it is")
    mlflow.log_expectation(trace_id=first, name="answer", value="on Monday")
    mirror = TraceMirror(database, str(tmp_path / "runs"))

    def ask(query: str = "", **more: Any) -> RunTable:
        return mirror.table(RunTableQuery(query=query, lifecycle="all", wait_s=30, **more), True)

    def row(trace_id: str) -> dict[str, Any]:
        columns = [
            "name",
            "session",
            "tokens",
            "request",
            "metrics.correct",
            "params.team",
            "tags.app",
            "experiment",
        ]
        return {
            each.column: each.values[0] for each in ask(f"trace_id = {trace_id}", columns=columns).columns
        }

    try:
        table = ask(sort=[RunSort(column="start_time")])
        assert (table.run_ids, table.state.source) == ([first, second], "api")
        found = row(first)
        assert (found["name"], found["session"], found["tokens"]) == ("order", "s1", 10)
        assert (found["metrics.correct"], found["params.team"], found["tags.app"]) == (1, "blue", "order")
        assert "Where is it?" in found["request"] and found["experiment"] == "shop"
        assert ask("metrics.correct = 1 and tags.app = order").run_ids == [first]

        # What others change later is seen with the next reading; what we change, at once.
        mlflow.log_feedback(trace_id=second, name="correct", value=False)
        mlflow.set_trace_tag(second, "app", "money")
        mirror.touch([second])
        assert ask("metrics.correct = 0 and tags.app = money").run_ids == [second]

        whole = MlflowTraces(database)
        trace = whole.trace(first, {}, True)
        assert [(each.name, each.depth) for each in trace.spans] == [("order", 0), ("call", 1)]
        assert {each.name: each.value for each in trace.assessments} == {
            "correct": "true",
            "answer": '"on Monday"',
        }
        assert trace.tags["app"] == "order"
        said = whole.said(
            traces_of(mirror.table(query_of(SessionQuery(session="s1"), 0), False)), 100, {}, True
        )
        session = session_of("s1", said)
        assert [turn.text.text for each in session.traces for turn in each.turns] == [
            "Where is it?", "It comes.", "When?", "It comes.",
        ]  # fmt: skip
        assert session.tokens is not None and (session.tokens.input, session.tokens.output) == (14, 6)

        added = DatasetRows(database).add(NewRows(trace_ids=[first], dataset="hard"))
        assert (added.added, added.updated) == (1, 0)
    finally:
        mirror._mirror.close()
