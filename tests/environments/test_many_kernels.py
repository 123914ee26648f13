"""Several notebooks that begin at once where nothing is made yet."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from tests.support import exhaustive
from tests.support.homes import Home
from tests.support.kernels import LabKernel, lab_kernel
from tests.support.lab_server import running_lab
from tests.support.mlflow_file import kept_run

from .conftest import leftovers

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

MANY = exhaustive.times(8, 2)
CELL = """%%track --name at-once-{number}
import genops, mlflow
from pathlib import Path
mlflow.log_param("depth", 4)
Path("note-{number}.txt").write_text("from the cell")
mlflow.log_artifact("note-{number}.txt")
for i in range(40):
    genops.log({{"ours": i}}, step=i)
    mlflow.log_metric("theirs", i, step=i)
"""
FREE = """with mlflow.start_run(run_name="free-{number}"):
    for i in range(10): mlflow.log_metric("free", i, step=i)
mlflow.get_tracking_uri()
"""


def test_kernels_at_once_on_a_fresh_home_lose_nothing(home: Home) -> None:
    with running_lab(home) as server, ExitStack() as kernels, ThreadPoolExecutor(MANY) as threads:

        def train(number: int) -> LabKernel:
            kernel = kernels.enter_context(lab_kernel(server, notebook=f"n{number}.ipynb"))
            kernel.ok("%load_ext genops_lab")
            kernel.ok(CELL.format(number=number))
            assert kernel.ok(FREE.format(number=number)).result.startswith("'sqlite:///")
            return kernel

        list(threads.map(train, range(MANY)))
        for number in range(MANY):
            run = kept_run(home, f"at-once-{number}")
            assert (run.status, run.experiment) == ("FINISHED", f"n{number}")
            every = [(step, float(step)) for step in range(40)]
            assert (run.points["ours"], run.points["theirs"]) == (every, every)
            assert run.params["depth"] == "4"
            assert (run.artifacts / f"note-{number}.txt").read_text() == "from the cell"
            free = kept_run(home, f"free-{number}")
            assert free.points["free"] == every[:10] and free.artifacts.is_relative_to(home.data)
        assert leftovers(home) == set()
