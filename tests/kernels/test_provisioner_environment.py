"""What of this process's environment reaches a host, and the kernelspec of a target."""

from __future__ import annotations

import asyncio
import json
import os
import stat
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.provisioning.factory import KernelProvisionerFactory

from genops_lab.core.errors import Conflict, GenOpsError
from genops_lab.hosts.models import TargetPolicy
from genops_lab.hosts.providers import route_of
from genops_lab.kernels import kernelspecs, remote_provisioner
from genops_lab.kernels.gpu_choices import GpuChoices
from genops_lab.kernels.remote_provisioner import GenOpsTargetProvisioner


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "data"))


def prepared(monkeypatch: pytest.MonkeyPatch, secrets: list[str], **kwargs: Any) -> dict[str, Any]:
    entry = SimpleNamespace(
        route=route_of(target="gpu", host="gpu"), secrets=secrets, policy=TargetPolicy(), price_per_hour=None
    )

    async def found() -> Any:
        return SimpleNamespace(find=lambda _name: entry, wishes=GpuChoices())

    monkeypatch.setattr(remote_provisioner.PROCESS, "remote_when_open", found)
    spec = KernelSpec(
        argv=["python", "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        env={"OMP_NUM_THREADS": "2", "TOKEN_AGAIN": "${HF_TOKEN}", "THERE": "${SOMETHING_THERE}/lib"},
        language="python",
    )
    made = GenOpsTargetProvisioner(kernel_id="k", kernel_spec=spec, target="gpu")
    return asyncio.run(made.pre_launch(**kwargs))


def test_only_what_was_meant_for_the_kernel_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "JUPYTERHUB_API_TOKEN": "hub",
        "JPY_API_TOKEN": "jpy",
        "MY_SECRET": "mine",
        "HF_TOKEN": "hf",
        "GENOPS_SOCKET": "/here",
        "SSH_AUTH_SOCK": "/agent",
    }.items():
        monkeypatch.setenv(name, value)
    given = {**os.environ, "CUDA_VISIBLE_DEVICES": "1", "JPY_SESSION_NAME": "work/a.ipynb", "GENOPS_X": "1"}
    found = prepared(monkeypatch, ["HF_TOKEN", "NOT_SET"], env=given)
    assert found["env"] == {
        "HF_TOKEN": "hf",
        "CUDA_VISIBLE_DEVICES": "1",
        "OMP_NUM_THREADS": "2",
        "TOKEN_AGAIN": "hf",
        "THERE": "${SOMETHING_THERE}/lib",
    }


def test_no_environment_given_sends_that_of_the_kernelspec(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf")
    found = prepared(monkeypatch, [])
    assert found["env"] == {
        "OMP_NUM_THREADS": "2",
        "TOKEN_AGAIN": "${HF_TOKEN}",
        "THERE": "${SOMETHING_THERE}/lib",
    }


def test_the_command_is_the_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    found = prepared(monkeypatch, [], extra_arguments=["--debug"], cwd="/here")
    assert found["cmd"] == ["python", "-m", "ipykernel_launcher", "-f", "{connection_file}", "--debug"]
    assert found["cwd"] == "/here"


def test_a_kernelspec_without_a_target_says_what_to_do() -> None:
    made = GenOpsTargetProvisioner(kernel_id="k", kernel_spec=KernelSpec(argv=["python"]))
    with pytest.raises(GenOpsError, match="names no target"):
        asyncio.run(made.pre_launch())


def test_the_kernelspec_makes_jupyter_take_this_provisioner() -> None:
    folder = kernelspecs.install_kernelspec("gpu", "Python 3 (gpu)", {"host": "gpu.example"}, cwd="/scratch")
    spec = KernelSpecManager().get_kernel_spec("genops-gpu")
    assert (spec.display_name, spec.metadata["genops"]) == (
        "Python 3 (gpu)",
        {"host": "gpu.example", "target": "gpu"},
    )
    made = KernelProvisionerFactory().create_provisioner_instance("k", spec, parent=None)
    assert isinstance(made, GenOpsTargetProvisioner) and (made.target, made.cwd) == ("gpu", "/scratch")
    assert stat.S_IMODE((folder / "kernel.json").stat().st_mode) == 0o600


def test_the_users_own_variables_stay_in_the_kernelspec() -> None:
    folder = kernelspecs.install_kernelspec("gpu")
    path = folder / "kernel.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "env": {"A": "1"}}))
    kernelspecs.install_kernelspec("gpu", "Another name")
    found = json.loads(path.read_text())
    assert found["env"] == {"A": "1"} and found["display_name"] == "Another name"


def test_a_kernelspec_of_somebody_else_is_neither_changed_nor_removed() -> None:
    folder = kernelspecs.folder_of("gpu")
    folder.mkdir(parents=True)
    (folder / "kernel.json").write_text(json.dumps({"argv": ["x"], "display_name": "Mine", "metadata": {}}))
    with pytest.raises(Conflict, match="did not make"):
        kernelspecs.install_kernelspec("gpu")
    assert not kernelspecs.remove_kernelspec("gpu") and (folder / "kernel.json").exists()


def test_a_kernelspec_has_a_picture_those_of_before_too() -> None:
    picture = kernelspecs.install_kernelspec("gpu") / "logo-svg.svg"
    assert picture.read_text().startswith("<svg")
    picture.unlink()
    kernelspecs.install_kernelspec("gpu")
    assert picture.exists()


def test_a_kernelspec_goes_with_its_target() -> None:
    folder = kernelspecs.install_kernelspec("gpu")
    assert kernelspecs.remove_kernelspec("gpu") and not folder.exists()
    assert not kernelspecs.remove_kernelspec("gpu")
