"""First contact with the built wheel: load, track, profile, sweep, register, deploy, in each place where notebooks and
scripts are. Nothing of the checkout is on any path; the environments are thin ones."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from tests.runtime.kernels import Cell
from tests.support.environments import built_wheel, environment_without_lab, thin_environment
from tests.support.homes import Home
from tests.support.kernels import LabKernel, lab_kernel, register_kernel
from tests.support.lab_server import LabServer, running_lab, start_lab
from tests.support.mlflow_file import KeptRun, kept_run, runs_in
from tests.support.rooms import eventually
from tests.support.sshd import Sshd

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

HOST = "gpu-box"
TRACK = """%%track --name {name} --experiment first --no-system
import genops
rate = 0.5
for step in range(5):
    genops.log({{"loss": 1 / (step + 1)}}, step=step)
"""
#: The formats hold no pickle, so the models are deployed without a question where their runs are the user's own.
#: As much of MLflow as the other one, and no scikit-learn, which skops imports whole: 5 s of CPU a process.
LOG_MODEL = """
import mlflow
from pathlib import Path
Path("line.py").write_text('''import mlflow
class Line(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return [2 * float(row[0]) + 1 for row in model_input]
mlflow.models.set_model(Line())
''')
mlflow.pyfunc.log_model(name="model", python_model="line.py", pip_requirements=["mlflow"])
"""
LOG_LINE = """
import mlflow
from sklearn.linear_model import LinearRegression
line = LinearRegression().fit([[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0])
mlflow.sklearn.log_model(line, name="model", serialization_format="skops",
                         pip_requirements=["mlflow", "scikit-learn", "skops"])
"""
PROFILE = "%%profile --title {name}\nimport torch\nones = torch.ones(64, 64) @ torch.ones(64, 64)"
SWEEP = """%%sweep n=1,2 --metric score --maximize --setup none {on} --wait
import genops
genops.log({{"score": n}})
"""
DEPLOY = """
%genops models register {name} --run {name}
%genops deploy {name} --wait
"""
PREDICT = """
answer = genops.predict("{name}", [[3.0]])
round(answer[0])
"""


@pytest.fixture(scope="module")
def lab(module_home: Home) -> Iterator[LabServer]:
    """A plain JupyterLab into whose environment the wheel was installed."""
    with running_lab(module_home, python=thin_environment(built_wheel())) as server:
        yield server


def done(kernel: LabKernel, code: str) -> Cell:
    """A cell that must succeed, and may import mlflow and torch on a busy machine."""
    cell = kernel.run(code, timeout_s=300)
    assert cell.status == "ok", (cell.reply, cell.stream("stderr"), kernel.server.log[-2000:])
    return cell


def loaded(kernel: LabKernel, python: Path, site: Path) -> None:
    """``%load_ext`` and ``import genops`` work in a kernel of ``python``, by files below ``site``."""
    kernel.ok("%load_ext genops_lab")
    kernel.ok("import genops, genops_lab, sys")
    assert kernel.ok("print(sys.prefix)").stream("stdout").strip() == str(python.parents[1])
    found = kernel.ok("print(genops.__file__, genops_lab.__file__)").stream("stdout").split()
    assert all(Path(path).is_relative_to(site) for path in found), found


def wheels_site() -> Path:
    """Where the wheel lies in the Lab's environment."""
    return next(thin_environment(built_wheel()).parents[1].glob("lib/python*/site-packages"))


def finished(home: Home, name: str) -> KeptRun:
    """The one run of this name, once it has arrived whole."""
    database = home.data / "mlflow" / "mlflow.db"

    def states() -> list[str]:
        return [run.status for run in runs_in(database) if run.name == name]

    eventually(states, lambda found: found == ["FINISHED"], timeout_s=120)
    return kept_run(home, name)


def tracked(home: Home, name: str) -> None:
    """The run has arrived whole."""
    run = finished(home, name)
    assert run.points["loss"] == [(step, 1 / (step + 1)) for step in range(5)]
    assert run.params["rate"] == "0.5"


def profiled(lab: LabServer, name: str) -> None:
    """The profile has arrived and was read."""
    found = eventually(
        lambda: [each for each in lab.get("genops/profiles") if each["title"] == name],
        lambda found: [each["state"] for each in found] == ["ready"],
    )
    summary = lab.get(f"genops/profiles/{found[0]['id']}")["summary"]
    assert "aten::mm" in [each["name"] for each in summary["operators"]]


def swept(cell: Cell) -> None:
    assert "2 of 2 trials" in json.dumps(cell.messages), cell.messages


def test_a_plain_jupyterlab_has_it_on(lab: LabServer) -> None:
    status = lab.get("genops/status")
    assert (status["version"], status["mlflow_kind"]) == (version("genops-lab"), "embedded")
    _, page = lab.request("GET", "lab")
    found = re.search(r'<script id="jupyter-config-data" type="application/json">(.*?)</script>', page, re.S)
    assert found, page
    [extension] = [
        each for each in json.loads(found[1])["federated_extensions"] if each["name"] == "genops-lab"
    ]
    code, front_end = lab.request("GET", f"lab/extensions/genops-lab/{extension['load']}")
    assert code == 200 and "genops-lab" in front_end


def test_the_quickstart_is_copied_and_never_written_over(lab: LabServer, module_home: Home) -> None:
    def copied(folder: str) -> tuple[int, Any]:
        return lab.request("POST", "genops/quickstart", {"folder": folder})

    (module_home.work / "course").mkdir()
    assert copied("course") == (200, {"path": "course/quickstart.ipynb", "copied": True})
    shown = lab.get("api/contents/course/quickstart.ipynb")["content"]
    assert "%load_ext genops_lab" in [cell["source"] for cell in shown["cells"]]
    (module_home.work / "course" / "quickstart.ipynb").write_text("mine")
    assert copied("course") == (200, {"path": "course/quickstart.ipynb", "copied": False})
    assert (module_home.work / "course" / "quickstart.ipynb").read_text() == "mine"
    assert copied("")[1]["path"] == "quickstart.ipynb"
    assert copied("..")[0] == 400 and copied("missing")[0] == 404


def test_the_labs_own_kernel(lab: LabServer, module_home: Home) -> None:
    with lab_kernel(lab, notebook="own.ipynb") as kernel:
        loaded(kernel, thin_environment(built_wheel()), wheels_site())
        done(kernel, TRACK.format(name="own") + LOG_MODEL)
        done(kernel, PROFILE.format(name="own"))
        done(kernel, DEPLOY.format(name="own"))
        assert done(kernel, PREDICT.format(name="own")).result == "7"
        swept(done(kernel, SWEEP.format(on="")))
    tracked(module_home, "own")
    profiled(lab, "own")


def test_a_kernel_of_another_environment(lab: LabServer, module_home: Home) -> None:
    python = thin_environment(None)
    register_kernel(module_home, "other", python)
    with lab_kernel(lab, "other", "other.ipynb") as kernel:
        loaded(kernel, python, wheels_site() / "genops_lab" / "kernel" / "site")
        done(kernel, TRACK.format(name="other") + LOG_LINE)
        assert done(kernel, PREDICT.format(name="own")).result == "7"
        kernel.ok("%genops deployments stop own")
        done(kernel, PROFILE.format(name="other"))
        done(kernel, DEPLOY.format(name="other"))
        assert done(kernel, PREDICT.format(name="other")).result == "7"
        kernel.ok("%genops deployments stop other")
        profiled(lab, "other")
    tracked(module_home, "other")


def test_a_kernel_of_an_environment_with_ipykernel_alone(lab: LabServer, module_home: Home) -> None:
    python = environment_without_lab("ipykernel")
    register_kernel(module_home, "alone", python)
    with lab_kernel(lab, "alone", "alone.ipynb") as kernel:
        loaded(kernel, python, wheels_site() / "genops_lab" / "kernel" / "site")
        done(kernel, TRACK.format(name="alone"))
        assert "no PyTorch" in kernel.run("%%profile\n1 + 1").reply["evalue"]
        assert "alone" in kernel.ok("%genops runs list --json").stream("stdout")
        swept(done(kernel, SWEEP.format(on="")))
    tracked(module_home, "alone")


def test_a_kernel_over_ssh(lab: LabServer, module_home: Home) -> None:
    python = thin_environment(None)
    with Sshd() as host:
        folder = module_home.path / ".ssh"
        folder.mkdir(mode=0o700)
        (folder / "config").write_text(host.config.read_text())
        target = {"name": HOST, "host": host.alias, "python": str(python)}
        status, answer = lab.request("POST", "genops/targets", target)
        assert status == 200, answer
        with lab_kernel(lab, f"genops-{HOST}", "far.ipynb") as kernel:
            loaded(kernel, python, host.home)
            done(kernel, TRACK.format(name="far"))
            done(kernel, PROFILE.format(name="far"))
            assert "this kernel runs on another host" in kernel.run("%genops runs list").reply["evalue"]
        tracked(module_home, "far")
        profiled(lab, "far")
        with lab_kernel(lab, notebook="near.ipynb") as kernel:
            kernel.ok("%load_ext genops_lab")
            swept(done(kernel, SWEEP.format(on=f"--on {HOST}")))
        lab.request("DELETE", f"genops/targets/{HOST}")


def test_no_lab_at_all(lab: LabServer, module_home: Home) -> None:
    """The last one: the Lab is stopped, scripts, notebooks and commands work on, and the next Lab has it all."""
    import nbformat

    python, home = thin_environment(built_wheel()), module_home
    genops = python.parent / "genops"
    lab.stop()

    def run(*command: str | Path) -> str:
        ended = subprocess.run(
            command, cwd=home.work, env=home.environment(), capture_output=True, text=True, timeout=300
        )
        assert ended.returncode == 0, (ended.stdout[-3000:], ended.stderr[-3000:])
        return ended.stdout

    assert "quickstart.ipynb was copied" in run(genops, "quickstart", "demo")
    assert "exists and was not changed" in run(genops, "quickstart", "demo")
    assert nbformat.read(home.work / "demo" / "quickstart.ipynb", nbformat.NO_CONVERT).cells
    (home.work / "script.py").write_text(
        "import genops\nfor step in range(5): genops.log({'x': step}, step=step)\n"
    )
    run(python, "script.py")
    cells = ["%load_ext genops_lab", TRACK.format(name="book"), PROFILE.format(name="book")]
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbformat.write(book, home.work / "book.ipynb")
    run(python, "-c", "from nbclient.cli import NbClientApp; NbClientApp.launch_instance(['book.ipynb'])")
    run(genops, "models", "register", "late", "--run", "own")
    assert json.loads(run(genops, "deploy", "late", "--json"))["state"] == "running"
    server = start_lab(home, python=python, after=lab)
    try:
        tracked(home, "book")
        assert finished(home, "script").steps("x") == list(range(5))
        predicted = run(python, "-c", "import genops; print(round(genops.predict('late', [[3.0]])[0]))")
        assert predicted.strip() == "7", "the deployment went on without a Lab"
        run(genops, "deployments", "stop", "late")
    finally:
        server.stop()
