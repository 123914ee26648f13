"""Environments other than the one that runs the tests: another Python, another JupyterLab, the built wheel.

They lie in a folder that other Linux users can reach and are kept between runs; where the wheel belongs in
them, it is built from the checkout, and installed anew where it changed.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from .scripts import python_packages, steps

ROOT = Path(__file__).resolve().parents[2]
BASE = Path(tempfile.gettempdir()) / f"genops-lab-environments-{os.getuid()}"

#: JupyterLab, Notebook 7 and the hub that the hub's tests run with the newest one: an environment serves all.
NEWEST = ("jupyterlab>=4.6,<5", "jupyterhub>=5.2", "notebook>=7.4,<8")
OLDEST = ("jupyterlab==4.4.*", "notebook==7.4.*")


@contextmanager
def _locked(name: str) -> Iterator[None]:
    BASE.mkdir(mode=0o755, exist_ok=True)
    with (BASE / f"{name}.lock").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _remove_unused(days: float = 3) -> None:
    """Remove the environments that no test has used for days: each change of pyproject.toml makes new ones of a GB."""
    for lock in BASE.glob("*.lock"):
        if time.time() - lock.stat().st_mtime < days * 86400 or not lock.with_suffix("").exists():
            continue
        with lock.open("w") as stream, suppress(BlockingIOError):
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(lock.with_suffix(""))


def find_python(minor: int) -> Path | None:
    """A CPython 3.``minor`` of this machine."""
    candidates = [
        Path(found) for found in [shutil.which(f"python3.{minor}", path="/usr/bin:/usr/local/bin")] if found
    ]
    candidates += sorted(Path.home().glob(f".pyenv/versions/3.{minor}.*/bin/python3"), reverse=True)
    if found := shutil.which(f"python3.{minor}"):
        candidates.append(Path(found))
    for candidate in candidates:
        answer = subprocess.run(
            [str(candidate), "-c", "import sys; print(sys.version_info.minor)"],
            capture_output=True,
            text=True,
            check=False,
        )
        if answer.stdout.strip() == str(minor):
            return candidate
    return None


def _run(*command: str | Path, cwd: Path = ROOT) -> None:
    answer = subprocess.run(
        [str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, f"{command}\n{answer.stdout[-3000:]}\n{answer.stderr[-3000:]}"


def _install(interpreter: Path, *arguments: str | Path, **variables: str) -> None:
    """Install packages as the set-up does: by uv, which takes seconds where pip takes a CPU minute, or by pip."""
    tools = uv_folder()
    if tools is None:
        _run(interpreter, "-m", "pip", "install", "-q", "--disable-pip-version-check", *arguments)
        return
    installer = python_packages.Installer(interpreter, tools.parent, lambda: {**os.environ, **variables})
    shell = steps.Shell(steps.Step(f"Packages of {interpreter}", lambda shell: None))
    try:
        installer.install(shell, *map(str, arguments))
    except steps.StepFailed as error:
        printed = b"".join(shell.output).decode(errors="replace")
        raise AssertionError(f"{arguments} cannot be installed: {error}\n{printed[-3000:]}") from error


def _put_wheel(interpreter: Path, wheel: Path) -> None:
    """Install a wheel alone: pip needs two CPU seconds for it, and to ask pip for an index half a second more."""
    what = ("--no-deps", "--no-index", wheel)
    if tools := uv_folder():
        uv = (tools / "uv", "pip", "install", "-q", "--reinstall", "--python", interpreter)
        _run(*uv, *what)
    else:
        pip = (sys.executable, "-m", "pip", "--python", interpreter, "install", "-q", "--force-reinstall")
        _run(*pip, *what)


@functools.cache
def built_wheel() -> Path:
    """The wheel of the checkout as it is, front end inside; built once a test run."""
    digest = hashlib.sha256()
    for folder in ("genops_lab", "jupyter-config"):
        for file in sorted((ROOT / folder).rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                digest.update(str(file.relative_to(ROOT)).encode() + file.read_bytes())
    for name in ("pyproject.toml", "package.json", "README.md", "install.json", "scripts/hatch_build.py"):
        digest.update((ROOT / name).read_bytes())
    with _locked("wheel"):
        folder = BASE / f"wheel-{digest.hexdigest()[:16]}"
        if not folder.exists():
            with tempfile.TemporaryDirectory(dir=BASE) as building:
                _run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", building)
                shutil.copytree(building, folder)
        return next(folder.glob("genops_lab-*.whl"))


def environment_with_wheel(python: Path, *requirements: str, compiled: bool = False) -> Path:
    """The interpreter of an environment that holds the wheel and ``requirements``; ``compiled`` for users who cannot
    write there: each of their processes would compile what it imports."""
    wheel = built_wheel()
    pyproject = (ROOT / "pyproject.toml").read_bytes()
    of = "\0".join([str(python.resolve()), *requirements]).encode() + pyproject
    key = hashlib.sha256(of).hexdigest()[:16]
    with _locked(key):
        folder = BASE / key
        interpreter = folder / "bin" / "python"
        if not (folder / "ready").exists():
            _remove_unused()
            shutil.rmtree(folder, ignore_errors=True)
            _run(sys.executable, "-m", "virtualenv", "-q", "--no-download", "-p", str(python), str(folder))
            _install(interpreter, *requirements, wheel)
            (folder / "ready").touch()
        # Once a wheel: what is installed anew is compiled anew, 3 s of CPU in the next process.
        holds, wanted = folder / "holds", f"{wheel.parent.name}{' compiled' * compiled}"
        if not holds.exists() or not holds.read_text().startswith(wanted):
            holds.unlink(missing_ok=True)
            if not compiled:
                _put_wheel(interpreter, wheel)
            elif not (folder / "compiled").exists():
                _install(interpreter, "--no-deps", "--force-reinstall", wheel, UV_COMPILE_BYTECODE="1")
                (folder / "compiled").touch()
            else:  # that looked at each file of each package
                _put_wheel(interpreter, wheel)
                _run(interpreter, "-m", "compileall", "-q", *folder.glob("lib/python*/site-packages/genops*"))
            holds.write_text(wanted)
        return interpreter


def older_wheel(commit: str) -> Path:
    """The wheel of an older commit, with the front end of the checkout; skips where the commit is not known."""
    with _locked(f"older-{commit}"):
        folder = BASE / f"older-{commit}"
        if not folder.exists():
            with tempfile.TemporaryDirectory(dir=BASE) as building:
                archive, source = Path(building) / "source.tar", Path(building) / "source"
                try:
                    _run("git", "archive", "-o", archive, commit)
                except AssertionError as error:
                    pytest.skip(f"{commit} is not in this clone: {error}")
                with tarfile.open(archive) as opened:
                    opened.extractall(source, filter="data")
                for built in ("genops_lab/labextension", "genops_lab/runtime/static"):
                    shutil.copytree(ROOT / built, source / built)
                made = Path(building) / "made"
                _run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", made, cwd=source)
                made.rename(folder)
        return next(folder.glob("genops_lab-*.whl"))


@functools.cache
def thin_environment(wheel: Path | None) -> Path:
    """The interpreter of an environment with this one's packages but GenOps Lab, and with a wheel of it or nothing in
    its place. The packages are links, so that it takes seconds and some MB."""
    site = Path(sysconfig.get_path("purelib"))
    shared = sorted(
        each.name
        for each in site.iterdir()
        if each.suffix != ".pth" and each.name != "__pycache__" and "genops" not in each.name
    )
    of = hashlib.sha256("\0".join([str(site), *shared]).encode())
    of.update(str(wheel).encode())
    key = f"thin-{of.hexdigest()[:16]}"
    with _locked(key):
        folder = BASE / key
        interpreter = folder / "bin" / "python"
        if not (folder / "ready").exists():
            shutil.rmtree(folder, ignore_errors=True)
            _run(sys.executable, "-m", "venv", "--without-pip", folder)
            if wheel:
                _put_wheel(interpreter, wheel)
            _link(site, shared, folder / "shared")
            for name in ("share/jupyter", "etc/jupyter"):
                _link_beside(Path(sys.prefix) / name, folder / name)
            own = subprocess.run(
                [interpreter, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
                capture_output=True,
                text=True,
                check=True,
            ).stdout.strip()
            (Path(own) / "shared.pth").write_text(f"{folder / 'shared'}\n")
            (folder / "ready").touch()
        return interpreter


def _link(source: Path, names: Iterable[str], to: Path) -> None:
    to.mkdir()
    for name in names:
        (to / name).symlink_to(source / name)


def _link_beside(source: Path, to: Path) -> None:
    """Link what is in ``source`` and not GenOps Lab's beside what is in ``to``."""
    for path in source.iterdir():
        if "genops" in path.name:
            continue
        if path.name in ("labextensions", "jupyter_server_config.d"):
            _link_beside(path, to / path.name)
        else:
            to.mkdir(parents=True, exist_ok=True)
            (to / path.name).symlink_to(path)


def environment_without_lab(*requirements: str, python: Path | None = None) -> Path:
    """The interpreter of an environment that holds ``requirements`` alone; skips where no index can be reached."""
    base = str(Path(python or sys.executable).resolve())
    key = "plain-" + hashlib.sha256("\0".join([base, *requirements]).encode()).hexdigest()[:16]
    with _locked(key):
        folder = BASE / key
        interpreter = folder / "bin" / "python"
        if not (folder / "ready").exists():
            shutil.rmtree(folder, ignore_errors=True)
            try:
                if python is None:
                    _run(sys.executable, "-m", "virtualenv", "-q", "--no-download", "-p", base, str(folder))
                else:  # virtualenv has no wheels for old Pythons; they have their own
                    _run(base, "-m", "venv", str(folder))
                _install(interpreter, *requirements)
            except AssertionError as error:
                pytest.skip(f"an environment with {', '.join(requirements)} cannot be made here: {error}")
            (folder / "ready").touch()
        return interpreter


def uv_folder() -> Path | None:
    """A folder with uv in it, for a host's PATH; None where no index can be reached."""
    with _locked("uv"):
        folder = BASE / "uv"
        if not (folder / "ready").exists():
            shutil.rmtree(folder, ignore_errors=True)
            try:
                _run(sys.executable, "-m", "pip", "install", "-q", "--target", folder, "uv")
            except AssertionError:
                return None
            (folder / "ready").touch()
        return folder / "bin"


def index_variables() -> dict[str, str]:
    """What leads this machine's pip and uv to an index, for a host that a test makes; downloads are kept between
    runs."""
    prefixes = ("PIP_", "UV_", "SSL_CERT", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "REQUESTS_CA")
    found = {name: value for name, value in os.environ.items() if name.upper().startswith(prefixes)}
    caches = {"PIP_CACHE_DIR": str(BASE / "cache" / "pip"), "UV_CACHE_DIR": str(BASE / "cache" / "uv")}
    return {**found, **caches}
