"""``genops.predict``: a real HTTP server stands in for a deployment."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from genops_lab.runtime import api
from genops_lab.runtime.errors import GenOpsError, LabAway, Refused
from tests.support.homes import Home

from .stand_in import LabStandIn


@pytest.fixture
def received(lab: LabStandIn, home: Home, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """Bodies that the deployment got; it answers with them, and only to the key."""
    bodies: list[Any] = []

    class Scorer(BaseHTTPRequestHandler):
        def log_message(self, *_arguments: Any) -> None:
            """Quiet."""

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            allowed = self.headers["Authorization"] == "Bearer k3y" and self.path == "/invocations"
            bodies.append(body)
            bad = body.get("inputs") == ["bad"]
            payload = json.dumps(
                {"error_code": "BAD", "message": "7 columns wanted"} if bad else {"predictions": body}
            )
            self.send_response(400 if bad else 200 if allowed else 401)
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload.encode())

    server = ThreadingHTTPServer(("127.0.0.1", 0), Scorer)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    deployment = {"name": "my model/ü", "state": "running", "key": "k3y", "model": "m", "version": "1"}
    deployment["url"] = f"http://127.0.0.1:{server.server_port}"
    lab.answers["GET", "/genops/deployments/my%20model%2F%C3%BC"] = lambda _body: (200, deployment)
    lab.answers["GET", "/genops/deployments/dead"] = lambda _body: (
        200,
        {**deployment, "state": "failed", "message": "It ran out of memory.", "hint": "Take a smaller one."},
    )
    for name, value in home.environment().items():
        if name.startswith(("JUPYTER", "GENOPS")):
            monkeypatch.setenv(name, value)
    monkeypatch.setenv("GENOPS_SOCKET", str(lab.path))
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    yield bodies
    server.shutdown()
    server.server_close()


def test_inputs_of_many_kinds(received: list[Any]) -> None:
    np = pytest.importorskip("numpy")
    pd = pytest.importorskip("pandas")
    name = "my model/ü"
    assert api.predict(name, [[1, 2]]) == {"inputs": [[1, 2]]}
    assert api.predict(name, np.float32([[1, 2]])) == {"inputs": [[1.0, 2.0]]}
    assert api.predict(name, {"x": np.arange(2), "y": ["a", "b"]}) == {
        "inputs": {"x": [0, 1], "y": ["a", "b"]}
    }
    frame = pd.DataFrame({"a": [1, 2], "t": pd.to_datetime(["2024-01-01", "2024-01-02"])}, index=[5, 6])
    sent = api.predict(name, frame)["dataframe_split"]
    assert sent["columns"] == ["a", "t"] and sent["data"][0] == [1, "2024-01-01T00:00:00.000"]


def test_a_tensor(received: list[Any]) -> None:
    torch = pytest.importorskip("torch")
    assert api.predict("my model/ü", torch.ones(1, 2, requires_grad=True)) == {"inputs": [[1.0, 1.0]]}


def test_a_deployment_answers_and_hides_its_key(received: list[Any]) -> None:
    found = api.deployment("my model/ü")
    assert found.predict([1]) == {"inputs": [1]}
    assert found["key"] == "k3y"
    assert "k3y" not in repr(found) and "k3y" not in json.dumps(found._repr_mimebundle_())


def test_errors_say_what_to_do(received: list[Any], lab: LabStandIn) -> None:
    with pytest.raises(GenOpsError, match=r"7 columns wanted.*deployments logs"):
        api.predict("my model/ü", ["bad"])
    with pytest.raises(GenOpsError, match=r"is failed\. It ran out of memory\. Take a smaller one"):
        api.predict("dead", [1])
    with pytest.raises(Refused):
        api.predict("unknown", [1])
    lab.close()
    with pytest.raises(LabAway, match="No GenOps Lab is running"):
        api.predict("my model/ü", [1])
