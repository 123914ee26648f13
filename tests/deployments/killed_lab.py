"""A Lab that rolls a version out or applies a file, and is killed at one of the moments that change something.

It is a program: a fork would have the locks of the store that another thread of the tests holds in that moment.
"""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec

from genops_lab.core.settings import Settings
from genops_lab.core.store.work import WorkTable
from genops_lab.deployments.models import NewDeployment
from genops_lab.deployments.records import Records
from genops_lab.deployments.rollout_models import DecideRollout
from genops_lab.deployments.targets.local import LocalTarget
from genops_lab.registry.service import RegistryService
from tests.support import warm
from tests.support.rooms import eventually, open_rooms

from .conftest import apply


def killed_lab(
    settings: Settings, new: NewDeployment, decision: str, moment: int
) -> subprocess.CompletedProcess[bytes]:
    """Run the Lab. It is killed before the change with the number ``moment``, counted from 0."""
    return _run(settings, msgspec.json.encode(new).decode(), decision, moment)


def killed_apply(settings: Settings, text: str, moment: int) -> subprocess.CompletedProcess[bytes]:
    """Run a Lab that applies a file."""
    return _run(settings, text, "apply", moment)


def _run(settings: Settings, given: str, does: str, moment: int) -> subprocess.CompletedProcess[bytes]:
    arguments = [str(settings.data_dir), given, does, str(moment)]
    command = [sys.executable, "-m", "tests.deployments.killed_lab", warm.warm_address(), *arguments]
    return subprocess.run(command, cwd=Path(__file__).parents[2], timeout=120, capture_output=True)


def main(address: str, data_dir: str, given: str, does: Any, moment: str) -> None:
    """Be the Lab."""
    warm.use(address)
    left = int(moment)

    def before(owner: type, method: str) -> None:
        call = getattr(owner, method)

        @functools.wraps(call)
        def counted(*arguments: Any, **options: Any) -> Any:
            nonlocal left
            if method != "write" or {"step", "state"} & set(options):
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                left -= 1
            return call(*arguments, **options)

        setattr(owner, method, counted)

    before(LocalTarget, "apply")
    before(LocalTarget, "ask_gateway")
    before(Records, "end_update")
    before(RegistryService, "set_version_tag")
    before(WorkTable, "write")
    with open_rooms(Settings(data_dir=Path(data_dir), deployment_lease_s=600)) as lab:
        if does == "apply":
            lab.run(lab.tasks.wait(apply(lab, given).deployment.task_id))
            return
        begun = lab.run(lab.deployments.deploy(msgspec.json.decode(given, type=NewDeployment)))
        eventually(
            lambda: lab.run(lab.deployments.get_deployment(begun.name)),
            lambda found: found.rollout is not None and found.rollout.candidate == found.updating_to > 0,
        )
        lab.run(lab.rollouts.decide_rollout(begun.name, DecideRollout(decision=does)))
        lab.run(lab.tasks.wait(begun.task_id))


if __name__ == "__main__":
    main(*sys.argv[1:])
