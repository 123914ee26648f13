"""Scorers of live traces: a real Lab, a real deployment whose requests become traces, and a judge with planted faults.

The judge is the stub of OpenAI's protocol. The tests share one Lab, which one of them kills; each sets its own scorers.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from genops_lab.deployments.description.reading import DeploymentFileError, read_description
from genops_lab.genai.endpoints.limits import Price
from genops_lab.genai.evaluations.kept_labels import KeptLabels, keep_labels
from genops_lab.genai.evaluations.results_folder import KeptLabel, find_folder
from genops_lab.genai.online.backend import answered_in
from genops_lab.genai.online.live_scorers import read_live_scorers
from genops_lab.genai.online.process import OnlineProcess
from genops_lab.genai.online.store import in_sample
from genops_lab.genai.scorers.base import Answered
from genops_lab.genai.scorers.judge_checks import Calibration, Checked
from genops_lab.genai.scorers.judges import identity
from genops_lab.genai.scorers.kinds import Scorer
from genops_lab.genai.traces.answered import NOT_REDACTED, AnsweredRequest, _answer
from genops_lab.genai.traces.tree import INPUTS, OUTPUTS, RawSpan
from tests.kernels.outputs.pages import eventually
from tests.support import authorizer
from tests.support.homes import Home
from tests.support.lab_server import LabServer, start_lab
from tests.support.openai_stub import OpenAIStub

from .answering import Evaluating, questions
from .live_deployment import LiveDeployment
from .test_traces_lab import _ALL, genops

NAME, PATH = "chat", "genops/v1/deployments/chat/online-scorers"
RULES = [
    {"scorer": "length", "name": "short", "unit": "words", "at_most": 50},
    {"scorer": "refusal", "name": "answers"},
    {"scorer": "regex", "name": "begins", "pattern": "^Answer to"},
    {"scorer": "latency", "name": "seconds"},
]
POLITE = {
    "scorer": "rubric", "name": "polite", "model": "judge", "criterion": "The answer is polite.",
    "scale": ["no", "somewhat", "yes"],
}  # fmt: skip
PRICE = {"input": 1.0, "output": 1.0}


@pytest.fixture(scope="module")
def judge() -> Iterator[OpenAIStub]:
    answers = {
        "sullen": '{"reason": "curt", "mark": 1}', "no-mark": "I will not judge this.", "off-scale": '{"mark": 9}',
        "": '{"reason": "kind", "mark": 3}',
    }  # fmt: skip
    with OpenAIStub(key="", answers=answers, always_fails=("fails-always",)) as stub:
        yield stub


def started(home: Home, after: LabServer | None = None) -> LabServer:
    """A Lab whose users may do what the file of grants says."""
    grants = home.path / "grants.json"
    grants.write_text(json.dumps(_ALL))
    name = f"{authorizer.__name__}.{authorizer.Grants.__name__}"
    return start_lab(
        home, arguments=[f"--ServerApp.authorizer_class={name}"], env={authorizer.VARIABLE: str(grants)}, after=after
    )  # fmt: skip


@pytest.fixture(scope="module")
def lab(module_home: Home) -> Iterator[LiveDeployment]:
    found = LiveDeployment(started(module_home), NAME)
    try:
        found.deploy()
        status, answer = found.call("PUT", PATH, {"text": json.dumps({"scorers": RULES})})
        assert status == 409 and answer["error"]["hint"].startswith("Make traces first: "), answer
        found.done("PUT", f"genops/v1/deployments/{NAME}/traces", {"sample": 1.0})
        yield found
    finally:
        found.server.stop()


def text(judge: OpenAIStub, *scorers: dict[str, Any], **changes: Any) -> str:
    model = {"url": judge.url, "model": "stub-1", "settings": {"max_tokens": 50}, "price": PRICE, **changes}
    return json.dumps({"scorers": list(scorers), "judges": {"judge": model}})


@pytest.mark.parametrize(
    ("scorer", "why"),
    [
        ({"scorer": "exact"}, "it needs 'expected', and nobody said"),
        ({"scorer": "rubric", "criterion": "c", "model": "judge", "expected": "wanted"}, "it needs 'wanted'"),
        ({"scorer": "code"}, "it needs 'tests'"),
        ({"scorer": "retrieval"}, "it needs 'relevant'"),
        ({"scorer": "faithfulness", "model": "judge", "documents": "found"}, "it needs 'found'"),
        ({"scorer": "pairwise", "model": "judge"}, "it compares the answers of two models"),
        ({"scorer": "mlflow", "class": "Correctness"}, "it needs 'expected'"),
        ({"scorer": "refusal", "should": "must"}, "it needs 'must'"),
    ],
)
def test_a_scorer_that_needs_more_than_a_trace_is_refused(
    lab: LiveDeployment, judge: OpenAIStub, scorer: dict[str, Any], why: str
) -> None:
    status, answer = lab.call("PUT", PATH, {"text": text(judge, scorer)})
    assert (status, lab.scores()["state"]) == (400, "off")
    assert f"cannot look at live traces: {why}" in answer["error"]["message"] and answer["error"]["hint"]


def test_a_budget_that_cannot_be_kept_and_a_judge_of_itself_are_refused(
    lab: LiveDeployment, judge: OpenAIStub
) -> None:
    def refused(file: str, **more: Any) -> str:
        status, answer = lab.call("PUT", PATH, {"text": file, **more})
        assert status == 400, answer
        return str(answer["error"]["message"])

    assert "no max_tokens" in refused(text(judge, POLITE, settings={}), money_per_day=1.0)
    assert "has no price" in refused(text(judge, POLITE, price=None), money_per_day=1.0)
    asks = {"scorer": "mlflow", "class": "RelevanceToQuery"}
    assert "asks a model by itself" in refused(text(judge, asks), money_per_day=1.0)
    itself = {"scorers": [POLITE], "judges": {"judge": {"deployment": NAME}}}
    assert "is the deployment 'chat' itself" in refused(json.dumps(itself))
    assert "budget for one evaluation" in refused(text(judge, POLITE, limits={"money": 1.0, "tokens": 500}))
    assert lab.call("PUT", PATH, {"text": text(judge, POLITE), "sample": 0})[0] == 400
    assert lab.scores()["state"] == "off"


def span(outputs: Any, **attributes: Any) -> RawSpan:
    inputs = {"messages": [{"role": "user", "content": "Where?"}]}
    kept = {INPUTS: attributes.pop("inputs", inputs), OUTPUTS: outputs, **attributes}
    content = {"attributes": {name: json.dumps(value) for name, value in kept.items()}}
    return RawSpan("1" * 16, "", "chat", 10**9, 3 * 10**9, content, 0)


def chat(**message: Any) -> dict[str, Any]:
    usage = {"prompt_tokens": 1_000_000, "completion_tokens": 100_000}
    choice = {"message": {"role": "assistant", **message}, "finish_reason": "stop"}
    return {"model": "small-1", "choices": [choice], "usage": usage}


@pytest.mark.parametrize(
    ("changed", "calibrated"),
    [
        ({}, True),
        ({"model": "small"}, False),
        ({"settings": {"temperature": 2}}, False),
        ({"price": PRICE}, True),
    ],
)
def test_labels_of_a_judge_say_nothing_of_another_model_with_its_name(
    tmp_path: Path, changed: dict[str, Any], calibrated: bool
) -> None:
    given = {"url": "http://127.0.0.1:9/v1", "model": "large", "settings": {"max_tokens": 50}}
    made = Evaluating(tmp_path, given["url"], questions(1), judges={"judge": given}, scorers=[POLITE])  # type: ignore[arg-type]
    judge = msgspec.convert(POLITE, Scorer)
    verdict = Calibration(
        judge=identity(judge), calibrated=True, labels=60,
        checks=[Checked(name="agreement", value=0.8, low=0.7, high=0.9, n=60)],
    )  # fmt: skip
    folder = find_folder(tmp_path / "answers", made.id)
    label = KeptLabel(model="a", example="q0", repeat=0, value=1.0, raters=1, chance=0.5)
    keep_labels(folder, KeptLabels(question="polite", labels=[label], calibrations={"polite": verdict}))
    file = json.dumps({"scorers": [POLITE], "judges": {"judge": {**given, **changed}}})
    process = OnlineProcess(str(tmp_path / "online"), str(tmp_path / "answers"))
    (found,) = process.means(file, {"polite": [1.0, 0.5]}).values()
    assert found.calibrated is calibrated
    assert ("nobody labelled answers that it marked" in found.calibration) is not calibrated


def test_a_stream_may_have_other_ends_of_lines_in_its_texts() -> None:
    part = {"choices": [{"delta": {"content": "one\u2028two\x85"}, "finish_reason": "stop"}]}
    stream = f"data: {json.dumps(part, ensure_ascii=False)}\r\n\r\ndata: [DONE]\r\n\r\n"
    kept = AnsweredRequest(
        trace="t", at=0.0, seconds=1.0, status=200, path="/v1/chat/completions", revision=1, caller="", request="",
        answer=stream, streamed=True,
    )  # fmt: skip
    found = _answer(kept)
    assert found["choices"][0]["message"]["content"] == "one\u2028two\x85"


def test_a_trace_is_read_as_an_answer() -> None:
    call = {"type": "function", "function": {"name": "find", "arguments": '{"city": "Lima"}'}}
    prices = {"small-1": Price(input=1.0, output=10.0)}
    read = answered_in("tr-1", span(chat(content="There.", tool_calls=[call])), prices)
    assert isinstance(read, Answered)
    assert (read.text, read.latency_s, read.money, read.finish_reason) == ("There.", 2.0, 2.0, "stop")
    assert read.messages == [{"role": "user", "content": "Where?"}] and read.usage is not None
    assert read.tool_calls == [{"name": "find", "arguments": '{"city": "Lima"}'}]
    plain = span({"choices": [{"text": " there", "finish_reason": "length"}]}, inputs={"prompt": "Go"})
    read = answered_in("tr-1", plain, prices)
    assert isinstance(read, Answered)
    assert (read.text, read.usage, read.money, read.finish_reason) == (" there", None, None, "length")
    assert read.messages == [{"role": "user", "content": "Go"}]
    request = {
        "messages": [{"role": "user", "content": "When?"}],
        "documents": [{"text": "At nine."}, "Daily."],
    }
    read = answered_in("tr-1", span(chat(content="At nine."), inputs=request), {})
    assert isinstance(read, Answered) and read.row["documents"] == ["At nine.", "Daily."]
    read = answered_in("tr-1", span({"predictions": [1, 2]}, inputs={"inputs": [[0]]}), {})
    assert isinstance(read, Answered) and read.text == '{"predictions":[1,2]}'


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (span(chat(content="a"), **{"http.response.status_code": 503}), "failed with HTTP status 503"),
        (span(chat(content="a"), **{"genops.cut": True}), "only the first 64 KB"),
        (span({"choices": [], "incomplete": "the stream broke off"}), "the answer broke off"),
        (span(NOT_REDACTED), "could not be redacted"),
    ],
)
def test_a_trace_without_a_whole_answer_is_not_scored(raw: RawSpan, reason: str) -> None:
    read = answered_in("tr-1", raw, {})
    assert isinstance(read, str) and reason in read


def test_the_file_of_the_docs_can_look_at_live_traces() -> None:
    page = Path(__file__).parents[2] / "docs/users/online-scorers.md"
    if not page.exists():
        pytest.skip("The docs are not here.")
    example = page.read_text().split("```yaml\n")[1].split("```")[0]
    assert [each.label for each in read_live_scorers(example, "scorers.yaml").scorers] == [
        "short", "answers", "polite",
    ]  # fmt: skip


def test_live_traces_get_scores_with_reasons_intervals_and_cost(
    lab: LiveDeployment, judge: OpenAIStub
) -> None:
    judge.reset()
    lab.done("PUT", PATH, {"text": text(judge, *RULES, POLITE), "money_per_day": 1.0})
    lab.ask(*(f"first {at}" for at in range(6)), "first sullen", "first forbidden", "first broken")
    lab.ask("first no-mark", "first off-scale", "first fails-always")
    found = lab.settled(12)
    by_name = {each["scorer"]: each for each in found["scorers"]}
    assert (found["sampled"], found["state"], found["traced"], found["budget_used"]) == (12, "on", 1.0, False)
    for rule in RULES:
        counts = by_name[str(rule["name"])]
        assert (counts["scored"], counts["not_scored"], counts["left_out"]) == (11, 1, 0)
        assert counts["reasons"] == {"the request failed with HTTP status 500": 1}
    answers, polite = by_name["answers"], by_name["polite"]
    assert answers["mean"]["value"] == pytest.approx(10 / 11)
    assert answers["mean"]["low"] < 10 / 11 < answers["mean"]["high"] and answers["mean"]["n"] == 11
    assert by_name["seconds"]["mean"]["value"] > 0
    assert (polite["scored"], polite["not_scored"]) == (8, 4)
    assert polite["mean"]["value"] == pytest.approx(7 / 8)
    reasons = " ".join(polite["reasons"])
    assert "the judge gave no mark" in reasons and "outside its scale of 1 to 3" in reasons
    assert "HTTP 500" in reasons and "the request failed" in reasons
    # The cost is that of the tokens that the judge counted, and of no failed call.
    words = sum(
        len(str(message["content"]).split()) for each in judge.requests() for message in each["messages"]
        if "fails-always" not in str(each["messages"])
    )  # fmt: skip
    assert polite["money"] == pytest.approx(found["money_today"]) == pytest.approx(found["money"])
    assert words * 1e-6 < polite["money"] < 2 * words * 1e-6 and found["currency"] == "USD"
    assert polite["calibrated"] is False and "The judge polite is not calibrated" in " ".join(
        found["sentences"]
    )
    (sullen,) = lab.traces("sullen")
    marks = {each["name"]: each for each in sullen["assessments"]}
    assert json.loads(marks["polite"]["value"]) == 0.0 and marks["polite"]["source"] == "LLM_JUDGE"
    assert marks["short"]["source"] == "CODE" and len(sullen["assessments"]) == 5
    (off,) = lab.traces("off-scale")
    assert "outside its scale" in {each["name"]: each for each in off["assessments"]}["polite"]["error"]
    query = {"query": "metrics.polite = 0", "wait_s": 30}
    table = lab.done("POST", "genops/v1/traces/query", query)
    assert table["run_ids"] == [sullen["trace_id"]]
    code, out, err = genops(lab.server, "traces", "score", NAME)
    assert code == 0 and "polite" in out and "not calibrated" in out and "of 1 (UTC)" in out, err
    assert json.loads(genops(lab.server, "traces", "score", NAME, "--json")[1])["seen"] == 12


def test_a_trace_whose_mark_was_lost_has_one_assessment(lab: LiveDeployment, judge: OpenAIStub) -> None:
    """The state of a Lab that was killed after it wrote assessments, and before it marked the trace."""
    (trace,) = lab.traces("first 3")
    with closing(sqlite3.connect(lab.server.home.data / "online" / "scores.sqlite")) as file, file:
        ids = [trace["trace_id"]]
        rows = file.execute("SELECT scoring, scorer, trace FROM score WHERE trace = ?", ids).fetchall()
        assert len(rows) == 5
        file.execute("DELETE FROM score WHERE trace = ?", ids)
        file.executemany("INSERT INTO waiting (scoring, scorer, trace) VALUES (?, ?, ?)", rows)
    found = lab.settled(12)
    assert {each["scored"] + each["not_scored"] for each in found["scorers"]} == {12}
    (again,) = lab.traces("first 3")
    assert sorted(each["assessment_id"] for each in again["assessments"]) == sorted(
        each["assessment_id"] for each in trace["assessments"]
    )


def test_traces_wait_for_a_judge_that_is_away_and_while_paused(
    lab: LiveDeployment, judge: OpenAIStub
) -> None:
    judge.reset()
    lab.done("PUT", PATH, {"text": text(judge, RULES[0], POLITE)})
    judge.set(away_until=time.time() + 3600)
    lab.ask("away 1", "away 2")
    found = eventually(
        lab.scores, lambda each: bool(each["scorers"][1]["problem"]) and each["scorers"][0]["scored"] == 2
    )
    assert (found["scorers"][1]["waiting"], found["scorers"][1]["scored"]) == (2, 0)
    assert any(each.startswith("Traces wait for the scorer polite: ") for each in found["sentences"])
    judge.set(away_until=0.0, key="another")
    found = eventually(lab.scores, lambda each: "refuses the key" in each["scorers"][1]["problem"])
    assert found["scorers"][1]["waiting"] == 2
    judge.set(key="")
    found = lab.settled(2)
    assert [each["scored"] for each in found["scorers"]] == [2, 2] and not found["scorers"][1]["problem"]
    assert lab.done("POST", f"{PATH}/pause")["state"] == "paused"
    lab.ask("away 3")
    found = eventually(lab.scores, lambda each: each["seen"] == 3)
    assert [each["waiting"] for each in found["scorers"]] == [1, 1]
    assert lab.done("POST", f"{PATH}/resume")["state"] == "on"
    assert [each["scored"] for each in lab.settled(3)["scorers"]] == [3, 3]


def test_an_answer_is_compared_with_the_documents_that_it_names(
    lab: LiveDeployment, judge: OpenAIStub
) -> None:
    judge.reset()
    lab.done("PUT", PATH, {"text": text(judge, {"scorer": "faithfulness", "model": "judge"})})
    lab.ask("when is it retrieved", "when is it not")
    (faithful,) = lab.settled(2)["scorers"]
    assert (faithful["scored"], faithful["mean"]["value"]) == (1, 1.0)
    assert faithful["reasons"] == {"the trace has no 'documents'": 1}
    (asked,) = judge.requests()
    assert "The office opens at nine." in str(asked["messages"])


def test_applications_of_the_docs_and_their_calls_are_one_tree_and_judges_read_its_documents(
    lab: LiveDeployment, judge: OpenAIStub
) -> None:
    pytest.importorskip("openai", reason="openai's client")
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="OpenTelemetry's exporter for OTLP")
    judge.reset()
    traces = f"genops/v1/deployments/{NAME}/traces"
    for name in ("support", "elsewhere"):
        lab.done("POST", "genops/v1/experiments", {"name": name})
    lab.done("PUT", traces, {"sample": 1.0, "experiment": "support"})
    try:
        kinds = ("faithfulness", "context_precision", "context_recall")
        scorers = [{"scorer": each, "model": "judge"} for each in kinds]
        lab.done("PUT", PATH, {"text": text(judge, *scorers, RULES[0])})
        by_otlp = lab.application("opentelemetry", "support")
        by_mlflow = lab.application("mlflow", "support")
        apart = lab.application("opentelemetry", "elsewhere")
        found = lab.settled(3)
        assert {each["scorer"]: (each["scored"], each["reasons"]) for each in found["scorers"]} == {
            each: (3, {}) for each in (*kinds, "short")
        }
        asked = [str(each["messages"]) for each in judge.requests()]
        assert len(asked) == 9 and all(
            "<documents>\\nThe office opens at nine.\\n</documents>" in each for each in asked
        )

        def shown(trace: str) -> tuple[dict[str, Any], list[tuple[str, int, str]]]:
            found = lab.server.get(f"genops/v1/trace-content/{trace}")
            assert not found["problems"], found
            return found, [(each["name"], each["depth"], each["kind"]) for each in found["spans"]]

        top, search = ("answer", 0, "UNKNOWN"), ("search", 1, "RETRIEVER")
        trace, spans = shown(by_otlp)
        assert spans == [top, search, ("chat chat", 1, "CHAT_MODEL")]
        scored = {each["name"]: each["span_id"] for each in trace["assessments"]}
        assert scored == dict.fromkeys((*kinds, "short"), trace["spans"][2]["span_id"])
        trace, spans = shown(by_mlflow)
        assert spans == [top, search, ("Completions", 1, "CHAT_MODEL"), ("chat chat", 2, "CHAT_MODEL")]
        assert (trace["tokens"]["input"], trace["tokens"]["output"]) == (7, 5)
        assert trace["experiment"] == "support" and trace["tags"]["deployment"] == NAME
        trace, spans = shown(apart)
        assert spans == [top, search, ("chat chat", 1, "CHAT_MODEL")]
        assert trace["experiment"] == "elsewhere" and "deployment" not in trace["tags"]
        call = f"genops/v1/trace-content/{apart}/spans/{trace['spans'][2]['span_id']}"
        own = lab.server.get(call)["trace_id"]
        assert lab.server.get(f"genops/v1/traces/{own}")["caller_trace"] == apart != own
    finally:
        lab.done("PUT", traces, {"sample": 1.0})


def test_documents_of_an_application_that_come_late_are_waited_for(
    lab: LiveDeployment, judge: OpenAIStub
) -> None:
    judge.reset()
    lab.done("PUT", PATH, {"text": text(judge, {"scorer": "faithfulness", "model": "judge"}, RULES[0])})
    trace, caller, now = secrets.token_hex(16), secrets.token_hex(8), time.time_ns()
    lab.ask("late", traceparent=f"00-{trace}-{caller}-01")
    found = eventually(lab.scores, lambda each: each["scorers"][1]["scored"] == 1)
    assert (found["scorers"][0]["waiting"], found["scorers"][0]["problem"]) == (1, "")
    documents = json.dumps([{"page_content": "It is late."}])
    kind = {"key": "openinference.span.kind", "value": {"stringValue": "RETRIEVER"}}
    output = {"key": "output.value", "value": {"stringValue": documents}}
    times = {"startTimeUnixNano": str(now - 2), "endTimeUnixNano": str(now - 1)}
    spans = [
        {"traceId": trace, "spanId": caller, "name": "answer", **times},
        {
            "traceId": trace, "spanId": "12" * 8, "parentSpanId": caller, "name": "search", **times,
            "attributes": [kind, output],
        },
    ]  # fmt: skip
    lab.done("POST", "genops/otlp/v1/traces", {"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]})
    (faithful, _) = lab.settled(1)["scorers"]
    assert (faithful["scored"], faithful["reasons"]) == (1, {})
    assert "It is late." in str(judge.requests())


def test_the_sample_is_chosen_by_the_id(lab: LiveDeployment) -> None:
    lab.done("PUT", PATH, {"text": json.dumps({"scorers": RULES[:1]}), "sample": 0.5})
    lab.ask(*(f"sampled {at}" for at in range(16)))
    found = lab.settled(16)
    traces = lab.traces("sampled")
    inside = {each["trace_id"] for each in traces if in_sample(each["trace_id"], 0.5)}
    assert len(traces) == 16 and {each["trace_id"] for each in traces if each["assessments"]} == inside
    assert found["sampled"] == found["scorers"][0]["scored"] == len(inside)
    assert found["sentences"][0].startswith(f"{len(inside)} of 16 traces are in the sample of 50 %.")


def test_the_budget_of_a_day_is_kept(lab: LiveDeployment, judge: OpenAIStub) -> None:
    judge.reset()
    lab.done("PUT", PATH, {"text": text(judge, POLITE)})
    lab.ask("spent by former scorers")
    spent = lab.settled(1)["money_today"]
    assert spent, "what former scorers spent today counts"
    judge.reset()
    budget = spent + 0.002
    lab.done("PUT", PATH, {"text": text(judge, RULES[0], POLITE), "money_per_day": budget})
    lab.ask(*(f"budget {at}" for at in range(24)))
    found = lab.settled(24)
    rule, polite = found["scorers"]
    assert rule["scored"] == 24 and polite["scored"] + polite["left_out"] == 24
    assert polite["scored"] == judge.status()["calls"] >= 8 and polite["left_out"] >= 1
    assert spent < found["money_today"] <= budget and found["budget_used"]
    lab.ask("budget over")
    found = lab.settled(25)
    assert found["scorers"][1]["left_out"] == polite["left_out"] + 1 and found["money_today"] <= budget
    assert judge.status()["calls"] == polite["scored"]
    assert any("left out" in each and "says nothing about them" in each for each in found["sentences"])


def test_a_killed_lab_scores_no_trace_twice_and_loses_none(lab: LiveDeployment, judge: OpenAIStub) -> None:
    judge.reset(delay_s=0.4)
    lab.done("PUT", PATH, {"text": text(judge, *RULES, POLITE)})
    count = 30
    lab.ask(*(f"killed {at:02}" for at in range(count)))
    eventually(judge.status, lambda found: found.get("answered", 0) >= 12)
    lab.server.process.kill()
    lab.server.process.wait(30)
    lab.server = started(lab.server.home, after=lab.server)
    found = lab.settled(count)
    assert {each["scorer"]: each["scored"] for each in found["scorers"]} == dict.fromkeys(
        ["short", "answers", "begins", "seconds", "polite"], count
    )
    for trace in lab.traces("killed"):
        assert Counter(each["name"] for each in trace["assessments"]) == dict.fromkeys(
            ["short", "answers", "begins", "seconds", "polite"], 1
        )
    calls = judge.status()["calls"]
    assert count <= calls <= count + 8, "only calls in flight are made again"


def test_forgotten_scorers_leave_their_scores(lab: LiveDeployment) -> None:
    code, out, err = genops(lab.server, "traces", "score", NAME, "--forget")
    assert code == 0 and "No scorer looks at the traces of chat." in out, err
    assert lab.scores()["state"] == "off"
    assert lab.call("POST", f"{PATH}/resume")[0] == 404
    assert all(each["assessments"] for each in lab.traces("killed"))


def applied(lab: LiveDeployment, body: dict[str, Any]) -> dict[str, Any]:
    """Apply a file, and wait until its settings are in force."""
    found: dict[str, Any] = lab.done("POST", "genops/v1/deployment-files", body)
    lab.running()
    return found


def test_a_deployment_file_sets_shows_and_removes_scorers(
    lab: LiveDeployment, judge: OpenAIStub, tmp_path: Path
) -> None:
    judge.reset()
    now = lab.server.get(f"genops/v1/deployments/{NAME}/file")["now"]
    assert "traces:" in now and "scorers:" not in now
    (tmp_path / "scorers.yaml").write_text(text(judge, RULES[0], POLITE))
    line = "scorers: {file: scorers.yaml, sample: 1, money_per_day: 50}\n"
    body = {"text": now + line, "file": "deployment.yaml", "folder": str(tmp_path)}

    def changes(**other: Any) -> list[list[str]]:
        plan = lab.done("POST", "genops/v1/deployment-file-plans", {**body, **other})
        assert not plan["problem"] and not plan["new_revision"], plan
        return [[each["what"], each["now"], each["file"]] for each in plan["changes"]]

    planned = changes()
    for name in (
        "scorers.yaml",
        "deployment.yaml",
    ):  # the panel names a file by its path below the Lab's folder
        (lab.server.home.work / name).write_text((tmp_path / "scorers.yaml").read_text())
    by_path = {"text": now + line, "path": "deployment.yaml"}
    assert lab.done("POST", "genops/v1/deployment-file-plans", by_path)["changes"][1]["file"] == planned[1][2]
    files = ["files of the scorers", "", planned[1][2]]
    sample = ["sample of the scorers", "", "100 % of the traces"]
    assert planned == [
        ["scorers", "", "short, polite"], files, sample, ["budget of the judges", "", "50 USD a day"]
    ]  # fmt: skip
    assert len(files[2]) == 8 and lab.scores()["state"] == "off", "a plan changes nothing"
    assert applied(lab, body)["changes"][0]["what"] == "scorers"
    found = eventually(lab.scores, lambda each: each["state"] == "on")
    assert (found["sample"], found["money_per_day"]) == (1.0, 50.0)
    lab.ask("by file 1", "by file sullen")
    assert [each["scored"] for each in lab.settled(2)["scorers"]] == [2, 2]
    assert not changes() and not lab.server.get(f"genops/v1/deployments/{NAME}/file")["drift"]

    # Another setting, and the same scorers: the counts go on.
    limited = f"{body['text']}callers: [{{name: ci, limit: 60}}]\n"
    assert [each["what"] for each in applied(lab, {**body, "text": limited})["changes"]] == ["key ci"]
    assert lab.scores()["seen"] == 2
    # Other content of the scorers' file is a difference.
    (tmp_path / "scorers.yaml").write_text(text(judge, {**RULES[0], "at_most": 1}, POLITE))
    assert [each[0] for each in changes(text=limited)] == ["files of the scorers"]
    drift = lab.server.get(f"genops/v1/deployments/{NAME}/file")["drift"]
    assert [each["what"] for each in drift] == ["files of the scorers"]
    assert "scorers:\n  file: scorers.yaml\n" in lab.server.get(f"genops/v1/deployments/{NAME}/file")["now"]

    # The lines go, and so do the scorers; the command does it as the panel does.
    path = tmp_path / "deployment.yaml"
    path.write_text(limited.replace(line, ""))
    code, out, err = genops(lab.server, "diff", str(path))
    assert code == 1 and "scorers" in out and "short, polite" in out, err
    code, out, err = genops(lab.server, "apply", str(path), "--take-over", "--wait")
    assert code == 0, err
    eventually(lab.scores, lambda each: each["state"] == "off")
    assert all(each["assessments"] for each in lab.traces("by file"))
    kept = lab.server.home.data / "online"
    assert not [each for each in kept.iterdir() if each.is_dir()], "no copy of files is left behind"


@pytest.mark.parametrize(
    ("scorers", "status", "said"),
    [
        ({"file": "missing.yaml"}, 404, "missing.yaml of 'scorers' cannot be read"),
        ({"file": "bad.yaml"}, 400, "the scorer 'exact' cannot look at live traces"),
        ({"file": "budget.yaml", "money_per_day": 1}, 400, "has no price"),
        ({"file": "bad.yaml", "sample": 2}, 400, "sample"),
        ({"file": "bad.yaml", "per_day": 2}, 400, "the key 'per_day' is unknown"),
    ],
)
def test_scorers_of_a_file_that_cannot_score_are_refused_before_anything_changes(
    lab: LiveDeployment, judge: OpenAIStub, tmp_path: Path, scorers: dict[str, Any], status: int, said: str
) -> None:
    (tmp_path / "bad.yaml").write_text("scorers: [{scorer: exact}]\n")
    (tmp_path / "budget.yaml").write_text(text(judge, POLITE, price=None))
    now = lab.server.get(f"genops/v1/deployments/{NAME}/file")["now"]
    body = {"text": f"{now}scorers: {json.dumps(scorers)}\n", "folder": str(tmp_path)}
    for path in ("deployment-file-plans", "deployment-files"):
        found, answer = lab.call("POST", f"genops/v1/{path}", body)
        assert found == status and said in answer["error"]["message"] and answer["error"]["hint"], answer
    assert lab.scores()["state"] == "off"


def test_scorers_of_a_file_need_the_right_to_read_requests(lab: LiveDeployment, tmp_path: Path) -> None:
    (tmp_path / "scorers.yaml").write_text(json.dumps({"scorers": RULES[:1]}))
    now = lab.server.get(f"genops/v1/deployments/{NAME}/file")["now"]
    body = {"text": f"{now}scorers: {{file: scorers.yaml}}\n", "folder": str(tmp_path), "take_over": True}
    grants = lab.server.home.path / "grants.json"
    grants.write_text(json.dumps([["execute", "genops:deployments"]]))
    try:
        status, answer = lab.call("POST", "genops/v1/deployment-files", body)
        assert (status, answer["error"]["code"]) == (403, "not_allowed"), answer
        assert "this user may not execute genops:trace_content" in answer["error"]["message"]
    finally:
        grants.write_text(json.dumps(_ALL))
    assert lab.scores()["state"] == "off"


def test_scorers_of_a_file_need_its_traces() -> None:
    text = (
        "apiVersion: genops/v1\nkind: Deployment\nname: x\nrevisions: [{model: m, version: 1}]\n"
        "scorers: {file: scorers.yaml}\n"
    )
    with pytest.raises(DeploymentFileError, match=r"the key 'scorers' needs the key 'traces', such as"):
        read_description(text, "deployment.yaml")


def test_a_call_that_waits_for_its_applications_trace_is_kept_when_the_traces_end(
    lab: LiveDeployment,
) -> None:
    lab.ask("held", traceparent=f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01")
    lab.done("DELETE", f"genops/v1/deployments/{NAME}/traces")
    (trace,) = lab.traces("held")
    assert trace["tags"]["genops.caller_trace"] and not trace["caller_trace"], (
        "MLflow does not have that trace"
    )


def test_the_command_says_that_requests_become_traces_before_it_records_them(
    lab: LiveDeployment, tmp_path: Path
) -> None:
    lab.done("DELETE", f"genops/v1/deployments/{NAME}/traces")
    file = tmp_path / "scorers.yaml"
    file.write_text(json.dumps({"scorers": RULES[:1]}))
    asked = ("traces", "score", NAME, "--scorers", str(file), "--sample", "0.999")
    code, out, err = genops(lab.server, *asked)
    assert (
        code and "No request to chat becomes a trace. 99.9 % of its requests and answers will be kept" in err
    )
    assert "--yes" in err and lab.scores()["state"] == "off" and not lab.scores()["traced"]
    code, out, err = genops(lab.server, *asked, "--yes")
    assert code == 0 and "short" in out, err
    found = lab.scores()
    assert (found["state"], found["traced"], found["sample"]) == ("on", 0.999, 1.0)
    traces = lab.server.get(f"genops/v1/deployments/{NAME}/traces")
    assert traces["on"] and traces["experiment"] == "deployments"
