"""Provide the Python environment of a model: this one if it has the requirements, else a new one that is kept."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import importlib.metadata
import os
import re
import secrets
import shutil
import signal
import site
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from genops_lab.core.errors import Failed
from genops_lab.core.paths import private_dir
from genops_lab.experiments.model_yaml import UnreadableModel, bounded_bytes, parse_yaml, read_description
from genops_lab.hosts.host_python import HostPython, Requirements
from genops_lab.serving.engines.settings import LLAMA, SGLANG, VLLM

from .targets.environment_filter import building_environment

if TYPE_CHECKING:
    from packaging.requirements import Requirement

#: Packages that the scoring process needs beside the model's requirements.
SERVING = ("mlflow", "fastapi", "uvicorn")
#: Packages that a host needs in the environment: its gateway runs there, too.
HOST_SERVING = (*SERVING, "httptools")
#: The package of each engine; for llama.cpp as in the extra ``llm``.
ENGINE_PACKAGES = {LLAMA: ("xllamacpp>=2026.4",), VLLM: ("vllm",), SGLANG: ("sglang",)}
_HARMLESS_OPTIONS = (
    "-c", "--constraint", "-i", "--index-url", "--extra-index-url", "-f", "--find-links", "--trusted-host",
    "--pre", "--prefer-binary", "--no-index",
)  # fmt: skip
#: Options that a host's environment may be built with: they name no file.
_BY_NAME = (
    "-i",
    "--index-url",
    "--extra-index-url",
    "--trusted-host",
    "--pre",
    "--prefer-binary",
    "--no-index",
)
_MAKING = "Creating an environment."
_INSTALLING = "Installing the model's requirements."
_KEPT_LINES = 15
MAX_REQUIREMENTS_BYTES = 256_000
MAX_REQUIREMENTS = 2_000
MAX_INCLUDED = 20
_NO_SOURCE = ("--pre", "--prefer-binary", "--no-index")
_INCLUDE = re.compile(r"(?:-r|--requirement|-c|--constraint)\s*=?\s*(\S.*)")
_HASH = re.compile(r"\s--hash[ =]\S+")
_PYTHON_VERSION = re.compile(r"\d{1,2}\.\d{1,3}(?=\.|$)")


def requirement_lines(model: Path) -> list[str]:
    """Return the lines of ``requirements.txt`` without comments. Raises Failed for a file that is too large."""
    return _lines_of(model / "requirements.txt")


def package_sources(model: Path) -> list[str]:
    """Return the lines, also of included files, that set where the model's packages come from."""
    root = model.resolve()
    found: list[str] = []
    seen: set[Path] = set()
    pending = [root / "requirements.txt"]
    while pending and len(seen) < MAX_INCLUDED:
        file = pending.pop()
        if file in seen:
            continue
        seen.add(file)
        for line in _lines_of(file):
            included = _INCLUDE.fullmatch(line)
            inside = (file.parent / included[1]).resolve() if included and "${" not in line else None
            if inside is not None and inside.is_relative_to(root) and inside.is_file():
                pending.append(inside)
            elif included or _is_source(line):
                found.append(line)
    return list(dict.fromkeys(found))


def _is_source(line: str) -> bool:
    if line.startswith("-"):
        return line not in _NO_SOURCE
    requirement = _requirement(line)
    return requirement is None or bool(requirement.url) or "${" in line


def _lines_of(file: Path) -> list[str]:
    try:
        text = bounded_bytes(file, MAX_REQUIREMENTS_BYTES).decode("utf-8", "replace")
    except FileNotFoundError:
        return []
    except UnreadableModel as error:
        raise Failed(
            f"Cannot read the model's {file.name}: {error}.",
            hint="Log the model again, with only the requirements that it needs.",
        ) from error
    joined = text.replace("\\\r\n", " ").replace("\\\n", " ")
    lines = [_HASH.sub("", line.partition(" #")[0]).strip() for line in joined.splitlines()]
    requirements = [line for line in lines if line and not line.startswith("#")]
    if len(requirements) > MAX_REQUIREMENTS:
        raise Failed(
            f"The model's {file.name} has {len(requirements):,} lines, more than {MAX_REQUIREMENTS:,}.",
            hint="Log the model again, with only the requirements that it needs.",
        )
    return requirements


def python_of(model: Path) -> str:
    """Return the Python version that the model was logged with, such as ``3.11``; empty if unknown."""
    version = ""
    with contextlib.suppress(OSError, UnreadableModel):
        found = parse_yaml(bounded_bytes(model / "python_env.yaml"))
        version = str(found.get("python", "")) if isinstance(found, dict) else ""
    if not version:
        with contextlib.suppress(OSError, UnreadableModel):
            version = read_description(model / "MLmodel").python_version
    # uv would also accept a path of an interpreter: a model may name only a version.
    known = _PYTHON_VERSION.match(version)
    return known[0] if known else ""


def missing_requirements(model: Path, host: HostPython | None = None) -> list[str]:
    """Return the model's requirements that this interpreter, or that of a host, lacks, as text for the user."""
    missing = []
    python, here = python_of(model), host.version if host else "{}.{}".format(*sys.version_info)
    if python and python != here:
        missing.append(f"python {python} ({'there' if host else 'here'}: {here})")
    return missing + [text for line in requirement_lines(model) if (text := _missing(line, host))]


def requirements_on(model: Path, host: HostPython, needed: Sequence[str] = ("mlflow",)) -> Requirements:
    """Return what the model needs on a host, with the packages ``needed`` beside its requirements.

    Raises Failed if it needs files of its own to install.
    """
    lines, missing = requirement_lines(model), missing_requirements(model, host)
    packages = _beside(lines, needed)
    missing += [name for each in packages if (name := each.partition("==")[0]) not in host.packages]
    own = [
        line for line in lines if _requirement(line) is None and line.split("=")[0].split()[0] not in _BY_NAME
    ]
    if missing and own:
        raise Failed(
            f"A host cannot build the environment of the model, because of a line of its requirements.txt: {own[0]}",
            hint="Use this machine, or log the model again with packages of an index alone.",
        )
    packages = packages or ["mlflow"]  # a build has at least one package, and this one is there already
    return Requirements(lines=lines, python=python_of(model), packages=packages, missing=missing)


def engine_requirements(engine: str, host: HostPython) -> Requirements:
    """Return what an engine needs on a host: its package, and the parser of the gateway."""
    return lines_on(list(ENGINE_PACKAGES.get(engine, ())), host, ["httptools"])


def lines_on(
    lines: list[str], host: HostPython, packages: Sequence[str] = (), python: str = ""
) -> Requirements:
    """Return the requirements of lines and ``packages`` on a host. ``python``: the version that they need."""
    missing = [f"python {python} (there: {host.version})"] if python not in ("", host.version) else []
    missing += [text for line in (*lines, *packages) if (text := _missing(line, host))]
    return Requirements(lines=lines, python=python, packages=list(packages), missing=missing)


def _beside(lines: list[str], needed: Sequence[str]) -> list[str]:
    """Return the packages that the process of the model needs beside its requirements."""
    names = {found.name.lower() for found in map(_requirement, lines) if found is not None}
    here = importlib.metadata.version("mlflow")
    return [f"mlflow=={here}" if name == "mlflow" else name for name in needed if name not in names]


def _requirement(line: str) -> Requirement | None:
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        return Requirement(line)
    except InvalidRequirement:
        return None


def _missing(line: str, host: HostPython | None = None) -> str:
    if line.startswith("-"):
        return "" if line.replace("=", " ").split()[0] in _HARMLESS_OPTIONS else line
    requirement = _requirement(line)
    if requirement is None:
        return line
    markers = None if host is None else {**host.markers, "extra": ""}
    if requirement.marker is not None and not requirement.marker.evaluate(markers):
        return ""
    found = _version(requirement.name, host)
    if not found or requirement.url:
        return line
    where = "there" if host else "here"
    return "" if requirement.specifier.contains(found, prereleases=True) else f"{line} ({where}: {found})"


def _version(name: str, host: HostPython | None) -> str:
    """Return the version of a package, here or on a host; empty if it is not installed."""
    from packaging.utils import canonicalize_name

    if host is not None:
        return host.packages.get(canonicalize_name(name), "")
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


class Environments:
    """Build environments under ``root``, one for each set of requirements, whole or not at all."""

    def __init__(self, root: Path, serving: Sequence[str] = SERVING) -> None:
        self._root = root
        self._serving = serving
        self._building: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def interpreter(self, model: Path, log: Callable[[str], None]) -> Path:
        """Return an interpreter with the model's requirements. Raises Failed with the end of pip's output."""
        missing = await asyncio.to_thread(missing_requirements, model)
        if not missing:
            log("This environment has the model's requirements.")
            return Path(sys.executable)
        log(f"Missing in this environment: {', '.join(missing[:8])}.")
        lines, python = requirement_lines(model), python_of(model)
        extra = _beside(lines, self._serving)
        digest = hashlib.sha256("\n".join([python or sys.version, *lines, *extra]).encode()).hexdigest()[:20]
        lock = self._building.setdefault(digest, asyncio.Lock())
        async with lock:
            final = self._root / digest
            if not _python_in(final).exists():
                await self._build(final, model, python, extra, log)
            else:
                log(f"Using the environment {digest}, which was built before.")
        return _python_in(final)

    async def _build(
        self, final: Path, model: Path, python: str, extra: list[str], log: Callable[[str], None]
    ) -> None:
        private_dir(self._root)
        building = self._root / f".{final.name}-{secrets.token_hex(4)}"
        try:
            for step, arguments, folder in self._steps(building, model, python, extra):
                log(step)
                await _run(step, arguments, folder, log)
            with contextlib.suppress(FileExistsError):
                building.rename(final)
        finally:
            # Also after a cancellation: the folder was renamed, or is half built.
            await asyncio.shield(asyncio.to_thread(shutil.rmtree, building, ignore_errors=True))

    def _steps(
        self, building: Path, model: Path, python: str, extra: list[str]
    ) -> list[tuple[str, list[str], Path]]:
        """Return each step's title, command and folder.

        Packages are installed in the model's folder, because requirements name its files. Python runs isolated (-I):
        otherwise a ``venv.py`` or ``pip.py`` of the model would run.
        """
        file = model / "requirements.txt"
        wanted = [*(["-r", str(file)] if file.exists() else []), *extra]
        inside = str(_python_in(building))
        uv = shutil.which("uv")
        if uv:
            version = python or "{}.{}".format(*sys.version_info)
            return [
                (_MAKING, [uv, "venv", "--no-project", "--python", version, str(building)], self._root),
                # With --project uv ignores settings of the model (uv.toml); those of user and system apply.
                (
                    _INSTALLING,
                    [uv, "pip", "install", "--project", str(self._root), "--python", inside, *wanted],
                    model,
                ),
            ]
        base = sys.executable
        if python and python != "{}.{}".format(*sys.version_info):
            found = shutil.which(f"python{python}")
            if not found:
                raise Failed(
                    f"The model was logged with Python {python}, which this machine does not have.",
                    hint=f"Install uv (pip install uv) or Python {python}, or log the model again with "
                    "Python {}.{}.".format(*sys.version_info),
                )
            base = found
        make, pip = [base, "-I", "-m", "venv", str(building)], [inside, "-I", "-m", "pip"]
        # Installing a copy of pip takes 3 s, and nothing needs it.
        if base == sys.executable and _own_pip_installs_elsewhere():
            make.append("--without-pip")
            pip = [sys.executable, "-I", "-m", "pip", "--python", inside]
        quiet = ["--disable-pip-version-check", "--no-input", "--progress-bar", "off"]
        return [(_MAKING, make, self._root), (_INSTALLING, [*pip, "install", *quiet, *wanted], model)]


def _own_pip_installs_elsewhere() -> bool:
    """Return whether this interpreter, isolated, has a pip with the option ``--python``."""
    path = [folder for folder in sys.path if folder != site.getusersitepackages()]
    own = next(iter(importlib.metadata.distributions(name="pip", path=path)), None)
    return own is not None and int(own.version.partition(".")[0]) >= 23


def _python_in(folder: Path) -> Path:
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


async def _run(step: str, arguments: list[str], folder: Path, log: Callable[[str], None]) -> None:
    process = await asyncio.create_subprocess_exec(
        *arguments, cwd=folder, env=building_environment(os.environ), limit=2**20, start_new_session=True,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    assert process.stdout is not None
    last: list[str] = []
    try:
        async for raw in process.stdout:
            line = raw.decode("utf-8", "replace").rstrip()
            log(line)
            last = [*last[-_KEPT_LINES:], line]
        code = await process.wait()
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    if code != 0:
        full = any("No space left on device" in line for line in last)
        reason = next(
            (line for line in reversed(last) if line.lower().startswith("error")), last[-1] if last else ""
        )
        raise Failed(
            f"{step.rstrip('.')} failed: {'the disk is full' if full else reason[:300] or f'exit code {code}'}.",
            hint="Free some disk space."
            if full
            else "The log has pip's output. Correct the model's requirements and log it again, "
            "or install the missing packages into JupyterLab's environment.",
        )
