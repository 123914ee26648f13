"""MLflow's own pages show what was made here: a trace, its session, a prompt, an evaluation, data set rows, a queue."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from tests.support.browser import LabPage
from tests.support.lab_server import LabServer

from .programs import own_mlflow, run_script
from .test_labels import evaluated

pytestmark = [pytest.mark.ui, pytest.mark.slow, pytest.mark.timeout(300)]

#: MLflow's pages load megabytes of scripts.
LONG_MS = 60_000
SESSION = """
import mlflow

mlflow.set_experiment("pages of mlflow")
with mlflow.start_span("answer") as span:
    mlflow.update_current_trace(metadata={"mlflow.trace.session": "talk-7"})
    span.set_inputs({"question": "Where is parcel 7?"})
    span.set_outputs("On its way.")
mlflow.flush_trace_async_logging()
print(span.trace_id)
"""


@pytest.fixture(scope="module")
def made(server: LabServer, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the Lab made in MLflow, by the requests of its pages and commands."""

    def done(method: str, path: str, body: dict[str, Any]) -> Any:
        status, answer = server.request(method, f"genops/v1/{path}", body)
        assert status == 200, answer
        return answer

    id = evaluated(server, tmp_path_factory.mktemp("evaluated"))
    evaluation = server.get(f"genops/v1/answer-evaluations/{id}")["evaluation"]
    run_id = evaluation["models"][0]["run_id"]
    asked = {"query": f"run_id = {run_id}", "columns": ["experiment_id"], "wait_s": 30}
    traces = done("POST", "traces/query", asked)
    talk = run_script(server, SESSION, **own_mlflow(server)).split()[-1]
    rows = done(
        "POST", "trace-content/rows", {"trace_ids": traces["run_ids"][:2], "dataset": "pages of mlflow"}
    )
    turns = [{"role": "user", "content": "Find the parcel {{ number }}."}]
    done("POST", "prompts/find-parcel/versions", {"kind": "text", "turns": turns})
    queue = done(
        "POST",
        "label-queues",
        {"evaluation": id, "rows": 2, "question": "Is it so?", "choices": ["no", "yes"]},
    )
    return {
        "experiment": traces["columns"][0]["values"][0],
        "run": run_id,
        "trace": traces["run_ids"][0],
        "talk": server.get(f"genops/v1/traces/{talk}"),
        "dataset": rows["dataset_id"],
        "queue": queue["name"],
    }  # fmt: skip


def test_each_is_there(lab: LabPage, server: LabServer, made: dict[str, Any]) -> None:
    with lab.page.expect_popup() as popup:
        lab.execute("genops:open-mlflow")
    page = popup.value
    refused: set[str] = set()
    page.on(
        "response", lambda answer: refused.add(urlsplit(answer.url).path) if answer.status == 403 else None
    )
    page.wait_for_url(re.compile(r"^http://127\.0\.0\.1:\d+/(#.*)?$"), timeout=LONG_MS)
    base = page.url.partition("#")[0]
    experiment = f"#/experiments/{made['experiment']}"
    talk = made["talk"]
    for path, texts in (
        (f"{experiment}/traces?selectedEvaluationId={made['trace']}", ["Question"]),
        (
            f"#/experiments/{talk['experiment_id']}/chat-sessions/talk-7",
            ["Where is parcel 7?", "On its way."],
        ),
        ("#/prompts/find-parcel", ["Find the parcel"]),
        (f"{experiment}/evaluation-runs?selectedRunUuid={made['run']}", ["exact", "Question"]),
        (f"{experiment}/datasets/{made['dataset']}", ["Question"]),
        (f"{experiment}/review-queue", [made["queue"]]),
    ):
        page.goto(base + path)
        for text in texts:
            expect(page.get_by_text(text).first, path).to_be_visible(timeout=LONG_MS)
    page.close()
    # The pages are read-only. This request would make a queue of the visitor's own.
    assert refused <= {"/ajax-api/3.0/mlflow/review-queues/get-or-create-user"}
