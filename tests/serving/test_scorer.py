"""The scoring process beside ``mlflow models serve``: the same answers, codes and messages."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from genops_lab.serving.scorer.exact_input import ExactInput
from tests.support.lab_server import free_port
from tests.support.rooms import eventually

from .scoring import JSON, MlflowServer, ScoringProcess, asked

ROW = {"a": 1.5, "b": 2, "c": "x", "d": True}
COLUMNS = list(ROW)
MIXED = [ROW, {"a": -1.0, "b": 7, "c": "y", "d": False}]
SPLIT = {"columns": COLUMNS, "data": [list(each.values()) for each in MIXED]}


def encoded(content: Any) -> bytes:
    return json.dumps(content).encode()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scorers")


@pytest.fixture(scope="module")
def table(folder: Path) -> Path:
    """A scikit-learn pipeline over columns of four types."""
    import mlflow
    import pandas as pd
    from mlflow.models import infer_signature
    from sklearn.compose import ColumnTransformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    frame = pd.DataFrame(MIXED * 5)
    columns = ColumnTransformer([("text", OneHotEncoder(), ["c"])], remainder="passthrough")
    model = make_pipeline(columns, LogisticRegression()).fit(frame, ["no", "yes"] * 5)
    path = folder / "table"
    mlflow.sklearn.save_model(
        model,
        path,
        serialization_format="cloudpickle",
        signature=infer_signature(frame, model.predict(frame)),
    )
    return path


@pytest.fixture(scope="module")
def ours(folder: Path, table: Path) -> Iterator[ScoringProcess]:
    process = ScoringProcess(folder / "ours", table)
    yield process.runs()
    process.end()


@pytest.fixture(scope="module")
def theirs(table: Path) -> Iterator[MlflowServer]:
    server = MlflowServer(table, free_port())
    try:
        eventually(server.answers, bool, 120)
        yield server
    finally:
        os.killpg(server.process.pid, signal.SIGTERM)
        server.process.wait(20)


ALIKE = {
    "dataframe_split": (encoded({"dataframe_split": SPLIT}), JSON),
    "dataframe_split with an index": (encoded({"dataframe_split": {**SPLIT, "index": [4, 9]}}), JSON),
    "dataframe_records": (encoded({"dataframe_records": MIXED}), JSON),
    "instances": (encoded({"instances": MIXED}), JSON),
    "inputs as a list": (encoded({"inputs": MIXED}), JSON),
    "inputs as a dict": (encoded({"inputs": {name: [row[name] for row in MIXED] for name in COLUMNS}}), JSON),
    "a charset": (encoded({"inputs": MIXED}), "application/json; charset=utf-8"),
    "CSV": (b"a,b,c,d\n1.5,2,x,True\n-1.0,7,y,False\n", "text/csv"),
    "params that the model has not": (encoded({"inputs": MIXED, "params": {"top": 3}}), JSON),
    "a missing column": (encoded({"dataframe_records": [{"a": 1.5, "b": 2, "c": "x"}]}), JSON),
    "a column too many": (encoded({"dataframe_records": [{**ROW, "e": 1}]}), JSON),
    "a wrong type": (encoded({"dataframe_records": [{**ROW, "a": "many"}]}), JSON),
    "a number for text": (encoded({"dataframe_records": [{**ROW, "c": 4}]}), JSON),
    "a fraction for a whole number": (encoded({"dataframe_records": [{**ROW, "b": 2.5}]}), JSON),
    "null": (encoded({"dataframe_records": [{**ROW, "b": None}]}), JSON),
    "an unknown text": (encoded({"dataframe_records": [{**ROW, "c": "z"}]}), JSON),
    "rows of other lengths": (encoded({"dataframe_split": {"columns": COLUMNS, "data": [[1.5]]}}), JSON),
    "no rows": (encoded({"dataframe_split": {"columns": COLUMNS, "data": []}}), JSON),
    "no format": (encoded({"data": MIXED}), JSON),
    "two formats": (encoded({"inputs": MIXED, "instances": MIXED}), JSON),
    "a list": (encoded(MIXED), JSON),
    "a number": (b"5", JSON),
    "no JSON": (b'{"inputs": [', JSON),
    "no UTF-8": (b'{"inputs": "\xff"}', JSON),
    "nothing": (b"", JSON),
    "CSV without a column": (b"a,b,c\n1.5,2,x\n", "text/csv"),
    "CSV of a wrong type": (b"a,b,c,d\nmany,2,x,True\n", "text/csv"),
    "no Parquet": (b"PAR1", "application/vnd.apache.parquet"),
    "a wrong content type": (b"<a/>", "text/xml"),
    "a wrong charset": (encoded({"inputs": MIXED}), "application/json; charset=latin-1"),
    "a parameter of the content type": (encoded({"inputs": MIXED}), "application/json; pandas=split"),
}


def plain(body: bytes) -> str:
    """An answer without what differs between two processes: traces of stacks, and the order of a set."""
    try:
        content = json.loads(body)
    except ValueError:
        return body.decode()
    if isinstance(content, dict):
        content.pop("stack_trace", None)
    return re.sub(r"\{'[a-z_', ]*'\}", lambda found: str(sorted(found.group())), str(content))


@pytest.mark.parametrize("case", ALIKE)
def test_each_format_and_mistake_is_answered_as_by_mlflow(
    ours: ScoringProcess, theirs: MlflowServer, case: str
) -> None:
    body, content_type = ALIKE[case]
    status, kind, answer = ours.ask("/invocations", body, content_type)
    expected = asked(f"{theirs.url}/invocations", body, content_type)
    assert (status, kind, plain(answer)) == (expected[0], expected[1], plain(expected[2]))
    assert status == 200 or plain(answer)


EXACT = ("dataframe_split", "dataframe_records", "inputs as a list", "instances", "an unknown text")


@pytest.fixture(scope="module")
def loaded(table: Path) -> Any:
    import mlflow

    return mlflow.pyfunc.load_model(str(table))


@pytest.mark.parametrize("case", ALIKE)
def test_a_body_that_is_what_the_signature_says_is_read_without_mlflow(loaded: Any, case: str) -> None:
    body, content_type = ALIKE[case]
    found = ExactInput(loaded).read(body, content_type)
    assert (found is not None) == (case in EXACT)


@pytest.mark.parametrize("path", ["/ping", "/health", "/version", "/nothing", "/invocations"])
def test_the_other_paths_are_answered_as_by_mlflow(
    ours: ScoringProcess, theirs: MlflowServer, path: str
) -> None:
    expected = asked(f"{theirs.url}{path}", None, JSON)
    found = ours.ask(path)
    assert (found[0], plain(found[2])) == (expected[0], plain(expected[2]))


def test_a_request_without_a_content_type_is_answered(ours: ScoringProcess) -> None:
    """MLflow's server answers 500 here."""
    status, _, body = ours.ask("/invocations", b"1", "")
    assert (status, b"content types" in body) == (415, True)


# The Open Inference Protocol -----------------------------------------------------------------------------------------


def v2(process: ScoringProcess, path: str, content: Any = None) -> tuple[int, Any]:
    status, _, body = process.ask(f"/v2{path}", None if content is None else encoded(content))
    return status, json.loads(body)


TENSORS = [
    {"name": "a", "shape": [2], "datatype": "FP64", "data": [1.5, -1.0]},
    {"name": "b", "shape": [2, 1], "datatype": "INT64", "data": [[2], [7]]},
    {"name": "c", "shape": [2], "datatype": "BYTES", "data": ["x", "y"]},
    {"name": "d", "shape": [2], "datatype": "BOOL", "data": [True, False]},
]


def test_the_protocol_tells_health_and_signature(ours: ScoringProcess) -> None:
    assert v2(ours, "")[1]["name"] == "genops"
    assert v2(ours, "/health/live") == (200, {"live": True})
    assert v2(ours, "/health/ready") == (200, {"ready": True})
    assert v2(ours, "/models/iris/ready") == (200, {"name": "iris", "ready": True})
    status, found = v2(ours, "/models/iris")
    assert (status, found["versions"], found["platform"]) == (200, ["3"], "mlflow_pyfunc")
    assert [(each["name"], each["datatype"]) for each in found["inputs"]] == [
        ("a", "FP64"), ("b", "INT64"), ("c", "BYTES"), ("d", "BOOL"),
    ]  # fmt: skip
    assert [each["datatype"] for each in found["outputs"]] == ["BYTES"]
    assert found["parameters"] == {"kind": "columns"}


@pytest.mark.parametrize("path", ["/models/iris/infer", "/models/iris/versions/3/infer"])
def test_the_protocol_predicts_what_invocations_do(ours: ScoringProcess, path: str) -> None:
    expected = json.loads(ours.ask("/invocations", encoded({"dataframe_split": SPLIT}))[2])["predictions"]
    status, found = v2(ours, path, {"id": "7", "inputs": TENSORS})
    assert status == 200
    assert found == {
        "model_name": "iris", "model_version": "3", "id": "7",
        "outputs": [{"name": "output", "shape": [2], "datatype": "BYTES", "data": expected}],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("path", "content", "status", "text"),
    [
        ("/models/other/infer", {"inputs": TENSORS}, 404, "no model 'other'"),
        ("/models/iris/versions/2/infer", {"inputs": TENSORS}, 404, "Version 2 of 'iris'"),
        ("/models/iris/explain/infer", {"inputs": TENSORS}, 404, "no path"),
        ("/models/iris/infer", {}, 400, 'must have "inputs"'),
        ("/models/iris/infer", [1], 400, 'must have "inputs"'),
        ("/models/iris/infer", {"inputs": ["a"]}, 400, "has no name"),
        ("/models/iris/infer", {"inputs": [{"name": "a", "shape": [1]}]}, 400, "no datatype and no data"),
        ("/models/iris/infer", {"inputs": [{**TENSORS[0], "datatype": "FLOAT"}]}, 400, "'FLOAT' is unknown"),
        ("/models/iris/infer", {"inputs": [{**TENSORS[0], "shape": [3]}]}, 400, "does not fit FP64 [3]"),
        ("/models/iris/infer", {"inputs": [{**TENSORS[0], "data": ["x", "y"]}]}, 400, "does not fit FP64"),
        ("/models/iris/infer", {"inputs": TENSORS[:3]}, 400, "Model is missing inputs ['d']"),
        ("/models/iris/infer", {"inputs": [{**TENSORS[0], "shape": [1], "data": [1.0]}, *TENSORS[1:]]}, 400, "[1, 2]"),
    ],
)  # fmt: skip
def test_wrong_requests_of_the_protocol_are_explained(
    ours: ScoringProcess, path: str, content: Any, status: int, text: str
) -> None:
    found = v2(ours, path, content)
    assert (found[0], text in found[1]["error"]) == (status, True), found


def test_a_path_of_the_protocol_is_only_read(ours: ScoringProcess) -> None:
    status, found = v2(ours, "/health/ready", {})
    assert (status, "GET" in found["error"]) == (405, True)


# Tensors -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tensors(folder: Path) -> Iterator[tuple[ScoringProcess, Any]]:
    """A PyTorch model of images, and MLflow's own app with it in this process."""
    pytest.importorskip("torch")
    client = pytest.importorskip("starlette.testclient")
    import mlflow
    import numpy as np
    import torch
    from mlflow.models import infer_signature
    from mlflow.pyfunc import scoring_server

    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 3))
    example = np.random.default_rng(0).random((2, 3, 4), dtype=np.float32)
    with torch.no_grad():
        signature = infer_signature(example, model(torch.from_numpy(example)).numpy())
    mlflow.pytorch.save_model(model, folder / "torch", signature=signature, input_example=example)
    process = ScoringProcess(folder / "tensors", folder / "torch")
    app = scoring_server.init(mlflow.pyfunc.load_model(str(folder / "torch")))
    yield process.runs(), client.TestClient(app)
    process.end()


@pytest.mark.parametrize("case", ["inputs", "instances", "a wrong shape", "a wrong type"])
def test_tensors_are_answered_as_by_mlflow(tensors: tuple[ScoringProcess, Any], case: str) -> None:
    process, theirs = tensors
    rows = [[[0.5] * 4] * 3, [[0.25] * 4] * 3]
    given = {
        "inputs": {"inputs": rows},
        "instances": {"instances": rows},
        "a wrong shape": {"inputs": [[0.5]]},
        "a wrong type": {"inputs": [[["x"] * 4] * 3]},
    }[case]
    status, _, body = process.ask("/invocations", encoded(given))
    expected = theirs.post("/invocations", content=encoded(given), headers={"Content-Type": JSON})
    assert (status, plain(body)) == (expected.status_code, plain(expected.content))


def test_the_protocol_takes_tensors_flat_and_nested(tensors: tuple[ScoringProcess, Any]) -> None:
    process, _ = tensors
    rows = [[[0.5] * 4] * 3, [[0.25] * 4] * 3]
    expected = json.loads(process.ask("/invocations", encoded({"inputs": rows}))[2])["predictions"]
    for data in (rows, [0.5] * 12 + [0.25] * 12):
        tensor = {"name": "input", "shape": [2, 3, 4], "datatype": "FP32", "data": data}
        status, found = v2(process, "/models/iris/infer", {"inputs": [tensor]})
        assert status == 200, found
        assert (found["outputs"][0]["shape"], found["outputs"][0]["datatype"]) == ([2, 3], "FP32")
        assert found["outputs"][0]["data"] == pytest.approx([each for row in expected for each in row])


def test_onnx_is_answered(folder: Path) -> None:
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    import mlflow

    helper = onnx.helper
    kind = onnx.TensorProto.FLOAT
    node = helper.make_node("Add", ["x", "x"], ["y"])
    graph = helper.make_graph(
        [node], "twice", [helper.make_tensor_value_info("x", kind, [None, 2])],
        [helper.make_tensor_value_info("y", kind, [None, 2])],
    )  # fmt: skip
    mlflow.onnx.save_model(helper.make_model(graph), folder / "onnx")
    process = ScoringProcess(folder / "twice", folder / "onnx").runs()
    try:
        status, _, body = process.ask("/invocations", encoded({"inputs": {"x": [[1.0, 2.0]]}}))
        assert (status, json.loads(body)) == (200, {"predictions": {"y": [[2.0, 4.0]]}})
    finally:
        process.end()
