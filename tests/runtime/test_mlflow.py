"""The user's own ``mlflow.*`` calls inside a tracked cell: a real MLflow on a real SQLite file."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

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
        env = module_home.environment(GENOPS_SOCKET=str(lab.path), GENOPS_REDACT_TRACES="personal")
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


# Redaction of traces

TOKEN = "gh" + "p_" + "q1W2e3R4t5Y6u7I8o9P0a1S2d3F4g5H6j7K8"
MAIL, PASSWORD, NEW = "ada@example.com", "open-sesame-77", "brand-new-phrase"

CELLS = f"""
import mlflow
mlflow.tracing.configure(span_processors=[lambda span: span.set_attribute("mine", "ran")])
SERVICE_PASSWORD = {NEW!r}
tok, mail, word = {TOKEN!r}, {MAIL!r}, {PASSWORD!r}

@mlflow.trace(span_type="TOOL")
def tool(arguments):
    raise ValueError(f"refused {{tok}}")

@mlflow.trace(name=f"chain of {{mail}}", attributes={{"note": {{"deep": [tok]}}}})
def chain(messages, api_key):
    mlflow.update_current_trace(tags={{"t": tok}}, metadata={{"m": mail}}, request_preview=f"p {{tok}}")
    try:
        tool('{{"password": "%s", "mail": "%s"}}' % (word, mail))
    except ValueError:
        pass
    return {{"choices": [{{"message": {{"content": f"{{mail}} {{tok}} {{word}} {NEW}"}}}}]}}

answer = chain([{{"role": "user", "content": f"I am {{mail}}, with {{tok}}"}}], "sesame-key-1")
trace_id = mlflow.get_last_active_trace_id()
trace = mlflow.get_trace(trace_id, flush=True)
source = mlflow.entities.AssessmentSource("HUMAN", "me")
mlflow.log_feedback(trace_id=trace_id, name="f", value=f"bad {{tok}}", rationale=f"of {{mail}}", source=source)
mlflow.log_expectation(trace_id=trace_id, name="e", value={{"answer": tok}})
mlflow.set_trace_tag(trace_id, "late", tok)
rows = mlflow.genai.datasets.create_dataset(name="rows", experiment_id=[trace.info.experiment_id])
rows.merge_records([{{"inputs": {{"q": f"who is {{mail}}?"}}, "expectations": {{"a": tok}}}}])
print(answer["choices"][0]["message"]["content"] == f"{{mail}} {{tok}} {{word}} {NEW}", trace_id)
"""
PLANTED = (TOKEN, MAIL, PASSWORD, NEW, "sesame-key-1")


def planted_in(folder: Path) -> dict[str, list[str]]:
    files = [path for path in folder.rglob("*") if path.is_file() and "history" not in path.name]
    found = {value: [path.name for path in files if value.encode() in path.read_bytes()] for value in PLANTED}
    return {value: names for value, names in found.items() if names}


def test_nothing_planted_is_in_the_store(
    bridged: tuple[RunningKernel, LabStandIn], module_home: Home
) -> None:
    kernel, _lab = bridged
    cell = kernel.ok(CELLS)
    assert cell.stream("stdout").startswith("True")  # the program has its own values
    assert planted_in(module_home.path) == {}

    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{module_home.path}/mlflow.db")
    trace = client.get_trace(cell.stream("stdout").split()[1])
    chain, tool = sorted(trace.data.spans, key=lambda span: span.start_time_ns)
    assert chain.name == "chain of [email 1]" and chain.attributes["mine"] == "ran"
    assert chain.inputs == {
        "messages": [{"role": "user", "content": "I am [email 1], with [github token 1]"}],
        "api_key": "[secret value 2]",
    }
    content = chain.outputs["choices"][0]["message"]["content"]
    assert content.startswith("[email 1] [github token 1] [secret value 1] [secret variable ")
    assert "refused [github token 1]" in str(tool.events[0].attributes) and tool.status.description.endswith(
        "]"
    )
    assert trace.info.tags["late"] == "[github token 1]" and len(trace.info.assessments) == 2


def test_a_span_that_cannot_be_redacted_loses_its_content(
    bridged: tuple[RunningKernel, LabStandIn], module_home: Home
) -> None:
    kernel, _lab = bridged
    cell = kernel.ok(
        "from genops_lab.redaction import documents\n"
        "kept, documents.DocumentRedactor.redact = documents.DocumentRedactor.redact, None\n"
        f"mlflow.trace(lambda x: x, name='broken')({TOKEN!r})\n"
        "documents.DocumentRedactor.redact = kept\n"
        "mlflow.flush_trace_async_logging()"
    )
    assert "lost its content" in cell.stream("stderr") and TOKEN not in cell.stream("stderr")
    assert planted_in(module_home.path) == {}


def test_the_setting_is_shown_and_changed_in_the_notebook(
    bridged: tuple[RunningKernel, LabStandIn], module_home: Home
) -> None:
    kernel, _lab = bridged
    assert "Secrets and personal data are taken out" in kernel.ok("%genops redaction").stream("stdout")
    assert "as they are" in kernel.ok("%genops redaction set off").stream("stdout")
    refused = kernel.run("%genops redaction set all")
    assert refused.status == "error" and "off|secrets|personal" in str(refused.messages)
    kernel.ok(f"mlflow.trace(lambda x: x, name='open')({MAIL!r}); mlflow.flush_trace_async_logging()")
    assert set(planted_in(module_home.path)) == {MAIL}
