"""Kernels of this machine through the agent: what Jupyter's own local kernels are and get."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from jupyter_client import KernelManager
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.provisioning.factory import KernelProvisionerFactory

from genops_lab.hosts.link.connections import HostConnections
from genops_lab.hosts.link.questions import Nobody
from genops_lab.kernels.local_agent import LocalAgent
from genops_lab.kernels.local_provisioner import take_over
from genops_lab.kernels.process import PROCESS
from genops_lab.kernels.remote_kernels import RemoteKernels
from tests.kernels.places import DEADLINE_S
from tests.support.homes import Home
from tests.support.processes import runs

#: Each process of its own, or of each kernel.
_OWN = {"JPY_PARENT_PID"}


def nowhere(name: str) -> Any:
    """There is no target."""
    raise AssertionError(name)


@contextmanager
def keeping(home: Home) -> Iterator[RemoteKernels]:
    """Kernels that this process starts are the agent's meanwhile."""
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(home.environment())
    home.data.mkdir(parents=True, exist_ok=True)
    KernelProvisionerFactory.clear_instance()
    remote = RemoteKernels(HostConnections(home.data, Nobody()), nowhere)
    PROCESS.use(remote)
    try:
        assert take_over(None), "the package is installed, so that its entry points are there"
        here = LocalAgent(remote, lambda reason: pytest.fail(reason))
        remote.links.submit(_begin(here)).result(DEADLINE_S)
        PROCESS.keeper = here
        yield remote
    finally:
        PROCESS.leave()
        remote.links.close()
        KernelProvisionerFactory.clear_instance()
        os.environ.clear()
        os.environ.update(before)


async def _begin(here: LocalAgent) -> None:
    await here.begin()


def environment_of(home: Home, **start: Any) -> tuple[dict[str, str], list[Any]]:
    """The environment of a kernel; its folder, command, and the mask of its files."""
    file = home.path / "kernel.json"
    manager = KernelManager(connection_file=str(file))
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}", "--A.b={prefix}"]
    manager._kernel_spec = KernelSpec(
        argv=argv, display_name="t", language="python", env={"MINE": "${HOME}/mine"}, resource_dir="/r"
    )
    manager.start_kernel(**start)
    client = manager.client()
    try:
        client.start_channels()
        client.wait_for_ready(timeout=DEADLINE_S)
        assert json.loads(file.read_text())["key"], "others can connect to it"
        asked = {
            "env": "dict(__import__('os').environ)",
            "rest": "[__import__('os').getcwd(), str(get_ipython().config.A.b), __import__('os').umask(0o022)]",
        }
        reply = client.execute_interactive("", user_expressions=asked, silent=True, timeout=DEADLINE_S)
        found = {
            name: eval(each["data"]["text/plain"])
            for name, each in reply["content"]["user_expressions"].items()
        }
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    return found["env"], found["rest"]


def without_own(env: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in env.items() if name not in _OWN}


def test_it_gets_what_jupyters_own_would_give_it(home: Home) -> None:
    """Nothing is withheld on the user's own machine, and nothing added."""
    given = {
        "SSH_AUTH_SOCK": "/agent",
        "JUPYTERHUB_API_TOKEN": "t",
        "KERNEL_USERNAME": "me",
        "LONG": "x" * 100_000,
    }
    with keeping(home):
        os.environ.update(given, JPY_SESSION_NAME="a.ipynb", PYTHONPATH="/mine")
        start = {"cwd": str(home.work), "env": {**os.environ, "ONLY": "here\nand there"}}
        kept, kept_rest = environment_of(home, **start)
        PROCESS.keeper = None
        own, own_rest = environment_of(home, **start)
    assert without_own(kept) == without_own(own) and kept["MINE"] == f"{home.path}/mine"
    assert kept_rest == own_rest == [str(home.work), sys.prefix, 0o022]


def test_without_a_folder_it_starts_in_the_servers_own(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home.work)
    with keeping(home):
        assert environment_of(home)[1][0] == str(home.work)


def test_a_command_that_is_not_there_fails_as_it_does_with_jupyter(home: Home) -> None:
    with keeping(home) as remote:
        PROCESS.keeper = LocalAgent(remote, lambda _reason: None)
        manager = KernelManager(connection_file=str(home.path / "kernel.json"))
        manager._kernel_spec = KernelSpec(
            argv=["/nowhere/R", "{connection_file}"], display_name="t", language="R"
        )
        with pytest.raises(FileNotFoundError):
            manager.start_kernel()


def test_what_must_be_encrypted_is_left_to_jupyter(home: Home) -> None:
    reasons: list[str] = []
    with keeping(home) as remote:
        here = LocalAgent(remote, reasons.append)
        remote.links.submit(_begin(here)).result(DEADLINE_S)
        manager = KernelManager(connection_file=str(home.path / "kernel.json"))
        assert here.takes(manager)
        if not hasattr(manager, "transport_encryption"):
            pytest.skip("this jupyter_client encrypts nothing")
        manager.transport_encryption = "required"
        assert not here.takes(manager)
    assert len(reasons) == 1 and "encrypted" in reasons[0]


def test_a_process_that_ends_by_itself_ends_them(home: Home) -> None:
    with keeping(home) as remote:
        manager = KernelManager(connection_file=str(home.path / "kernel.json"), kernel_name="python3")
        manager.start_kernel()
        pid = int(remote.bridges[str(manager.kernel_id)].info["pid"])
        remote.links.close()
        assert not runs(pid)
