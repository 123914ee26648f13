"""Secrets of the server's environment stay there: not in logs, events, outputs, answers or kept files."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
import websocket

from tests.support.homes import Home
from tests.support.kernels import lab_kernel
from tests.support.lab_server import LabServer, running_lab
from tests.support.mlflow_file import kept_run

SECRETS = {
    "HF_TOKEN": "hf_planted0123456789abcdef",
    "OPENAI_API_KEY": "sk-planted-0123456789abcdef",
    "AWS_SECRET_ACCESS_KEY": "plantedAws0123456789abcdef",
    "WANDB_API_KEY": "plantedwandb0123456789abcdef",
    "DATABASE_PASSWORD": "planted-password-0123456789",
}
ROUTES = ("status", "doctor", "experiments", "runs", "models", "profiles", "deployments", "tasks",
          "compute/machine", "compute/kernels")  # fmt: skip
WORKING = (
    "%%track --name secretive\nimport genops\nlr = 0.1\nfor i in range(5): genops.log({'loss': i}, step=i)",
    "%genops status",
    "%genops runs list",
    "%genops runs show latest",
    "%genops doctor",
)
FAILING = (
    "%%track --name failing\nimport genops\ngenops.log({'a': 1})\n1/0",
    "%genops runs show nothing-like-this",
    "%genops deploy nothing-like-this",
    "%%profile --nonsense\n1",
)


class Listener:
    """Hears the events of a server as its front end does."""

    def __init__(self, server: LabServer) -> None:
        address = server.url.replace("http", "ws", 1) + "api/events/subscribe"
        self._socket = websocket.create_connection(
            address, header=[f"Authorization: token {server.token}"], timeout=1
        )
        self.heard: list[str] = []
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def _listen(self) -> None:
        while not self._closing.is_set():
            try:
                self.heard.append(str(self._socket.recv()))
            except websocket.WebSocketTimeoutException:
                continue

    def close(self) -> None:
        """Stop listening."""
        self._closing.set()
        self._thread.join()
        self._socket.close()


def planted_in(text: str) -> list[str]:
    """The names of the secrets that a text gives away."""
    return [name for name, value in SECRETS.items() if value in text]


def kept_files(home: Home) -> dict[Path, str]:
    """Everything that GenOps Lab wrote, and the runtime files beside it."""
    folders = (home.data, home.path / "run", home.path / "s")
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    return {path: path.read_bytes().decode("latin-1") for path in files}


@pytest.mark.slow
def test_the_environments_secrets_go_nowhere(home: Home) -> None:
    with running_lab(home, env=SECRETS) as server:
        listener = Listener(server)
        with lab_kernel(server) as kernel:
            kernel.ok("%load_ext genops_lab")
            assert kernel.ok("import os; os.environ['HF_TOKEN']").result == repr(SECRETS["HF_TOKEN"])
            for code in WORKING + FAILING:
                cell = kernel.run(code)
                assert cell.status == ("ok" if code in WORKING else "error"), (code, cell.reply)
                assert planted_in(json.dumps([cell.reply, *cell.messages])) == [], code
        for route in ROUTES:
            assert planted_in(json.dumps(server.get(f"genops/{route}"))) == [], route
        listener.close()
        assert any("genops-lab" in event and '"run"' in event for event in listener.heard)
        assert planted_in("".join(listener.heard)) == []
    assert planted_in(server.log) == []
    assert kept_run(home, "secretive").status == "FINISHED"
    assert {path: names for path, text in kept_files(home).items() if (names := planted_in(text))} == {}
