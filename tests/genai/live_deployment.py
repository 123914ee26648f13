"""A deployment of a running Lab that answers chats, whose requests become traces that scorers look at."""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.kernels.outputs.pages import eventually
from tests.support.lab_server import LabServer
from tests.ui.programs import own_mlflow, run_script

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

    def ask(self, *questions: str, **headers: str) -> None:
        for each in questions:
            body = {"model": "m", "messages": [{"role": "user", "content": each}]}
            request = urllib.request.Request(
                f"{self.url}/v1/chat/completions", json.dumps(body).encode(),
                {"Content-Type": "application/json", "Authorization": f"Bearer {self.key}", **headers},
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

    def application(self, which: str, experiment: str) -> str:
        """Run an application of the docs in a process of its own, and return the id of its trace."""
        page = Path(__file__).parents[2] / "docs/users/application-traces.md"
        if not page.exists():
            pytest.skip("The docs are not here.")
        code = page.read_text().split(f"<!-- {which} application -->\n```python\n")[1].split("```")[0]
        names = {"OPENAI_BASE_URL": f"{self.url}/v1", "OPENAI_API_KEY": self.key}
        if which == "mlflow":
            code = code.replace('"support"', repr(experiment)) + "print(mlflow.get_last_active_trace_id())"
            names |= own_mlflow(self.server)
        else:
            code += "print(f'tr-{span.get_span_context().trace_id:032x}')"
            sent = f"Authorization=token%20{self.server.token},x-mlflow-experiment-id={experiment}"
            names["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] = f"{self.server.url}genops/otlp/v1/traces"
            names["OTEL_EXPORTER_OTLP_TRACES_HEADERS"] = sent
        return run_script(self.server, code, **names).split()[-1]
