"""What a test says of hosts that no machine here is: their agent's answers over a real link."""

from __future__ import annotations

import shlex
import time
from pathlib import Path
from typing import Any

import pytest

from genops_lab.hosts.connection_check import ConnectionTest
from genops_lab.hosts.models import ReportStep
from genops_lab.hosts.providers import route_of
from genops_lab.hosts.records import TargetRecord

from .hosts import Refused, hosts
from .labs import run

GIB = 1024**3


def probe(**changes: Any) -> dict[str, Any]:
    return {
        "python": "3.11.2", "executable": "/opt/py thon/bin/python", "ipykernel": "", "pyzmq": "26.0",
        "platform": "linux", "machine": "x86_64", "hostname": "gpu1", "user": "ada", "uid": 1000, "home": "/home/ada",
        "home_writable": True, "state_dir": "/home/ada/.local/state/genops-lab", "state_dir_local": True,
        "disk_free_bytes": 50 * GIB, "clock": time.time(), "uv": "", "pip": "24.0", "survives_logout": "yes",
        "survives_reason": "", "agent_version": "1", **changes,
    }  # fmt: skip


def report(
    folder: Path, probed: dict[str, Any], reading: dict[str, Any] | Exception, **route: Any
) -> dict[str, ReportStep]:
    async def answer(_target: str, method: str) -> Any:
        if method == "probe":
            return {**probed, "clock": time.time() + probed.get("ahead_s", 0.0)}
        if isinstance(reading, Exception):
            raise reading
        return reading

    async def body() -> list[ReportStep]:
        steps: list[ReportStep] = []
        record = TargetRecord(route=route_of(**{"target": "gpu1", "host": "gpu1", **route}))
        with hosts(answer, folder) as made:
            link = made.links.link(record.route)
            await ConnectionTest(record, link, made.links.run, steps.append).run(
                "These hosts have no kernels."
            )
        return steps

    return {step.step: step for step in run(body())}


@pytest.mark.parametrize(
    ("changes", "state", "said"),
    [
        ({}, "ok", "50.0 GiB free"),
        ({"disk_free_bytes": GIB}, "warning", "1.0 GiB free"),
        ({"disk_free_bytes": 1000}, "failed", "0.0 GiB free"),
        ({"disk_free_bytes": None}, "ok", "genops-lab"),
        ({"home_writable": False}, "warning", "/home/ada is not writable"),
        (
            {"home_full": True, "home_free_bytes": 0, "home_bytes": 2 * GIB},
            "failed",
            "0.0 MiB of 2.0 GiB free",
        ),
        ({"home_full": True}, "failed", "/home/ada is full, and"),
        ({"state_dir_local": False}, "warning", "network file system"),
    ],
)
def test_disks(tmp_path: Path, changes: dict[str, Any], state: str, said: str) -> None:
    step = report(tmp_path, probe(**changes), {"gpu_state": "none", "gpus": []})["disk"]
    assert (step.state, said in step.message) == (state, True), step
    assert bool(step.hint) == (state != "ok")


@pytest.mark.parametrize(
    ("ahead_s", "state", "said"),
    [
        (0.0, "ok", "from this machine's by at most"),
        (300.0, "warning", "ahead of"),
        (-86400.0, "warning", "behind"),
    ],
)
def test_clocks(tmp_path: Path, ahead_s: float, state: str, said: str) -> None:
    step = report(tmp_path, probe(ahead_s=ahead_s), {"gpu_state": "none", "gpus": []})["clock"]
    assert (step.state, said in step.message) == (state, True), step


@pytest.mark.parametrize(
    ("reading", "state", "said"),
    [
        ({"gpu_state": "ok", "gpus": [{"name": "A100"}]}, "ok", "A100"),
        ({"gpu_state": "ok", "gpus": [{"name": "A100"}] * 8}, "ok", "8 GPUs: A100"),
        ({"gpu_state": "ok", "gpus": [{"name": None}]}, "ok", "GPU"),
        ({"gpu_state": "none", "gpus": []}, "ok", "no GPU"),
        (
            {"gpu_state": "error", "gpu_message": "driver/library mismatch"},
            "warning",
            "driver/library mismatch",
        ),
        (Refused("nvidia-smi hangs"), "failed", "nvidia-smi hangs"),
    ],
)
def test_gpus(tmp_path: Path, reading: dict[str, Any] | Exception, state: str, said: str) -> None:
    found = report(tmp_path, probe(), reading)
    assert (found["gpu"].state, said in found["gpu"].message) == (state, True), found["gpu"]
    assert found["disk"].state == "ok", "one step that fails does not keep the others from being taken"


@pytest.mark.parametrize(
    ("changes", "route", "command"),
    [
        ({}, {}, ["ssh", "gpu1", "'/opt/py thon/bin/python' -m pip install ipykernel"]),
        (
            {"uv": "/usr/bin/uv"},
            {"user": "ada", "port": 2222, "identity_file": "~/my key"},
            ["ssh", "-p", "2222", "-l", "ada", "-i", "~/my key", "gpu1",
             "/usr/bin/uv pip install --python '/opt/py thon/bin/python' ipykernel"],
        ),
        (
            {"pip": ""}, {"kind": "local", "host": ""},
            ["/opt/py thon/bin/python", "-m", "ensurepip", "--user", "&&", "/opt/py thon/bin/python", "-m", "pip",
             "install", "ipykernel"],
        ),
    ],
)  # fmt: skip
def test_the_exact_command_that_installs_what_lacks(
    tmp_path: Path, changes: dict[str, Any], route: dict[str, Any], command: list[str]
) -> None:
    found = report(tmp_path, probe(**changes), {"gpu_state": "none", "gpus": []}, **route)
    step = found["ipykernel"]
    assert step.state == "failed" and "has no ipykernel" in step.message
    assert shlex.split(step.commands[-1]) == command
    assert found["logout"].state == "skipped"


def test_both_that_lack_are_named(tmp_path: Path) -> None:
    step = report(tmp_path, probe(pyzmq=""), {"gpu_state": "none", "gpus": []})["ipykernel"]
    assert "has no ipykernel and pyzmq" in step.message


def test_a_host_that_does_not_answer_the_first_question_fails_at_the_agent(tmp_path: Path) -> None:
    async def refuse(_target: str, _method: str) -> Any:
        raise Refused("the agent is ill")

    async def body() -> list[ReportStep]:
        steps: list[ReportStep] = []
        record = TargetRecord(route=route_of(target="gpu1", host="gpu1"))
        with hosts(refuse, tmp_path) as made:
            link = made.links.link(record.route)
            await ConnectionTest(record, link, made.links.run, steps.append).run()
        return steps

    steps = run(body())
    assert [step.state for step in steps] == ["ok"] * 4 + ["failed"] + ["skipped"] * 6
    assert "the agent is ill" in steps[4].message


def test_mlflow_is_offered_where_a_kernel_could_use_it(tmp_path: Path) -> None:
    good = {"ipykernel": "7.0", "environment": {"fixed": ""}}
    cases: list[tuple[dict[str, Any], str, list[str]]] = [
        ({**good, "mlflow": "3.1"}, "ok", []),
        ({**good, "mlflow": ""}, "optional", ["install"]),
        ({**good, "environment": {"fixed": "it is the system's own"}}, "optional", []),
        ({**good, "pip": "", "uv": ""}, "optional", []),
        ({"mlflow": ""}, "skipped", []),
    ]
    for changes, state, fixes in cases:
        step = report(tmp_path, probe(**changes), {"gpu_state": "none", "gpus": []})["mlflow"]
        assert (step.state, step.fixes) == (state, fixes), (changes, step)
        assert bool(step.commands) == (state == "optional")
