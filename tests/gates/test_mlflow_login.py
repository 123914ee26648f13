"""Approval by a login of MLflow: a real server with ``--app-name basic-auth``."""

from __future__ import annotations

import base64
import importlib.util
import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from genops_lab.gates.backends.mlflow_gates import MlflowGates
from genops_lab.gates.backends.mlflow_login import login
from genops_lab.gates.facts_rules import FileEvidence, judge_files
from genops_lab.gates.models import Approver, CheckGates
from genops_lab.gates.plan import Approval
from tests.support.homes import Home
from tests.support.lab_server import free_port
from tests.support.mlflow_server import wait_for

from .made import Made

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        importlib.util.find_spec("flask_wtf") is None, reason="needs Flask-WTF: pip install 'mlflow[auth]'"
    ),
]

APPROVAL = "kind: Gates\nrules:\n  - {rule: approval}\n"
PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def server(module_home: Home, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder, port = tmp_path_factory.mktemp("mlflow"), free_port()
    config = folder / "auth.ini"
    config.write_text(
        "[mlflow]\ndefault_permission = MANAGE\n"
        f"database_uri = sqlite:///{folder}/auth.db\nadmin_username = admin\nadmin_password = {PASSWORD}\n"
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
        "auth_cache_ttl_seconds = 60\n"  # else each request hashes the password
    )
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "mlflow", "server", "--app-name", "basic-auth", "--workers", "1"),
                *("--host", "127.0.0.1", "--port", str(port)),
                *("--backend-store-uri", f"sqlite:///{folder}/mlflow.db"),
                *("--artifacts-destination", str(folder / "artifacts")),
            ],
            cwd=folder, stdout=log, stderr=log, start_new_session=True,
            env=module_home.environment(
                MLFLOW_AUTH_CONFIG_PATH=str(config), MLFLOW_FLASK_SERVER_SECRET_KEY="test",
                MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false",
            ),
        )  # fmt: skip
        try:
            url = f"http://127.0.0.1:{port}"
            wait_for(url, process)
            for name in ("ada", "bob"):
                add_user(url, name)
            yield url
        finally:
            os.killpg(process.pid, 9)
            process.wait()


def add_user(url: str, name: str) -> None:
    request = urllib.request.Request(
        f"{url}/api/2.0/mlflow/users/create",
        json.dumps({"username": name, "password": PASSWORD}).encode(),
        {
            "Content-Type": "application/json",
            "Authorization": "Basic " + base64.b64encode(f"admin:{PASSWORD}".encode()).decode(),
        },
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert answer.status == 200


def versions(url: str) -> None:
    """A model with two versions, trained by ada."""
    made = Made(url, None)
    made.model("approved")
    for _ in range(2):
        made.version("approved")


def test_the_login_of_mlflow_approves_and_nobody_can_give_another_name(
    server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    # What a client of the Lab sends has no place for a name.
    claimed = msgspec.convert(
        {"text": APPROVAL, "approvers": [{"name": "bob", "how": "MLflow login"}]}, CheckGates
    )

    def log_in(name: str, password: str = PASSWORD) -> None:
        monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", name)
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", password)

    log_in("ada")
    versions(server)
    log_in("bob")
    found = MlflowGates(server).judge("approved", "2", claimed).rules[0]
    assert (found.verdict, found.clause) == ("pass", "bob approves (MLflow login)")
    # Its runs say that ada trained the model.
    log_in("ada")
    own = login(MlflowGates(server)._client)
    assert own == [Approver(name="ada", how="MLflow login")]
    found = judge_files(Approval(), FileEvidence(author="ada", approvers=own))
    assert (found.verdict, found.clause) == ("fail", "ada trained the model, and nobody else approves")
    log_in("bob", "wrong")
    assert login(MlflowGates(server)._client) == []


def test_an_mlflow_without_users_names_nobody(module_home: Home, tmp_path: Path) -> None:
    from tests.support.mlflow_server import running_mlflow
    from tests.support.warm import warm_workers

    store = f"sqlite:///{tmp_path}/mlflow.db"
    with warm_workers(), running_mlflow(module_home, store, tmp_path / "artifacts") as url:
        versions(url)
        found = MlflowGates(url).judge("approved", "2", CheckGates(text=APPROVAL)).rules[0]
    assert (found.verdict, found.clause) == ("cannot_be_checked", "nobody who approves is known")
    assert "a login of JupyterHub or MLflow" in found.detail
