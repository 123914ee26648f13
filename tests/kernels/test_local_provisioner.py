"""Kernels that are started through GenOps' provisioner: real ipykernels."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning.factory import KernelProvisionerFactory

from genops_lab.core.errors import Unavailable
from genops_lab.kernels import local_provisioner
from genops_lab.kernels.local_provisioner import KERNEL_SITE, kernel_environment, take_over
from genops_lab.kernels.process import PROCESS, KernelHost, MlflowVariables
from tests.support.homes import Home

# The Lab's MLflow connection is tested in tests/experiments; here it is a thing that answers, or does not.


class Mlflow:
    def __init__(self, answer: dict[str, str] | Exception) -> None:
        self.answer = answer
        self.asked: list[str] = []

    async def kernel_environment(self, mlflow_version: str = "") -> dict[str, str]:
        self.asked.append(mlflow_version)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def lab_with(answer: dict[str, str] | Exception, data_dir: Path = Path("/data")) -> Any:
    return SimpleNamespace(data_dir=data_dir, mlflow=Mlflow(answer))


def host_of(lab: Any, socket: str) -> KernelHost:
    return KernelHost(lab.data_dir, Path(socket), MlflowVariables(lab.mlflow.kernel_environment))


def install(lab: Any, socket: str) -> None:
    """As a Jupyter server whose services are open."""
    if take_over(None):
        PROCESS.open(host_of(lab, socket))


def other_environment(tmp_path: Path, mlflow: str = "") -> str:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    (tmp_path / "pyvenv.cfg").write_text("include-system-site-packages = false\n")
    site = tmp_path / "lib" / "python3.12" / "site-packages"
    site.mkdir(parents=True)
    if mlflow:
        (site / f"mlflow-{mlflow}.dist-info").mkdir()
    return str(tmp_path / "bin" / "python")


async def test_the_own_environment_gets_no_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PROCESS, "variables", {"GENOPS_REDACT_TRACES": "secrets"})
    lab = lab_with({"MLFLOW_TRACKING_URI": "sqlite:///f.db"})
    env = await kernel_environment(host_of(lab, "/s/lab.sock"), ["python", "-m", "x"], {"A": "b"}, "k1")
    assert env["A"] == "b" and env["GENOPS_SOCKET"] == "/s/lab.sock" and env["GENOPS_KERNEL_ID"] == "k1"
    assert env["GENOPS_DATA_DIR"] == "/data" and env["GENOPS_REDACT_TRACES"] == "secrets"
    assert json.loads(env["GENOPS_CLI"]) == [sys.executable, "-m", "genops_lab.commands"]
    assert env["MLFLOW_TRACKING_URI"] == "sqlite:///f.db"
    assert "PYTHONPATH" not in env


async def test_another_environment_gets_the_kernel_side_first_and_once(tmp_path: Path) -> None:
    python = other_environment(tmp_path, mlflow="2.22.0")
    lab = lab_with({"MLFLOW_TRACKING_URI": "http://127.0.0.1:1", "MLFLOW_TRACKING_TOKEN": "t"})
    given = {"PYTHONPATH": f"/mine{os.pathsep}{KERNEL_SITE}"}
    env = await kernel_environment(host_of(lab, "s"), [python, "-m", "x"], given, "k")
    assert env["PYTHONPATH"].split(os.pathsep) == [str(KERNEL_SITE), "/mine"]
    assert lab.mlflow.asked == ["2.22.0"]
    assert env["MLFLOW_TRACKING_TOKEN"] == "t"


async def test_the_users_own_mlflow_stays() -> None:
    lab = lab_with({"MLFLOW_TRACKING_URI": "ours"})
    env = await kernel_environment(host_of(lab, "s"), ["python"], {"MLFLOW_TRACKING_URI": "theirs"}, "k")
    assert env["MLFLOW_TRACKING_URI"] == "theirs" and lab.mlflow.asked == []


async def test_another_language_gets_the_lab_but_no_python_path() -> None:
    lab = lab_with({"MLFLOW_TRACKING_URI": "ours"})
    env = await kernel_environment(host_of(lab, "s"), ["R", "--slave"], {}, "k")
    assert env["GENOPS_SOCKET"] == "s" and "PYTHONPATH" not in env and "MLFLOW_TRACKING_URI" not in env


@pytest.fixture
def factory(monkeypatch: pytest.MonkeyPatch) -> Iterator[KernelProvisionerFactory]:
    """A factory of this test's own."""
    KernelProvisionerFactory.clear_instance()
    monkeypatch.setattr(KernelProvisionerFactory, "provisioners", {})
    found = KernelProvisionerFactory.instance()
    yield found
    PROCESS.leave()
    KernelProvisionerFactory.clear_instance()


def known(factory: KernelProvisionerFactory) -> bool:
    return local_provisioner.NAME in factory.get_provisioner_entries()


def test_it_becomes_the_default(factory: KernelProvisionerFactory) -> None:
    if not known(factory):
        pytest.skip("the package is not installed here, so its entry points are not there")
    install(lab_with({}), "s")
    assert factory.default_provisioner_name == local_provisioner.NAME


def test_another_choice_stays(factory: KernelProvisionerFactory, caplog: pytest.LogCaptureFixture) -> None:
    factory.default_provisioner_name = "ssh-provisioner"
    with caplog.at_level(logging.INFO, "genops_lab"):
        install(lab_with({}), "s")
    assert factory.default_provisioner_name == "ssh-provisioner"
    assert "ssh-provisioner" in caplog.text


def test_without_the_entry_point_nothing_changes(
    factory: KernelProvisionerFactory, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(local_provisioner, "NAME", "not-installed")
    with caplog.at_level(logging.INFO, "genops_lab"):
        install(lab_with({}), "s")
    assert factory.default_provisioner_name == "local-provisioner"
    assert "pip install" in caplog.text


async def test_a_kernel_started_while_the_lab_opens_waits_for_it(factory: KernelProvisionerFactory) -> None:
    if not known(factory):
        pytest.skip("the package is not installed here, so its entry points are not there")
    assert take_over(None) and factory.default_provisioner_name == local_provisioner.NAME
    PROCESS.expect()
    waiting = asyncio.ensure_future(PROCESS.host_when_open())
    await asyncio.sleep(0.2)
    assert not waiting.done()
    install(lab_with({}), "/s/lab.sock")
    host = await asyncio.wait_for(waiting, 20)
    assert host is not None and str(host.socket_path) == "/s/lab.sock"
    PROCESS.leave()
    assert await asyncio.wait_for(PROCESS.host_when_open(), 5) is None, "a Lab that stopped is not awaited"


@pytest.mark.parametrize(
    "failure", [None, Unavailable("MLflow is down.", hint="Wait."), RuntimeError("surprise")]
)
async def test_a_kernel_starts_whatever_happens(
    factory: KernelProvisionerFactory, failure: Exception | None, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not known(factory):
        pytest.skip("the package is not installed here, so its entry points are not there")
    install(lab_with(failure or {"MLFLOW_TRACKING_URI": "sqlite:///x.db"}, home.data), "/s/lab.sock")
    for name, value in home.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    manager = AsyncKernelManager(connection_file=str(home.path / "kernel.json"))
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    manager._kernel_spec = KernelSpec(argv=argv, display_name="t", language="python")
    await manager.start_kernel(cwd=str(home.work))
    try:
        assert isinstance(manager.provisioner, local_provisioner.GenOpsLocalProvisioner)
        client = manager.client()
        client.start_channels()
        await client.wait_for_ready(timeout=60)
        names = ["GENOPS_SOCKET", "GENOPS_KERNEL_ID", "MLFLOW_TRACKING_URI"]
        reply = await client.execute_interactive(
            "import os", user_expressions={"v": f"[os.environ.get(name) for name in {names}]"}, timeout=60
        )
        shown = reply["content"]["user_expressions"]["v"]["data"]["text/plain"]
        client.stop_channels()
    finally:
        await manager.shutdown_kernel(now=True)
    if isinstance(failure, RuntimeError):
        assert shown == "[None, None, None]"
    else:
        uri = "None" if failure else "'sqlite:///x.db'"
        assert shown == f"['/s/lab.sock', '{manager.kernel_id}', {uri}]"
