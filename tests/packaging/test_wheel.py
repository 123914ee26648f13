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
from pathlib import Path

import pytest

from tests.support.browser import CHROMIUM, WHY_NOT, chromium, lab_page
from tests.support.environments import NEWEST, ROOT, built_wheel, environment_with_wheel, find_python
from tests.support.homes import Home
from tests.support.lab_server import running_lab
from tests.support.scripts import build_native

OLDEST = ("jupyterlab==4.4.*",)
#: The newest one is shown daily by tests/hub and tests/packaging/test_notebook7.py.
PAIRS = [
    pytest.param(10, OLDEST, id="oldest"),
    pytest.param(13, NEWEST, id="newest", marks=pytest.mark.exhaustive),
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
        "genops_lab/kernel/static/",
    )
    assert [name for name in packed - kept_files() if not name.startswith(made_here)] == []
    unpacked = next(path for path in tmp_path.glob("genops_lab-*") if path.is_dir())
    subprocess.run([*build, "wheel"], cwd=unpacked, check=True, capture_output=True, env=env)
    made, direct = next(tmp_path.glob("genops_lab-*.whl")), built_wheel()
    assert made.name == direct.name
    with zipfile.ZipFile(made) as one, zipfile.ZipFile(direct) as other:
        assert sorted(one.namelist()) == sorted(other.namelist())
    library = "genops_lab/profiler/engine/reading/native/scan.so"  # compiled anew
    found, wanted = files_in(made), files_in(direct)
    assert [name for name in wanted if found[name] != wanted[name] and name != library] == []


def test_the_wheel_holds_the_front_end_and_no_source_of_it() -> None:
    names = zipfile.ZipFile(built_wheel()).namelist()
    inside = "/share/jupyter/labextensions/genops-lab/"
    assert any(inside + "package.json" in name for name in names)
    assert any(inside + "static/remoteEntry" in name for name in names)
    assert any(name.endswith("jupyter_server_config.d/genops_lab.json") for name in names)
    assert "genops_lab/kernel/static/run.js" in names
    assert "genops_lab/core/openapi.json" in names
    assert "genops.py" in names
    assert not [name for name in names if name.startswith(("tests/", "src/", "node_modules/"))]


@pytest.mark.skipif(not build_native.compiler(), reason="there is no C compiler here")
def test_the_wheel_holds_what_reads_traces_and_is_for_this_platform() -> None:
    wheel = built_wheel()
    assert "genops_lab/profiler/engine/reading/native/scan.so" in zipfile.ZipFile(wheel).namelist()
    assert wheel.stem.endswith(f"-py3-none-{re.sub('[-.]', '_', sysconfig.get_platform())}")


def test_the_wheel_names_whose_code_its_front_end_holds() -> None:
    wheel = zipfile.ZipFile(built_wheel())
    lists = [name for name in wheel.namelist() if name.endswith("/static/third-party-licenses.json")]
    assert len(lists) == 1
    packages = {each["name"]: each for each in json.loads(wheel.read(lists[0]))["packages"]}
    # What was asked for, and what that brings with it.
    for name in ("d3-flame-graph", "d3-hierarchy", "d3-timer", "d3-time", "react-data-grid", "clsx", "uplot"):
        assert packages[name]["extractedText"], name


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(CHROMIUM is None, reason=WHY_NOT)
@pytest.mark.parametrize(("minor", "requirements"), PAIRS)
def test_installed_wheel_shows_the_panel(minor: int, requirements: tuple[str, ...], home: Home) -> None:
    python = find_python(minor)
    if python is None:
        pytest.skip(f"no Python 3.{minor} on this machine")
    interpreter = environment_with_wheel(python, *requirements)
    listed = subprocess.run(
        [str(interpreter), "-m", "jupyter", "labextension", "list"],
        capture_output=True,
        text=True,
        check=False,
        env=home.environment(PATH=str(interpreter.parent)),  # no Node.js, as its users have none
    )
    assert "genops-lab" in listed.stderr and "enabled" in listed.stderr, listed.stderr
    with running_lab(home, python=Path(interpreter)) as server:
        assert server.get("genops/status")["mlflow_kind"] == "embedded"
        with chromium() as browser, lab_page(browser, server) as lab:
            lab.open()
            lab.panel()
            for name in ("Compute", "Experiments", "Profiles", "Models", "Deployments"):
                lab.section(name)
            assert lab.problems == []
