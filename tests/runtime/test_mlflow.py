"""The user's own ``mlflow.*`` calls inside a tracked cell: a real MLflow on a real SQLite file."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from tests.support.homes import Home
from tests.support.mlflow_file import place_server_store

from .kernels import RunningKernel, running_kernel
from .stand_in import LabStandIn, lab_stand_in

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def bridged(module_home: Home) -> Iterator[tuple[RunningKernel, LabStandIn]]:
    """A kernel whose runs are made in MLflow when they start, as the Lab makes them."""
    from mlflow import MlflowClient

    place_server_store(module_home.path / "mlflow.db")
    uri = f"sqlite:///{module_home.path}/mlflow.db"
    client = MlflowClient(uri)
    experiment = client.create_experiment("e", artifact_location=str(module_home.path / "artifacts"))
    with lab_stand_in(module_home.path / "s", tracking_uri=uri) as lab:
        lab.make_run = lambda start: str(client.create_run(experiment, run_name=start["name"]).info.run_id)
        lab.answers["GET", "/genops/tracking/kernel"] = lambda _body: (
            200,
            {"tracking_uri": uri, "token": ""},
        )
        env = module_home.environment(GENOPS_SOCKET=str(lab.path))
        with running_kernel(sys.executable, env, module_home.work) as kernel:
            kernel.ok("%load_ext genops_lab")
            yield kernel, lab


def last_run_id(lab: LabStandIn) -> str:
    return list(lab.run_ids.values())[-1]


def metrics_of(lab: LabStandIn, run_id: str) -> dict[str, float]:
    from mlflow import MlflowClient

    return dict(MlflowClient(lab.tracking_uri).get_run(run_id).data.metrics)


def status_of(lab: LabStandIn, run_id: str) -> str:
    from mlflow import MlflowClient

    return str(MlflowClient(lab.tracking_uri).get_run(run_id).info.status)


def test_a_cell_that_imports_mlflow_logs_into_its_run(
    bridged: tuple[RunningKernel, LabStandIn], module_home: Home
) -> None:
    kernel, lab = bridged
    cell = kernel.ok(
        "%%track --name own\nimport mlflow\nmlflow.log_metric('m', 3)\nprint(mlflow.active_run().info.run_id)"
    )
    run_id = last_run_id(lab)
    assert cell.stream("stdout").strip() == run_id
    assert metrics_of(lab, run_id) == {"m": 3.0}
    assert status_of(lab, run_id) == "FINISHED"
    after = kernel.ok("import os; print(mlflow.active_run(), os.environ.get('MLFLOW_RUN_ID'))").stream(
        "stdout"
    )
    assert after.strip() == "None None"
    left = {path.name for path in module_home.work.iterdir()}
    assert left & {"mlruns", "mlflow.db"} == set()


def test_mlflow_imported_earlier_follows_each_cell(bridged: tuple[RunningKernel, LabStandIn]) -> None:
    kernel, lab = bridged
    kernel.ok("import mlflow")
    kernel.ok("%%track\nmlflow.log_metric('a', 1)")
    first = last_run_id(lab)
    assert kernel.run("%%track\nmlflow.log_metric('b', 2)\n1/0").status == "error"
    second = last_run_id(lab)
    assert first != second
    assert metrics_of(lab, first) == {"a": 1.0}
    assert metrics_of(lab, second) == {"b": 2.0}
    assert status_of(lab, second) == "FAILED"


def test_a_cell_with_start_run_of_its_own_gets_the_tracked_run(
    bridged: tuple[RunningKernel, LabStandIn],
) -> None:
    kernel, lab = bridged
    kernel.ok("%%track\nimport mlflow\nwith mlflow.start_run() as r:\n    mlflow.log_metric('c', 4)")
    assert metrics_of(lab, last_run_id(lab)) == {"c": 4.0}
    assert kernel.ok("r.info.run_id").result == repr(last_run_id(lab))


def test_a_model_logged_in_the_cell_belongs_to_the_run(bridged: tuple[RunningKernel, LabStandIn]) -> None:
    kernel, lab = bridged
    cell = kernel.ok(
        "%%track\nimport mlflow, logging\n"
        "log = logging.getLogger('mlflow.utils.requirements_utils')\n"
        "log.warning('Found torch version (2.1+cpu) contains a local version label (+cpu).')\n"
        "log.warning('Encountered an unexpected error while inferring pip requirements.')\n"
        "class Same(mlflow.pyfunc.PythonModel):\n    def predict(self, model_input: list[str]) -> list[str]:\n"
        "        return model_input\n"
        "info = mlflow.pyfunc.log_model(name='same', python_model=Same(), pip_requirements=[])\ninfo"
    )
    from mlflow import MlflowClient

    run_id = last_run_id(lab)
    outputs = MlflowClient(lab.tracking_uri).get_run(run_id).outputs.model_outputs
    assert [repr(output.model_id) for output in outputs] == [kernel.ok("info.model_id").result]
    assert cell.result == (
        f"Logged the model 'same'. To register it, run `%genops models register NAME --run {run_id[:8]}`. "
        "To serve it, run `%genops deploy NAME`."
    )
    said = cell.stream("stderr")
    assert "local version label" not in said and "unexpected error while inferring" in said, said
    after = kernel.ok("log.warning('Found torch version (2.1+cpu) contains a local version label (+cpu).')")
    assert "local version label" in after.stream("stderr"), (
        "outside of a tracked cell mlflow says what it says"
    )


def test_a_run_of_the_users_own_stays_theirs(bridged: tuple[RunningKernel, LabStandIn]) -> None:
    kernel, lab = bridged
    own = kernel.ok("theirs = mlflow.start_run(experiment_id='0').info.run_id\ntheirs").result.strip("'")
    cell = kernel.ok("%%track\nmlflow.log_metric('d', 5)")
    assert "is already active" in cell.stream("stderr")
    assert metrics_of(lab, own) == {"d": 5.0}
    assert kernel.ok("mlflow.active_run().info.run_id == theirs").result == "True"
    kernel.ok("mlflow.end_run()")
