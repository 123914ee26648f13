"""The declared lower bounds are true, and ``constraints.txt`` covers what is declared."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.environments import built_wheel, find_python, uv_folder
from tests.support.homes import Home
from tests.support.lab_kernels import lab_kernel
from tests.support.lab_server import running_lab
from tests.support.scripts import python_packages, steps

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
PYTHONS = ("3.10", "3.11", "3.12", "3.13")
CONSTRAINTS = [
    Requirement(line)
    for line in (ROOT / "constraints.txt").read_text().splitlines()
    if line and not line.startswith("#")
]


def declared() -> list[Requirement]:
    """What GenOps Lab and its extras need, other packages alone."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    found = [Requirement(line) for group in groups for line in group]
    return [requirement for requirement in found if requirement.name != "genops-lab"]


def holding(requirement: Requirement, python: str) -> bool:
    """Whether its marker holds on this machine with that Python."""
    version = {"python_version": python, "python_full_version": f"{python}.9"}
    return requirement.marker is None or requirement.marker.evaluate(version)


@pytest.mark.parametrize("python", PYTHONS)
def test_constraints_name_one_version_of_each_declared_package(python: str) -> None:
    pins: dict[str, Requirement] = {}
    for pin in CONSTRAINTS:
        if holding(pin, python):
            assert canonicalize_name(pin.name) not in pins, pin
            pins[canonicalize_name(pin.name)] = pin
    for requirement in declared():
        if not holding(requirement, python):
            continue
        pin = pins[canonicalize_name(requirement.name)]
        if requirement.name == "torch":
            assert "==" not in str(pin.specifier)  # its builds differ from machine to machine
            continue
        (version,) = re.findall(r"^==([\w.]+)$", str(pin.specifier))  # and no local version, such as +cpu
        assert requirement.specifier.contains(version), (requirement, version)


@pytest.mark.skipif(not os.environ.get("CI"), reason="only CI installs with constraints.txt")
def test_ci_runs_with_the_constraints() -> None:
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    installed = {canonicalize_name(each.name): each.version for each in importlib.metadata.distributions()}
    others = {
        pin.name: installed[canonicalize_name(pin.name)]
        for pin in CONSTRAINTS
        if canonicalize_name(pin.name) in installed
        and holding(pin, python)
        and not pin.specifier.contains(installed[canonicalize_name(pin.name)], prereleases=True)
    }
    assert others == {}


# -- with uv, which can install the lowest versions ---------------------------------------------------


@pytest.fixture(scope="module")
def lowest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The interpreter of an environment with the built wheel and the lowest versions that it declares."""
    # Of the Pythons that are supported, these have wheels of the lowest versions.
    python = find_python(10) or find_python(11)
    tools = uv_folder()
    if python is None or tools is None:
        pytest.skip("no Python 3.10 or 3.11 here" if python is None else "uv cannot be installed here")
    folder = tmp_path_factory.mktemp("lowest")
    interpreter = folder / "bin" / "python"
    installer = python_packages.Installer(Path(sys.executable), tools.parent, lambda: dict(os.environ))
    install = ("pip", "install", "--python", str(interpreter))
    shell = steps.Shell(steps.Step("lowest versions", lambda shell: None))
    if not installer.has_uv(shell):
        pytest.skip("pip's configuration here has no translation for uv")
    project = str(ROOT / "pyproject.toml")
    try:
        installer.uv(shell, "venv", "--python", str(python), str(folder))
        installer.uv(shell, *install, "--resolution", "lowest-direct", "-r", project)
        installer.uv(shell, *install, "--no-deps", str(built_wheel()))
    except steps.StepFailed:
        raise AssertionError(b"".join(shell.output).decode()[-5000:]) from None
    yield interpreter


@pytest.mark.exhaustive
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_lowest_versions_are_installed_and_every_module_is_imported(lowest: Path, home: Home) -> None:
    code = (
        "import importlib, importlib.metadata, json, pkgutil, genops_lab\n"
        "names = [each.name for each in pkgutil.walk_packages(genops_lab.__path__, 'genops_lab.')]\n"
        # Programs, and the library in C, which ctypes loads.
        "names = [name for name in names if not name.endswith(('.__main__', '.native.scan'))]\n"
        "for name in names: importlib.import_module(name)\n"
        "print(json.dumps([len(names), {e.name: e.version for e in importlib.metadata.distributions()}]))\n"
    )
    done = subprocess.run(
        [lowest, "-W", "ignore", "-c", code],
        env=home.environment(),
        cwd=home.work,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-5000:]
    count, installed = json.loads(done.stdout.splitlines()[-1])
    assert count > 200
    versions = {canonicalize_name(name): version for name, version in installed.items()}
    python = ".".join(subprocess.check_output([lowest, "-V"], text=True).split()[1].split(".")[:2])
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for requirement in map(Requirement, project["dependencies"]):
        (lower,) = [each.version for each in requirement.specifier if each.operator == ">="]
        found = versions[canonicalize_name(requirement.name)]
        if holding(requirement, python):
            assert Requirement(f"x=={lower}.*").specifier.contains(found), (requirement, found)


@pytest.mark.exhaustive
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_first_contact_with_the_lowest_versions(lowest: Path, home: Home) -> None:
    with running_lab(home, python=lowest) as server:
        # Nothing of the new environment is compiled yet.
        deadline = time.monotonic() + 240
        while server.request("GET", "genops/status", timeout=90)[0] == 503:
            assert time.monotonic() < deadline, server.log[-3000:]
            time.sleep(1)
        assert server.get("genops/status")["mlflow_kind"] == "embedded"
        with lab_kernel(server, "python3") as kernel:
            kernel.run("%load_ext genops_lab")
            kernel.run(
                "get_ipython().run_cell_magic('track', '--name low --experiment bounds',"
                " 'import genops\\nfor step in range(3):\\n    genops.log({\"loss\": 1 / (step + 1)}, step=step)')"
            )
            listed = kernel.run("%genops runs list --experiment bounds")
            assert listed
        (run,) = server.get("genops/runs?experiment=bounds")["runs"]
        assert run["name"] == "low"
        answer = subprocess.run(
            [lowest.with_name("genops"), "runs", "list", "--experiment", "bounds", "--json"],
            env=home.environment(), cwd=home.work, capture_output=True, text=True,
        )  # fmt: skip
        assert answer.returncode == 0, answer.stderr
        assert "low" in answer.stdout


@pytest.mark.exhaustive
@pytest.mark.timeout(600)
@pytest.mark.parametrize("python", PYTHONS)
def test_the_constraints_can_be_installed(python: str, tmp_path: Path) -> None:
    tools = uv_folder()
    if tools is None:
        pytest.skip("uv cannot be installed here")
    installer = python_packages.Installer(Path(sys.executable), tools.parent, lambda: dict(os.environ))
    shell = steps.Shell(steps.Step("resolution", lambda shell: None))
    if not installer.has_uv(shell):
        pytest.skip("pip's configuration here has no translation for uv")
    extras = ["--extra", "test", "--extra", "lint"]
    constraints, project = str(ROOT / "constraints.txt"), str(ROOT / "pyproject.toml")
    try:
        installer.uv(
            shell, "pip", "compile", "-q", "--python-version", python, "-c", constraints, project, *extras,
            "--output-file", str(tmp_path / "resolved.txt"),
        )  # fmt: skip
    except steps.StepFailed:
        raise AssertionError(b"".join(shell.output).decode()[-5000:]) from None
