"""Kernels of an environment in which GenOps Lab is not installed: ipykernel alone."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.homes import Home

from .conftest import SITE
from .kernels import RunningKernel, running_kernel
from .stand_in import LabStandIn, kinds, own_metrics

pytestmark = pytest.mark.slow


@pytest.fixture
def bare(home: Home, lab: LabStandIn, ipykernel_alone: Path) -> Iterator[RunningKernel]:
    """Started as the provisioner starts it."""
    cli = [sys.executable, "-c", "import sys, json; print(json.dumps(sys.argv[1:]))"]
    env = home.environment(PYTHONPATH=str(SITE), GENOPS_SOCKET=str(lab.path), GENOPS_CLI=json.dumps(cli))
    with running_kernel(ipykernel_alone, env, home.work) as found:
        yield found


def test_the_extension_loads_and_exposes_nothing_of_the_lab(bare: RunningKernel) -> None:
    bare.ok("%load_ext genops_lab")
    for name in (
        "mlflow",
        "torch",
        "msgspec",
        "numpy",
        "genops_lab.core",
        "genops_lab.app.extension",
        "anywidget",
    ):
        assert bare.run(f"import {name}").reply["ename"] == "ModuleNotFoundError", name
    assert (
        bare.ok("import genops_lab.runtime.api, genops; genops.log is genops_lab.runtime.api.log").result
        == "True"
    )


def test_a_cell_is_tracked_with_a_live_view(bare: RunningKernel, lab: LabStandIn) -> None:
    bare.ok("%load_ext genops_lab")
    cell = bare.ok(
        "%%track --name bare\nimport genops\nlr = 0.5\nfor i in range(5): genops.log({'loss': i})\nlr"
    )
    assert cell.result == "0.5"
    assert cell.stream("stderr") == ""
    events = lab.only_run()
    assert events[0]["data"]["params"] == {"lr": "0.5"}
    assert len(own_metrics(events)) == 5
    assert kinds(events, "end") == [{"status": "FINISHED"}]
    (final,) = cell.of("update_display_data")
    assert "data:image/svg+xml" in final["data"]["text/html"]


def test_the_profiler_says_what_is_missing(bare: RunningKernel) -> None:
    bare.ok("%load_ext genops_lab")
    cell = bare.run("%%profile\nran = True")
    assert "no PyTorch" in cell.reply["evalue"] and "%pip install torch" in cell.reply["evalue"]


def test_commands_go_to_the_labs_own_environment(bare: RunningKernel) -> None:
    bare.ok("%load_ext genops_lab")
    cell = bare.ok('%genops models list --filter "a b" --json')
    assert json.loads(cell.stream("stdout")) == ["models", "list", "--filter", "a b", "--json"]


def test_a_whole_package_later_on_the_path_is_preferred(home: Home, ipykernel_alone: Path) -> None:
    root = SITE.parents[2]
    code = "import genops_lab; print(genops_lab.__file__)"
    env = home.environment(PYTHONPATH=f"{SITE}:{root}")
    out = subprocess.run(
        [str(ipykernel_alone), "-c", code], env=env, cwd=home.work, capture_output=True, text=True, check=True
    ).stdout
    assert Path(out.strip()) == root / "genops_lab" / "__init__.py"


def test_a_script_needs_the_standard_library_alone(home: Home, ipykernel_alone: Path) -> None:
    code = "import sys, genops; print(*sorted(m.split('.')[0] for m in sys.modules))"
    out = subprocess.run(
        [str(ipykernel_alone), "-c", code],
        env=home.environment(PYTHONPATH=str(SITE)),
        cwd=home.work,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert {"IPython", "traitlets", "jupyter_core", "comm"} & set(out) == set()
