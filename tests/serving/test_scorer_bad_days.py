"""A model that hangs, leaks, loads slowly or answers wrongly; requests that are predicted together."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support.rooms import eventually
from tests.support.wall_clock import WallClock

from .scoring import ScoringProcess

Start = Callable[..., ScoringProcess]


@pytest.fixture(scope="module")
def behaving(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model of ``behaving.py``, saved as code: nothing is unpickled."""
    import mlflow
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema

    signature = ModelSignature(
        inputs=Schema([ColSpec("string", "do"), ColSpec("double", "x")]),
        outputs=Schema([ColSpec("double")]),
        params=ParamSchema([ParamSpec("scale", "double", 1.0)]),
    )
    path = tmp_path_factory.mktemp("models") / "behaving"
    code = Path(__file__).with_name("behaving.py")
    mlflow.pyfunc.save_model(
        path, python_model=str(code), signature=signature, pip_requirements=["mlflow"],
        input_example={"do": ["", ""], "x": [1.0, 2.0]},
    )  # fmt: skip
    return path


@pytest.fixture
def start(behaving: Path, tmp_path: Path) -> Iterator[Start]:
    """Start processes that end with the test."""
    processes: list[ScoringProcess] = []

    def started(**settings: Any) -> ScoringProcess:
        model = settings.pop("model", behaving)
        process = ScoringProcess(tmp_path / str(len(processes)), model, **settings)
        processes.append(process)
        return process

    yield started
    for each in processes:
        each.end()


def at_once(process: ScoringProcess, *asked: list[tuple[str, float]]) -> list[tuple[int, Any]]:
    """The answers to requests that arrive together, in their order."""
    with ThreadPoolExecutor(len(asked)) as pool:
        return list(pool.map(lambda rows: process.predict(*rows), asked))


@pytest.fixture(scope="module")
def batching(behaving: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScoringProcess]:
    """A process that joins requests of up to 32 rows."""
    process = ScoringProcess(
        tmp_path_factory.mktemp("batching") / "it", behaving, batch_rows=32, batch_wait_ms=50
    )
    yield process.runs()
    process.end()


# A model in trouble --------------------------------------------------------------------------------------------------


def test_a_model_that_hangs_is_not_ready_and_is_loaded_again_at_its_port(start: Start) -> None:
    process = start(timeout_s=2.0).runs()
    port, pid = process.state["port"], process.state["pid"]
    status, answer = process.predict(("hang", 1.0))
    assert (status, answer["error_code"]) == (504, "DEADLINE_EXCEEDED")
    ready = lambda: process.ask("/v2/health/ready")[0]  # noqa: E731
    assert eventually(ready, lambda status: status == 503, 5) == 503
    assert process.ask("/health")[0] == 503
    assert process.ask("/v2/health/live")[0] == 200
    # Requests go on meanwhile; those that come while the model is loaded again wait for it.
    again = "a prediction did not end within 4 s."
    eventually(lambda: process.predict(("", 3.0)) and again in process.state["message"], bool, 40)
    assert (process.state["port"], process.state["pid"]) == (port, pid)
    assert process.predict(("", 3.0)) == (200, {"predictions": [3.0]})
    assert ready() == 200
    assert process.state["requests"] > 2, "the counts go on"
    assert f"The model is loaded again: {again}" in process.log.read_text()


def test_a_model_that_leaks_is_loaded_again_with_numbers_in_the_log(start: Start) -> None:
    process = start(memory_bytes=1_200_000_000).runs()
    for _ in range(6):
        assert process.predict(("leak", 1.0))[0] == 200
        if "The model is loaded again" in process.log.read_text():
            break
    eventually(lambda: process.log.read_text(), lambda log: "more than its limit of 1.2 GB" in log, 20)
    eventually(lambda: process.predict(("", 3.0)), lambda found: found == (200, {"predictions": [3.0]}), 20)
    assert psutil.Process(process.process.pid).memory_info().rss < 1_200_000_000


def test_a_wall_clock_that_jumps_neither_ends_a_process_nor_keeps_it(start: Start, tmp_path: Path) -> None:
    """Forward by an hour it would lapse at once, back by an hour it would stay for an hour."""
    clock = WallClock(tmp_path)
    process = start(cold=True, lease_s=10, variables=clock.variables)
    (process.folder / "lease.json").write_text(json.dumps({"until": time.time() + 10}))
    process.runs()
    for jump in (3600, -3600):
        clock.jump(jump)
        shown = lambda: process.state["lease_until"] - time.time()  # noqa: E731
        eventually(shown, lambda left, jump=jump: jump < left < jump + 11, 10)
        assert process.predict(("", 3.0)) == (200, {"predictions": [3.0]})
    assert process.process.wait(40) == 0 and process.state["state"] == "ended"


def test_a_model_that_is_larger_than_its_limit_fails_with_numbers(start: Start) -> None:
    process = start(memory_bytes=700_000_000, variables={"BEHAVING_NEEDS": "900000000"})
    found = eventually(lambda: process.state, lambda state: state.get("state") == "failed", 30)
    assert "while it was loaded; its limit is 700 MB" in found["message"]
    assert "higher memory limit" in found["hint"]
    assert process.process.wait(10) == 1


def test_a_model_that_loads_slowly_takes_no_request_before(start: Start) -> None:
    process = start(variables={"BEHAVING_LOADS_S": "2"})
    found = eventually(lambda: process.state, lambda state: state.get("state") == "starting", 30)
    assert (found["port"], found["message"]) == (0, "Loading the model.")
    assert process.runs().state["loading_s"] >= 2


def test_a_worker_that_is_killed_is_started_again_while_the_other_answers(start: Start) -> None:
    process = start(workers=2)
    both = lambda: process.runs().state["message"] == ""  # noqa: E731
    eventually(both, bool, 60)

    def worker(number: int) -> dict[str, Any]:
        return dict(json.loads((process.folder / f"worker-{number}.json").read_bytes()))

    killed = psutil.Process(worker(1)["pid"])
    killed.kill()
    found = eventually(lambda: process.state, lambda state: state["message"], 20)
    assert (found["state"], found["message"]) == ("running", "1 of 2 workers answer.")
    for number in range(20):
        assert process.predict(("", float(number))) == (200, {"predictions": [float(number)]})
    eventually(both, bool, 60)
    assert worker(1)["pid"] != killed.pid
    eventually(lambda: process.state["requests"], lambda count: count == 20, 20)
    pids = [worker(number)["pid"] for number in (1, 2)]
    process.process.terminate()
    assert process.process.wait(15) == 0
    assert process.state["state"] == "stopped"
    assert not any(map(psutil.pid_exists, pids))


def test_a_stop_does_not_wait_for_a_model_that_hangs(start: Start) -> None:
    process = start(timeout_s=1.0).runs()
    assert process.predict(("hang", 1.0))[0] == 504
    process.process.terminate()
    assert process.process.wait(10) == 0
    assert process.state["state"] == "stopped"


def test_an_answer_that_has_no_json_form_is_explained(start: Start) -> None:
    process = start().runs()
    status, answer = process.predict(("set", 1.0))
    assert (status, answer["error_code"]) == (500, "INTERNAL_ERROR")
    assert "Cannot answer the request: TypeError" in answer["message"]
    tensors = [
        {"name": "do", "shape": [1], "datatype": "BYTES", "data": ["set"]},
        {"name": "x", "shape": [1], "datatype": "FP64", "data": [1.0]},
    ]
    status, _, body = process.ask("/v2/models/iris/infer", json.dumps({"inputs": tensors}).encode())
    assert (status, "Use /invocations" in json.loads(body)["error"]) == (500, True)
    assert process.predict(("short", 1.0), ("short", 2.0)) == (200, {"predictions": [1.0]}), (
        "MLflow checks no answer"
    )
    status, answer = process.predict(("raise", 1.0))
    assert (status, answer["error_code"]) == (400, "BAD_REQUEST")
    assert "this row cannot be scored" in answer["stack_trace"]


# Requests that are predicted together --------------------------------------------------------------------------------


def test_requests_are_predicted_together_and_each_gets_its_rows(batching: ScoringProcess) -> None:
    counted = at_once(batching, *([("count", 1.0)] for _ in range(8)))
    assert max(answer["predictions"][0] for _, answer in counted) > 1, "some were predicted together"
    asked = [[("", float(at)), ("", at + 0.5)][: 1 + at % 2] for at in range(12)]
    answers = at_once(batching, *asked)
    assert answers == [(200, {"predictions": [x for _, x in rows]}) for rows in asked]


def test_the_error_of_one_request_does_not_fail_the_others(batching: ScoringProcess) -> None:
    answers = at_once(batching, *([("raise" if at == 3 else "", float(at))] for at in range(8)))
    assert [status for status, _ in answers] == [400 if at == 3 else 200 for at in range(8)]
    assert [answer.get("predictions") for _, answer in answers] == [
        None if at == 3 else [at] for at in range(8)
    ]
    assert "this row cannot be scored" in answers[3][1]["stack_trace"]
    answers = at_once(batching, *([("short", 1.0), ("", float(at))] for at in range(4)))
    assert answers == [(200, {"predictions": [1.0]})] * 4, (
        "an answer without a row for each is not shared out"
    )


def test_the_input_example_and_the_params_are_told_for_the_screen(batching: ScoringProcess) -> None:
    told = json.loads(batching.ask("/v2/models/iris")[2])["parameters"]
    assert (told["kind"], told["params"]) == ("columns", {"scale": 1.0})
    assert batching.ask("/invocations", told["example"].encode())[0] == 200


def test_a_request_with_params_is_predicted_alone(batching: ScoringProcess) -> None:
    status, answer = batching.predict(("", 2.0), params={"scale": 10.0})
    assert (status, answer) == (200, {"predictions": [20.0]})
    assert batching.predict(("", 1.0), params={"scale": "much"})[0] == 400


def test_a_request_alone_waits_a_bounded_time_for_others(batching: ScoringProcess) -> None:
    assert batching.predict(("count", 1.0)) == (200, {"predictions": [1]})


@pytest.mark.parametrize("case", ["rows that depend on each other", "a fixed number of rows", "no signature"])
def test_requests_are_not_joined_where_the_answers_would_change(
    behaving: Path, tmp_path: Path, start: Start, case: str
) -> None:
    import mlflow
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema, TensorSpec

    columns = Schema([ColSpec("string", "do"), ColSpec("double", "x")])
    signature, example, reason = {
        "rows that depend on each other": (
            ModelSignature(columns), {"do": ["mean"] * 2, "x": [1.0, 9.0]}, "otherwise together than alone",
        ),
        "a fixed number of rows": (
            ModelSignature(Schema([TensorSpec(np.dtype("float64"), (2, 2))])), None, "a fixed number of rows",
        ),
        "no signature": (None, None, "has no signature"),
    }[case]  # fmt: skip
    code = Path(__file__).with_name("behaving.py")
    path = tmp_path / "model"
    mlflow.pyfunc.save_model(
        path, python_model=str(code), signature=signature, pip_requirements=["mlflow"], input_example=example
    )
    process = start(model=path, batch_rows=32, batch_wait_ms=50).runs()
    lines = process.log.read_text()
    assert "Requests are not joined into batches:" in lines
    assert reason in lines
    if case != "a fixed number of rows":
        answers = at_once(process, *([("count", 1.0)] for _ in range(6)))
        assert answers == [(200, {"predictions": [1]})] * 6
