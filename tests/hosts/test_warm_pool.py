"""A Lab keeps its targets as their policies say: kernels stand ready, and those without work are ended."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from genops_lab.core.errors import GenOpsError, InvalidRequest
from genops_lab.hosts.models import ChangeTarget, NewTarget, TargetPolicy
from genops_lab.hosts.records import record_of
from genops_lab.hosts.variables import VariablesService
from genops_lab.kernels.kernelspecs import ARGV
from tests.kernels.warm import spare_pids
from tests.support.application import Lab
from tests.support.homes import Home
from tests.support.lab_server import running_lab
from tests.support.rooms import eventually
from tests.support.sshd import Sshd

from .labs import connected, kernels_of, on, open_lab, run, start, until
from .test_attaching import NOTEBOOK
from .test_targets import own_kernel

TWO = ChangeTarget(policy=TargetPolicy(warm_kernels=2))
NONE = ChangeTarget()


@asynccontextmanager
async def a_lab(home: Home, host: Sshd, policy: TargetPolicy) -> AsyncIterator[Lab]:
    """Connected; what stands ready is ended afterwards."""
    async with open_lab(home) as lab:
        await lab.targets.add_target(on(host, "gpu1", python=sys.executable, policy=policy))
        assert (await connected(lab, "gpu1")).state == "up"
        yield lab
        await lab.targets.change_target("gpu1", NONE)
        await until(lambda: lab.targets.get_target("gpu1"), lambda target: target.warm_ready is None)


def test_kernels_stand_ready_while_connected(at_home: Home, host: Sshd) -> None:
    async def body() -> None:
        async with a_lab(at_home, host, TargetPolicy(warm_kernels=2)) as lab:

            async def look() -> Any:
                return await lab.targets.get_target("gpu1")

            await until(look, lambda target: target.warm_ready == 2)
            pids = spare_pids(host.home)
            assert len(pids) == 2 and await kernels_of(lab, "gpu1") == {}
            kernel_id = await start(lab, "gpu1", ARGV)
            assert (await kernels_of(lab, "gpu1"))[kernel_id].pid in pids
            await until(look, lambda target: target.warm_ready == 2)
            await lab.remote_kernels.stop_remote_kernel("gpu1", kernel_id, _now())

    run(body())
    assert spare_pids(host.home) == []


def _now() -> Any:
    from genops_lab.hosts.models import StopKernel

    return StopKernel(grace_s=0)


def test_another_policy_reaches_the_kernels_that_run_and_they_can_be_kept(at_home: Home, host: Sshd) -> None:
    async def body() -> None:
        async with a_lab(at_home, host, TargetPolicy()) as lab:
            kernel_id = await start(lab, "gpu1", ARGV)
            strange = await start(lab, "gpu1", ARGV)
            await own_kernel(lab, kernel_id, "gpu1")
            half_an_hour = ChangeTarget(policy=TargetPolicy(idle_minutes=30, idle_gpu_percent=10))
            await lab.targets.change_target("gpu1", half_an_hour)
            found = await until(lambda: kernels_of(lab, "gpu1"), lambda all: all[kernel_id].idle is not None)
            idle = found[kernel_id].idle
            assert idle is not None and (idle.seconds, idle.gpu_percent, idle.ends_in_s) == (1800, 10, None)
            assert found[strange].idle is None, "it is somebody else's"
            kept = await lab.remote_kernels.keep_remote_kernel("gpu1", kernel_id)
            assert kept.idle == idle
            await lab.targets.change_target("gpu1", NONE)
            await until(lambda: kernels_of(lab, "gpu1"), lambda all: all[kernel_id].idle is None)
            for each in (kernel_id, strange):
                await lab.remote_kernels.stop_remote_kernel("gpu1", each, _now())
            with pytest.raises(GenOpsError):
                await lab.remote_kernels.keep_remote_kernel("gpu1", kernel_id)

    run(body())


def test_names_that_say_that_they_are_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "HF_TOKEN",
        "OPENAI_API_KEY",
        "AWS_SECRET_ACCESS_KEY",
        "JUPYTERHUB_API_TOKEN",
        "JUPYTER_TOKEN",
    ):
        monkeypatch.setenv(name, "value")
    monkeypatch.setenv("KEYBOARD", "de")
    found = run(VariablesService().list_secret_names())
    assert {"HF_TOKEN", "OPENAI_API_KEY", "AWS_SECRET_ACCESS_KEY"} <= set(found)
    assert not {"KEYBOARD", "JUPYTERHUB_API_TOKEN", "JUPYTER_TOKEN"} & set(found) and "value" not in found


@pytest.mark.parametrize(
    "policy",
    [
        TargetPolicy(warm_kernels=-1),
        TargetPolicy(warm_kernels=9),
        TargetPolicy(idle_minutes=0),
        TargetPolicy(idle_minutes=float("nan")),
        TargetPolicy(idle_minutes=1e9),
        TargetPolicy(idle_gpu_percent=-1),
        TargetPolicy(idle_gpu_percent=101),
    ],
)
def test_policies_that_are_refused(policy: TargetPolicy) -> None:
    with pytest.raises(InvalidRequest) as found:
        record_of(NewTarget(name="gpu1", host="gpu1", policy=policy))
    assert found.value.hint


def test_a_server_leaves_an_ended_kernel_dead_and_says_so(at_home: Home, host: Sshd) -> None:
    """Through a real server: its restarter starts nothing in its place."""

    async def before() -> None:
        async with open_lab(at_home) as lab:
            await lab.targets.add_target(on(host, "gpu1", python=sys.executable))
            soon = ChangeTarget(policy=TargetPolicy(idle_minutes=4 / 60))
            lab.targets.ledger.change("gpu1", soon)

    run(before())
    (at_home.work / "a.ipynb").write_text(json.dumps(NOTEBOOK))
    with running_lab(at_home) as server:
        body = {
            "name": "a.ipynb", "path": "a.ipynb", "type": "notebook", "kernel": {"name": "genops-gpu1"},
        }  # fmt: skip
        status, session = server.request("POST", "api/sessions", body, timeout=120)
        assert status == 201, (session, server.log[-3000:])
        kernel_id = session["kernel"]["id"]
        notices = eventually(
            lambda: server.get("genops/kernel-notices"),
            lambda all: any(n["kind"] == "ended" for n in all),
            90,
        )
        [notice] = notices
        assert (notice["kernel_id"], notice["target"]) == (kernel_id, "gpu1")
        assert notice["path"].endswith("a.ipynb")
        assert notice["text"].startswith("Ended after 4 s without work; freed ")
        kernel = eventually(
            lambda: server.get(f"api/kernels/{kernel_id}"), lambda k: k["execution_state"] == "dead", 90
        )
        assert "without work" in kernel["reason"]
        assert server.request("DELETE", f"genops/kernel-notices/{kernel_id}")[0] in (200, 204)
        assert server.get("genops/kernel-notices") == []
        [listed] = server.get("genops/targets/gpu1/kernels")["kernels"]
        assert (listed["state"], listed["ended_by"]) == ("ended", "idle")
        status, again = server.request("POST", f"api/kernels/{kernel_id}/restart", {}, timeout=120)
        assert status == 200, again
        [listed] = server.get("genops/targets/gpu1/kernels")["kernels"]
        assert listed["state"] == "running"
        server.request("DELETE", f"api/kernels/{kernel_id}")
