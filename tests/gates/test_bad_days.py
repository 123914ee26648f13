"""Processes that are killed in each step of a check, and disks that take no report."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from genops_lab.core.errors import GenOpsError
from genops_lab.core.settings import Settings
from genops_lab.evaluations.tags import version_tag
from genops_lab.gates.backends.mlflow_gates import MlflowGates
from genops_lab.gates.models import CheckGates, PromoteVersion
from genops_lab.gates.service import GatesService
from tests.support.homes import Home
from tests.support.mlflow_file import place_store
from tests.support.rooms import Rooms, open_rooms
from tests.support.warm import warm_workers

from .made import Made, pair

BETTER = "kind: Gates\ndata: holdout\nrules:\n  - {rule: better, metric: accuracy}\n"


@pytest.fixture(scope="module")
def rooms(module_home: Home) -> Iterator[Rooms]:
    place_store(module_home.data)
    with warm_workers(), open_rooms(Settings(data_dir=module_home.data)) as found:
        found.run(found.mlflow.ensure())
        yield found


@pytest.fixture(scope="module")
def made(rooms: Rooms) -> Made:
    return Made(rooms.mlflow.uri, (rooms.settings.data_dir / "mlflow" / "artifacts" / "bad").as_uri())


@pytest.fixture(scope="module")
def gates(rooms: Rooms) -> GatesService:
    return GatesService(rooms.mlflow, rooms.registry, rooms.events)


#: Where the process is killed: before the call of MLflow with this number, and what the version has then.
STEPS = {
    "its look": (("set_model_version_tag", 1), False, False),
    "the words": (("log_text", 1), True, False),
    "the report": (("log_text", 2), True, False),
    "the verdict": (("set_model_version_tag", 2), True, False),
    "the answer": (("", 0), True, True),
}


def judge_and_die(uri: str, name: str, call: str, number: int) -> None:
    """Check the gates in this process, and kill it before a call of MLflow."""
    made = MlflowGates(uri)
    count = 0

    def counted(*given: Any, **more: Any) -> Any:
        nonlocal count
        count += 1
        if count == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*given, **more)

    if call:
        real = getattr(made._client, call)
        setattr(made._client, call, counted)
    made.judge(name, "2", CheckGates(text=BETTER))
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("step", STEPS)
def test_a_check_that_was_killed_is_made_again_with_the_same_look(
    rooms: Rooms, made: Made, gates: GatesService, step: str
) -> None:
    name = made.compared(f"killed before {step}", *pair(("A", 1000, 60, 5)))
    (call, number), looked, judged = STEPS[step]
    process = multiprocessing.get_context("fork").Process(
        target=judge_and_die, args=(rooms.mlflow.uri, name, call, number)
    )
    process.start()
    process.join(100)
    assert process.exitcode == -signal.SIGKILL
    tags = made.tags(name, "2")
    assert ("genops.gates.looks" in tags, "genops.gates" in tags) == (looked, judged)
    assert made.champion(name) == "1"
    done = rooms.run(gates.promote_version(name, "2", PromoteVersion(text=BETTER)))
    assert done.moved and done.report is not None and done.report.data[0].look == 1
    assert made.champion(name) == "2"
    assert rooms.run(gates.get_gates(name, "2")) == done.report


def test_a_report_that_cannot_be_kept_is_no_verdict(rooms: Rooms, made: Made, gates: GatesService) -> None:
    name = made.compared("unwritable", *pair(("A", 1000, 60, 5)))
    run = made.client.get_run(made.tags(name, "2")[version_tag("holdout", "d1")])
    # A file stands where the folder of reports belongs: root may write into a read-only folder.
    folder = Path(run.info.artifact_uri.removeprefix("file://")) / "gates"
    folder.write_text("in the way")
    body = PromoteVersion(text=BETTER)
    with pytest.raises(
        GenOpsError, match="Cannot keep the report on version 2 of the model 'unwritable'"
    ) as caught:
        rooms.run(gates.promote_version(name, "2", body))
    assert caught.value.hint
    assert "genops.gates" not in made.tags(name, "2") and made.champion(name) == "1"
    folder.unlink()
    done = rooms.run(gates.promote_version(name, "2", body))
    assert done.moved and done.report is not None and done.report.data[0].look == 1
    assert json.loads(made.tags(name, "2")["genops.gates"])["verdict"] == "pass"
