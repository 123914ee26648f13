"""A deployment of a running Lab that answers chats, whose requests become traces that scorers look at."""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from tests.kernels.outputs.pages import eventually
from tests.support.lab_server import LabServer

APP = Path(__file__).with_name("answering_app.py")


class LiveDeployment:
    """The Lab with its deployment. ``server`` changes when the Lab is killed and started again."""

    def __init__(self, server: LabServer, name: str) -> None:
        self.server, self.name = server, name
        self.path = f"genops/v1/deployments/{name}/online-scorers"
        self.url = self.key = ""

    def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        return self.server.request(method, path, body)

    def done(self, method: str, path: str, body: Any = None) -> Any:
        status, answer = self.call(method, path, body)
        assert status in (200, 202, 204), (status, answer, self.server.log[-3000:])
        return answer

    def deploy(self) -> None:
        wish = {"name": self.name, "command": f"{sys.executable} {APP}"}
        digest = self.done("POST", "genops/v1/deployment-checks", wish)["digest"]
        self.done("POST", "genops/v1/deployments", {**wish, "trust": digest})
        found = self.running()
        self.url = found["url"]
        self.key = self.server.get(f"genops/v1/deployments/{self.name}/key")["key"]

    def running(self) -> dict[str, Any]:
        """Wait until the deployment runs, and no change of it is under way."""
        path = f"genops/v1/deployments/{self.name}"
        found: dict[str, Any] = eventually(
            lambda: self.server.get(path), lambda each: each["state"] in ("running", "failed")
        )
        assert found["state"] == "running", found
        return found

    def remove(self) -> None:
        """Stop and delete the deployment."""
        path = f"genops/v1/deployments/{self.name}"
        self.done("POST", f"{path}/stop")
        eventually(lambda: self.server.get(path)["state"], lambda state: state in ("ended", "stopped"))
        self.done("DELETE", path)

    def ask(self, *questions: str) -> None:
        for each in questions:
            body = {"model": "m", "messages": [{"role": "user", "content": each}]}
            request = urllib.request.Request(
                f"{self.url}/v1/chat/completions", json.dumps(body).encode(),
                {"Content-Type": "application/json", "Authorization": f"Bearer {self.key}"},
            )  # fmt: skip
            try:
                with urllib.request.urlopen(request, timeout=60) as answer:
                    answer.read()
            except urllib.error.HTTPError as error:
                assert "broken" in each, error

    def scores(self) -> dict[str, Any]:
        found: dict[str, Any] = self.server.get(self.path)
        return found

    def settled(self, seen: int) -> dict[str, Any]:
        """The scores when so many traces landed and none waits."""
        return eventually(
            self.scores,
            lambda found: found["seen"] == seen and not any(each["waiting"] for each in found["scorers"]),
            timeout_s=120,
        )

    def traces(self, question: str) -> list[dict[str, Any]]:
        """The traces of this deployment whose request has a text, with their assessments."""
        query = {
            "query": f"tags.deployment = '{self.name}' and request contains '{question}'",
            "limit": 1000,
            "wait_s": 30,
        }
        table = self.done("POST", "genops/v1/trace-content/query", query)
        return [self.server.get(f"genops/v1/trace-content/{each}") for each in table["run_ids"]]
