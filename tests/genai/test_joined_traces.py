"""Calls of deployments in the traces of their applications, with real MLflow traces in its SQLite file."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from genops_lab.genai.endpoints.limits import Price
from genops_lab.genai.online.backend import LATE_S, OnlineTraces
from genops_lab.genai.online.store import TraceScore
from genops_lab.genai.traces.answered import AnsweredRequest, AnsweredTraces
from genops_lab.genai.traces.backend import TraceMirror
from genops_lab.genai.traces.mlflow_traces import MlflowTraces
from genops_lab.genai.traces.retrieved import retrievers
from genops_lab.genai.traces.tree import KIND, RawSpan
from genops_lab.genai.traces.writing import OtlpTraces
from tests.support.homes import Home
from tests.support.mlflow_file import place_server_store, place_store
from tests.support.mlflow_server import running_mlflow

BEGAN = 1_790_000_000
PRICES = {"small-1": Price(input=1.0, output=1.0)}


class Stand:
    """A store with two experiments, and what writes into it and reads it."""

    def __init__(self, folder: Path, uri: str) -> None:
        from mlflow import MlflowClient

        self.file = folder / "mlflow" / "mlflow.db"
        client = MlflowClient(uri)
        for name in ("deployments", "support"):
            client.create_experiment(name)
        self.door, self.deployments = OtlpTraces(uri), AnsweredTraces(uri)
        self.whole, self.online = MlflowTraces(uri), OnlineTraces(uri)
        self.mirror = TraceMirror(uri, str(folder / "runs"))
        self.numbers = iter(range(1, 1000))

    def application(self, trace: str, *spans: dict[str, Any], experiment: str = "deployments") -> str:
        """Spans of an application come in by OTLP."""
        sent = [{"traceId": trace, **each} for each in spans]
        body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": sent}]}]}).encode()
        self.door.take(body, "application/json", "", experiment, "")
        return f"tr-{trace}"

    def new_trace(self) -> str:
        return f"{next(self.numbers):032x}"

    def keep(self, *requests: AnsweredRequest, deployment: str = "chat") -> list[str]:
        return self.deployments.keep(deployment, "deployments", "off", list(requests))

    def spans(self, trace: str) -> list[tuple[str, int]]:
        return [(each.name, each.depth) for each in self.whole.trace(trace, {}, False).spans]


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    import mlflow

    before = mlflow.get_tracking_uri()
    folder = tmp_path_factory.mktemp("joined")
    place_store(folder)
    found = Stand(folder, f"sqlite:///{folder}/mlflow/mlflow.db")
    yield found
    found.mirror._mirror.close()
    mlflow.set_tracking_uri(before)


def span(
    number: int, name: str, begin: float, end: float, parent: int = 0, **attributes: Any
) -> dict[str, Any]:
    """A span of an application in OTLP's JSON; times in seconds after the beginning."""
    found = {
        "spanId": f"{number:016x}", "name": name, "startTimeUnixNano": str(int((BEGAN + begin) * 1e9)),
        "endTimeUnixNano": str(int((BEGAN + end) * 1e9)),
        "attributes": [
            {
                "key": key.replace("__", "."),
                "value": {"stringValue": value if isinstance(value, str) else json.dumps(value)},
            }
            for key, value in attributes.items()
        ],
    }  # fmt: skip
    return {**found, "parentSpanId": f"{parent:016x}"} if parent else found


def search(number: int, begin: float, text: str, parent: int = 1) -> dict[str, Any]:
    found = [{"page_content": text, "metadata": {"doc_uri": f"{number}.md"}}]
    return span(
        number,
        "search",
        begin,
        begin + 0.5,
        parent,
        openinference__span__kind="RETRIEVER",
        output__value=found,
    )


def call(trace: str, caller: int, own: str, at: float = 2.0, seconds: float = 1.0) -> AnsweredRequest:
    """A request of the application's span, as the gateway gives it."""
    request = {"model": "small-1", "messages": [{"role": "user", "content": "When?"}]}
    usage = {"prompt_tokens": 100, "completion_tokens": 10}
    message = {"role": "assistant", "content": "At nine."}
    answer = {"model": "small-1", "choices": [{"message": message, "finish_reason": "stop"}], "usage": usage}
    return AnsweredRequest(
        trace=own, at=BEGAN + at, seconds=seconds, status=200, path="/v1/chat/completions", revision=1,
        caller="rag", request=json.dumps(request), answer=json.dumps(answer), caller_trace=trace,
        caller_span=f"{caller:016x}",
    )  # fmt: skip


def test_a_call_is_a_span_of_its_applications_trace_and_late_spans_find_their_place(stand: Stand) -> None:
    trace, own = stand.new_trace(), "a1" * 16
    application = stand.application(trace, search(2, 0.1, "It opens at nine."))
    request = call(trace, 3, own)
    assert stand.keep(request) == [f"{application}:{own[:16]}"] == stand.keep(request)
    chat = span(
        3, "chat", 1.0, 4.0, 1, gen_ai__operation__name="chat", gen_ai__request__model="small-1",
        gen_ai__usage__input_tokens="100", gen_ai__usage__output_tokens="10",
    )  # fmt: skip
    stand.application(trace, chat, span(1, "answer", 0.0, 5.0, user__id="anna"))
    found = stand.whole.trace(application, PRICES, True)
    assert [(each.name, each.depth) for each in found.spans] == [
        ("answer", 0), ("search", 1), ("chat", 1), ("chat chat", 2),
    ]  # fmt: skip
    assert not found.problems and (found.status, found.user) == ("OK", "anna")
    assert (found.name, found.tags["deployment"], found.experiment) == ("answer", "chat", "deployments")
    # Both spans tell of one call.
    assert found.tokens is not None and (found.tokens.input, found.tokens.output) == (100, 10)
    assert [each.cost for each in found.spans] == [None, None, pytest.approx(1.1e-4), pytest.approx(1.1e-4)]
    assert found.cost == pytest.approx(1.1e-4) and not found.cost_is_partial


def test_the_cost_of_a_call_whose_price_only_the_deployment_knows_is_not_partial(stand: Stand) -> None:
    trace = stand.new_trace()
    chat = span(
        3, "chat", 1.0, 4.0, gen_ai__operation__name="chat", gen_ai__request__model="my alias",
        gen_ai__usage__input_tokens="100", gen_ai__usage__output_tokens="10",
    )  # fmt: skip
    application = stand.application(trace, chat)
    stand.keep(call(trace, 3, "a2" * 16))
    found = stand.whole.trace(application, PRICES, True)
    assert found.cost == pytest.approx(1.1e-4) and not found.cost_is_partial
    found = stand.whole.trace(application, {"my alias": PRICES["small-1"]}, True)
    assert found.cost == pytest.approx(1.1e-4) and not found.cost_is_partial


def test_a_header_writes_into_no_trace_of_another_experiment(stand: Stand) -> None:
    trace, own = stand.new_trace(), "b1" * 16
    sent = span(1, "answer", 0.0, 5.0), search(2, 0.1, "It opens at nine.")
    application = stand.application(trace, *sent, experiment="support")
    assert stand.keep(call(trace, 1, own)) == [f"tr-{own}"]
    assert stand.spans(application) == [("answer", 0), ("search", 1)]
    theirs = stand.whole.trace(application, {}, True)
    assert "deployment" not in theirs.tags and theirs.experiment == "support"
    kept = stand.whole.trace(f"tr-{own}", {}, True)
    assert (kept.caller_trace, kept.experiment, kept.user) == (application, "deployments", "rag")
    # The page shows both as one tree.
    stand.mirror.touch([f"tr-{own}"])
    stand.mirror.find(f"tr-{own}", 1)
    called = stand.mirror.called(application)
    assert called == [f"tr-{own}"] and stand.mirror.called(f"tr-{own}") == []
    tree = stand.whole.trace(application, {}, True, called)
    assert [(each.name, each.depth) for each in tree.spans] == [
        ("answer", 0),
        ("search", 1),
        ("chat chat", 1),
    ]
    assert tree.spans_total == 3 and not tree.problems
    # One that names a span which the trace does not have is not shown there.
    other = "b2" * 16
    stand.keep(call(trace, 77, other))
    tree = stand.whole.trace(application, {}, True, [f"tr-{own}", f"tr-{other}", "tr-" + "99" * 16])
    assert len(tree.spans) == tree.spans_total == 3


def test_a_call_before_the_trace_of_its_application_has_its_own_and_keeps_it(stand: Stand) -> None:
    trace, own = stand.new_trace(), "c1" * 16
    request = call(trace, 1, own)
    assert stand.keep(request) == [f"tr-{own}"]
    application = stand.application(trace, span(1, "answer", 0.0, 5.0))
    assert stand.keep(request) == [f"tr-{own}"], "a sample that comes again is no second record"
    assert stand.spans(application) == [("answer", 0)]
    unsampled = call("", 0, "c2" * 16)
    assert stand.keep(unsampled) == ["tr-" + "c2" * 16]
    assert not stand.whole.trace("tr-" + "c2" * 16, {}, True).caller_trace


def test_a_trace_whose_spans_lie_in_files_is_not_written(stand: Stand) -> None:
    trace = stand.new_trace()
    application = stand.application(trace, span(1, "answer", 0.0, 5.0))
    with closing(sqlite3.connect(stand.file)) as file, file:
        file.execute(
            "UPDATE trace_tags SET value = 'ARTIFACT_REPO' WHERE key = 'mlflow.trace.spansLocation' AND request_id = ?",
            [application],
        )
    assert stand.keep(call(trace, 1, "d1" * 16)) == ["tr-" + "d1" * 16]


def test_a_tag_of_the_application_stays(stand: Stand) -> None:
    trace = stand.new_trace()
    application = stand.application(trace, span(1, "answer", 0.0, 5.0, mlflow__traceTag__deployment="blue"))
    assert stand.whole.trace(application, {}, True).tags["deployment"] == "blue"
    stand.keep(call(trace, 1, "d2" * 16))
    assert stand.whole.trace(application, {}, True).tags["deployment"] == "blue"


@pytest.mark.parametrize("experiment", ["deployments", "support"])
def test_a_live_call_has_the_documents_of_its_application(stand: Stand, experiment: str) -> None:
    trace, own = stand.new_trace(), ("e1" if experiment == "support" else "e2") * 16
    stand.application(trace, search(2, 0.1, "It opens at nine."), experiment=experiment)
    (kept,) = stand.keep(call(trace, 3, own))
    soon, later = BEGAN + 3.0 + LATE_S - 1, BEGAN + 3.0 + LATE_S + 1

    def read(now: float, documents: bool = True) -> Any:
        (found,) = stand.online.read([kept], {}, documents, now)
        return found

    assert read(soon).late and not read(soon, documents=False).late
    assert read(soon, documents=False).answered.text == "At nine."
    assert "did not come within 60 s" in read(later).reason and read(later).answered is None
    stand.application(trace, span(3, "chat", 1.0, 4.0, 1), experiment=experiment)
    found = read(soon).answered
    assert (found.row["documents"], found.row["retrieved"]) == (["It opens at nine."], ["2.md"])
    assert found.text == "At nine." and found.messages == [{"role": "user", "content": "When?"}]


def test_an_application_without_documents_is_told_and_not_scored(stand: Stand) -> None:
    trace = stand.new_trace()
    stand.application(trace, span(1, "answer", 0.0, 5.0), search(2, 4.0, "After the call."))
    (kept,) = stand.keep(call(trace, 1, "e3" * 16))
    (found,) = stand.online.read([kept], {}, True, BEGAN + 10.0)
    assert found.late
    (found,) = stand.online.read([kept], {}, True, BEGAN + 1000.0)
    assert found.answered is None and "no documents that were retrieved before the call" in found.reason


def test_each_call_of_a_trace_has_its_own_scores(stand: Stand, tmp_path: Path) -> None:
    trace = stand.new_trace()
    application = stand.application(
        trace, span(1, "agent", 0.0, 9.0), search(2, 0.1, "One."), span(3, "ask", 1.0, 2.0, 1),
        search(4, 3.0, "Two."), span(5, "ask", 4.0, 6.0, 1),
    )  # fmt: skip
    calls = stand.keep(call(trace, 3, "f1" * 16, 1.1, 0.5), call(trace, 5, "f2" * 16, 4.1, 0.5))
    read = stand.online.read(calls, {}, True, BEGAN + 10.0)
    assert [each.answered.row["documents"] for each in read if each.answered] == [["One."], ["One.", "Two."]]
    scores = [TraceScore(trace=each, value=float(at)) for at, each in enumerate(calls)]
    written = ("s1", "faithful", ("LLM_JUDGE", "judge"), scores, str(tmp_path / "lock"))
    assert stand.online.write(*written) == 2 and stand.online.write(*written) == 0
    kept = stand.whole.trace(application, {}, True).assessments
    assert sorted((each.span_id, json.loads(each.value)) for each in kept) == [
        ("f1" * 8, 0.0), ("f2" * 8, 1.0),
    ]  # fmt: skip


def test_a_server_of_mlflow_keeps_both_as_the_file_does(home: Home, tmp_path: Path) -> None:
    place_server_store(tmp_path / "far.db")
    with running_mlflow(home, f"sqlite:///{tmp_path}/far.db", tmp_path / "artifacts") as url:
        far = Stand(tmp_path, url)
        try:
            test_a_call_is_a_span_of_its_applications_trace_and_late_spans_find_their_place(far)
            test_a_header_writes_into_no_trace_of_another_experiment(far)
            test_each_call_of_a_trace_has_its_own_scores(far, tmp_path)
        finally:
            far.mirror._mirror.close()


def raw(id: str, parent: str, begin: int, end: int | None, kind: str = "CHAIN") -> RawSpan:
    return RawSpan(id, parent, id, begin, end, {"attributes": {KIND: json.dumps(kind)}}, 0)


@pytest.mark.parametrize(
    ("caller", "ended", "wanted"),
    [
        ("chat1", 30, ["r1"]),  # before this call
        ("chat2", 60, ["r2"]),  # below the nearest span above
        ("root", 25, ["r1"]),  # the span that called has the retriever below it
        ("chat3", 95, ["r1", "r2"]),
        ("gone", 30, None),
        ("lost", 10, ["r4"]),  # beside a span whose parent has not ended
        ("circle", 10, []),
    ],
)
def test_the_documents_of_a_call_are_those_of_the_nearest_span_above(
    caller: str, ended: int, wanted: list[str] | None
) -> None:
    spans = [
        raw("root", "", 0, 100), raw("r1", "root", 1, 10, "RETRIEVER"), raw("chat1", "root", 20, 30),
        raw("step", "root", 40, 70), raw("r2", "step", 41, 45, "RETRIEVER"), raw("chat2", "step", 50, 60),
        raw("r3", "step", 65, None, "RETRIEVER"), raw("chat3", "root", 90, 95), raw("lost", "nowhere", 3, 5),
        raw("r4", "nowhere", 1, 2, "RETRIEVER"),
        raw("circle", "circle", 0, 5),
    ]  # fmt: skip
    found = retrievers(iter(spans), caller, ended)
    assert (None if found is None else [each.span_id for each in found]) == wanted


def test_deep_traces_with_many_retrievers_take_one_pass() -> None:
    deep = 5000
    spans = [raw(f"s{at}", f"s{at - 1}" if at else "", at, 10**6) for at in range(deep)]
    spans += [raw(f"r{at}", f"s{at}", at, 10**6, "RETRIEVER") for at in range(deep - 1)]
    spans += [
        raw("of several", f"s{deep - 1}", deep, deep + 9, "RETRIEVER"),
        raw("end", f"s{deep - 1}", deep + 10, 10**6),
    ]
    found = retrievers(iter(spans), "end", 10**6)
    assert found is not None and [each.span_id for each in found] == ["of several"]
