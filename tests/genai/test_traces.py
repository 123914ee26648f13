"""Traces: the list, the tree, what was said, and what comes in, with real MLflow traces in its SQLite file."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from typing import Any

import pytest

from genops_lab.core.errors import InvalidRequest, NotFound
from genops_lab.experiments.columns.models import RunGrouping, RunQueryText, RunSort, RunTable, RunTableQuery
from genops_lab.genai.endpoints.limits import Price
from genops_lab.genai.traces.api import ApiTraces
from genops_lab.genai.traces.backend import TraceMirror
from genops_lab.genai.traces.mlflow_traces import MlflowTraces
from genops_lab.genai.traces.models import NewRows, Session, SessionQuery, SessionTrace
from genops_lab.genai.traces.rows import TraceChanges
from genops_lab.genai.traces.sessions import query_of, session_of, traces_of
from genops_lab.genai.traces.writing import DatasetRows, OtlpTraces
from tests.support.mlflow_file import place_store

PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJ"
    "RU5ErkJggg=="
)
LONG_S = 30.0


class Stand:
    """A store in which MLflow logged traces, and the two ways in which the Lab reads it."""

    def __init__(self, folder: Any) -> None:
        import mlflow

        place_store(folder)
        self.file = folder / "mlflow" / "mlflow.db"
        self.uri = f"sqlite:///{self.file}"
        mlflow.set_tracking_uri(self.uri)
        mlflow.set_experiment("Default")
        self.mlflow: Any = mlflow
        self.mirror = TraceMirror(self.uri, str(folder / "runs"))
        self.whole = MlflowTraces(self.uri)

    def ask(self, query: str = "", content: bool = True, **asked: Any) -> RunTable:
        return self.mirror.table(RunTableQuery(query=query, lifecycle="all", wait_s=LONG_S, **asked), content)

    def ids(self, query: str = "", **asked: Any) -> list[str]:
        return self.ask(query, **asked).run_ids

    def log(self, name: str, inputs: Any = None, outputs: Any = None, **metadata: str) -> str:
        with self.mlflow.start_span(name) as span:
            if inputs is not None:
                span.set_inputs(inputs)
            if outputs is not None:
                span.set_outputs(outputs)
            self.mlflow.update_current_trace(metadata=metadata)
        self.mlflow.flush_trace_async_logging()
        return str(span.trace_id)


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    import mlflow

    before = mlflow.get_tracking_uri()
    found = Stand(tmp_path_factory.mktemp("traces"))
    yield found
    found.mirror._mirror.close()
    mlflow.set_tracking_uri(before)


@pytest.fixture(scope="module")
def agent(stand: Stand) -> str:
    """A trace with a retriever, a chat with a tool call and a picture, and a tool that fails."""
    from mlflow.entities import Document

    mlflow = stand.mlflow
    asked = {
        "role": "user",
        "content": [
            {"type": "text", "text": "What is this?"},
            {"type": "image_url", "image_url": {"url": PIXEL}},
        ],
    }
    call = {"id": "c1", "type": "function", "function": {"name": "look_up", "arguments": '{"what": "it"}'}}
    with mlflow.start_run() as run, mlflow.start_span("agent", span_type="AGENT") as top:
        top.set_inputs({"messages": [asked]})
        mlflow.update_current_trace(
            metadata={"mlflow.trace.session": "s1", "team": "blue"}, tags={"app": "shop"}
        )
        with mlflow.start_span("search", span_type="RETRIEVER") as search:
            search.set_outputs(
                [Document(page_content="A pixel.", metadata={"doc_uri": "faq.md", "score": 0.5})]
            )
        with mlflow.start_span("ask", span_type="CHAT_MODEL") as ask:
            ask.set_inputs(
                {
                    "model": "tiny",
                    "messages": [asked, {"role": "tool", "tool_call_id": "c0", "content": "no"}],
                }
            )
            ask.set_outputs(
                {"choices": [{"message": {"role": "assistant", "content": None, "tool_calls": [call]}}]}
            )
            ask.set_attribute(
                "mlflow.chat.tokenUsage", {"input_tokens": 1000, "output_tokens": 500, "total_tokens": 1500}
            )
            ask.set_attribute("mlflow.llm.model", "tiny")
        with pytest.raises(ValueError, match="the card 4711"), mlflow.start_span("look_up", span_type="TOOL"):
            raise ValueError("the card 4711")
        top.set_outputs("It is a pixel.")
    mlflow.flush_trace_async_logging()
    mlflow.log_feedback(trace_id=top.trace_id, name="correct", value="yes", rationale="it says so")
    mlflow.log_feedback(trace_id=top.trace_id, name="topic", value="pictures")
    mlflow.log_expectation(trace_id=top.trace_id, name="answer", value="a pixel")
    assert run.info.run_id
    return str(top.trace_id)


def row_of(table: RunTable) -> dict[str, Any]:
    assert len(table.run_ids) == 1, table.run_ids
    return {each.column: each.values[0] for each in table.columns}


def test_a_trace_is_asked_for_with_the_query_language(stand: Stand, agent: str) -> None:
    columns = ["name", "status", "request", "response", "session", "tokens", "spans", "metrics.correct",
               "params.topic", "params.team", "tags.app", "experiment", "run_id"]  # fmt: skip
    found = row_of(stand.ask(f"trace_id = '{agent}'", columns=columns))
    assert (found["name"], found["status"], found["session"], found["spans"]) == ("agent", "OK", "s1", 4)
    assert found["response"] == '"It is a pixel."' and "What is this?" in found["request"]
    assert (found["tokens"], found["metrics.correct"], found["params.topic"]) == (1500, 1, "pictures")
    assert (found["params.team"], found["tags.app"], found["experiment"]) == ("blue", "shop", "Default")
    assert len(found["run_id"]) == 32
    for query in (
        "metrics.correct = 1 and tokens > 1000",
        "request contains 'what is this'",
        "tags.app = shop and session = s1 and duration < 1h",
        agent[:12],
    ):
        assert agent in stand.ids(query), query
    assert [each.text for each in stand.mirror.completions(RunQueryText(text="sess", position=4))] == [
        "session"
    ]


def test_without_content_nothing_that_was_said_is_seen_or_found(stand: Stand, agent: str) -> None:
    ours = f"trace_id = '{agent}'"
    found = row_of(stand.ask(ours, content=False, columns=["name", "request", "response"]))
    assert found == {"name": "agent", "request": None, "response": None}
    assert agent in stand.ids("pixel") and stand.ids("pixel", content=False) == []
    assert stand.ids("request contains 'what'", content=False) == []
    # Texts of assessments may quote it; metadata of the application stay.
    columns = ["params.topic", "params.team", "metrics.correct"]
    assert row_of(stand.ask(ours, content=False, columns=columns)) == {
        "params.topic": None, "params.team": "blue", "metrics.correct": 1
    }  # fmt: skip
    assert agent in stand.ids("params.topic = pictures")
    assert stand.ids("params.topic = pictures", content=False) == []
    assert stand.mirror.completions(RunQueryText(text="params.topic = pic", position=18)) == []
    without, with_content = stand.whole.trace(agent, {}, False), stand.whole.trace(agent, {}, True)
    assert any("4711" in span.message for span in with_content.spans)
    said = [*(span.message for span in without.spans), *(each.rationale for each in without.assessments)]
    assert not any(said)
    assert {each.name: each.value for each in without.assessments} == {
        "correct": '"yes"',
        "topic": "",
        "answer": "",
    }


def test_changes_of_others_are_seen(stand: Stand, agent: str) -> None:
    ours = f"trace_id = '{agent}'"
    gone = stand.log("gone")
    assert stand.ids("name = gone") == [gone]
    stand.mlflow.set_trace_tag(agent, "app", "bank")
    assert row_of(stand.ask(ours, columns=["tags.app"])) == {"tags.app": "bank"}
    stand.mlflow.set_trace_tag(agent, "app", "shop")
    later = stand.mlflow.log_feedback(trace_id=agent, name="speed", value=0.25)
    assert row_of(stand.ask(ours, columns=["metrics.speed"])) == {"metrics.speed": 0.25}
    stand.mlflow.delete_assessment(trace_id=agent, assessment_id=later.assessment_id)
    assert row_of(stand.ask(ours, columns=["metrics.speed"])) == {"metrics.speed": None}
    stand.mlflow.MlflowClient().delete_traces(experiment_id="0", trace_ids=[gone])
    assert stand.ids("name = gone") == []


def test_errors_come_first_and_sessions_are_groups(stand: Stand) -> None:
    first = stand.log("turn", "1", "a", **{"mlflow.trace.session": "talk"})
    with pytest.raises(ZeroDivisionError), stand.mlflow.start_span("turn") as failed:
        stand.mlflow.update_current_trace(metadata={"mlflow.trace.session": "talk"})
        raise ZeroDivisionError
    stand.mlflow.flush_trace_async_logging()
    assert stand.ids("name = turn", sort=[RunSort(column="status")]) == [failed.trace_id, first]
    table = stand.ask("name = turn", groups=RunGrouping(by=["session"]), columns=["start_time"])
    assert [(each.path, each.runs) for each in table.groups] == [(["talk"], 2)]


def conversation(stand: Stand, session: str, prices: dict[str, Price] | None = None, **more: str) -> Session:
    asked = SessionQuery(session=session, **more)
    rows = traces_of(stand.mirror.table(query_of(asked, 0), False))
    return session_of(session, stand.whole.said(rows, asked.characters, prices or {}, True))


def test_a_session_is_one_conversation_with_totals(stand: Stand) -> None:
    mlflow = stand.mlflow
    chat: list[dict[str, Any]] = [{"role": "system", "content": "Be brief."}]

    def ask(text: str, answer: str, session: str = "it's 9") -> None:
        chat.append({"role": "user", "content": text})
        with mlflow.start_span("turn") as top:
            mlflow.update_current_trace(metadata={"mlflow.trace.session": session})
            top.set_inputs({"messages": list(chat)})
            with mlflow.start_span("call", span_type="CHAT_MODEL") as call:
                call.set_attribute("mlflow.llm.model", "tiny")
                call.set_attribute(
                    "mlflow.chat.tokenUsage", {"input_tokens": 100, "output_tokens": 10, "total_tokens": 110}
                )
            chat.append({"role": "assistant", "content": answer})
            top.set_outputs({"choices": [{"message": chat[-1]}]})
        mlflow.flush_trace_async_logging()

    ask("Where is my order?", "On its way.")
    ask("When does it come?", "On Monday.")
    session = {"mlflow.trace.session": "it's 9"}
    stand.log("plain", {"question": "Thanks, and who are you?", "user": 7}, "A model.", **session)
    with pytest.raises(ValueError, match="gone"), mlflow.start_span("broken") as broken:
        mlflow.update_current_trace(metadata=session)
        raise ValueError("gone")
    mlflow.flush_trace_async_logging()
    assert broken.trace_id

    found = conversation(stand, "it's 9")
    assert [[(turn.role, turn.text.text) for turn in each.turns] for each in found.traces] == [
        [("user", "Where is my order?"), ("assistant", "On its way.")],
        [("user", "When does it come?"), ("assistant", "On Monday.")],
        [("user", "Thanks, and who are you?"), ("assistant", "A model.")],
        [],
    ]
    assert (found.traces_total, found.failed, found.experiments) == (4, 1, ["Default"])
    assert found.tokens is not None and (found.tokens.input, found.tokens.output) == (200, 20)
    # Costs are unknown, and are those of the endpoint's prices once it has some.
    assert (found.cost, found.cost_is_partial) == (None, False)
    priced = conversation(stand, "it's 9", {"tiny": Price(input=1.0, output=10.0)})
    assert priced.cost == pytest.approx(2 * (100 * 1.0 + 10 * 10.0) / 1e6) and not priced.cost_is_partial

    # Another application may use the same id.
    mlflow.set_experiment("another")
    try:
        ask("Who else is here?", "Nobody.")
    finally:
        mlflow.set_experiment("Default")
    both, one = conversation(stand, "it's 9"), conversation(stand, "it's 9", experiment="another")
    assert (both.traces_total, both.experiments) == (5, ["Default", "another"])
    assert [each.experiment for each in one.traces] == ["another"]

    gone = SessionTrace(trace_id="tr-" + "0" * 32, status="OK")
    (told,) = stand.whole.said([gone], 100, {}, True)
    assert told.turns == [] and told.problem == f"There is no trace '{gone.trace_id}'."


def test_the_tree_has_tokens_cost_and_status(stand: Stand, agent: str) -> None:
    trace = stand.whole.trace(agent, {"tiny": Price(input=1.0, output=2.0)}, True)
    assert [(each.name, each.depth, each.status) for each in trace.spans] == [
        ("agent", 0, "ok"), ("search", 1, "ok"), ("ask", 1, "ok"), ("look_up", 1, "error"),
    ]  # fmt: skip
    ask = trace.spans[2]
    assert ask.tokens is not None and (ask.tokens.input, ask.tokens.output, ask.tokens.reasoning) == (
        1000,
        500,
        None,
    )
    assert (ask.cost, ask.cost_source, trace.cost, trace.cost_source) == (0.002, "price", 0.002, "price")
    unknown = stand.whole.trace(agent, {}, True)
    assert (unknown.spans[2].cost, unknown.cost, unknown.cost_source) == (None, None, "")
    assert trace.spans[0].children == 3 and trace.problems == [] and trace.spans_total == 4
    assert all(each.duration is not None and each.start >= 0 for each in trace.spans)


def test_the_content_of_a_span(stand: Stand, agent: str) -> None:
    spans = {each.name: each.span_id for each in stand.whole.trace(agent, {}, False).spans}
    ask = stand.whole.content(agent, spans["ask"], 1000)
    user, tool, answer = ask.turns
    assert (user.role, user.text.text, [each.url for each in user.pictures]) == (
        "user",
        "What is this?",
        [PIXEL],
    )
    assert (tool.role, tool.call_id, tool.text.text) == ("tool", "c0", "no")
    assert answer.is_answer and [(each.name, each.call_id) for each in answer.tool_calls] == [
        ("look_up", "c1")
    ]
    assert answer.tool_calls[0].arguments.text == '{"what": "it"}'
    search = stand.whole.content(agent, spans["search"], 3)
    assert [(each.source, each.score, each.text.text, each.text.is_cut) for each in search.documents] == [
        ("faq.md", 0.5, "A p", True)
    ]
    failed = stand.whole.content(agent, spans["look_up"], 1000)
    assert failed.inputs is None and failed.turns == []
    assert {each.name: each.value.text for each in failed.events[0].attributes}[
        "exception.message"
    ] == "the card 4711"
    with pytest.raises(NotFound, match="has no span 'nobody'"):
        stand.whole.content(agent, "nobody", 10)
    with pytest.raises(NotFound, match="There is no trace 'tr-nobody'"):
        stand.whole.trace("tr-nobody", {}, False)


def test_mlflow_itself_reads_the_same(stand: Stand, agent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stores that are not a file on this machine are read through MLflow's client."""
    through = MlflowTraces(stand.uri)
    monkeypatch.setattr(through, "_file", None)
    direct, other = stand.whole.trace(agent, {}, True), through.trace(agent, {}, True)
    sizes = [each.content_bytes for each in other.spans]
    assert all(sizes)
    import msgspec

    plain = [
        [msgspec.structs.replace(span, content_bytes=0) for span in each.spans] for each in (direct, other)
    ]
    assert plain[0] == plain[1]
    source = ApiTraces(stand.uri)
    assert agent in source.newest(200).ids
    whole = [each for block in source.blocks() for each in block.ids]
    assert sorted(whole) == sorted(stand.ids("", limit=1000))
    changes = source.newest(200)
    assert isinstance(changes, TraceChanges) and "correct" in changes.metrics.names
    polled = source.poll(stand.mirror._mirror.now(0).asked.snapshot, frozenset({"tr-nobody"}))
    assert polled.gone == ["tr-nobody"] and agent in polled.ids


def otlp_span(number: int, parent: int = 0, **more: Any) -> dict[str, Any]:
    begin = 1_790_000_000_000_000_000 + number
    span = {
        "traceId": more.pop("trace", "ab" * 16),
        "spanId": f"{number:016x}",
        "name": f"span {number}",
        "startTimeUnixNano": str(begin),
        "endTimeUnixNano": str(begin + 1_000_000),
        "attributes": [{"key": key, "value": value} for key, value in more.pop("attributes", {}).items()],
        **more,
    }
    return {**span, "parentSpanId": f"{parent:016x}"} if parent else span


def message(role: str, text: str) -> dict[str, Any]:
    return {"role": role, "parts": [{"type": "text", "content": text}]}


def otlp(*spans: dict[str, Any]) -> bytes:
    return json.dumps({"resourceSpans": [{"resource": {}, "scopeSpans": [{"spans": list(spans)}]}]}).encode()


def test_spans_of_opentelemetry_come_in(stand: Stand) -> None:
    import gzip

    attributes = {
        "gen_ai.operation.name": {"stringValue": "chat"},
        "gen_ai.request.model": {"stringValue": "tiny"},
        "gen_ai.usage.input_tokens": {"intValue": "12"},
        "gen_ai.usage.output_tokens": {"intValue": "3"},
        "gen_ai.input.messages": {"stringValue": json.dumps([message("user", "Hi")])},
        "gen_ai.output.messages": {"stringValue": json.dumps([message("assistant", "Hello")])},
    }  # fmt: skip
    door = OtlpTraces(stand.uri)
    body = otlp(otlp_span(1), otlp_span(2, parent=1, attributes=attributes))
    taken = door.take(gzip.compress(body), "application/json", "gzip", "Default", "")
    assert (taken.spans, taken.traces) == (2, 1)
    trace = stand.whole.trace("tr-" + "ab" * 16, {"tiny": Price(input=1.0, output=1.0)}, True)
    chat = trace.spans[1]
    assert (
        chat.kind == "CHAT_MODEL"
        and chat.tokens is not None
        and (chat.tokens.input, chat.tokens.output) == (12, 3)
    )
    assert chat.cost_source == "price" and chat.model == "tiny"
    said = stand.whole.content(trace.trace_id, chat.span_id, 100)
    assert [(each.role, each.text.text) for each in said.turns] == [("user", "Hi"), ("assistant", "Hello")]
    for wrong, kind, encoding in (
        (b"{", "application/json", ""),
        (b"x", "text/plain", ""),
        (b"x", "application/json", "gzip"),
    ):
        with pytest.raises(InvalidRequest):
            door.take(wrong, kind, encoding, "Default", "")
    with pytest.raises(InvalidRequest, match="more than 64 MB"):
        door.take(gzip.compress(b" " * (65 * 1024 * 1024)), "application/json", "gzip", "Default", "")
    with pytest.raises(NotFound, match="no experiment 'nowhere'"):
        door.take(body, "application/json", "", "nowhere", "")


def test_whatever_is_wrong_with_the_spans(stand: Stand) -> None:
    door = OtlpTraces(stand.uri)

    def read(name: str, *spans: dict[str, Any]) -> Any:
        trace = name.encode().hex().ljust(32, "0")
        door.take(
            otlp(*({**each, "traceId": trace} for each in spans)), "application/json", "", "Default", ""
        )
        return stand.whole.trace(f"tr-{trace}", {}, True)

    endless = read("endless", {**otlp_span(1), "endTimeUnixNano": "0"}, otlp_span(2, parent=1))
    assert [each.duration is None for each in endless.spans] == [True, False]
    assert "1 span never ended." in endless.problems
    circle = read(
        "circle", otlp_span(1), otlp_span(2, parent=3), otlp_span(3, parent=2), otlp_span(4, parent=4)
    )
    assert [each.depth for each in circle.spans] == [0, 0, 0, 1] or len(circle.spans) == 4
    assert any("their own ancestors" in each for each in circle.problems)
    orphans = read("orphans", otlp_span(2, parent=9), otlp_span(3, parent=9))
    assert [each.problem for each in orphans.spans] == ["orphan", "orphan"]
    assert "The trace has no root span." in orphans.problems
    chain = read("chain", otlp_span(1), *(otlp_span(number, parent=number - 1) for number in range(2, 1501)))
    assert [each.depth for each in chain.spans] == list(range(1500))
    big = read(
        "big",
        otlp_span(1, attributes={"x": {"stringValue": "y" * 1_000_000}, "n": {"doubleValue": "NaN"}}),
    )
    content = stand.whole.content(big.trace_id, big.spans[0].span_id, 100)
    cut = {each.name: each.value for each in content.attributes}
    assert (cut["x"].characters, len(cut["x"].text), cut["x"].is_cut) == (1_000_000, 100, True)
    assert cut["n"].text == "NaN" and big.spans[0].content_bytes > 1_000_000
    again = stand.whole.compare(chain.trace_id, chain.trace_id, {})
    assert len(again.pairs) == 1500 and all(each.first == each.second for each in again.pairs)


def test_spans_are_matched(stand: Stand, agent: str) -> None:
    mlflow = stand.mlflow
    with mlflow.start_span("agent 2") as top:
        for name, kind in (("search", "RETRIEVER"), ("think", "LLM"), ("ask", "CHAT_MODEL")):
            with mlflow.start_span(name, span_type=kind) as span:
                span.set_outputs({"name": name})
    mlflow.flush_trace_async_logging()
    found = stand.whole.compare(agent, top.trace_id, {})
    names = [
        (each.first and each.first.name, each.second and each.second.name, each.same_content)
        for each in found.pairs
    ]
    assert names == [
        ("agent", "agent 2", None),
        ("search", "search", False),
        (None, "think", None),
        ("ask", "ask", False),
        ("look_up", None, None),
    ]
    assert found.first.spans == [] and found.first.trace_id == agent


def test_a_trace_becomes_a_row_of_a_data_set(stand: Stand, agent: str) -> None:
    rows = DatasetRows(stand.uri)
    plain = stand.log("plain", "two and two", "four")
    added = rows.add(NewRows(trace_ids=[agent, plain], dataset="hard cases", with_answer=True))
    assert (added.rows, added.added, added.updated) == (2, 2, 0)
    again = rows.add(NewRows(trace_ids=[plain], dataset="hard cases"))
    assert (again.dataset_id, again.added, again.updated) == (added.dataset_id, 0, 1)
    records = {
        each.source.source_data["trace_id"]: each
        for each in stand.mlflow.MlflowClient().get_dataset(added.dataset_id).records
    }
    assert records[plain].inputs == {"input": "two and two"}
    assert records[plain].expectations == {"expected_response": "four"}
    assert records[agent].expectations == {"answer": "a pixel", "expected_response": "It is a pixel."}
    assert records[agent].source.source_data["session_id"] == "s1"
    with pytest.raises(InvalidRequest, match="has no inputs"):
        rows.add(NewRows(trace_ids=[stand.log("mute")], dataset="hard cases"))


def test_ten_thousand_spans(stand: Stand, agent: str) -> None:
    with sqlite3.connect(stand.file) as database:
        names = [row[1] for row in database.execute("PRAGMA table_info(spans)")]
        values = ", ".join(
            {"span_id": "printf('%016x', n)", "name": "'many ' || n"}.get(name, name) for name in names
        )
        database.execute(
            f"INSERT INTO spans ({', '.join(names)}) WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c "
            f"WHERE n < 10000) SELECT {values} FROM c, spans WHERE trace_id = ? AND name = 'search'",
            (agent,),
        )
    database.close()
    begun = time.process_time()
    trace = stand.whole.trace(agent, {}, False)
    took = time.process_time() - begun
    assert len(trace.spans) == trace.spans_total == 10_004
    assert took < 20, "quadratic"
