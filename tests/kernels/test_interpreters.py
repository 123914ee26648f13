"""Interpreters of kernel specifications and their mlflow, read from files."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from genops_lab.kernels.interpreters import interpreter_of, is_own_environment, mlflow_version


def environment(
    folder: Path, *distributions: str, config: str | None = "include-system-site-packages = false\n"
) -> Path:
    """The files that an environment consists of; returns its interpreter."""
    site = folder / "lib" / "python3.12" / "site-packages"
    site.mkdir(parents=True)
    (folder / "bin").mkdir()
    python = folder / "bin" / "python"
    python.symlink_to(sys.executable)
    for name in distributions:
        (site / f"{name}.dist-info").mkdir()
    if config is not None:
        (folder / "pyvenv.cfg").write_text(config, encoding="utf-8")
    return python


def test_the_interpreter_of_a_specification(tmp_path: Path) -> None:
    python = environment(tmp_path / "e")
    assert interpreter_of([str(python), "-m", "ipykernel_launcher"], {}) == python
    assert interpreter_of(["python", "-m", "ipykernel_launcher"], {}) == Path(sys.executable)
    assert interpreter_of(["python3.99"], {"PATH": str(tmp_path)}) is None
    (tmp_path / "python3.99").write_text("#!/bin/sh\n")
    (tmp_path / "python3.99").chmod(0o700)
    assert interpreter_of(["python3.99"], {"PATH": str(tmp_path)}) == tmp_path / "python3.99"
    for other in ([], ["R", "--slave"], ["bash", "-c", "python"], ["/usr/bin/pythonic"]):
        assert interpreter_of(other, {"PATH": os.environ["PATH"]}) is None


def test_the_own_environment(tmp_path: Path) -> None:
    assert is_own_environment(Path(sys.executable))
    assert is_own_environment(Path(sys.prefix) / "bin" / "python3")
    assert not is_own_environment(environment(tmp_path / "e")), "its link leads to the same file"


def test_the_version_of_mlflow(tmp_path: Path) -> None:
    assert mlflow_version(environment(tmp_path / "none"), {}) == ""
    assert (
        mlflow_version(environment(tmp_path / "two", "mlflow-2.22.0", "mlflow_skinny-2.22.0"), {}) == "2.22.0"
    )
    assert mlflow_version(environment(tmp_path / "skinny", "mlflow_skinny-3.1.4"), {}) == "3.1.4"
    assert mlflow_version(environment(tmp_path / "other", "mlflow_export_import-1.0"), {}) == ""


def test_the_own_version_is_the_one_that_is_installed() -> None:
    metadata = pytest.importorskip("importlib.metadata")
    assert mlflow_version(Path(sys.executable), dict(os.environ)) == metadata.version("mlflow")


def test_packages_of_the_user_and_of_the_system(tmp_path: Path) -> None:
    environment(tmp_path / "base", "mlflow-2.1.0", config=None)
    user = tmp_path / "user" / "lib" / "python3.12" / "site-packages" / "mlflow-2.9.9.dist-info"
    user.mkdir(parents=True)
    sees = f"home = {tmp_path / 'base' / 'bin'}\ninclude-system-site-packages = true\n"
    assert mlflow_version(environment(tmp_path / "sees", config=sees), {"HOME": "/nowhere"}) == "2.1.0"
    plain = environment(tmp_path / "plain", config=None)
    assert mlflow_version(plain, {"PYTHONUSERBASE": str(tmp_path / "user")}) == "2.9.9"
    isolated = environment(tmp_path / "isolated")
    assert mlflow_version(isolated, {"PYTHONUSERBASE": str(tmp_path / "user")}) == ""


def test_a_real_virtual_environment(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "v")], check=True)
    python = tmp_path / "v" / "bin" / "python"
    assert not is_own_environment(python)
    assert mlflow_version(python, dict(os.environ)) == ""
