"""Traces of a running Lab: those of a cell, those that come over HTTP, who may read what was said, and the commands."""

from __future__ import annotations

import gzip
import json
import select
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import authorizer
from tests.support.homes import Home
from tests.support.lab_kernels import lab_kernel
from tests.support.lab_server import LabServer, running_lab
from tests.support.rooms import eventually
from tests.support.warm import forked_kernels, program

from .answering import Answering

_ALL = [["read", "genops"], ["write", "genops"], ["execute", "genops"]]
CELL = """import mlflow
with mlflow.start_run() as run, mlflow.start_span("a cell") as span:
    span.set_inputs({"question": "secret 4711"})
    span.set_outputs("yes")
    mlflow.update_current_trace(metadata={"mlflow.trace.session": "talk 1"})
mlflow.flush_trace_async_logging()
"""


@pytest.fixture(scope="module")
def grants(module_home: Home) -> Path:
    return module_home.path / "grants.json"


@pytest.fixture(scope="module")
def server(module_home: Home, grants: Path) -> Iterator[LabServer]:
    grants.write_text(json.dumps(_ALL))
    name = f"{authorizer.__name__}.{authorizer.Grants.__name__}"
    env = {authorizer.VARIABLE: str(grants), **forked_kernels(module_home)}
    with running_lab(module_home, arguments=[f"--ServerApp.authorizer_class={name}"], env=env) as found:
        yield found


def asked(server: LabServer, path: str, **query: Any) -> dict[str, Any]:
    status, answer = server.request("POST", path, {"wait_s": 30, **query})
    assert status == 200, answer
    return dict(answer)


def genops(server: LabServer, *arguments: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [*program("genops_lab.commands.main"), *arguments],
        cwd=server.home.work, env=server.home.environment(), capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def cell(server: LabServer) -> tuple[str, str]:
    """The trace and the run of a cell."""
    with lab_kernel(server, "python3") as kernel:
        kernel.run("import os; os.environ['JPY_SESSION_NAME'] = 'chat.ipynb'\n%load_ext genops_lab")
        content = {"code": CELL, "silent": False, "store_history": True, "allow_stdin": False}
        message = kernel.client.session.msg("execute_request", content, metadata={"cellId": "c-17"})
        kernel.client.shell_channel.send(message)
        assert kernel.reply(message["header"]["msg_id"])["status"] == "ok"
        printed, _ = kernel.run("print(span.trace_id, run.info.run_id)")
    trace, run = printed.split()[-2:]
    return trace, run


def test_a_cell_leaves_its_trace_with_notebook_and_run(server: LabServer, cell: tuple[str, str]) -> None:
    trace, run = cell
    found = server.get(f"genops/v1/traces/{trace}")
    place = (found["run_id"], found["notebook"], found["cell"])
    assert found["name"] == "a cell" and place == (run, "chat.ipynb", "c-17")
    table = asked(server, "genops/v1/trace-content/query", query="4711")
    assert table["run_ids"] == [trace]


def test_what_was_said_is_a_resource_of_its_own(
    server: LabServer, cell: tuple[str, str], grants: Path
) -> None:
    trace, _ = cell
    span = server.get(f"genops/v1/traces/{trace}")["spans"][0]["span_id"]
    grants.write_text(json.dumps([["read", "genops:traces"]]))
    try:
        shown = server.get(f"genops/v1/traces/{trace}")
        assert "4711" not in json.dumps(shown)
        assert asked(server, "genops/v1/traces/query", query="4711")["run_ids"] == []
        status, session = server.request("POST", "genops/v1/traces/session", {"session": "talk 1"})
        assert (status, session["traces_total"]) == (200, 1) and "4711" not in json.dumps(session)
        refused = [
            server.request("POST", "genops/v1/trace-content/query", {})[0],
            server.request("POST", "genops/v1/trace-content/session", {"session": "talk 1"})[0],
            server.request("GET", f"genops/v1/trace-content/{trace}")[0],
            server.request("GET", f"genops/v1/trace-content/{trace}/spans/{span}")[0],
            server.request("POST", "genops/v1/trace-content/rows", {"trace_ids": [trace], "dataset": "d"})[0],
            server.request("POST", "genops/otlp/v1/traces", {})[0],
        ]
        assert refused == [403] * 6
    finally:
        grants.write_text(json.dumps(_ALL))
    content = server.get(f"genops/v1/trace-content/{trace}/spans/{span}")
    assert "secret 4711" in content["inputs"]["text"]


def test_rows_of_an_evaluation_from_traces_need_the_right_to_read_them(
    server: LabServer, cell: tuple[str, str], grants: Path
) -> None:
    file = {
        "apiVersion": "genops/v1", "kind": "Evaluation", "metadata": {"name": "of-traces"}, "data": "traces:",
        "prompt": "{{question}}", "models": {"a": {"url": "http://127.0.0.1:9/v1", "model": "m"}},
        "only": {"question": "secret 4711"}, "scorers": [{"scorer": "exact"}],
    }  # fmt: skip
    body = {"text": json.dumps(file), "folder": str(server.home.work)}
    of_dataset = {**body, "text": json.dumps({**file, "data": "dataset:nothing"})}
    evaluates, reads = ["execute", "genops:answer_evaluations"], ["read", "genops:trace_content"]
    grants.write_text(json.dumps([evaluates]))
    try:
        for asked_for in (body, of_dataset):
            for path in ("", "/plan"):
                status, told = server.request("POST", f"genops/v1/answer-evaluations{path}", asked_for)
                assert (status, told["error"]["code"]) == (403, "not_allowed"), told
                assert "this user may not read genops:trace_content" in told["error"]["message"]
        grants.write_text(json.dumps([evaluates, reads]))
        status, plan = server.request("POST", "genops/v1/answer-evaluations/plan", body)
        assert (status, plan["rows"]) == (200, 1), plan
        assert server.request("POST", "genops/v1/answer-evaluations/plan", of_dataset)[0] == 404
    finally:
        grants.write_text(json.dumps(_ALL))


def test_prompts_on_rows_of_mlflow_need_the_right_to_read_them(
    server: LabServer, cell: tuple[str, str], grants: Path
) -> None:
    trace, _ = cell
    added = server.request(
        "POST",
        "genops/v1/trace-content/rows",
        {"trace_ids": [trace], "dataset": "private", "with_answer": True},
    )
    assert added[0] == 200, added
    turns = [{"role": "user", "content": "{{question}}"}]
    assert server.request("POST", "genops/v1/prompts/private/versions", {"turns": turns})[0] == 200
    endpoint = Answering(lambda number, text, headers: (200, "an answer", 0.0))
    with endpoint.serving() as url:
        model = {"name": "m", "url": url, "model": "m"}
        trial = {"versions": ["latest"], "models": [model], "data": "dataset:private"}
        optimization = {
            "answerer": model, "writer": model, "data": "dataset:private", "scorers": "scorers: [{scorer: exact}]",
        }  # fmt: skip
        prompts = [["execute", "genops:prompts"], ["read", "genops:prompts"]]
        grants.write_text(json.dumps(prompts))
        path = "genops/v1/prompts/private"
        try:
            for work, body in [("trials", trial), ("optimizations", optimization)]:
                for end in ("", "/cost"):
                    status, told = server.request("POST", f"{path}/{work}{end}", body)
                    assert (status, told["error"]["code"]) == (403, "not_allowed"), told
                    assert "this user may not read genops:trace_content" in told["error"]["message"]
            assert server.request("GET", "genops/v1/data-sets")[0] == 403
            assert endpoint.said == []
            grants.write_text(json.dumps([*prompts, ["read", "genops:trace_content"]]))
            status, task = server.request("POST", f"{path}/trials", trial)
            assert status == 200, task
            run = f"genops/v1/prompt-trials/{task['subject'].removeprefix('prompt-trial:')}"
            table = eventually(lambda: server.get(run), lambda each: each["answered"] == 1)
            assert endpoint.said == [table["rows"][0]["row"]["question"]]
            # Who may not read the rows reads them in no table either, and sends them to no model.
            grants.write_text(json.dumps(prompts))
            assert server.request("GET", run)[0] == 403
            assert server.request("POST", f"{run}/resume")[0] == 403
            assert server.request("GET", "genops/v1/prompt-trials?name=private")[0] == 200
        finally:
            grants.write_text(json.dumps(_ALL))


def test_an_application_sends_spans_to_the_address_of_the_lab(server: LabServer) -> None:
    span = {
        "traceId": "cd" * 16, "spanId": "12" * 8, "name": "from outside",
        "startTimeUnixNano": "1790000000000000000", "endTimeUnixNano": "1790000001000000000",
    }  # fmt: skip
    body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).encode()

    def send(content: bytes, token: str, **headers: str) -> int:
        request = urllib.request.Request(
            server.url + "genops/otlp/v1/traces", data=content, method="POST",
            headers={"Authorization": f"token {token}", "Content-Type": "application/json", **headers},
        )  # fmt: skip
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                assert answer.read() == b"{}"
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    assert send(gzip.compress(body), server.token, **{"Content-Encoding": "gzip"}) == 200
    assert send(body, "wrong") == 403
    assert send(b"[", server.token) == 400
    assert send(body, server.token, **{"x-mlflow-experiment-id": "nowhere"}) == 404
    trace = server.get("genops/v1/traces/tr-" + "cd" * 16)
    assert [(each["name"], each["duration"]) for each in trace["spans"]] == [("from outside", 1.0)]


def test_the_snippet_of_the_docs_sends_spans_which_cost_what_the_endpoint_costs(
    server: LabServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="OpenTelemetry's exporter for OTLP")
    page = Path(__file__).parents[2] / "docs/users/traces.md"
    if not page.exists():
        pytest.skip("The docs are not here.")
    snippet = page.read_text().split("<!-- application -->\n```python\n")[1].split("```")[0]
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", server.url + "genops/otlp/v1/traces")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_HEADERS", f"Authorization=token%20{server.token}")

    def cost_of_the_trace() -> tuple[float | None, str, bool]:
        names: dict[str, Any] = {}
        exec(snippet, names)
        trace = server.get(f"genops/v1/traces/tr-{names['span'].get_span_context().trace_id:032x}")
        (span,) = trace["spans"]
        assert (span["model"], span["provider"]) == ("small-1-2026", "house")
        assert (span["tokens"]["input"], span["tokens"]["output"]) == (1000, 200)
        assert trace["cost"] == span["cost"] and trace["cost_source"] == span["cost_source"]
        return trace["cost"], trace["cost_source"], trace["cost_is_partial"]

    endpoint = {"url": "https://models.example/v1", "model": "small-1-2026"}
    assert cost_of_the_trace() == (None, "", False)
    for name, price in (("one", {"input": 2, "output": 10}), ("same", {"input": 2, "output": 10})):
        body = {"name": name, **endpoint, "price": price}
        assert server.request("POST", "genops/v1/endpoints", body)[0] == 200
    assert cost_of_the_trace() == (pytest.approx(0.004), "price", False)
    other = {"name": "dear", **endpoint, "price": {"input": 3, "output": 10}}
    assert server.request("POST", "genops/v1/endpoints", other)[0] == 200
    assert cost_of_the_trace() == (None, "", False)  # two prices: nobody knows which


def test_traces_are_followed_as_they_land(server: LabServer) -> None:
    tail = subprocess.Popen(
        [*program("genops_lab.commands.main"), "traces", "tail", "--filter", "name = landing", "--json"],
        cwd=server.home.work, env=server.home.environment(), stdout=subprocess.PIPE,
    )  # fmt: skip
    assert tail.stdout is not None
    try:
        sent, ready = [], []
        while not ready:  # those before the question are not told
            assert len(sent) < 60, "no trace was told"
            now = time.time_ns()
            sent.append(f"tr-{now:032x}")
            span = {
                "traceId": f"{now:032x}", "spanId": "34" * 8, "name": "landing",
                "startTimeUnixNano": str(now), "endTimeUnixNano": str(now + 1),
            }  # fmt: skip
            body = {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}
            assert server.request("POST", "genops/otlp/v1/traces", body)[0] == 200
            ready = select.select([tail.stdout], [], [], 1.0)[0]
        told = json.loads(tail.stdout.readline())
        assert told["trace_id"] in sent and (told["name"], told["status"]) == ("landing", "OK")
    finally:
        tail.terminate()
        tail.wait(30)
        tail.stdout.close()


def test_the_commands(server: LabServer, cell: tuple[str, str]) -> None:
    trace, _ = cell
    code, out, err = genops(server, "traces", "list", "--filter", "name = 'a cell'", "--json")
    assert code == 0, err
    assert [(each["trace_id"], each["status"]) for each in json.loads(out)] == [(trace, "OK")]
    assert "secret 4711" in genops(server, "traces", "list", "--limit", "1000")[1]
    code, out, err = genops(server, "traces", "show", trace[3:12])
    assert code == 0 and "a cell" in out and "chat.ipynb" in out, err
    span = json.loads(genops(server, "traces", "show", trace, "--json")[1])["spans"][0]["span_id"]
    assert "secret 4711" in genops(server, "traces", "show", trace, "--span", span)[1]
    code, out, err = genops(server, "traces", "session", "talk 1")
    assert code == 0 and "secret 4711" in out and "assistant: yes" in out, err
    code, _, err = genops(server, "traces", "session", "talk")
    assert code != 0 and "There is no session 'talk'." in err
    code, out, err = genops(server, "traces", "compare", trace, "latest", "--json")
    assert code == 0 and len(json.loads(out)["pairs"]) == 1, err
    code, out, err = genops(server, "traces", "add-row", trace, "--dataset", "hard cases", "--with-answer")
    assert code == 0 and "1 new and 0 updated" in out, err
    code, _, err = genops(server, "traces", "show", "nobody")
    assert code != 0 and "There is no trace 'nobody'." in err
