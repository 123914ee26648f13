"""A scoring process with a model, asked directly."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from genops_lab.serving import scorer
from tests.support.rooms import eventually
from tests.support.warm import SCORING, program

KEY = "of-the-gateway"
JSON = "application/json"
#: What keeps several processes starts them itself.
COLD = (sys.executable, str(Path(scorer.__file__).with_name("__main__.py")))


class ScoringProcess:
    """The process of ``serving/scorer`` for a model's folder, as a target starts it, but forked by a warm one.

    ``settings`` go into ``spec.json``; ``variables`` into its environment, of which a fork has those of Python alone.
    """

    def __init__(
        self,
        folder: Path,
        model: Path,
        variables: dict[str, str] | None = None,
        *,
        cold: bool = False,
        **settings: Any,
    ) -> None:
        folder.mkdir()
        self.folder = folder
        spec = {
            "folder": str(folder), "model": str(model), "key_file": str(folder / "key"), "lease_s": 600,
            "name": "iris", "version": "3", **settings,
        }  # fmt: skip
        (folder / "spec.json").write_text(json.dumps(spec))
        (folder / "key").write_text(KEY)
        (folder / "lease.json").write_text(json.dumps({"until": time.time() + 600}))
        run = COLD if cold or "workers" in settings else program("tests.support.scoring", SCORING)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*run, str(folder / "spec.json")],
                cwd=folder, env={**os.environ, **(variables or {})}, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip

    @property
    def log(self) -> Path:
        return self.folder / "log.txt"

    @property
    def state(self) -> dict[str, Any]:
        try:
            return dict(json.loads((self.folder / "state.json").read_bytes()))
        except OSError:
            return {}

    def runs(self, within_s: float = 60) -> ScoringProcess:
        """Wait until the model answers."""
        began = lambda state: state.get("state") not in (None, "starting")  # noqa: E731
        found = eventually(lambda: self.state, began, within_s)
        assert found["state"] == "running", self.log.read_text()
        return self

    def ask(self, path: str, body: bytes | None = None, content_type: str = JSON) -> tuple[int, str, bytes]:
        """Return status, content type and body of an answer."""
        return asked(f"http://127.0.0.1:{self.state['port']}{path}", body, content_type)

    def predict(self, *rows: tuple[str, float], **more: Any) -> tuple[int, Any]:
        """Ask the model of ``behaving.py`` for rows of ``do`` and ``x``."""
        given = {"dataframe_split": {"columns": ["do", "x"], "data": [list(row) for row in rows]}, **more}
        status, _, body = self.ask("/invocations", json.dumps(given).encode())
        return status, json.loads(body)

    def end(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)


def asked(url: str, body: bytes | None, content_type: str) -> tuple[int, str, bytes]:
    headers = {"Content-Type": content_type, "Authorization": f"Bearer {KEY}"}
    request = urllib.request.Request(url, body, headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.headers["Content-Type"].partition(";")[0], answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers["Content-Type"].partition(";")[0], error.read()


class MlflowServer:
    """``mlflow models serve`` with the same model."""

    def __init__(self, model: Path, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        path = os.path.dirname(sys.executable) + os.pathsep + os.environ["PATH"]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "models", "serve", "-m", str(model), "-p", str(port),
             "--env-manager", "local"],
            env={**os.environ, "PATH": path}, cwd=model.parent, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip

    def answers(self) -> bool:
        try:
            return asked(f"{self.url}/ping", None, JSON)[0] == 200
        except OSError:
            assert self.process.poll() is None, "mlflow models serve has ended"
            return False
