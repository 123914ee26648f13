"""What the Jupyter server imports of us before its event loop runs."""

from __future__ import annotations

import functools
import json
import subprocess
import sys

import pytest

from genops_lab.app.features import OPERATIONS

#: Each costs tens of milliseconds or more: they wait for the work that needs them.
HEAVY = {
    "IPython", "alembic", "anywidget", "isal", "kubernetes", "lark", "mlflow", "numpy", "optuna", "pandas", "paramiko",
    "psutil", "pyarrow", "pynvml", "scipy", "sqlalchemy",
    "torch",
}  # fmt: skip


@functools.cache
def _imported_by(module: str) -> set[str]:
    program = f"import json, sys, {module}; print(json.dumps(sorted(sys.modules)))"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(json.loads(answer.stdout))


@pytest.mark.parametrize("module", ["genops_lab.app.extension", "genops_lab.app.features"])
def test_the_extension_and_the_routes_import_nothing_heavy(module: str) -> None:
    found = _imported_by(module)
    assert module in found
    assert not HEAVY & found


def test_the_routes_import_no_service() -> None:
    services = {operation.function.__module__ for operation in OPERATIONS}
    assert "genops_lab.deployments.service" in services
    assert not services & _imported_by("genops_lab.app.features")
    assert not services & _imported_by("genops_lab.kernels.outputs.download")


def test_a_command_that_asks_a_running_lab_imports_no_server() -> None:
    of_servers = {"jinja2", "jupyter_server", "prometheus_client", "sqlalchemy", "tornado", "traitlets"}
    asking = (
        "commands.main",
        "core.running_labs",
        "app.features",
        "experiments.service",
        "deployments.service",
    )
    assert not of_servers & _imported_by(", ".join(f"genops_lab.{module}" for module in asking))
    assert of_servers - {"sqlalchemy"} <= _imported_by(
        "genops_lab.app.socket_server, genops_lab.core.live_socket"
    )


def test_the_lab_imports_sqlalchemy_and_no_optuna() -> None:
    """Also: heavy imports would be seen above."""
    found = _imported_by("genops_lab.app.application, genops_lab.sweeps.runner, genops_lab.jobs.kernels")
    assert "sqlalchemy" in found and "optuna" not in found
