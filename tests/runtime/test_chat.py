"""``genops.chat``: a real HTTP server stands in for a language model. ``tests/deployments`` has a real one."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from genops_lab.runtime import api
from genops_lab.runtime.errors import GenOpsError
from tests.support.homes import Home

from .stand_in import LabStandIn


@pytest.fixture
def asked(lab: LabStandIn, home: Home, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """The requests that the model got. ``break`` in a message breaks its stream off."""
    bodies: list[Any] = []

    class Model(BaseHTTPRequestHandler):
        def log_message(self, *_arguments: Any) -> None:
            """Quiet."""

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            assert (self.headers["Authorization"], self.path) == ("Bearer k3y", "/v1/chat/completions")
            bodies.append(body)
            self.send_response(200)
            self.end_headers()
            if not body["stream"]:
                message = {"choices": [{"message": {"content": "Hello!"}}]}
                self.wfile.write(json.dumps(message).encode())
                return
            for part in (None, "Hel", "lo!"):
                chunk = {"choices": [{"delta": {"content": part}}]}
                self.wfile.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")
            if "break" not in body["messages"][0]["content"]:
                self.wfile.write(b"data: [DONE]\n\n")

    server = ThreadingHTTPServer(("127.0.0.1", 0), Model)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    found = {"name": "chat", "state": "running", "key": "k3y", "model": "m", "version": "1"}
    found["url"] = f"http://127.0.0.1:{server.server_port}"
    model = {**found, "serving": {"engine": "llama.cpp"}}
    lab.answers["GET", "/genops/deployments/chat"] = lambda _body: (200, model)
    lab.answers["GET", "/genops/deployments/digits"] = lambda _body: (200, {**found, "name": "digits"})
    for name, value in home.environment().items():
        if name.startswith(("JUPYTER", "GENOPS")):
            monkeypatch.setenv(name, value)
    monkeypatch.setenv("GENOPS_SOCKET", str(lab.path))
    yield bodies
    server.shutdown()
    server.server_close()


def test_an_answer_is_a_text(asked: list[Any]) -> None:
    assert api.chat("chat", "Hi", temperature=0, max_tokens=5) == "Hello!"
    question = [{"role": "user", "content": "Hi"}]
    assert asked == [
        {"model": "chat", "messages": question, "stream": False, "temperature": 0, "max_tokens": 5}
    ]
    assert api.deployment("chat").chat(question) == "Hello!"
    assert api.deployment("chat").url.startswith("http://127.0.0.1:")


def test_the_parts_of_a_stream_arrive_and_a_break_is_an_error(asked: list[Any]) -> None:
    assert list(api.chat("chat", "Hi", stream=True)) == ["Hel", "lo!"]
    parts = api.chat("chat", "break", stream=True)
    assert [next(parts), next(parts)] == ["Hel", "lo!"]
    with pytest.raises(GenOpsError, match=r"The answer of 'chat' broke off.*deployments logs chat"):
        next(parts)


def test_what_is_no_language_model_says_so(asked: list[Any]) -> None:
    with pytest.raises(GenOpsError, match=r"'digits' is no language model.*genops.predict"):
        api.chat("digits", "Hi")
