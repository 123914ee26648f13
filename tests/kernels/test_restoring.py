"""Runs of kernels on a target, restored."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

import pytest

from genops_lab.experiments.restoring.service import RestoringService
from tests.experiments.conftest import made_folder  # noqa: F401 - a fixture
from tests.support.homes import Home
from tests.support.planted import planted_secrets
from tests.support.sshd import Sshd

from .places import TARGET
from .tracked import loaded, ok, tracking_lab


@pytest.mark.slow
def test_a_run_of_a_kernel_behind_sshd_is_restored(home: Home, made_folder: Path) -> None:  # noqa: F811
    with Sshd() as host:
        host.write_config()
        route = host.route(target=TARGET, python=sys.executable)
        with tracking_lab(home, made_folder, route) as lab, loaded(lab.place) as kernel:
            secret = planted_secrets()[2]
            cells = [
                "%load_ext genops_lab",
                f"width = 1\nif False:\n    {secret.line}",
                "%%track --name far\nimport genops\ngenops.log({'loss': 1.0})",
            ]
            for code in cells[1:]:
                ok(kernel, code)
            run = lab.ended("FINISHED")
            restoring = RestoringService(lab.room.mlflow, lab.room.experiments)
            restored = lab.run(restoring.restore_notebook(run.run_id))
    made = restored.notebook["cells"]
    sources = [cell["source"] for cell in made if cell["cell_type"] == "code"]
    assert len(sources) == len(cells) and [sources[0], sources[2]] == [cells[0], cells[2]]
    assert secret.secret not in str(restored.notebook) and sum(restored.redacted.values()) == 1
    assert restored.notebook["metadata"]["kernelspec"]["name"] == f"genops-{TARGET}"
    assert TARGET in made[0]["source"] and "another machine" in made[0]["source"]
    assert restored.environment.python_then == platform.python_version()
