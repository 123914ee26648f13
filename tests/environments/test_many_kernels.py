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

MANY = 8 if exhaustive.ALL else 3
CELL = """%%track --name at-once-{number}
import genops, mlflow
for i in range(40):
    genops.log({{"ours": i}}, step=i)
    mlflow.log_metric("theirs", i, step=i)
"""
FREE = """with mlflow.start_run(run_name="free-{number}"):
    for i in range(10): mlflow.log_metric("free", i, step=i)
"""


def test_kernels_at_once_on_a_fresh_home_lose_nothing(home: Home) -> None:
    with running_lab(home) as server, ExitStack() as kernels, ThreadPoolExecutor(MANY) as threads:

        def train(number: int) -> LabKernel:
            kernel = kernels.enter_context(lab_kernel(server, notebook=f"n{number}.ipynb"))
            kernel.ok("%load_ext genops_lab")
            kernel.ok(CELL.format(number=number))
            kernel.ok(FREE.format(number=number))
            return kernel

        list(threads.map(train, range(MANY)))
        for number in range(MANY):
            run = kept_run(home, f"at-once-{number}")
            assert (run.status, run.experiment) == ("FINISHED", f"n{number}")
            every = [(step, float(step)) for step in range(40)]
            assert (run.points["ours"], run.points["theirs"]) == (every, every)
            assert kept_run(home, f"free-{number}").points["free"] == every[:10]
        assert leftovers(home) == set()
