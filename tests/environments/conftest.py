"""What these tests share: one real Lab for a module, and the interpreters of other environments."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.environments import environment_without_lab
from tests.support.homes import Home
from tests.support.kernels import register_kernel
from tests.support.lab_server import LabServer, running_lab

SITE = Path(__file__).parents[2] / "genops_lab" / "kernel" / "site"


@pytest.fixture(scope="session")
def ipykernel_alone() -> Path:
    """An environment with ipykernel and what it needs, nothing else."""
    return environment_without_lab("ipykernel")


@pytest.fixture(scope="session")
def with_mlflow_2() -> Path:
    """An environment with ipykernel and an MLflow that cannot open MLflow 3's file."""
    return environment_without_lab("ipykernel", "mlflow>=2.22,<3")


@pytest.fixture(scope="module")
def lab(module_home: Home) -> Iterator[LabServer]:
    """One Lab for the module; nothing of MLflow's may be left where the user works."""
    with running_lab(module_home) as server:
        yield server
    assert leftovers(module_home) == set()


@pytest.fixture(scope="module")
def alone(module_home: Home, ipykernel_alone: Path) -> str:
    """The kernel specification of the environment with ipykernel alone."""
    register_kernel(module_home, "alone", ipykernel_alone)
    return "alone"


@pytest.fixture(scope="module")
def mlflow_2(module_home: Home, with_mlflow_2: Path) -> str:
    """The kernel specification of the environment with MLflow 2."""
    register_kernel(module_home, "mlflow2", with_mlflow_2)
    return "mlflow2"


def leftovers(home: Home) -> set[str]:
    """What MLflow makes in a working folder when nobody tells it better."""
    return {path.name for path in home.work.rglob("*")} & {"mlruns", "mlflow.db", "mlartifacts"}
