"""The wheel in other people's environments: the oldest and the newest pair of Python and JupyterLab to be had."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.support import exhaustive
from tests.support.browser import CHROMIUM, SECTIONS, WHY_NOT, chromium, lab_page
from tests.support.environments import (
    NEWEST,
    OLDEST,
    ROOT,
    built_wheel,
    environment_with_wheel,
    find_python,
)
from tests.support.homes import temporary_home
from tests.support.lab_server import LabServer, running_lab
from tests.support.page_weight import fetched, weight
from tests.support.scripts import build_native

#: Of the newest one tests/hub shows JupyterLab daily.
PAIRS = [
    pytest.param((10, OLDEST), id="oldest"),
    pytest.param((13, NEWEST), id="newest", marks=pytest.mark.exhaustive),
]
#: Bytes, compressed, that JupyterLab fetches of ours before anything is opened.
MOST_SCRIPT, MOST_STYLE = 60_000, 15_000
#: A notebook whose second cell is tracked until a file is there.
CELLS = [
    "%load_ext genops_lab",
    "%%track --name seven --experiment seven\n"
    "import time\n"
    "import genops\n"
    "from pathlib import Path\n"
    "step = 0\n"
    "while not Path('seen').exists():\n"
    "    genops.log({'loss': 1 / (step + 1)}, step=step)\n"
    "    step += 1\n"
    "    time.sleep(0.2)",
]


def files_in(wheel: Path) -> dict[str, bytes]:
    """The files that the wheel puts into site-packages, by their path there."""
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if ".dist-info/" not in name and ".data/" not in name]
        return {name: archive.read(name) for name in names}


def kept_files(*below: str) -> set[str]:
    """The files that Git keeps, and the new ones that it would."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *below],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")
    return {name for name in listed if name}


def test_the_wheel_holds_every_file_of_the_package() -> None:
    """``import genops`` in the kernels of other environments and hosts needs one that was once moved away."""
    ours = {name: (ROOT / name).read_bytes() for name in kept_files("genops_lab")}
    inside = files_in(built_wheel())
    assert set(ours) - set(inside) == set()
    assert [name for name in ours if ours[name] != inside[name]] == []
    assert inside["genops.py"] == ours["genops_lab/kernel/site/genops.py"]


def test_a_wheel_made_of_the_source_distribution_is_the_same(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-d", str(tmp_path), "-t"]
    env = {**os.environ, "SKIP_JUPYTER_BUILDER": "1"}  # the front end is built
    subprocess.run([*build, "sdist"], cwd=ROOT, check=True, capture_output=True, env=env)
    with tarfile.open(next(tmp_path.glob("genops_lab-*.tar.gz"))) as archive:
        archive.extractall(tmp_path, filter="data")
        packed = {name.partition("/")[2] for name in archive.getnames()}
    made_here = (
        "PKG-INFO",
        "genops_lab/_version.py",
        "genops_lab/labextension/",
        "genops_lab/runtime/static/",
    )
    assert [name for name in packed - kept_files() if not name.startswith(made_here)] == []
    unpacked = next(path for path in tmp_path.glob("genops_lab-*") if path.is_dir())
    subprocess.run([*build, "wheel"], cwd=unpacked, check=True, capture_output=True, env=env)
    made, direct = next(tmp_path.glob("genops_lab-*.whl")), built_wheel()
    assert made.name == direct.name
    with zipfile.ZipFile(made) as one, zipfile.ZipFile(direct) as other:
        assert sorted(one.namelist()) == sorted(other.namelist())
    library = "genops_lab/profiling/engine/reading/native/scan.so"  # compiled anew
    found, wanted = files_in(made), files_in(direct)
    assert [name for name in wanted if found[name] != wanted[name] and name != library] == []


def test_the_wheel_holds_the_front_end_and_no_source_of_it() -> None:
    names = zipfile.ZipFile(built_wheel()).namelist()
    inside = "/share/jupyter/labextensions/genops-lab/"
    assert any(inside + "package.json" in name for name in names)
    assert any(inside + "static/remoteEntry" in name for name in names)
    assert any(name.endswith("jupyter_server_config.d/genops_lab.json") for name in names)
    assert "genops_lab/runtime/static/run.js" in names
    assert "genops_lab/app/openapi.json" in names
    assert "genops.py" in names
    assert not [name for name in names if name.startswith(("tests/", "src/", "node_modules/"))]


@pytest.mark.skipif(not build_native.compiler(), reason="there is no C compiler here")
def test_the_wheel_holds_what_reads_traces_and_is_for_this_platform() -> None:
    wheel = built_wheel()
    assert "genops_lab/profiling/engine/reading/native/scan.so" in zipfile.ZipFile(wheel).namelist()
    assert wheel.stem.endswith(f"-py3-none-{re.sub('[-.]', '_', sysconfig.get_platform())}")


def test_the_wheel_names_whose_code_its_front_end_holds() -> None:
    wheel = zipfile.ZipFile(built_wheel())
    lists = [name for name in wheel.namelist() if name.endswith("/static/third-party-licenses.json")]
    assert len(lists) == 1
    packages = {each["name"]: each for each in json.loads(wheel.read(lists[0]))["packages"]}
    # What was asked for, and what that brings with it.
    for name in (
        "d3-flame-graph",
        "d3-hierarchy",
        "d3-timer",
        "d3-array",
        "d3-time",
        "react-data-grid",
        "clsx",
    ):
        assert packages[name]["extractedText"], name


# -- in a browser, from the oldest and the newest JupyterLab and Notebook 7 -----------------------------


@dataclass(frozen=True)
class Installed:
    """A Lab of an environment with the wheel, and a browser."""

    python: Path
    server: LabServer
    browser: Browser


@pytest.fixture(scope="module", params=PAIRS)
def installed(request: pytest.FixtureRequest) -> Iterator[Installed]:
    """One Lab for both front ends: it serves Notebook 7's pages too."""
    minor, requirements = request.param
    python = find_python(minor)
    if python is None:
        pytest.skip(f"no Python 3.{minor} on this machine")
    interpreter = environment_with_wheel(python, *requirements)
    arguments = ["--JupyterNotebookApp.expose_app_in_browser=True"]
    with (
        temporary_home() as home,
        running_lab(home, python=interpreter, arguments=arguments) as server,
        chromium() as browser,
    ):
        yield Installed(interpreter, server, browser)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(CHROMIUM is None, reason=WHY_NOT)
def test_installed_wheel_shows_the_panel(installed: Installed) -> None:
    python, server = installed.python, installed.server
    if exhaustive.ALL:  # as users ask; daily it is seen in the page
        listed = subprocess.run(
            [str(python), "-m", "jupyter", "labextension", "list"],
            capture_output=True,
            text=True,
            check=False,
            env=server.home.environment(PATH=str(python.parent)),  # no Node.js, as its users have none
        )
        assert "genops-lab" in listed.stderr and "enabled" in listed.stderr, listed.stderr
    assert server.get("genops/status")["mlflow_kind"] == "embedded"
    wheel = zipfile.ZipFile(built_wheel())
    static = {
        Path(name).name: name for name in wheel.namelist() if "/labextensions/genops-lab/static/" in name
    }
    with lab_page(installed.browser, server) as lab:
        lab.open()
        lab.page.wait_for_load_state("networkidle")
        # Before anything is opened: the panel is closed, no notebook is there.
        names = fetched(lab.page)
        assert len(names) >= 3
        at_start = weight(names, lambda name: wheel.read(static[name]))
        assert 0 < at_start.script < MOST_SCRIPT
        assert 0 < at_start.style < MOST_STYLE
        lab.panel()
        for name in SECTIONS:
            lab.section(name)
        assert lab.problems == []


def write_notebook(path: Path) -> None:
    cells = [
        {
            "cell_type": "code",
            "id": f"c{n}",
            "metadata": {},
            "execution_count": None,
            "outputs": [],
            "source": source,
        }
        for n, source in enumerate(CELLS)
    ]
    kernel = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    content = {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    path.write_text(json.dumps(content), encoding="utf-8")


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(CHROMIUM is None, reason=WHY_NOT)
def test_a_tracked_cell_draws_its_live_view_in_notebook_7(installed: Installed) -> None:
    """Its code travels with the message."""
    server, work = installed.server, installed.server.home.work
    write_notebook(work / "seven.ipynb")
    with lab_page(installed.browser, server) as lab:
        lab.page.goto(f"{server.url}notebooks/seven.ipynb?token={server.token}")
        lab.page.locator(".jp-Notebook .jp-CodeCell").nth(1).wait_for(timeout=60_000)
        lab.page.wait_for_function("() => window.jupyterapp?.commands.hasCommand('notebook:run-all-cells')")
        idle = lab.page.locator(".jp-Notebook-ExecutionIndicator[data-status='idle']")
        idle.first.wait_for(state="attached", timeout=60_000)
        # The indicator says idle before there is a session: to run cells then asks which kernel to take.
        lab.page.wait_for_function(
            "() => window.jupyterapp.shell.currentWidget?.sessionContext.session?.kernel?.status === 'idle'",
            timeout=60_000,
        )
        lab.execute("notebook:run-all-cells")
        live = lab.page.locator(".gol-run")
        expect(live.get_by_text("Running").first).to_be_visible(timeout=90_000)
        expect(live.get_by_role("img", name="loss").first).to_be_visible(timeout=30_000)
        lab.shot("notebook7-live")
        (work / "seen").touch()
        picture = lab.page.locator(".jp-OutputArea img[src^='data:image/svg']")
        expect(picture.first).to_be_visible(timeout=60_000)
        expect(live).to_have_count(0)
