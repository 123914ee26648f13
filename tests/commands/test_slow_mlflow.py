"""A running Lab whose MLflow hangs: commands say what they wait for, Ctrl+C ends them, the Lab answers others."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator

import pytest

from genops_lab.app.features import OPERATIONS
from genops_lab.core.client import SocketCaller
from genops_lab.core.paging import FIRST
from genops_lab.core.running_labs import find
from genops_lab.core.tasks import TasksService
from genops_lab.experiments.service import ExperimentsService
from tests.gates.made import Made, pair
from tests.support.mlflow_file import place_server_store
from tests.support.mlflow_server import running_mlflow
from tests.support.rooms import eventually
from tests.support.slow_mlflow import SlowMlflow, slow_mlflow
from tests.support.warm import warm_workers

from .conftest import Home, RunningLab

BETTER = "kind: Gates\ndata: holdout\nrules:\n  - {rule: better, metric: accuracy}\n"
OTHER_REQUESTS = 20


@pytest.fixture(scope="module")
def slow(lab_home: Home) -> Iterator[SlowMlflow]:
    place_server_store(lab_home.path / "far.db")
    store = f"sqlite:///{lab_home.path}/far.db"
    with running_mlflow(lab_home, store, lab_home.path / "far") as url, slow_mlflow(url) as found:
        yield found


@pytest.fixture(scope="module")
def far_lab(lab_home: Home, slow: SlowMlflow) -> Iterator[RunningLab]:
    """A Lab that waits a minute for each answer of MLflow."""
    with warm_workers(), pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "60")
        running = RunningLab(lab_home, slow.url)
        try:
            yield running
        finally:
            slow.go_on()
            running.close()


def interrupted(process: subprocess.Popen[str]) -> str:
    """Press Ctrl+C once the command says that it waits; return what it says afterwards."""
    assert process.stderr is not None
    waits = process.stderr.readline()
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=60)
    assert process.returncode == 130 and "Interrupted." in rest, rest
    return waits


def test_the_lab_answers_others_while_mlflow_hangs(far_lab: RunningLab, slow: SlowMlflow) -> None:
    found = find()
    assert found is not None
    caller = SocketCaller(found.socket, OPERATIONS)
    slow.hang("registered-models/search")
    hanging = [far_lab.follow("models", "list") for _ in range(2)]
    try:
        eventually(lambda: len(slow.waiting), lambda count: count == len(hanging))
        for _ in range(OTHER_REQUESTS):
            assert caller.call(TasksService.list_tasks) == []
            assert caller.call(ExperimentsService.list_experiments, FIRST).items, (
                "MLflow itself answers those"
            )
        assert len(slow.waiting) == len(hanging) and [each.poll() for each in hanging] == [None, None]
    finally:
        waits = [interrupted(each) for each in hanging]
        slow.go_on()
    assert set(waits) == {"Waiting for MLflow for 5 s: the list of models. Press Ctrl+C to stop.\n"}
    assert far_lab.call("models", "list").code == 0


def test_ctrl_c_during_a_promotion_moves_no_alias(far_lab: RunningLab, slow: SlowMlflow) -> None:
    made = Made(slow.url, None)
    name = made.compared("interrupted", *pair(("A", 1000, 60, 5)))
    (far_lab.home.work / "gates.yaml").write_text(BETTER)
    slow.hang("model-versions/set-tag")  # its look
    process = far_lab.follow("models", "promote", name, "--version", "2")
    try:
        waits = interrupted(process)
    finally:
        slow.go_on()
    assert waits.startswith("Waiting for MLflow for 5 s: the verdict on version 2 of 'interrupted', then")
    # The check that had begun goes on in the worker; what came after it was cancelled.
    eventually(lambda: made.tags(name, "2"), lambda tags: "genops.gates" in tags)
    assert far_lab.call("models", "show", name).code == 0
    assert made.champion(name) == "1" and "POST registered-models/alias" not in slow.requests[-20:]
    assert far_lab.call("models", "promote", name, "--version", "2").code == 0
    assert made.champion(name) == "2"
