"""Fill an MLflow store with traces, as MLflow itself would leave them."""

from __future__ import annotations

import random
import sqlite3
import time
from pathlib import Path
from typing import Any

_TABLES = ("trace_tags", "trace_request_metadata", "spans")


def make(file: Path, traces: int) -> str:
    """Make a store with ``traces`` traces of four spans, and return its address. The first three come from MLflow."""
    import mlflow
    from mlflow.entities import SpanType

    uri = f"sqlite:///{file}"
    mlflow.set_tracking_uri(uri)
    with mlflow.start_span("agent", span_type=SpanType.AGENT) as top:
        top.set_inputs({"messages": [{"role": "user", "content": "Where is my order?"}]})
        mlflow.update_current_trace(metadata={"mlflow.trace.session": "session-0"}, tags={"app": "shop"})
        with mlflow.start_span("search", span_type=SpanType.RETRIEVER) as search:
            search.set_outputs(
                [{"page_content": "Orders are sent on the next day.", "metadata": {"doc_uri": "faq"}}]
            )
        with mlflow.start_span("ask", span_type=SpanType.CHAT_MODEL) as ask:
            ask.set_attribute(
                "mlflow.chat.tokenUsage", {"input_tokens": 120, "output_tokens": 40, "total_tokens": 160}
            )
            ask.set_attribute("mlflow.llm.model", "gpt-4o-mini")
        with mlflow.start_span("track", span_type=SpanType.TOOL):
            pass
        top.set_outputs("It is on its way.")
    mlflow.flush_trace_async_logging()
    first = mlflow.search_traces(return_type="list")[0].info.trace_id
    mlflow.log_feedback(trace_id=first, name="correct", value=True)
    with sqlite3.connect(file) as database:
        _copy(database, first, traces - 1)
    database.close()
    return uri


def _copy(database: sqlite3.Connection, first: str, count: int) -> None:
    """Copy the first trace with another id, time, question, length and, for one in twenty, a failure."""
    chance = random.Random(7)
    ids = [f"tr-{chance.getrandbits(128):032x}" for _ in range(count)]
    now = int(time.time() * 1000)
    changed: list[dict[str, Any]] = [
        {
            "request_id": id,
            "timestamp_ms": now - (count - at) * 2000 - chance.randrange(2000),
            "execution_time_ms": int(chance.expovariate(1 / 900)),
            "status": "ERROR" if chance.random() < 0.05 else "OK",
            "session_id": f"session-{at // 5}",
            "total_tokens": 100 + chance.randrange(900),
            "request_preview": f"Where is my order {chance.randrange(10**6)}? It should have come {at % 30} days ago.",
        }
        for at, id in enumerate(ids)
    ]
    _insert(database, "trace_info", "request_id", first, changed)
    for table in _TABLES:
        key = "trace_id" if table == "spans" else "request_id"
        _insert(database, table, key, first, [{key: id} for id in ids])
    rated = ids[::10]
    _insert(
        database,
        "assessments",
        "trace_id",
        first,
        [
            {"trace_id": id, "assessment_id": f"a-{at:032x}", "value": "true" if at % 4 else "false"}
            for at, id in enumerate(rated)
        ],
    )


def _insert(
    database: sqlite3.Connection, table: str, key: str, first: str, changes: list[dict[str, Any]]
) -> None:
    names = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
    if not changes:
        return
    values = ", ".join(f":{name}" if name in changes[0] else name for name in names)
    rows = f"SELECT {values} FROM {table} WHERE {key} = :__first"
    statement = f"INSERT INTO {table} ({', '.join(names)}) {rows}"
    database.executemany(statement, [{**each, "__first": first} for each in changes])
